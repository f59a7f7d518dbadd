"""What an entry proves of itself: figures that follow from its counts, its ROC corners and its replicates.

An entry holds no case, so not everything in it can be computed again; what can be is, whenever the entry is read, and a
figure that differs is refused. The rest (intervals of single types, replicates) is what ``leaderboard verify`` is for.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy.special import digamma

from rsuper_bench.benchmark.metrics import false_positives_allowed, positives_needed
from rsuper_bench.benchmark.report import MEAN, Counts, Replicates, Score
from rsuper_bench.benchmark.roc_curve import MAX_POINTS
from rsuper_bench.benchmark.scores import FEW
from rsuper_bench.benchmark.statistics.bootstrap import percentile_interval
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.tumor_types import TumorType

TOLERANCE = 2e-6  # scores and replicates may be rounded to six decimals
Corner = tuple[int, int]  # false and true positives
_MATCHED = re.compile(r"(sensitivity_at_specificity|specificity_at_sensitivity)_([0-9.]+)")
_CALLED = ("sensitivity", "specificity", "balanced_accuracy", "f1")
_Bounds = tuple[float, float]


def contradictions(
    task: Task,
    scores: Mapping[str, Mapping[str, Score]],
    counts: Mapping[TumorType, Counts],
    corners: Mapping[TumorType, Sequence[Corner]],
    replicates: Replicates | None,
) -> Iterator[str]:
    """Say which figures are not what the evidence gives; nothing is said where the evidence is silent."""
    if set(counts) != set(task.tumor_types):
        yield "counts are not of the tumor types of the task"
        return
    for kind in task.tumor_types:
        wrong = list(_counts(kind, counts[kind], corners.get(kind)))
        yield from wrong
        for metric, score in scores[kind].items() if not wrong else ():
            if metric in _CALLED and score.value is not None and counts[kind].tp is None:
                yield f"scores.{kind}.{metric} has no counts of calls to follow from"
            yield from _outside(f"scores.{kind}.{metric}", score, _bounds(metric, counts[kind], corners.get(kind)))
    for metric, score in scores[MEAN].items():
        absent = [str(kind) for kind in task.tumor_types if metric not in scores[kind]]
        if absent:  # a mean without the worst type is a better mean
            yield f"scores.{absent[0]} has no {metric}, of which there is a mean"
            continue
        values = [scores[kind][metric].value for kind in task.tumor_types]
        known = [value for value in values if value is not None]
        if score.value is not None and (not known or abs(score.value - math.fsum(known) / len(known)) > TOLERANCE):
            yield f"scores.{MEAN}.{metric} is not the mean of the tumor types"
    if replicates is not None:
        sure = [kind for kind in task.tumor_types if min(counts[kind].positive, counts[kind].negative) >= FEW]
        drawn = [scores[kind][task.primary].value for kind in sure if task.primary in scores[kind]]
        varies = any(value is not None and 0 < value < 1 for value in drawn)
        yield from _replicates(task, scores[MEAN][task.primary], replicates, varies=varies)


def _outside(where: str, score: Score, bounds: _Bounds | None) -> Iterator[str]:
    if score.k is not None and score.n is not None and score.k > score.n:
        yield f"{where} counts more successes than cases"
    if score.value is None:
        if bounds is not None:
            yield f"{where} is undefined, but follows from the counts and ROC corners"
        return
    if score.low is not None and score.high is not None and score.low > score.high:
        yield f"{where} has an interval that ends before it starts"
    if score.k is not None and score.n and abs(score.k - score.value * score.n) > 0.5 + TOLERANCE * score.n:
        yield f"{where} is not {score.k} of {score.n}"
    if bounds is not None and not bounds[0] - TOLERANCE <= score.value <= bounds[1] + TOLERANCE:
        low, high = (f"{bound:.6f}" for bound in bounds)
        follows = low if low == high else f"{low} to {high}"
        yield f"{where} is {score.value:.6f}, but {follows} follows from the counts and ROC corners"


def _counts(kind: str, counts: Counts, corners: Sequence[Corner] | None) -> Iterator[str]:
    if counts.positive > 0 < counts.negative and not corners:
        yield f"roc.{kind} is missing"
    elif corners and (corners[0] != (0, 0) or corners[-1] != (counts.negative, counts.positive)):
        yield f"roc.{kind} does not lead from nobody called to everybody called"
    calls = (counts.tp, counts.fp, counts.tn, counts.fn)
    if None in calls:
        return
    tp, fp, tn, fn = (call or 0 for call in calls)
    if min(tp, fp, tn, fn) < 0 or tp + fn != counts.positive or fp + tn != counts.negative:
        yield f"counts.{kind}: the calls do not add up to the cases"
    elif corners and not any(
        before[0] <= fp <= after[0] and before[1] <= tp <= after[1] for before, after in itertools.pairwise(corners)
    ):
        yield f"counts.{kind}: the calls are of no threshold on the ROC curve"


def _bounds(metric: str, counts: Counts, corners: Sequence[Corner] | None) -> _Bounds | None:
    """Lowest and highest value that the evidence allows; None where it is silent."""
    if metric in _CALLED:
        value = _called(metric, counts)
        return None if value is None else (value, value)
    if not corners or not counts.positive or not counts.negative:
        return None
    if metric == "auroc":
        return _auroc(corners)
    if metric == "average_precision":
        return _average_precision(corners)
    matched = _MATCHED.fullmatch(metric)
    if matched is None:
        return None
    target = float(matched[2]) / 100
    if matched[1] == "sensitivity_at_specificity":
        low, high = _reached(corners, false_positives_allowed(target, counts.negative))
        return low / counts.positive, high / counts.positive
    fewest, most = _needed(corners, positives_needed(target, counts.positive))
    return 1 - most / counts.negative, 1 - fewest / counts.negative


def _called(metric: str, counts: Counts) -> float | None:
    tp, fp, tn, fn = counts.tp, counts.fp, counts.tn, counts.fn
    if tp is None or fp is None or tn is None or fn is None:
        return None
    sensitivity = tp / (tp + fn) if tp + fn else None
    specificity = tn / (tn + fp) if tn + fp else None
    if metric == "sensitivity":
        return sensitivity
    if metric == "specificity":
        return specificity
    if sensitivity is None or specificity is None:
        return None
    if metric == "f1":
        return 2 * tp / (2 * tp + fp + fn)
    return (sensitivity + specificity) / 2


def _auroc(corners: Sequence[Corner]) -> _Bounds:
    """Trapezoids where every corner is kept; between the kept corners of a thinned curve, anything that rises."""
    fp, tp = np.array(corners, dtype=np.int64).T
    area, widths = int(fp[-1]) * int(tp[-1]), np.diff(fp)
    if not is_thinned(corners):
        exact = float((widths * (tp[1:] + tp[:-1])).sum()) / 2 / area
        return exact, exact
    return float((widths * tp[:-1]).sum()) / area, float((widths * tp[1:]).sum()) / area


def _average_precision(corners: Sequence[Corner]) -> _Bounds:
    """Between two corners the order of the positives is not known, so neither is the precision of each."""
    fp, tp = np.array(corners, dtype=np.int64).T
    steps, total = np.diff(tp), int(tp[-1])
    # The sum over the positives t of a piece of t / (t + fp), by the digamma function: pieces may be long.
    lowest = steps - fp[1:] * (digamma(tp[1:] + fp[1:] + 1.0) - digamma(tp[:-1] + fp[1:] + 1.0))
    highest = steps * tp[1:] / np.maximum(tp[1:] + fp[:-1], 1)
    return float(lowest.sum()) / total, float(highest.sum()) / total


def _reached(corners: Sequence[Corner], allowed: int) -> Corner:
    """Fewest and most positives that may be called with so many false positives."""
    within = [tp for fp, tp in corners if fp <= allowed]
    beyond = [tp for fp, tp in corners if fp > allowed]
    return within[-1], beyond[0] if beyond and is_thinned(corners) else within[-1]


def _needed(corners: Sequence[Corner], needed: int) -> Corner:
    """Fewest and most false positives that come with so many positives called."""
    enough = next(fp for fp, tp in corners if tp >= needed)
    short = [fp for fp, tp in corners if tp < needed]
    return (short[-1] if short and is_thinned(corners) else enough), enough


def is_thinned(corners: Sequence[Corner]) -> bool:
    """Whether corners of the curve may have been left out."""
    return len(corners) >= MAX_POINTS


def _replicates(task: Task, primary: Score, replicates: Replicates, *, varies: bool) -> Iterator[str]:
    """Replicates are draws of the same cases: they lie around the figure, and differ where a type is not perfect."""
    where = f"scores.{MEAN}.{task.primary}"
    drawn = np.array([math.nan if value is None else value for value in replicates.values])
    known = drawn[~np.isnan(drawn)]
    if primary.value is None or not len(known):
        return
    if not known.min() - TOLERANCE <= primary.value <= known.max() + TOLERANCE:
        yield f"{where} is {primary.value:.6f}, outside all of its replicates ({known.min():.6f} to {known.max():.6f})"
    if varies and len(known) > 1 and np.ptp(known) == 0:
        yield f"the replicates of {where} never vary"
    if "_at_" not in task.primary:
        return  # intervals of other metrics take more than the replicates
    expected, stated = percentile_interval(drawn, task.confidence), (primary.low, primary.high)
    if expected is not None and expected[1] - expected[0] <= TOLERANCE:
        return  # rounding decides whether there is one
    if (expected is None) != (None in stated) or any(
        abs(a - b) > TOLERANCE for a, b in zip(expected or (), stated, strict=False) if b is not None
    ):
        yield f"the interval of {where} is not that of the replicates"
