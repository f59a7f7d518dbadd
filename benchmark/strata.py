"""Figures of parts of the cases: by size of the tumor, sex, age, phase, scanner and source.

They are for looking where a method fails, and move no headline figure. A stratum is scored at the thresholds of all
cases; one of fewer than 10 cases has its counts only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.reference import Reference
from rsuper_bench.benchmark.report import Score, StratumScores
from rsuper_bench.benchmark.sample import Sample
from rsuper_bench.benchmark.scores import FEW, score_type
from rsuper_bench.benchmark.scoring import Drawn, Draws, Measures, draw_replicates
from rsuper_bench.benchmark.stratum import Axis, case_stratum, order_of, size_stratum
from rsuper_bench.benchmark.tumor_types import TumorType

FIGURES = ("sensitivity", "specificity", "auroc")
NO_SIZE = "a case without a tumor has no size"


class _Place(NamedTuple):
    """Where a part of the cases belongs."""

    axis: Axis
    stratum: str
    kind: TumorType


Strata = dict[Axis, dict[str, dict[TumorType, StratumScores]]]


def score_strata(
    samples: Mapping[TumorType, Sample],
    measures: Mapping[TumorType, Measures],
    reference: Reference,
    draws: Draws,
    *,
    jobs: int = 1,
) -> Strata:
    """Sensitivity, specificity and AUROC of every stratum the task names.

    By size only positive cases are divided: each size is set against all negative cases of the type, and has no
    specificity of its own.

    Args:
        samples: Predictions and truth.
        measures: Operating points of each type.
        reference: With the records that strata are read from.
        draws: Patients of each replicate, for strata in which a patient has several cases.
        jobs: Threads; the result does not depend on it.
    """
    parts: dict[_Place, Sample] = {}
    for axis in reference.task.strata:
        for kind, sample in samples.items():
            labels = _labels(axis, sample, reference)
            for stratum in sorted(set(labels)):
                chosen = labels == stratum
                if axis is Axis.SIZE:
                    if not stratum:  # negatives only
                        continue
                    chosen |= ~sample.positive
                parts[_Place(axis, str(stratum), kind)] = _part(sample, chosen)
    # Wilson and DeLong need no replicates; they are drawn only where cases of a stratum share patients.
    clustered = {
        place: part for place, part in parts.items() if not part.one_case_a_patient and len(part.positive) >= FEW
    }
    points = {place: measures[place.kind] for place in clustered}
    drawn = draw_replicates(clustered, points, draws, jobs=jobs) if clustered else {}
    found: Strata = {axis: {} for axis in reference.task.strata}
    for place in sorted(parts, key=lambda place: order_of(place.stratum)):
        replicates = drawn.get(place) or dict.fromkeys(measures[place.kind].names, np.empty(0))
        scored = _scored(place, parts[place], measures[place.kind], replicates, reference.task.confidence)
        found[place.axis].setdefault(place.stratum, {})[place.kind] = scored
    return found


def _labels(axis: Axis, sample: Sample, reference: Reference) -> NDArray[np.str_]:
    """Stratum of each case ``(N,)``; by size it is empty where there is no tumor."""
    records = [reference.records[case_id] for case_id in sample.case_ids]
    if axis is not Axis.SIZE:
        return np.array([case_stratum(record, axis) for record in records], dtype=np.str_)
    kinds = reference.task.positive_kinds
    return np.array(
        [
            size_stratum(record, sample.tumor_type, kinds) if positive else ""
            for record, positive in zip(records, sample.positive, strict=True)
        ],
        dtype=np.str_,
    )


def _part(sample: Sample, chosen: NDArray[np.bool_]) -> Sample:
    return replace(
        sample,
        case_ids=tuple(case_id for case_id, keep in zip(sample.case_ids, chosen, strict=True) if keep),
        patient=sample.patient[chosen],
        positive=sample.positive[chosen],
        score=sample.score[chosen],
        volume_mm3=sample.volume_mm3[chosen],
        decision=sample.decision[chosen],
        imputed=sample.imputed[chosen],
        called=None if sample.called is None else sample.called[chosen],
    )


def _scored(place: _Place, part: Sample, points: Measures, drawn: Drawn, confidence: float) -> StratumScores:
    scores = score_type(part, points, drawn, confidence, FIGURES)
    positive = int(part.positive.sum())
    negative = len(part.positive) - positive
    if place.axis is Axis.SIZE:
        scores["specificity"] = Score(value=None, reason=NO_SIZE)
    few = {"sensitivity": positive, "specificity": negative, "auroc": min(positive, negative)}
    return StratumScores(
        positive=positive,
        negative=negative,
        **{name: _unless_few(score, few[name]) for name, score in scores.items()},
    )


def _unless_few(score: Score, cases: int) -> Score:
    """A figure, or its counts alone where fewer than 10 cases carry it."""
    if score.value is None or cases >= FEW:
        return score
    return Score(value=None, k=score.k, n=score.n, reason=f"fewer than {FEW} cases: too few for a figure")
