"""Ranks that show ties: an entry is only behind those that are clearly better.

Reports of one fingerprint hold bootstrap replicates over the same patients, so the difference of two entries is the
difference of their replicates. The rank of an entry is 1 + the number of entries clearly better than it; its rank
interval ends at the number of entries that are not clearly worse. Being indistinguishable is not transitive (A may tie
with B and B with C although A is clearly better than C), which is why ranks count instead of grouping: Mogstad, Romano,
Shaikh, Wilhelm, "Inference for Ranks with Applications to Mobility across Neighbourhoods and Academic Achievement
across Countries", Review of Economic Studies 2024. Each pair is judged at the task's confidence, uncorrected for the
number of pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_REPLICATES = 100  # fewer pairs of defined replicates do not tell two entries apart
DECIMALS = 9  # sums of the same fractions in another order differ in the last bits


@dataclass(frozen=True)
class Rank:
    """Place of one entry among those of its fingerprint.

    Attributes:
        rank: 1 + the number of entries clearly better.
        last: The number of entries that are not clearly worse, itself included: the end of the rank interval.
    """

    rank: int
    last: int


def clearly_better(replicates: NDArray[np.float64], *, confidence: float = 0.95) -> NDArray[np.bool_]:
    """Tell which entries are better than which.

    Args:
        replicates: ``(E, R)`` replicates of the primary metric, larger is better, NaN where undefined. Column r of
            every row was computed on the same draw of patients.
        confidence: Of the interval of each paired difference.

    Returns:
        ``(E, E)``: element (a, b) is true when the lower end of the percentile interval of a - b lies above 0. A pair
        with fewer than 100 replicates defined for both is never told apart.

    Raises:
        ValueError: If the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    values = np.round(replicates, DECIMALS)
    defined = np.isfinite(values).astype(np.float32)
    pairs = np.rint(defined @ defined.T).astype(np.int64)  # counts below 2^24 are exact in float32
    above = np.zeros((len(values), len(values)), np.int64)
    for index, row in enumerate(values):  # one row at a time: E x R comparisons, not E x E x R in memory
        above[index] = (row > values).sum(axis=1)  # NaN compares false on either side
    # The k-th smallest difference is above 0 when fewer than k differences are not.
    k = np.ceil((1 - confidence) / 2 * pairs - 1e-9)
    better: NDArray[np.bool_] = (pairs >= MIN_REPLICATES) & (pairs - above < k)
    return better


def ranks(better: NDArray[np.bool_]) -> list[Rank]:
    """Ranks of entries from the ``(E, E)`` matrix of :func:`clearly_better`."""
    above, below = better.sum(axis=0), better.sum(axis=1)
    return [
        Rank(rank=1 + int(ahead), last=len(better) - int(behind)) for ahead, behind in zip(above, below, strict=True)
    ]


def not_told_apart(better: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``(E, E)``: true where neither of two different entries is clearly better."""
    tied: NDArray[np.bool_] = ~(better | better.T | np.eye(len(better), dtype=np.bool_))
    return tied
