"""Case-level figures of one tumor type, for one sample or for many bootstrap replicates at once.

A replicate is a weight a patient; the sample itself is the replicate whose weights are all 1. Value and replicates
come from the same code, so operating points are matched again in each replicate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
_ROUNDING = 1e-9  # 0.1 * 30 is 3.0000000000000004: a target that is met on paper must be met here


@dataclass(frozen=True)
class RankedCases:
    """Cases of one tumor type from the highest score to the lowest.

    Attributes:
        patient: ``(N,)`` index of the patient of each case.
        positive: ``(N,)`` reference.
        starts: ``(G,)`` first case of each group of equal scores.
        values: ``(G,)`` score of each group, falling.
    """

    patient: NDArray[np.intp]
    positive: NDArray[np.bool_]
    starts: NDArray[np.intp]
    values: Floats

    @classmethod
    def of(cls, scores: Floats, positive: NDArray[np.bool_], patient: NDArray[np.intp]) -> RankedCases:
        """Order cases by score; the order inside a group of equal scores has no effect on any figure."""
        order = np.argsort(-scores, kind="stable")
        ordered = scores[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.empty(0, np.intp)
        return cls(patient[order], positive[order], starts, ordered[starts])

    def ties_broken_worst(self) -> RankedCases:
        """The same cases without ties: of equal scores the negatives come first."""
        group = np.repeat(np.arange(len(self.starts)), np.diff(self.starts, append=len(self.patient)))
        order = np.lexsort((self.positive, group))
        return RankedCases(self.patient[order], self.positive[order], np.arange(len(order)), self.values[group])


@dataclass(frozen=True)
class Curve:
    """Operating points of R replicates over G groups of equal scores, of which Q hold a positive case.

    Attributes:
        false_positives: ``(R, G)`` negatives called when the first g + 1 groups are.
        with_positives: ``(Q,)`` indices of the groups with a positive case.
        true_positives: ``(R, Q)`` positives called when groups up to that one are.
        positives: ``(R,)``.
        negatives: ``(R,)``.
    """

    false_positives: Counts
    with_positives: NDArray[np.intp]
    true_positives: Counts
    positives: Counts
    negatives: Counts

    @classmethod
    def of(cls, cases: RankedCases, weights: NDArray[np.int32]) -> Curve:
        """Count calls in each replicate.

        Args:
            cases: N ranked cases.
            weights: ``(R, patients)`` how often each patient was drawn.
        """
        groups = len(cases.starts)
        group_of = np.zeros(len(cases.patient), dtype=np.intp)
        group_of[cases.starts[1:]] = 1
        group_of = np.cumsum(group_of)
        negative_weights = weights[:, cases.patient] * ~cases.positive
        if groups < len(cases.patient):
            negative_weights = np.add.reduceat(negative_weights, cases.starts, axis=1)
        false_positives = np.cumsum(negative_weights, axis=1, dtype=np.int32)
        positive_groups = group_of[cases.positive]
        with_positives, first = np.unique(positive_groups, return_index=True)
        positive_weights = weights[:, cases.patient[cases.positive]]
        if len(with_positives) and len(with_positives) < len(positive_groups):
            positive_weights = np.add.reduceat(positive_weights, first, axis=1)
        true_positives = np.cumsum(positive_weights, axis=1, dtype=np.int64)
        return cls(
            false_positives=false_positives,  # type: ignore[arg-type]  # int32 halves the memory of the largest array
            with_positives=with_positives,
            true_positives=true_positives,
            positives=_last(true_positives),
            negatives=_last(false_positives),
        )

    @property
    def defined(self) -> NDArray[np.bool_]:
        """Replicates with both classes."""
        return (self.positives > 0) & (self.negatives > 0)


def _last(cumulated: NDArray[np.signedinteger]) -> Counts:
    if not cumulated.shape[1]:
        return np.zeros(len(cumulated), dtype=np.int64)
    return cumulated[:, -1].astype(np.int64)


def _ratio(numerator: NDArray[np.generic], denominator: Counts, defined: NDArray[np.bool_]) -> Floats:
    result = np.full(len(denominator), np.nan)
    np.divide(numerator, denominator, out=result, where=defined & (denominator > 0))
    return result


def auroc(curve: Curve) -> Floats:
    """Area under the ROC curve, ties counting half: ``(R,)``, NaN where a class is missing."""
    in_group = np.diff(curve.true_positives, axis=1, prepend=0)
    called = curve.false_positives[:, curve.with_positives].astype(np.int64)
    first = curve.with_positives == 0
    before = curve.false_positives[:, curve.with_positives - 1].astype(np.int64)  # index -1 is masked next
    before[:, first] = 0
    # twice the number of negatives below a positive: those not called yet, and half of those tied with it
    below = 2 * curve.negatives[:, None] - called - before
    return _ratio((in_group * below).sum(1), 2 * curve.positives * curve.negatives, curve.defined)


def average_precision(curve: Curve) -> Floats:
    """Mean precision over the positives, as a step function (no interpolation): ``(R,)``.

    Every positive of a group of equal scores has the precision of the whole group, so a positive that falls below such
    a group can raise the mean.
    """
    in_group = np.diff(curve.true_positives, axis=1, prepend=0)
    called = curve.true_positives + curve.false_positives[:, curve.with_positives]
    precision = curve.true_positives / np.maximum(called, 1)
    return _ratio((in_group * precision).sum(1), curve.positives, curve.defined)


@overload
def positives_needed(target: float, positives: int) -> int: ...
@overload
def positives_needed(target: float | Floats, positives: Counts) -> Counts: ...
def positives_needed(target: float | Floats, positives: int | Counts) -> int | Counts:
    """Smallest number of true positives whose sensitivity is at least the target."""
    needed = np.ceil(target * np.asarray(positives) - _ROUNDING).astype(np.int64)
    return int(needed) if isinstance(positives, int) else needed


@overload
def false_positives_allowed(target: float, negatives: int) -> int: ...
@overload
def false_positives_allowed(target: float | Floats, negatives: Counts) -> Counts: ...
def false_positives_allowed(target: float | Floats, negatives: int | Counts) -> int | Counts:
    """Largest number of false positives whose specificity is at least the target."""
    allowed = np.floor((1 - target) * np.asarray(negatives) + _ROUNDING).astype(np.int64)
    return int(allowed) if isinstance(negatives, int) else allowed


def true_positives_at_specificity(curve: Curve, target: float | Floats) -> Counts:
    """Most positives called by any threshold whose specificity is at least the target (one, or one a replicate)."""
    allowed = false_positives_allowed(target, curve.negatives)
    groups = (curve.false_positives <= allowed[:, None]).sum(1)  # false positives only grow: a prefix
    reached = np.searchsorted(curve.with_positives, groups, side="left")
    padded = np.pad(curve.true_positives, ((0, 0), (1, 0)))
    return np.asarray(np.take_along_axis(padded, reached[:, None], axis=1)[:, 0])


def sensitivity_at_specificity(curve: Curve, target: float | Floats) -> Floats:
    """Best sensitivity of any threshold whose specificity is at least the target: ``(R,)``."""
    return _ratio(true_positives_at_specificity(curve, target), curve.positives, curve.defined)


def true_negatives_at_sensitivity(curve: Curve, target: float | Floats) -> Counts:
    """Most negatives spared by any threshold whose sensitivity is at least the target (one, or one a replicate)."""
    if not len(curve.with_positives):
        return np.zeros(len(curve.positives), dtype=np.int64)
    needed = positives_needed(target, curve.positives)
    reached = np.minimum((curve.true_positives < needed[:, None]).sum(1), len(curve.with_positives) - 1)
    groups = curve.with_positives[reached]
    called = np.take_along_axis(curve.false_positives, groups[:, None], axis=1)[:, 0]
    none_needed = needed <= 0
    return np.asarray(curve.negatives - np.where(none_needed, 0, called))


def specificity_at_sensitivity(curve: Curve, target: float | Floats) -> Floats:
    """Best specificity of any threshold whose sensitivity is at least the target: ``(R,)``."""
    return _ratio(true_negatives_at_sensitivity(curve, target), curve.negatives, curve.defined)


@dataclass(frozen=True)
class CallCounts:
    """Confusion counts of frozen calls in R replicates, each ``(R,)``."""

    tp: Counts
    fp: Counts
    tn: Counts
    fn: Counts

    @classmethod
    def of(
        cls,
        called: NDArray[np.bool_],
        positive: NDArray[np.bool_],
        patient: NDArray[np.intp],
        weights: NDArray[np.int32],
    ) -> CallCounts:
        """Count calls; ``weights`` is ``(R, patients)``."""

        def count(chosen: NDArray[np.bool_]) -> Counts:
            return np.asarray(weights[:, patient[chosen]].sum(1, dtype=np.int64))

        return cls(
            tp=count(called & positive),
            fp=count(called & ~positive),
            tn=count(~called & ~positive),
            fn=count(~called & positive),
        )

    def sensitivity(self) -> Floats:
        """Share of positives called."""
        total = self.tp + self.fn
        return _ratio(self.tp, total, total > 0)

    def specificity(self) -> Floats:
        """Share of negatives not called."""
        total = self.tn + self.fp
        return _ratio(self.tn, total, total > 0)

    def f1(self) -> Floats:
        """Harmonic mean of precision and sensitivity; NaN without positives."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn, self.tp + self.fn > 0)

    def balanced_accuracy(self) -> Floats:
        """Mean of sensitivity and specificity."""
        return (self.sensitivity() + self.specificity()) / 2
