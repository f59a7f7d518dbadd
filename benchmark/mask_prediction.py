"""Score and volume of a predicted mask (METHOD 9), in memory bounded by the box of what it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.box import Box, box_of
from rsuper_bench.benchmark.nifti import Volume

# Interpolating a binary mask gives 0.5 on paper at many voxels; float32 must not decide them by its rounding.
_ROUNDING = 1e-5
THRESHOLD = 0.5 - _ROUNDING
_EPSILON = 1e-6  # 255 x (1 / 255) in float32 is not always 1


def out_of_range(mask: Volume) -> int:
    """Number of voxels outside [0, 1]."""
    return int(((mask.data < -_EPSILON) | (mask.data > 1 + _EPSILON)).sum())


def mask_score(mask: Volume) -> float:
    """Maximum probability, in [0, 1]."""
    return min(max(float(mask.data.max()), 0.0), 1.0)


def denoised_volume_mm3(mask: Volume, threshold: float = 0.5) -> float:
    """Volume predicted at a threshold after denoising; see :func:`denoised_volumes_mm3`."""
    return denoised_volumes_mm3(mask, (threshold,))[0]


def denoised_volumes_mm3(mask: Volume, thresholds: Sequence[float]) -> tuple[float, ...]:
    """Volume predicted at each threshold after denoising.

    The probability is interpolated linearly to 1 mm voxels (edges of the first voxel aligned), thresholded, eroded by
    3 x 3 x 3 once, dilated twice and intersected with the un-eroded mask. A grid that is already 1 mm is not changed.

    Args:
        mask: Probabilities in [0, 1].
        thresholds: Each above 0; the map is interpolated once for all of them.
    """
    # An interpolated value can only reach a threshold within one voxel of a voxel that reaches it.
    box = box_of(mask.data >= min(thresholds) - _ROUNDING, margin=1)
    if box is None:
        return (0.0,) * len(thresholds)
    fine = _resample_box(mask, box)
    return tuple(_denoised_voxels(fine, threshold - _ROUNDING) for threshold in thresholds)


def _denoised_voxels(fine: NDArray[np.float32], threshold: float) -> float:
    box = box_of(fine >= threshold)
    if box is None:
        return 0.0
    predicted = np.pad(fine[box] >= threshold, 1)  # outside is empty, as it is around the whole image
    core = _spread(predicted, np.logical_and)
    if not core.any():
        return 0.0
    kept = _spread(_spread(core, np.logical_or), np.logical_or) & predicted
    return float(np.count_nonzero(kept))


def _spread(voxels: NDArray[np.bool_], combine: np.ufunc) -> NDArray[np.bool_]:
    """Each voxel combined with its 26 neighbours, one axis after the other: a cube is three lines."""
    for axis in range(3):
        result = voxels.copy()
        along, of = np.moveaxis(result, axis, 0), np.moveaxis(voxels, axis, 0)
        combine(along[1:], of[:-1], out=along[1:])
        combine(along[:-1], of[1:], out=along[:-1])
        voxels = result
    return voxels


def _resample_box(mask: Volume, box: Box) -> NDArray[np.float32]:
    """The part of the 1 mm image that a box of the mask covers."""
    part: NDArray[Any] = mask.data[box].astype(np.float32)
    for axis, (spacing, span) in enumerate(zip(mask.spacing_mm, box, strict=True)):
        if abs(spacing - 1) < 1e-6:
            continue
        size = mask.data.shape[axis]
        fine_size = max(round(size * spacing), 1)
        position = (np.arange(fine_size) + 0.5) / spacing - 0.5
        inside = (position > span.start - 1) & (position < span.stop)
        position = np.clip(position[inside], 0, size - 1)
        low = np.clip(np.floor(position).astype(int), span.start, span.stop - 1)
        high = np.minimum(low + 1, span.stop - 1)
        weight = np.clip(position - low, 0, 1).astype(np.float32)
        weight = weight.reshape([-1 if other == axis else 1 for other in range(3)])
        part = part.take(low - span.start, axis=axis) * (1 - weight) + part.take(high - span.start, axis=axis) * weight
    return part
