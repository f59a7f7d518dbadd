"""Organ masks as a segmenter gives them: right in the middle, wrong by some millimetres at the border."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rsuper_bench.dataset_builder.noise import correlated_noise

_GRAIN_MM = 8.0  # an error of a segmenter is a dent or a bulge, not a jagged edge


def with_border_errors(
    labels: NDArray[np.uint8], spacing_mm: Sequence[float], error_mm: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Move each voxel's label by a smooth random vector.

    Args:
        labels: ``(X, Y, Z)`` organ numbers.
        spacing_mm: Voxel lengths.
        error_mm: Standard deviation of the shift along each axis; along the normal of a border it is that much too.
        rng: Source of the shifts.

    Returns:
        Labels of the same shape. Every one of them comes from ``labels``; a thin organ may be lost in places.
    """
    if error_mm == 0:
        return labels
    places = np.indices(labels.shape, dtype=np.float32)
    for axis, step in enumerate(spacing_mm):
        places[axis] += correlated_noise(labels.shape, spacing_mm, _GRAIN_MM, rng) * np.float32(error_mm / step)
    return np.asarray(ndimage.map_coordinates(labels, places, order=0, mode="nearest"), dtype=np.uint8)
