"""Lesion figures of one tumor type with their intervals, from the outcomes of its cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsuper_bench.benchmark.lesion_figures import Floats, PerCase, Share, Weights
from rsuper_bench.benchmark.lesion_froc import FrocEvents, froc_points, sensitivities_at_rates
from rsuper_bench.benchmark.lesion_record import FROC_RATES, LESION_SIZES, Average, Froc, LesionOutcome, LesionScores
from rsuper_bench.benchmark.score import Score
from rsuper_bench.benchmark.scores import FEW, LOGIT, PERCENTILE
from rsuper_bench.benchmark.scoring import Draws, Stream, map_chunks
from rsuper_bench.benchmark.statistics.bootstrap import ROUNDING, logit_interval, patient_weights, percentile_interval
from rsuper_bench.benchmark.statistics.wilson import wilson_interval
from rsuper_bench.benchmark.stratum import SIZES, UNKNOWN, size_band

AVERAGES = (
    "dice",
    "surface_dice_3mm",
    "hd95_mm",
    "volume_error_mm3",
    "absolute_volume_error_mm3",
    "count_error",
    "absolute_count_error",
)
NO_LESION = "no lesion is drawn in these cases"


@dataclass(frozen=True)
class LesionSample:
    """Outcomes of one tumor type, and how many there should be.

    Attributes:
        outcomes: In case order: cases whose lesions are drawn, and positive cases whose lesions are not.
        n_drawn: Cases whose lesions the release has drawn.
        n_undrawn: Positive cases whose lesions are not drawn.
        threshold: Confidence from which a candidate is called.
    """

    outcomes: tuple[LesionOutcome, ...]
    n_drawn: int
    n_undrawn: int
    threshold: float

    @property
    def drawn(self) -> list[LesionOutcome]:
        """Cases with drawn lesions, or drawn to have none."""
        return [item for item in self.outcomes if item.lesions is not None]

    @property
    def undrawn(self) -> list[LesionOutcome]:
        """Positive cases whose lesions are not drawn."""
        return [item for item in self.outcomes if item.lesions is None]


def score_lesions(
    sample: LesionSample, *, confidence: float, replicates: int, fingerprint: str, seed: int, jobs: int = 1
) -> LesionScores:
    """All lesion figures of one tumor type.

    Patients are drawn with all their cases and lesions; figures that are undefined say why.
    """
    cases = sample.drawn
    reason = None
    if not sample.n_drawn:
        reason = "no case has a lesion mask of this type"
    elif len(cases) < sample.n_drawn:
        # Which cases to leave out would be the submission's choice.
        reason = f"masks of {len(cases)} of {sample.n_drawn} cases with lesion masks: figures need all of them"
    if reason is not None:
        cases = []
    patients = sorted({item.patient for item in (*cases, *sample.undrawn)})
    draws = Draws(len(patients), replicates, fingerprint, seed)
    work = _Work(sample, cases, patients, confidence, reason)
    return work.finish(_draw(work, draws, jobs))


def _draw(work: _Work, draws: Draws, jobs: int) -> dict[str, Floats]:
    """Every figure in each replicate of the bootstrap over patients."""
    if not draws.n_patients:
        return dict.fromkeys(work.replicate(np.zeros((0, 1), np.int32)), np.full(draws.replicates, np.nan))

    def draw(stream: Stream) -> dict[str, Floats]:
        return work.replicate(patient_weights(draws.n_patients, *stream))

    chunks = map_chunks(draw, draws.streams(), jobs)
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


class _Work:
    """The arrays that figures are computed from, and the figures as functions of the patients' weights."""

    def __init__(
        self,
        sample: LesionSample,
        cases: list[LesionOutcome],
        patients: list[str],
        confidence: float,
        reason: str | None,
    ) -> None:
        self._sample, self._cases, self._confidence, self._reason = sample, cases, confidence, reason
        self._n_patients = len(patients)
        index = {patient: number for number, patient in enumerate(patients)}
        self._patient = np.array([index[item.patient] for item in cases], dtype=np.intp)
        self._lesions = [
            (number, lesion) for number, item in zip(self._patient, cases, strict=True) for lesion in item.lesions or ()
        ]
        self._shares = self._share_data(index)
        self._values = self._average_data()
        self._froc = FrocEvents.of(cases, self._patient, self._n_patients)

    def replicate(self, weights: Weights) -> dict[str, Floats]:
        """Every figure in each replicate: name to ``(R,)``, NaN where undefined."""
        values = {f"share {name}": share.of(weights) for name, share in self._shares.items()}
        for name, average in self._values.items():
            values |= {f"mean {name}": average.mean(weights), f"median {name}": average.median(weights)}
        rates = sensitivities_at_rates(self._froc, weights, FROC_RATES)
        values |= {f"froc {rate:g}": row for rate, row in zip(FROC_RATES, rates, strict=True)}
        return values | {"froc mean": rates.mean(0)}

    def _share_data(self, index: dict[str, int]) -> dict[str, Share]:
        threshold = self._sample.threshold
        found = np.array([(lesion.confidence or -1.0) >= threshold for _, lesion in self._lesions], dtype=bool)
        patient = np.array([number for number, _ in self._lesions], dtype=np.intp)
        bands = np.array([size_band(lesion.diameter_mm) for _, lesion in self._lesions], dtype=np.str_)
        shares = {"all": Share(found, patient, self._n_patients)}
        for size in SIZES:
            shares[size] = Share(found[bands == size], patient[bands == size], self._n_patients)
        undrawn = self._sample.undrawn
        shares[UNKNOWN] = Share(
            np.array([(item.top_confidence or -1.0) >= threshold for item in undrawn], dtype=bool),
            np.array([index[item.patient] for item in undrawn], dtype=np.intp),
            self._n_patients,
        )
        return shares

    def _average_data(self) -> dict[str, PerCase]:
        columns: dict[str, list[float]] = {name: [] for name in AVERAGES}
        chosen: dict[str, list[int]] = {name: [] for name in AVERAGES}
        for number, item in zip(self._patient.tolist(), self._cases, strict=True):
            for name, value in _case_values(item, self._sample.threshold).items():
                columns[name].append(value)
                chosen[name].append(number)
        return {
            name: PerCase(np.array(columns[name]), np.array(chosen[name], dtype=np.intp), self._n_patients)
            for name in AVERAGES
        }

    def finish(self, drawn: dict[str, Floats]) -> LesionScores:
        """Values with their intervals."""
        cases, sample = self._cases, self._sample
        averages = {
            name: Average(
                mean=self._average_score(self._values[name], "mean", drawn[f"mean {name}"], name),
                median=self._average_score(self._values[name], "median", drawn[f"median {name}"], name),
            )
            for name in AVERAGES
        }
        reasons = {"all": self._reason or NO_LESION}
        reasons |= dict.fromkeys(SIZES, self._reason or "no lesion of this size")
        reasons[UNKNOWN] = "no positive case without a lesion mask"
        if len(sample.undrawn) < sample.n_undrawn:
            count = f"{len(sample.undrawn)} of {sample.n_undrawn}"
            reasons[UNKNOWN] = f"masks of {count} positive cases without a lesion mask: the figure needs all of them"
        shares = {
            name: self._share_score(share, drawn[f"share {name}"], reasons[name], incomplete=name == UNKNOWN)
            for name, share in self._shares.items()
        }
        return LesionScores(
            n_cases=len(cases),
            n_patients=len({item.patient for item in cases}),
            n_lesions=len(self._lesions),
            n_candidates=sum(_n_candidates(item) for item in cases),
            n_false_alarms=sum(sum(one >= sample.threshold for one in item.false_alarms) for item in cases),
            n_both_empty=sum(item.dice is None for item in cases),
            n_missed=sum(bool(item.lesions) and not item.predicted_mm3 for item in cases),
            n_false_alarm_cases=sum(not item.lesions and bool(item.predicted_mm3) for item in cases),
            threshold=sample.threshold,
            froc=self._froc_scores(drawn),
            sensitivity=shares["all"],
            by_size={size: shares[size] for size in LESION_SIZES},
            **averages,
        )

    def _froc_scores(self, drawn: dict[str, Floats]) -> Froc:
        ones = np.ones((self._n_patients, 1), dtype=np.int32)
        if not self._lesions:
            reason = self._reason or NO_LESION
            return Froc(mean=Score(value=None, reason=reason), reason=reason)
        values = sensitivities_at_rates(self._froc, ones, FROC_RATES)[:, 0]
        at_rates = {
            f"{rate:g}": self._froc_score(float(value), drawn[f"froc {rate:g}"], count=True)
            for rate, value in zip(FROC_RATES, values, strict=True)
        }
        mean = self._froc_score(float(values.mean()), drawn["froc mean"], count=False)
        return Froc(points=froc_points(self._froc), at_rates=at_rates, mean=mean)

    def _froc_score(self, value: float, drawn: Floats, *, count: bool) -> Score:
        n = len(self._lesions)
        score = _by_percentiles(value, drawn, self._confidence, _few(n, "lesions"))
        return score.model_copy(update={"n": n, "k": round(value * n) if count else None})

    def _share_score(self, share: Share, drawn: Floats, reason: str, *, incomplete: bool) -> Score:
        k, n = int(share.hit.sum()), len(share.hit)
        if not n or (incomplete and n < self._sample.n_undrawn):
            return Score(value=None, reason=reason)
        value, patients = k / n, len(np.unique(share.patient))
        note = _few(n, "cases" if incomplete else "lesions")
        if patients == n:
            low, high = wilson_interval(k, n, self._confidence)
            method = "wilson"
        elif (interval := logit_interval(value, drawn, self._confidence, patients - 1)) is not None:
            (low, high), method = interval, LOGIT
        else:
            low, high = wilson_interval(round(value * patients), patients, self._confidence)
            method = "wilson-over-patients"
        return Score(value=value, low=low, high=high, k=k, n=n, method=method, reason=note)

    def _average_score(self, data: PerCase, kind: str, drawn: Floats, name: str) -> Score:
        n = len(data.values)
        better = name in ("dice", "surface_dice_3mm")
        if not n:
            reason = self._reason or "no case has a lesion, drawn or predicted"
            return Score(value=None, reason=reason, higher_is_better=better)
        value = float(data.values.mean() if kind == "mean" else np.median(data.values))
        score = _by_percentiles(value, drawn, self._confidence, _few(n, "cases"))
        return score.model_copy(update={"n": n, "higher_is_better": better})


