"""Empirical ROC curves as counts: their corners, thinned to a number that does not grow with the cases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.report import EvaluationReport, Outcome
from rsuper_bench.benchmark.task import CallRule
from rsuper_bench.benchmark.tumor_types import TumorType

MAX_POINTS = 200  # of a drawn or stored curve: finer than a printed line


class RocCurve(NamedTuple):
    """False positive rate and sensitivity from (0, 0) to (1, 1)."""

    rate: NDArray[np.float64]
    sensitivity: NDArray[np.float64]


def roc_curves(report: EvaluationReport) -> dict[TumorType, RocCurve]:
    """The curve of each tumor type that has positive and negative cases, with at most 200 points."""
    by_volume = report.task_definition.call_rule is CallRule.VOLUME
    corners = {kind: thinned(found) for kind, found in roc_corners(report.outcomes, by_volume=by_volume).items()}
    return {kind: RocCurve(*(found / found[-1]).T) for kind, found in corners.items()}


def roc_corners(outcomes: Iterable[Outcome], *, by_volume: bool) -> dict[TumorType, NDArray[np.int64]]:
    """Corners of the curve of each tumor type that has positive and negative cases, in the order of the types' names.

    Equal decisions are one step. Points inside a level or upright piece are left out, so that every figure that depends
    on operating points can be computed from the corners.

    Args:
        outcomes: Cases with reference and score.
        by_volume: Rank by predicted volume, as tasks with the call rule ``volume`` do.

    Returns:
        By type ``(C, 2)`` false and true positives, from (0, 0) to everybody called.
    """
    by_kind: dict[TumorType, list[Outcome]] = {}
    for outcome in outcomes:
        by_kind.setdefault(outcome.tumor_type, []).append(outcome)
    found = {}
    for kind, cases in sorted(by_kind.items()):
        positive = np.fromiter((item.reference == 1 for item in cases), bool, len(cases))
        if positive.any() and not positive.all():
            decisions = np.fromiter((decision(item, by_volume=by_volume) for item in cases), float, len(cases))
            found[kind] = _corners(decisions, positive)
    return found


def decision(outcome: Outcome, *, by_volume: bool) -> float:
    """What a threshold is applied to; a missing prediction lies beyond every other, on the wrong side."""
    if outcome.imputed:
        return -np.inf if outcome.reference else np.inf
    return (outcome.volume_mm3 or 0.0) if by_volume else outcome.score


def _corners(decisions: NDArray[np.float64], positive: NDArray[np.bool_]) -> NDArray[np.int64]:
    order = np.argsort(-decisions, kind="stable")
    ranked = decisions[order]
    last = np.append(ranked[1:] != ranked[:-1], True)  # equal scores are one step
    called = np.stack([np.cumsum(~positive[order])[last], np.cumsum(positive[order])[last]], axis=1).astype(np.int64)
    points = np.concatenate([np.zeros((1, 2), dtype=np.int64), called])
    steps = np.diff(points, axis=0)
    straight = ((steps[1:] == 0) & (steps[:-1] == 0)).any(axis=1)
    return np.asarray(points[np.r_[True, ~straight, True]])


def thinned(corners: NDArray[np.int64], points: int = MAX_POINTS) -> NDArray[np.int64]:
    """Exactly so many corners of a curve that has more: evenly along its length, with both ends."""
    if len(corners) <= points:
        return corners
    along = np.append(0, np.cumsum((np.abs(np.diff(corners, axis=0)) / corners[-1]).sum(axis=1)))
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], points)).clip(0, len(along) - 1))
    left_out = np.setdiff1d(np.arange(len(corners)), kept)
    more = left_out[np.linspace(0, len(left_out) - 1, points - len(kept)).astype(int)]
    return np.asarray(corners[np.union1d(kept, more)])
