"""DeLong's variance of the AUROC, and intervals that stay inside [0, 1].

Sources: DeLong, DeLong and Clarke-Pearson 1988 (variance); Sun and Xu 2014 (computed from mid-ranks in O(n log n));
Pepe 2003 (interval on the logit scale); Hanley and McNeil 1982 (variances under an exponential model); Newcombe 2006,
Statistics in Medicine 25:559, method 5 (score interval, used when the scores separate the classes without a miss).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.statistics.wilson import expit, normal_quantile, student_quantile

# Where the AUROC is near 1, few cases of a class carry its whole variance, and a small sample often holds none of them.
# Each class's variance is therefore averaged with this many observations at Hanley and McNeil's larger value.
PSEUDO_OBSERVATIONS = 2


@dataclass(frozen=True)
class Placements:
    """Share of the other class that each case beats (ties count half): the components of DeLong's variance."""

    positive: NDArray[np.float64]
    negative: NDArray[np.float64]

    @property
    def auroc(self) -> float:
        """Area under the ROC curve."""
        return float(self.positive.mean())

    @property
    def variance(self) -> float:
        """DeLong's variance of :attr:`auroc`."""
        return _variance_of_mean(self.positive) + _variance_of_mean(self.negative)

    @property
    def steadied(self) -> tuple[float, float]:
        """DeLong's variance with ``PSEUDO_OBSERVATIONS`` in each class, and its degrees of freedom (Satterthwaite).

        The variance is never 0 where the AUROC lies inside (0, 1). Needs two cases of each class.
        """
        area = self.auroc
        expected = max(area / (2 - area), 2 * area * area / (1 + area)) - area * area
        parts = [
            (len(values) * float(values.var(ddof=1)) + PSEUDO_OBSERVATIONS * expected)
            / ((len(values) + PSEUDO_OBSERVATIONS) * len(values))
            for values in (self.positive, self.negative)
        ]
        sizes = (len(self.positive), len(self.negative))
        df = sum(parts) ** 2 / sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
        return sum(parts), df


def placements(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> Placements:
    """Place each score among the scores of the other class.

    Args:
        positive: ``(m,)`` scores of positive cases, m > 0.
        negative: ``(n,)`` scores of negative cases, n > 0.

    Raises:
        ValueError: If either class is empty.
    """
    if not len(positive) or not len(negative):
        raise ValueError("the AUROC needs positive and negative cases")
    return Placements(_share_below(positive, negative), 1 - _share_below(negative, positive))


def _share_below(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    ordered = np.sort(others)
    below = np.searchsorted(ordered, values, side="left")
    not_above = np.searchsorted(ordered, values, side="right")
    return np.asarray((below + not_above) / (2 * len(others)), dtype=np.float64)


def _variance_of_mean(values: NDArray[np.float64]) -> float:
    return float(values.var(ddof=1) / len(values)) if len(values) > 1 else 0.0


def auroc_interval(
    positive: NDArray[np.float64], negative: NDArray[np.float64], confidence: float = 0.95
) -> tuple[float, float, str]:
    """Interval of the AUROC when all cases are independent: low, high, name of the method.

    On the logit scale, from the steadied variance and Student's quantile. docs/statistics.md shows how often it holds
    the truth.
    """
    placed, smaller = placements(positive, negative), min(len(positive), len(negative))
    auroc = placed.auroc
    if not 0 < auroc < 1 or smaller < 2:
        low, high = newcombe_interval(auroc, len(positive), len(negative), confidence)
        return low, high, "newcombe-5"
    variance, df = placed.steadied
    half = student_quantile(confidence, df) * sqrt(variance) / (auroc * (1 - auroc))
    centre = log(auroc / (1 - auroc))
    return expit(centre - half), expit(centre + half), "logit-delong"


def newcombe_interval(auroc: float, m: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Newcombe's method 5: the areas that lie within z standard errors of the observed one."""
    z = normal_quantile(confidence)
    spread = (m + n) / 2 - 1

    def distance(area: float) -> float:
        variance = area * (1 - area) * (1 + spread * (1 - area) / (2 - area) + spread * area / (1 + area)) / (m * n)
        return abs(auroc - area) - z * sqrt(variance)

    return _root(distance, 0.0, auroc), _root(distance, 1.0, auroc)


def _root(distance: Callable[[float], float], outside: float, inside: float) -> float:
    # `distance` is positive at the outer end (unless the observed area lies there) and falls to below zero inside.
    if outside == inside:
        return outside
    for _ in range(200):
        middle = (outside + inside) / 2
        if distance(middle) > 0:
            outside = middle
        else:
            inside = middle
    return (outside + inside) / 2
