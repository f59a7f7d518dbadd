"""Bootstrap over patients: all cases of a patient are drawn together (Field and Welsh 2007)."""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.statistics.wilson import expit, student_quantile

CHUNK = 50  # replicates drawn at a time: memory is CHUNK x patients, whatever the number of replicates
ROUNDING = 1e-12  # replicates that differ by less do not differ
MIN_DEFINED = 0.9  # an interval needs this share of replicates in which the figure is defined


def chunk_sizes(replicates: int) -> list[int]:
    """Sizes of the chunks that make up a number of replicates."""
    return [min(CHUNK, replicates - start) for start in range(0, replicates, CHUNK)]


def patient_weights(n_patients: int, replicates: int, stream: np.random.SeedSequence) -> NDArray[np.int32]:
    """How often each patient was drawn: ``(n_patients, replicates)``, columns sum to ``n_patients``.

    Args:
        n_patients: Length of the patient index.
        replicates: Columns.
        stream: Seed of this chunk; one child of the run's seed a chunk makes the result independent of workers.
    """
    rng = np.random.default_rng(stream)
    drawn = rng.integers(n_patients, size=(replicates, n_patients))
    weights = np.empty((n_patients, replicates), dtype=np.int32)
    for column, row in enumerate(drawn):
        weights[:, column] = np.bincount(row, minlength=n_patients)
    return weights


def percentile_interval(replicates: NDArray[np.float64], confidence: float) -> tuple[float, float] | None:
    """Percentile interval over the replicates that are defined (not NaN); None when too few are."""
    defined = replicates[~np.isnan(replicates)]
    if len(defined) < MIN_DEFINED * len(replicates):
        return None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def logit_interval(
    value: float, replicates: NDArray[np.float64], confidence: float, df: int
) -> tuple[float, float] | None:
    """Interval on the logit scale with the standard error of the replicates, by the delta method.

    It covers better than percentiles where a figure is near 1 and its distribution is skewed (docs/statistics.md).

    Args:
        value: The figure itself, a share.
        replicates: ``(R,)``, NaN where undefined.
        confidence: Level.
        df: Degrees of freedom of Student's quantile: patients less one.

    Returns:
        None when the value is 0 or 1, too few replicates are defined, or they do not vary.
    """
    error = standard_error(replicates)
    if error is None or error <= ROUNDING or not 0 < value < 1 or df < 1:
        return None
    centre, half = log(value / (1 - value)), student_quantile(confidence, df) * error / (value * (1 - value))
    return expit(centre - half), expit(centre + half)


def normal_interval(
    value: float, replicates: NDArray[np.float64], confidence: float, df: int
) -> tuple[float, float] | None:
    """Interval of a difference in [-1, 1] with the standard error of its replicates; None when too few are defined."""
    error = standard_error(replicates)
    if error is None or df < 1:
        return None
    half = student_quantile(confidence, df) * error
    return max(value - half, -1.0), min(value + half, 1.0)


def standard_error(replicates: NDArray[np.float64]) -> float | None:
    """Standard deviation of the replicates that are defined (not NaN); None when too few are."""
    defined = replicates[~np.isnan(replicates)]
    if len(defined) < max(MIN_DEFINED * len(replicates), 2):
        return None
    return float(defined.std(ddof=1))
