"""Bootstrap over patients: all cases of a patient are drawn together (Field and Welsh 2007)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHUNK = 50  # replicates drawn at a time: memory is CHUNK x patients, whatever the number of replicates
MIN_DEFINED = 0.9  # an interval needs this share of replicates in which the figure is defined


def chunk_sizes(replicates: int) -> list[int]:
    """Sizes of the chunks that make up a number of replicates."""
    return [min(CHUNK, replicates - start) for start in range(0, replicates, CHUNK)]


def patient_weights(n_patients: int, replicates: int, stream: np.random.SeedSequence) -> NDArray[np.int32]:
    """How often each patient was drawn: ``(replicates, n_patients)``, rows sum to ``n_patients``.

    Args:
        n_patients: Length of the patient index.
        replicates: Rows.
        stream: Seed of this chunk; one child of the run's seed a chunk makes the result independent of workers.
    """
    rng = np.random.default_rng(stream)
    drawn = rng.integers(n_patients, size=(replicates, n_patients))
    return np.stack([np.bincount(row, minlength=n_patients) for row in drawn]).astype(np.int32)


def percentile_interval(replicates: NDArray[np.float64], confidence: float) -> tuple[float, float] | None:
    """Percentile interval over the replicates that are defined (not NaN); None when too few are."""
    defined = replicates[~np.isnan(replicates)]
    if len(defined) < MIN_DEFINED * len(replicates):
        return None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
