"""Shares, means and medians of lesion figures in every bootstrap replicate at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Weights = NDArray[np.int32]  # ``(patients, R)``: how often each patient was drawn


@dataclass(frozen=True)
class Share:
    """Hits among trials, each of a patient: all arrays ``(N,)``."""

    hit: NDArray[np.bool_]
    patient: NDArray[np.intp]
    n_patients: int

    def of(self, weights: Weights) -> Floats:
        """Share of hits in each replicate."""
        hits, trials = self._counts
        return _ratio(hits @ weights, trials @ weights)

    @cached_property
    def _counts(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        hits = np.bincount(self.patient[self.hit], minlength=self.n_patients)
        return hits, np.bincount(self.patient, minlength=self.n_patients)


@dataclass(frozen=True)
class PerCase:
    """A value a case, each of a patient: all arrays ``(N,)``."""

    values: Floats
    patient: NDArray[np.intp]
    n_patients: int

    def mean(self, weights: Weights) -> Floats:
        """Mean in each replicate."""
        sums, counts = self._sums
        return _ratio(sums @ weights, counts @ weights)

    @cached_property
    def _sums(self) -> tuple[Floats, NDArray[np.intp]]:
        sums = np.bincount(self.patient, weights=self.values, minlength=self.n_patients)
        return sums.astype(np.float64), np.bincount(self.patient, minlength=self.n_patients)

    @cached_property
    def _sorted(self) -> tuple[Floats, NDArray[np.intp]]:
        order = np.argsort(self.values, kind="stable")
        return self.values[order], self.patient[order]

    def median(self, weights: Weights) -> Floats:
        """Median in each replicate, of the cases as often as they were drawn."""
        if not len(self.values):
            return np.full(weights.shape[1], np.nan)
        values, patient = self._sorted
        upto = weights[patient]
        np.cumsum(upto, axis=0, out=upto)
        total = upto[-1]
        low = np.minimum((2 * upto < total).sum(0), len(values) - 1)
        high = np.minimum((2 * upto <= total).sum(0), len(values) - 1)
        return np.where(total > 0, (values[low] + values[high]) / 2, np.nan)


def _ratio(numerator: NDArray[np.generic], denominator: Ints) -> Floats:
    result = np.full(len(denominator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result
