"""Score and volume of a predicted mask (METHOD 9), in memory bounded by the box of what it predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.nifti import Volume

# Interpolating a binary mask gives 0.5 on paper at many voxels; float32 must not decide them by its rounding.
THRESHOLD = 0.5 - 1e-5
_EPSILON = 1e-6  # 255 x (1 / 255) in float32 is not always 1


def out_of_range(mask: Volume) -> int:
    """Number of voxels outside [0, 1]."""
    return int(((mask.data < -_EPSILON) | (mask.data > 1 + _EPSILON)).sum())


def mask_score(mask: Volume) -> float:
    """Maximum probability, in [0, 1]."""
    return min(max(float(mask.data.max()), 0.0), 1.0)


def denoised_volume_mm3(mask: Volume) -> float:
    """Volume predicted at 0.5 after denoising.

    The probability is interpolated linearly to 1 mm voxels (edges of the first voxel aligned), thresholded, eroded by
    3 x 3 x 3 once, dilated twice and intersected with the un-eroded mask. A grid that is already 1 mm is not changed.
    """
    from scipy.ndimage import binary_dilation, binary_erosion

    box = _box_of(mask.data >= THRESHOLD)
    if box is None:
        return 0.0
    fine = _resample_box(mask, box) >= THRESHOLD
    fine = np.pad(fine, 1)  # outside is empty, as it is around the whole image
    cube = np.ones((3, 3, 3), dtype=bool)
    kept = binary_dilation(binary_erosion(fine, cube), cube, iterations=2) & fine
    return float(kept.sum())


def _box_of(voxels: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    spans = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        hit = np.flatnonzero(voxels.any(axis=others))
        if not len(hit):
            return None
        # An interpolated value can only reach the threshold within one voxel of a voxel that reaches it.
        spans.append(slice(max(int(hit[0]) - 1, 0), min(int(hit[-1]) + 2, voxels.shape[axis])))
    return spans[0], spans[1], spans[2]


def _resample_box(mask: Volume, box: tuple[slice, slice, slice]) -> NDArray[np.float32]:
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
