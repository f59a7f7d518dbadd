"""Free-response ROC: lesions found against false alarms a case, as the confidence falls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from rsuper_bench.benchmark.lesion_record import MAX_FROC_POINTS, FrocPoint, LesionOutcome
from rsuper_bench.benchmark.metrics import Curve, RankedCases

_ROUNDING = 1e-9  # of a rate times a number of cases


@dataclass(frozen=True)
class FrocEvents:
    """Candidates that hit or are false alarms, ranked by confidence, with the patients they are of.

    Attributes:
        ranked: Hits are its positives and false alarms its negatives.
        lesions: ``(patients,)`` drawn lesions of each patient.
        cases: ``(patients,)`` cases of each patient.
    """

    ranked: RankedCases
    lesions: NDArray[np.int64]
    cases: NDArray[np.int64]

    @cached_property
    def segments(self) -> csr_array:
        """The ranking laid out by patient, made once for all replicates."""
        return self.ranked.segments(len(self.lesions))

    @classmethod
    def of(cls, outcomes: Sequence[LesionOutcome], patient: NDArray[np.intp], n_patients: int) -> FrocEvents:
        """Collect the candidates of all cases; ``patient`` is the index of the patient of each case."""
        rows: list[tuple[float, bool, int]] = []
        lesions = np.zeros(n_patients, dtype=np.int64)
        for number, item in zip(patient.tolist(), outcomes, strict=True):
            lesions[number] += len(item.lesions or ())
            rows += [
                (lesion.confidence, True, number) for lesion in item.lesions or () if lesion.confidence is not None
            ]
            rows += [(confidence, False, number) for confidence in item.false_alarms]
        confidence = np.array([row[0] for row in rows], dtype=np.float64)
        hit = np.array([row[1] for row in rows], dtype=bool)
        of_patient = np.array([row[2] for row in rows], dtype=np.intp)
        cases = np.bincount(patient, minlength=n_patients).astype(np.int64)
        return cls(RankedCases.of(confidence, hit, of_patient), lesions, cases)


def froc_points(events: FrocEvents) -> tuple[FrocPoint, ...]:
    """Operating points at which more lesions are found, evenly thinned to :data:`MAX_FROC_POINTS`."""
    curve = Curve.from_segments(events.segments, np.ones((len(events.lesions), 1), dtype=np.int32))
    thresholds = events.ranked.values[np.unique(events.ranked.group[events.ranked.positive])]
    chosen = np.arange(len(thresholds))
    if len(chosen) > MAX_FROC_POINTS:
        chosen = np.unique(np.linspace(0, len(chosen) - 1, MAX_FROC_POINTS).round().astype(int))
    n_cases, n_lesions = int(events.cases.sum()), int(events.lesions.sum())
    return tuple(
        FrocPoint(
            threshold=float(thresholds[index]),
            fp_per_case=int(curve.false_positives[index, 0]) / n_cases,
            sensitivity=int(curve.true_positives[index, 0]) / n_lesions,
        )
        for index in chosen
    )


def sensitivities_at_rates(
    events: FrocEvents, weights: NDArray[np.int32], rates: Sequence[float]
) -> NDArray[np.float64]:
    """Sensitivity at the lowest threshold with at most so many false alarms a case, in each replicate.

    Args:
        events: Of all cases.
        weights: ``(patients, R)``, how often each patient was drawn.
        rates: False alarms a case.

    Returns:
        ``(rates, R)``, NaN where no lesion was drawn.
    """
    curve = Curve.from_segments(events.segments, weights)
    lesions, cases = events.lesions @ weights, events.cases @ weights
    found = np.concatenate([np.zeros((1, weights.shape[1]), dtype=np.int64), curve.true_positives])
    result = np.full((len(rates), weights.shape[1]), np.nan)
    for row, rate in enumerate(rates):
        allowed = np.floor(rate * cases + _ROUNDING)
        reached = (curve.false_positives <= allowed).sum(0)  # false alarms only grow: a prefix
        hits = np.take_along_axis(found, reached[None], axis=0)[0]
        np.divide(hits, lesions, out=result[row], where=lesions > 0)
    return result
