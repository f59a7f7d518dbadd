"""Shares, means and medians of lesion figures in every bootstrap replicate at once."""

from __future__ import annotations

from dataclasses import dataclass

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
        hits = np.bincount(self.patient[self.hit], minlength=self.n_patients)
        trials = np.bincount(self.patient, minlength=self.n_patients)
        return _ratio(hits @ weights, trials @ weights)


@dataclass(frozen=True)
class PerCase:
    """A value a case, each of a patient: all arrays ``(N,)``."""

    values: Floats
    patient: NDArray[np.intp]
    n_patients: int

    def mean(self, weights: Weights) -> Floats:
        """Mean in each replicate."""
        sums = np.bincount(self.patient, weights=self.values, minlength=self.n_patients)
        counts = np.bincount(self.patient, minlength=self.n_patients)
        return _ratio(sums @ weights, counts @ weights)

    def median(self, weights: Weights) -> Floats:
        """Median in each replicate, of the cases as often as they were drawn."""
        if not len(self.values):
            return np.full(weights.shape[1], np.nan)
        order = np.argsort(self.values, kind="stable")
        values, upto = self.values[order], np.cumsum(weights[self.patient[order]], axis=0, dtype=np.int64)
        total = upto[-1]
        low = np.minimum((2 * upto < total).sum(0), len(values) - 1)
        high = np.minimum((2 * upto <= total).sum(0), len(values) - 1)
        return np.where(total > 0, (values[low] + values[high]) / 2, np.nan)


def _ratio(numerator: NDArray[np.generic], denominator: Ints) -> Floats:
    result = np.full(len(denominator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result
