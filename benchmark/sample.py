"""Predictions of one tumor type joined with the truth, by case id and never by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.reference import Reference
from rsuper_bench.benchmark.report import EvaluationReport, Outcome
from rsuper_bench.benchmark.submission import CaseType
from rsuper_bench.benchmark.task import CallRule
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.benchmark.validation import CheckedPredictions


@dataclass(frozen=True)
class Sample:
    """The cases of one tumor type that count, in case order; all arrays ``(N,)``.

    Attributes:
        patient: Index into the patients of the reference.
        score: Predicted score; 0 or 1, whichever is wrong, where imputed.
        volume_mm3: Predicted volume, NaN where there is none.
        decision: What cases are ranked and called by: score or volume, as the task says. A missing positive ranks
            below everything and a missing negative above, so leaving a case out can never help.
        called: Calls at the frozen threshold; None without one.
    """

    tumor_type: TumorType
    case_ids: tuple[str, ...]
    patient: NDArray[np.intp]
    positive: NDArray[np.bool_]
    score: NDArray[np.float64]
    volume_mm3: NDArray[np.float64]
    decision: NDArray[np.float64]
    imputed: NDArray[np.bool_]
    called: NDArray[np.bool_] | None

    @property
    def worst_volume_mm3(self) -> NDArray[np.float64]:
        """Predicted volume, infinitely wrong where the prediction is missing."""
        return _worst_where(self.imputed, self.positive, self.volume_mm3)

    def patients_with(self, *, positive: bool) -> int:
        """Number of patients with a positive, or with a negative, case."""
        return len(np.unique(self.patient[self.positive == positive]))

    @property
    def smaller_class(self) -> int:
        """Patients of the class that has fewer."""
        return min(self.patients_with(positive=True), self.patients_with(positive=False))

    @property
    def one_case_a_patient(self) -> bool:
        """Whether all cases are of different patients, and so independent."""
        return len(np.unique(self.patient)) == len(self.patient)


def build_sample(
    reference: Reference, tumor_type: TumorType, checked: CheckedPredictions, threshold: float | None
) -> Sample:
    """Join predictions and truth of one type."""
    truths = reference.truths[tumor_type]
    index_of = {patient: index for index, patient in enumerate(reference.patients)}
    patient = np.array([index_of[reference.patient_of[case_id]] for case_id in truths.case_ids], dtype=np.intp)
    positive = np.array(truths.positive, dtype=bool)
    found = [checked.predictions.get(CaseType(case_id, tumor_type)) for case_id in truths.case_ids]
    imputed = np.array([prediction is None for prediction in found], dtype=bool)
    worst = np.where(positive, 0.0, 1.0)
    score = np.array([np.nan if prediction is None else prediction.score for prediction in found], dtype=np.float64)
    score = np.where(imputed, worst, score)
    volume = np.array(
        [
            np.nan if prediction is None or prediction.volume_mm3 is None else prediction.volume_mm3
            for prediction in found
        ],
        dtype=np.float64,
    )
    decision = volume if reference.task.call_rule is CallRule.VOLUME else score
    decision = _worst_where(imputed, positive, decision)
    called = None if threshold is None else np.asarray(decision >= threshold)
    return Sample(tumor_type, truths.case_ids, patient, positive, score, volume, decision, imputed, called)


def report_patients(report: EvaluationReport) -> list[str]:
    """The index of patients that a report's replicates draw from: sorted hashes of those with a case that counts."""
    return sorted({item.patient for item in report.outcomes})


def report_samples(report: EvaluationReport, patients: Sequence[str]) -> dict[TumorType, Sample]:
    """The samples a report was made from, out of its outcomes.

    Args:
        report: With one outcome a case and type that counts.
        patients: The index of patients, sorted hashes.
    """
    index_of = {patient: index for index, patient in enumerate(patients)}
    outcomes: dict[TumorType, list[Outcome]] = {kind: [] for kind in report.task_definition.tumor_types}
    for item in report.outcomes:
        outcomes[item.tumor_type].append(item)
    by_volume = report.task_definition.call_rule is CallRule.VOLUME
    samples = {}
    for kind, items in outcomes.items():
        items.sort(key=lambda item: item.case_id)
        positive = np.array([item.reference for item in items], dtype=bool)
        imputed = np.array([item.imputed for item in items], dtype=bool)
        score = np.array([item.score for item in items], dtype=np.float64)
        volume = np.array([np.nan if item.volume_mm3 is None else item.volume_mm3 for item in items], dtype=np.float64)
        calls = [item.call for item in items]
        samples[kind] = Sample(
            kind,
            tuple(item.case_id for item in items),
            np.array([index_of[item.patient] for item in items], dtype=np.intp),
            positive,
            score,
            volume,
            _worst_where(imputed, positive, volume if by_volume else score),
            imputed,
            np.array(calls, dtype=bool) if calls and None not in calls else None,
        )
    return samples


def _worst_where(
    imputed: NDArray[np.bool_], positive: NDArray[np.bool_], decision: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.where(imputed, np.where(positive, -np.inf, np.inf), decision)
