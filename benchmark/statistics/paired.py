"""Differences of two sets of calls or scores on the same cases.

Sources: McNemar 1947, in its exact form; Newcombe 1998, Statistics in Medicine 17:2635, method 10 (interval of a paired
difference of proportions); DeLong, DeLong and Clarke-Pearson 1988 (two areas on the same cases).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from rsuper_bench.benchmark.statistics.delong import placements
from rsuper_bench.benchmark.statistics.wilson import student_quantile, wilson_interval

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairedCounts:
    """Four-fold table of two sets of calls: both right, only the first, only the second, neither."""

    both: int
    first: int
    second: int
    neither: int

    @classmethod
    def of(cls, first: Bools, second: Bools) -> PairedCounts:
        """Count agreements of two ``(N,)`` arrays."""
        return cls(
            int((first & second).sum()),
            int((first & ~second).sum()),
            int((~first & second).sum()),
            int((~first & ~second).sum()),
        )

    @property
    def n(self) -> int:
        """Number of pairs."""
        return self.both + self.first + self.second + self.neither


def mcnemar(counts: PairedCounts) -> float:
    """Exact two-sided p-value: the discordant pairs as tosses of a fair coin."""
    from scipy.stats import binomtest

    discordant = counts.first + counts.second
    return float(binomtest(counts.first, discordant).pvalue) if discordant else 1.0


def newcombe_paired(counts: PairedCounts, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the first share minus the second, from Wilson's limits and the correlation of the pairs.

    Raises:
        ValueError: Without pairs.
    """
    n = counts.n
    first, second = counts.both + counts.first, counts.both + counts.second
    low_1, high_1 = wilson_interval(first, n, confidence)
    low_2, high_2 = wilson_interval(second, n, confidence)
    share_1, share_2 = first / n, second / n
    phi = _correlation(counts)

    def distance(one: float, other: float) -> float:
        return sqrt(max(one * one - 2 * phi * one * other + other * other, 0.0))

    difference = share_1 - share_2
    low = difference - distance(share_1 - low_1, high_2 - share_2)
    high = difference + distance(high_1 - share_1, share_2 - low_2)
    return max(low, -1.0), min(high, 1.0)


def _correlation(counts: PairedCounts) -> float:
    """Phi with Newcombe's continuity correction; 0 where a margin is empty."""
    margins = (
        (counts.both + counts.first)
        * (counts.second + counts.neither)
        * (counts.both + counts.second)
        * (counts.first + counts.neither)
    )
    if not margins:
        return 0.0
    product = float(counts.both * counts.neither - counts.first * counts.second)
    if product > 0:
        product = max(product - counts.n / 2, 0.0)
    return product / sqrt(margins)


@dataclass(frozen=True)
class AreaDifference:
    """First AUROC minus the second, and its standard error."""

    value: float
    error: float
    df: int  # the smaller class less one

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Interval by Student's quantile."""
        half = student_quantile(confidence, self.df) * self.error
        return max(self.value - half, -1.0), min(self.value + half, 1.0)

    @property
    def p(self) -> float:
        """Two-sided p-value; 1 when neither the difference nor its error is above rounding."""
        if self.error < 1e-12:
            return 1.0 if abs(self.value) < 1e-12 else 0.0
        return float(2 * stdtr(self.df, -abs(self.value) / self.error))


def delong_difference(first: Floats, second: Floats, positive: Bools) -> AreaDifference:
    """Difference of the areas of two scores of the same independent cases, all ``(N,)``.

    Raises:
        ValueError: Without positive or negative cases.
    """
    one, two = (placements(score[positive], score[~positive]) for score in (first, second))
    variance = sum(
        float((a - b).var(ddof=1) / len(a)) if len(a) > 1 else 0.0
        for a, b in ((one.positive, two.positive), (one.negative, two.negative))
    )
    smaller = min(len(one.positive), len(one.negative))
    return AreaDifference(one.auroc - two.auroc, sqrt(variance), max(smaller - 1, 1))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values adjusted for having tested all of them (Holm 1979)."""
    adjusted, running = {}, 0.0
    for rank, key in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        running = max(running, min(1.0, p_values[key] * (len(p_values) - rank)))
        adjusted[key] = running
    return {key: adjusted[key] for key in p_values}


def bootstrap_p(replicates: Floats) -> float:
    """Two-sided p-value of no difference: the smallest level whose percentile interval leaves out 0."""
    defined = replicates[~np.isnan(replicates)]
    tail = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(defined) + 1))


def bootstrap_p_above(replicates: Floats, bound: float) -> float:
    """One-sided p-value of not lying above a bound."""
    defined = replicates[~np.isnan(replicates)]
    return (int((defined <= bound).sum()) + 1) / (len(defined) + 1)