def _by_percentiles(value: float, drawn: Floats, confidence: float, note: str | None) -> Score:
    interval = percentile_interval(drawn, confidence)
    defined = drawn[~np.isnan(drawn)]
    if interval is None or np.ptp(defined) <= ROUNDING:  # a figure that never varies would claim certainty
        why = "too few replicates are defined" if interval is None else "the bootstrap replicates do not vary"
        return Score(value=value, method=PERCENTILE, reason="; ".join(filter(None, (f"no interval: {why}", note))))
    return Score(value=value, low=interval[0], high=interval[1], method=PERCENTILE, reason=note)


def _few(n: int, what: str) -> str | None:
    return f"only {n} {what}: small-sample interval" if n < FEW else None


def _n_candidates(item: LesionOutcome) -> int:
    hits = sum(lesion.confidence is not None for lesion in item.lesions or ())
    return hits + len(item.false_alarms) + len(item.repeats) + item.dropped


def _case_values(item: LesionOutcome, threshold: float) -> dict[str, float]:
    """What one case adds to each average; nothing where it has no lesion on either side."""
    lesions = item.lesions or ()
    called = [lesion.confidence for lesion in lesions if lesion.confidence is not None]
    counted = sum(one >= threshold for one in (*called, *item.false_alarms, *item.repeats)) - len(lesions)
    values: dict[str, float] = {}
    if counted or lesions:
        values = {"count_error": float(counted), "absolute_count_error": float(abs(counted))}
    if item.dice is None or item.surface_dice_3mm is None or item.hd95_mm is None or item.reference_mm3 is None:
        return values
    error_mm3 = item.predicted_mm3 - item.reference_mm3
    return values | {
        "dice": item.dice,
        "surface_dice_3mm": item.surface_dice_3mm,
        "hd95_mm": item.hd95_mm,
        "volume_error_mm3": error_mm3,
        "absolute_volume_error_mm3": abs(error_mm3),
    }
