"""Score and volume of a predicted mask (METHOD 9), in memory bounded by the box of what it predicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.box import Box, box_of
from rsuper_bench.benchmark.components import components
from rsuper_bench.benchmark.nifti import Volume

# Interpolating a binary mask gives 0.5 on paper at many voxels; float32 must not decide them by its rounding.
_ROUNDING = 1e-5
THRESHOLD = 0.5 - _ROUNDING
SMALL_MM3 = 4e6  # boxes up to this are worked on as a whole
MAX_GROUPS = 2000
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
    volumes = [0.0] * len(thresholds)
    for box, part in _parts(mask, min(thresholds) - _ROUNDING):
        fine = _resample_box(part, box, mask)
        for index, threshold in enumerate(thresholds):
            volumes[index] += _denoised_voxels(fine, threshold - _ROUNDING)
    return tuple(volumes)


def _parts(mask: Volume, lowest: float) -> Iterator[tuple[Box, NDArray[Any]]]:
    """Boxes of the mask, and what is in them, that can be denoised one by one.

    One box, unless it is large and mostly empty: then a box around each group of voxels so far from all others that
    neither interpolation nor dilation can reach from one to another.
    """
    from scipy.ndimage import find_objects

    above = mask.data >= lowest
    # An interpolated value can only reach a threshold within one voxel of a voxel that reaches it.
    box = box_of(above, margin=1)
    if box is None:
        return
    inside, data = above[box], mask.data[box]
    if data.size * mask.voxel_mm3 <= SMALL_MM3:
        yield box, data
        return
    # Grown by r voxels and still apart, two groups have 2 r - 1 empty voxels between what they become: over 3 mm.
    grown = inside
    for _ in range(max(ceil((4 / spacing + 1) / 2) for spacing in mask.spacing_mm)):
        grown = _spread(grown, np.logical_or)
    labels, n = components(grown)
    if n == 1 or n > MAX_GROUPS:
        yield box, data
        return
    for number, place in enumerate(find_objects(np.where(inside, labels, 0)), start=1):
        near = tuple(
            slice(max(span.start - 1, 0), min(span.stop + 1, size))
            for span, size in zip(place, inside.shape, strict=True)
        )
        whole = [slice(outer.start + one.start, outer.start + one.stop) for outer, one in zip(box, near, strict=True)]
        yield (whole[0], whole[1], whole[2]), np.where(labels[near] == number, data[near], 0)


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


def _resample_box(part: NDArray[Any], box: Box, mask: Volume) -> NDArray[np.float32]:
    """The part of the 1 mm image that a box of the mask covers."""
    part = part.astype(np.float32)
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
