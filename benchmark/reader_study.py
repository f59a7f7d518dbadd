"""Radiologists who read the same cases: each beside the method at that reader's own operating point.

The method is compared on exactly the cases a reader read. Its threshold is matched to the reader on those cases, and
matched again in each bootstrap replicate; the difference is paired, since both are of the same patients. Readers who
give scores are compared by the area under the curve as well. Several readers of one session form a panel, in which
readers are drawn again too: its interval speaks of readers like these, not of these alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark import metrics
from rsuper_bench.benchmark.reader_calls import PairedCalls, compare_calls
from rsuper_bench.benchmark.reader_judgement import judge
from rsuper_bench.benchmark.reader_panel import study_panels
from rsuper_bench.benchmark.reader_record import CallsTest, ReaderTest, StudyPanel, StudyReader
from rsuper_bench.benchmark.reads import Read, ReadKey, Reads
from rsuper_bench.benchmark.report import Score
from rsuper_bench.benchmark.sample import Sample
from rsuper_bench.benchmark.scores import LOGIT, PERCENTILE, small_sample
from rsuper_bench.benchmark.scoring import Drawn, Draws, map_chunks
from rsuper_bench.benchmark.statistics.bootstrap import (
    logit_interval,
    normal_interval,
    patient_weights,
    percentile_interval,
)
from rsuper_bench.benchmark.statistics.delong import auroc_interval
from rsuper_bench.benchmark.statistics.paired import delong_difference
from rsuper_bench.benchmark.statistics.wilson import wilson_interval
from rsuper_bench.benchmark.tumor_types import TumorType

STATEMENT = (
    "The readers of the study read the same cases. The method is shown at each reader's own specificity and "
    "sensitivity, on the cases that reader read; differences are paired, method minus reader."
)
MARGIN = 0.05  # of sensitivity: how much worse still counts as not inferior
NORMAL = "patient-bootstrap-normal"
DIFFERENCE = "difference_sensitivity"  # at the reader's specificity: what is tested
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Pair:
    """One reader and the method on the cases both have; arrays ``(N,)``.

    ``called`` or ``scored`` is None where the reader gave none, ``frozen`` where the method has no frozen threshold.
    """

    called: NDArray[np.bool_] | None
    frozen: NDArray[np.bool_] | None
    scored: Floats | None
    decision: Floats
    positive: NDArray[np.bool_]
    patient: NDArray[np.intp]
    n_excluded: int

    @classmethod
    def of(cls, sample: Sample, reads: Mapping[str, Read]) -> _Pair:
        """Join a reader with a sample by case; calls or scores are None where the reader gave none."""
        chosen = np.array([case_id in reads for case_id in sample.case_ids], dtype=bool)
        found = [reads[case_id] for case_id in sample.case_ids if case_id in reads]
        calls = [read.call for read in found]
        scores = np.array([read.score for read in found], dtype=np.float64)
        return cls(
            None if None in calls else np.array(calls, dtype=bool),
            None if sample.called is None else sample.called[chosen],
            None if np.isnan(scores).any() else scores,
            sample.decision[chosen],
            sample.positive[chosen],
            sample.patient[chosen],
            len(reads) - len(found),
        )

    @property
    def df(self) -> int:
        """Patients of the class that has fewer, less one."""
        return min(len(np.unique(self.patient[self.positive == label])) for label in (True, False)) - 1

    @property
    def independent(self) -> bool:
        """Whether all cases are of different patients."""
        return len(np.unique(self.patient)) == len(self.patient)


@dataclass(frozen=True)
class Compared:
    """A reader's figures and the method's: on the cases ``(1,)`` and in each replicate ``(R,)``."""

    key: ReadKey
    pair: _Pair
    own: Drawn
    drawn: Drawn


def study_readers(
    reads: Reads,
    samples: Mapping[TumorType, Sample],
    draws: Draws,
    *,
    confidence: float = 0.95,
    margin: float = MARGIN,
    jobs: int = 1,
) -> tuple[tuple[StudyReader, ...], tuple[StudyPanel, ...]]:
    """Each reader and tumor type beside the method, and the readers of each session together.

    Args:
        reads: From ``read_reads``.
        samples: The method's predictions and the truth.
        draws: Patients of each replicate.
        confidence: Level of intervals and tests.
        margin: How much less sensitivity than the reader still counts as not inferior.
        jobs: Threads; the result does not depend on it.
    """
    pairs = {key: _Pair.of(samples[key.tumor_type], found) for key, found in reads.items()}
    if not pairs:
        return (), ()

    def draw(stream: tuple[int, np.random.SeedSequence]) -> dict[ReadKey, Drawn]:
        weights = patient_weights(draws.n_patients, *stream)
        return {key: _figures(pair, weights) for key, pair in pairs.items()}

    once = np.ones((max(draws.n_patients, 1), 1), dtype=np.int32)
    nobody = [{key: _figures(pair, once) for key, pair in pairs.items()}]  # no case counts: every figure is undefined
    chunks = map_chunks(draw, draws.streams(), jobs) if draws.n_patients else nobody * draws.replicates
    compared = []
    for key, pair in pairs.items():
        own = _figures(pair, once)
        drawn = {name: np.concatenate([chunk[key][name] for chunk in chunks]) for name in own}
        compared.append(Compared(key, pair, own, drawn))
    tests = judge([item.drawn[DIFFERENCE] for item in compared], confidence, margin)
    frozen = {figure: _frozen(figure, compared, draws, confidence) for figure in ("sensitivity", "specificity")}
    readers = tuple(
        _reader(item, test, confidence).model_copy(
            update={f"frozen_{figure}": found.get(str(index)) for figure, found in frozen.items()}
        )
        for index, (item, test) in enumerate(zip(compared, tests, strict=True))
    )
    return readers, study_panels(compared, draws, confidence, margin)


def _frozen(figure: str, compared: Sequence[Compared], draws: Draws, confidence: float) -> dict[str, CallsTest]:
    """Calls at the frozen threshold beside those of each reader who made calls, by place in the list."""
    paired = {}
    for index, item in enumerate(compared):
        pair, wanted = item.pair, figure == "sensitivity"
        if pair.called is None or pair.frozen is None:
            continue
        chosen = pair.positive == wanted
        drawn = item.drawn[f"frozen_{figure}"]
        paired[str(index)] = PairedCalls(
            pair.frozen[chosen] == wanted,
            pair.called[chosen] == wanted,
            pair.patient[chosen],
            drawn,
            drawn - item.drawn[f"called_{figure}"],
        )
    return compare_calls(paired, draws, confidence)


def _reader(item: Compared, test: ReaderTest | None, confidence: float) -> StudyReader:
    pair = item.pair

    def score(name: str) -> Score:
        return reader_score(item, name, confidence)

    return StudyReader(
        reader=item.key.reader,
        session=item.key.session,
        tumor_type=item.key.tumor_type,
        n_cases=len(pair.positive),
        n_excluded=pair.n_excluded,
        sensitivity=score("sensitivity"),
        specificity=score("specificity"),
        method_sensitivity=score("method_sensitivity"),
        method_specificity=score("method_specificity"),
        sensitivity_difference=score(DIFFERENCE),
        specificity_difference=score("difference_specificity"),
        auroc=None if pair.scored is None else score("auroc"),
        method_auroc=None if pair.scored is None else score("method_auroc"),
        auroc_difference=None if pair.scored is None else score("difference_auroc"),
        test=test,
    )


def reader_score(item: Compared, name: str, confidence: float) -> Score:
    """One figure of a reader, of the method matched to it, or of their difference."""
    found = _reader_score(item, name, confidence)
    positives = int(item.pair.positive.sum())
    small = small_sample(positives, len(item.pair.positive) - positives)
    if found.value is None or small is None:
        return found
    return found.model_copy(update={"reason": f"{found.reason}; {small}" if found.reason else small})


def _reader_score(item: Compared, name: str, confidence: float) -> Score:
    pair, value = item.pair, float(item.own[name][0])
    if np.isnan(value):
        no_calls = pair.called is None and not name.endswith("auroc")
        reason = "this reader gave no calls" if no_calls else "the cases this reader read are of one class only"
        return Score(value=None, reason=reason)
    figure, is_difference = name.rsplit("_", 1)[-1], name.startswith("difference")
    if figure == "auroc":
        return _area(item, name, value, confidence)
    n = int(pair.positive.sum() if figure == "sensitivity" else (~pair.positive).sum())
    k = None if is_difference else round(value * n)
    if k is not None and not name.startswith("method"):
        return _own_share(item, name, value, k, n, confidence)
    interval = percentile_interval(item.drawn[name], confidence)
    if interval is None:
        return Score(value=value, k=k, n=n, method=PERCENTILE, reason="no interval: too few replicates are defined")
    return Score(value=value, low=interval[0], high=interval[1], k=k, n=n, method=PERCENTILE)


def _own_share(item: Compared, name: str, value: float, k: int, n: int, confidence: float) -> Score:
    """Sensitivity or specificity of the reader's own calls."""
    pair = item.pair
    patients = len(np.unique(pair.patient[pair.positive == (name == "sensitivity")]))
    interval, method = wilson_interval(k, n, confidence), "wilson"
    if not pair.independent:
        interval, method = wilson_interval(round(value * patients), patients, confidence), "wilson-over-patients"
        resampled = logit_interval(value, item.drawn[name], confidence, patients - 1)
        if resampled is not None:
            interval, method = resampled, LOGIT
    return Score(value=value, low=interval[0], high=interval[1], k=k, n=n, method=method)


