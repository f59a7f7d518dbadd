"""Exchanging two methods patient by patient: what difference would chance alone give?

If the methods are equally good, a patient's two results could as well have been the other way round. All cases of a
patient are exchanged together, so cases of one patient need not be independent. Scores are compared by their ranks
within each method (Venkatraman and Begg 1996), so the methods need no common scale.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-12  # differences that are equal on paper must count as equal


def exchanges(n_patients: int, replicates: int, stream: np.random.SeedSequence) -> NDArray[np.int32]:
    """Weights of two methods laid side by side: ``(2 n_patients, replicates)``.

    Rows of the first half belong to the first method's results, rows of the second half to the second's. A 1 takes a
    result; each patient contributes one of the two, as a coin falls. ``1 - weights`` is the exchanged method.
    """
    swapped = np.random.default_rng(stream).integers(2, size=(n_patients, replicates), dtype=np.int32)
    return np.concatenate([1 - swapped, swapped])


def permutation_p(observed: float, permuted: NDArray[np.float64]) -> float:
    """Two-sided p-value; the observed difference counts as one of the exchanges (Phipson and Smyth 2010)."""
    defined = permuted[~np.isnan(permuted)]
    extreme = int((np.abs(defined) >= abs(observed) - _ROUNDING).sum())
    return (extreme + 1) / (len(defined) + 1)
