"""ROC curves for drawing: the corners of each, thinned to a number of points that does not grow with the cases."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.report import EvaluationReport, Outcome
from rsuper_bench.benchmark.task import CallRule
from rsuper_bench.benchmark.tumor_types import TumorType

MAX_POINTS = 200  # of a drawn curve: finer than a printed line


class RocCurve(NamedTuple):
    """False positive rate and sensitivity from (0, 0) to (1, 1)."""

    rate: NDArray[np.float64]
    sensitivity: NDArray[np.float64]


def roc_curves(report: EvaluationReport) -> dict[TumorType, RocCurve]:
    """The curve of each tumor type that has positive and negative cases, with at most 200 points."""
    by_volume = report.task_definition.call_rule is CallRule.VOLUME
    by_kind: dict[TumorType, list[Outcome]] = {kind: [] for kind in report.counts}
    for outcome in report.outcomes:
        by_kind[outcome.tumor_type].append(outcome)
    curves = {}
    for kind, outcomes in by_kind.items():
        positive = np.fromiter((item.reference == 1 for item in outcomes), bool, len(outcomes))
        if positive.any() and not positive.all():
            decisions = (decision(item, by_volume=by_volume) for item in outcomes)
            curves[kind] = thinned(_corners(np.fromiter(decisions, float, len(outcomes)), positive))
    return curves


def decision(outcome: Outcome, *, by_volume: bool) -> float:
    """What a threshold is applied to; a missing prediction lies beyond every other, on the wrong side."""
    if outcome.imputed:
        return np.inf if outcome.score else -np.inf
    return (outcome.volume_mm3 or 0.0) if by_volume else outcome.score


def _corners(decisions: NDArray[np.float64], positive: NDArray[np.bool_]) -> RocCurve:
    order = np.argsort(-decisions, kind="stable")
    ranked = decisions[order]
    last = np.append(ranked[1:] != ranked[:-1], True)  # equal scores are one step
    hits = np.append(0, np.cumsum(positive[order])[last])
    alarms = np.append(0, np.cumsum(~positive[order])[last])
    rise, run = np.diff(hits), np.diff(alarms)
    turns = np.r_[True, rise[1:] * run[:-1] != rise[:-1] * run[1:], True]  # not inside a straight piece
    return RocCurve(alarms[turns] / alarms[-1], hits[turns] / hits[-1])


def thinned(curve: RocCurve, points: int = MAX_POINTS) -> RocCurve:
    """At most some points of a curve, evenly along its length, with both ends."""
    if len(curve.rate) <= points:
        return curve
    along = np.append(0, np.cumsum(np.abs(np.diff(curve.rate)) + np.abs(np.diff(curve.sensitivity))))
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], points)).clip(0, len(along) - 1))
    return RocCurve(curve.rate[kept], curve.sensitivity[kept])
