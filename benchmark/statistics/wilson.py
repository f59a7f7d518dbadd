"""Wilson's score interval for a proportion (Wilson 1927)."""

from __future__ import annotations

from math import exp, sqrt
from statistics import NormalDist

from scipy.special import stdtrit


def normal_quantile(confidence: float) -> float:
    """Two-sided quantile of the normal distribution: 1.96 for 0.95."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def student_quantile(confidence: float, df: float) -> float:
    """Two-sided quantile of Student's distribution: 2.045 for 0.95 and 29 degrees of freedom."""
    return float(stdtrit(df, 0.5 + confidence / 2))


def wilson_interval(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of ``k`` successes among ``n`` independent trials.

    Raises:
        ValueError: Unless ``0 <= k <= n`` and ``n > 0``.
    """
    if not 0 <= k <= n or n == 0:
        raise ValueError(f"{k} of {n} is not a proportion")
    z = normal_quantile(confidence)
    share = k / n
    centre = share + z * z / (2 * n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At the ends the formula is exact on paper and off by rounding in floating point.
    low = 0.0 if k == 0 else (centre - half) / scale
    high = 1.0 if k == n else (centre + half) / scale
    return low, high


def expit(value: float) -> float:
    """Inverse of the logit, without overflow."""
    return 1 / (1 + exp(-value)) if value >= 0 else exp(value) / (1 + exp(value))
