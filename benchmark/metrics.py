"""Case-level figures of one tumor type, for one sample or for many bootstrap replicates at once.

A replicate is a weight a patient; the sample itself is the replicate whose weights are all 1. Value and replicates
come from the same code, so operating points are matched again in each replicate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Counts = NDArray[np.signedinteger[Any]]
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

    @cached_property
    def group(self) -> NDArray[np.intp]:
        """``(N,)`` group of equal scores of each case."""
        return np.repeat(np.arange(len(self.starts)), np.diff(self.starts, append=len(self.patient)))

    def ties_broken_worst(self) -> RankedCases:
        """The same cases without ties: of equal scores the negatives come first."""
        order = np.lexsort((self.positive, self.group))
        return RankedCases(self.patient[order], self.positive[order], np.arange(len(order)), self.values[self.group])

    def segments(self, n_patients: int) -> csr_array:
        """Who lies between which positives: ``(3 Q + 1, n_patients)`` numbers of cases.

        Only groups with a positive case matter to any figure; there are Q of them. Of row block one, row q counts the
        positives of the q-th such group; of block two, the negatives tied with it; of block three, the negatives
        ranked above it and below the group before, the last row those below all positives. A product with weights
        counts every replicate at once.
        """
        with_positives = np.unique(self.group[self.positive])
        q = len(with_positives)
        slot = np.searchsorted(with_positives, self.group)
        tied = np.append(with_positives, -1)[slot] == self.group
        row = np.where(self.positive, slot, np.where(tied, q + slot, 2 * q + slot))
        ones = np.ones(len(row), dtype=np.int32)
        return csr_array((ones, (row, self.patient)), shape=(3 * q + 1, n_patients))


@dataclass(frozen=True)
class Curve:
    """Operating points of R replicates at the Q groups of equal scores that hold a positive case.

    Attributes:
        true_positives: ``(Q, R)`` positives called when all groups down to the q-th are.
        false_positives: ``(Q, R)`` negatives called then.
        tied: ``(Q, R)`` negatives in the group itself.
        positives: ``(R,)``.
        negatives: ``(R,)``.
    """

    true_positives: Counts
    false_positives: Counts
    tied: Counts
    positives: Counts
    negatives: Counts

    @classmethod
    def of(cls, cases: RankedCases, weights: NDArray[np.int32]) -> Curve:
        """Count calls in each replicate; ``weights`` is ``(patients, R)``, how often each patient was drawn."""
        return cls.from_segments(cases.segments(len(weights)), weights)

    @classmethod
    def from_segments(cls, segments: csr_array, weights: NDArray[np.int32]) -> Curve:
        """As :meth:`of`, with the work that does not depend on the weights done once."""
        counted = segments @ weights
        q = len(counted) // 3
        tied, between = counted[q : 2 * q], counted[2 * q :]
        np.cumsum(counted[:q], axis=0, out=counted[:q])
        np.add(between[:q], tied, out=between[:q])
        np.cumsum(between, axis=0, out=between)
        positives = counted[q - 1] if q else np.zeros(weights.shape[1])
        return cls(
            true_positives=counted[:q],
            false_positives=between[:q],
            tied=tied,
            positives=positives.astype(np.int64),
            negatives=between[q].astype(np.int64),
        )

    @property
    def defined(self) -> NDArray[np.bool_]:
        """Replicates with both classes."""
        return np.asarray((self.positives > 0) & (self.negatives > 0))

    @cached_property
    def in_group(self) -> Counts:
        """``(Q, R)`` positives in each group."""
        return np.diff(self.true_positives, axis=0, prepend=np.zeros((1, len(self.positives)), np.int32))


def _ratio(numerator: NDArray[np.generic], denominator: Counts, defined: NDArray[np.bool_]) -> Floats:
    result = np.full(len(denominator), np.nan)
    np.divide(numerator, denominator, out=result, where=defined & (denominator > 0))
    return result


def auroc(curve: Curve) -> Floats:
    """Area under the ROC curve, ties counting half: ``(R,)``, NaN where a class is missing."""
    # Twice the number of negatives above a positive: those called, less half of those tied with it.
    above = 2 * curve.false_positives - curve.tied
    wrong = np.einsum("qr,qr->r", curve.in_group, above, dtype=np.int64)
    pairs = 2 * curve.positives * curve.negatives
    return _ratio(pairs - wrong, pairs, curve.defined)


def average_precision(curve: Curve) -> Floats:
    """Mean precision over the positives, as a step function (no interpolation): ``(R,)``.

    Every positive of a group of equal scores has the precision of the whole group, so a positive that falls below such
    a group can raise the mean.
    """
    called = np.maximum(curve.true_positives + curve.false_positives, 1)
    total = np.einsum("qr,qr->r", curve.in_group, curve.true_positives / called)
    return _ratio(total, curve.positives, curve.defined)


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
    reached = (curve.false_positives <= allowed).sum(0)  # false positives only grow: a prefix
    return _at(np.concatenate([np.zeros((1, len(allowed)), np.int32), curve.true_positives]), reached)


def sensitivity_at_specificity(curve: Curve, target: float | Floats) -> Floats:
    """Best sensitivity of any threshold whose specificity is at least the target: ``(R,)``."""
    return _ratio(true_positives_at_specificity(curve, target), curve.positives, curve.defined)


def true_negatives_at_sensitivity(curve: Curve, target: float | Floats) -> Counts:
    """Most negatives spared by any threshold whose sensitivity is at least the target (one, or one a replicate)."""
    if not len(curve.true_positives):
        return np.zeros(len(curve.positives), dtype=np.int64)
    needed = positives_needed(target, curve.positives)
    reached = np.minimum((curve.true_positives < needed).sum(0), len(curve.true_positives) - 1)
    return np.asarray(curve.negatives - np.where(needed <= 0, 0, _at(curve.false_positives, reached)))


def _at(counts: Counts, index: NDArray[np.intp]) -> Counts:
    return np.asarray(np.take_along_axis(counts, index[None], axis=0)[0], dtype=np.int64)


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
        """Count calls; ``weights`` is ``(patients, R)``."""
        return cls.from_table(cls.table(called, positive, patient, len(weights)), weights)

    @staticmethod
    def table(
        called: NDArray[np.bool_], positive: NDArray[np.bool_], patient: NDArray[np.intp], n_patients: int
    ) -> csr_array:
        """``(4, n_patients)`` true positives, false positives, true negatives and false negatives of each patient."""
        row = np.select([called & positive, called, ~positive], [0, 1, 2], 3)
        return csr_array((np.ones(len(row), np.int32), (row, patient)), shape=(4, n_patients))

    @classmethod
    def from_table(cls, table: csr_array, weights: NDArray[np.int32]) -> CallCounts:
        """As :meth:`of`, with the work that does not depend on the weights done once."""
        return cls(*(table @ weights).astype(np.int64))

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