def _area(item: Compared, name: str, value: float, confidence: float) -> Score:
    pair, n = item.pair, len(item.pair.positive)
    assert pair.scored is not None  # noqa: S101  # the figure would be undefined
    if name == "difference_auroc":
        area = delong_difference(pair.decision, pair.scored, pair.positive)
        if pair.independent and area.error > 0:
            low, high = area.interval(confidence)
            return Score(value=value, low=low, high=high, n=n, method="delong")
        interval, method = normal_interval(value, item.drawn[name], confidence, pair.df), NORMAL
    else:
        scores = pair.scored if name == "auroc" else pair.decision
        if pair.independent:
            low, high, method = auroc_interval(scores[pair.positive], scores[~pair.positive], confidence)
            return Score(value=value, low=low, high=high, n=n, method=method)
        interval, method = logit_interval(value, item.drawn[name], confidence, pair.df), LOGIT
    reason = None if interval else "no interval: the bootstrap replicates do not vary"
    low_or_none, high_or_none = interval or (None, None)
    return Score(value=value, low=low_or_none, high=high_or_none, n=n, method=method, reason=reason)


def _figures(pair: _Pair, weights: NDArray[np.int32]) -> Drawn:
    """Reader, method matched to the reader, and their difference, in each replicate; NaN where undefined."""
    curve = metrics.Curve.of(metrics.RankedCases.of(pair.decision, pair.positive, pair.patient), weights)
    undefined = np.full(weights.shape[1], np.nan)
    found = dict.fromkeys(("sensitivity", "specificity", "method_sensitivity", "method_specificity"), undefined)
    found |= dict.fromkeys(("auroc", "method_auroc"), undefined)
    if pair.called is not None and pair.frozen is not None:  # as they are, whether or not both classes were drawn
        for name, calls in (("frozen", pair.frozen), ("called", pair.called)):
            made = metrics.CallCounts.of(calls, pair.positive, pair.patient, weights)
            found |= {f"{name}_sensitivity": made.sensitivity(), f"{name}_specificity": made.specificity()}
    if pair.called is not None:
        counts = metrics.CallCounts.of(pair.called, pair.positive, pair.patient, weights)
        sensitivity = np.where(curve.defined, counts.sensitivity(), np.nan)
        specificity = np.where(curve.defined, counts.specificity(), np.nan)
        found |= {
            "sensitivity": sensitivity,
            "specificity": specificity,
            "method_sensitivity": metrics.sensitivity_at_specificity(curve, np.nan_to_num(specificity)),
            "method_specificity": metrics.specificity_at_sensitivity(curve, np.nan_to_num(sensitivity)),
        }
    if pair.scored is not None:
        read = metrics.RankedCases.of(pair.scored, pair.positive, pair.patient)
        found |= {"auroc": metrics.auroc(metrics.Curve.of(read, weights)), "method_auroc": metrics.auroc(curve)}
    for name in ("sensitivity", "specificity", "auroc"):
        found[f"difference_{name}"] = found[f"method_{name}"] - found[name]
    return found
