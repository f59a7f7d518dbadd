"""Between the grid of a CT and the isotropic RAS grid networks work on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rsuper_bench.benchmark.nifti import Grid, Volume

SAME_GRID_MM = 1e-3
SLAB = 32  # slices


def isotropic_grid(
    volume: Volume, grid_mm: float
) -> tuple[tuple[int, int, int], NDArray[np.float64], NDArray[np.float64]]:
    """The isotropic grid whose first voxel shares its outer corner with that of a volume in RAS order.

    An oblique volume keeps its own axes.

    Returns:
        Shape, affine, and the position of the new first voxel centre in old voxels.
    """
    steps = np.asarray(volume.spacing_mm)
    x, y, z = (max(int(n), 1) for n in np.rint(np.asarray(volume.data.shape) * steps / grid_mm))
    first = (grid_mm / steps - 1) / 2
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ first
    affine[:3, :3] *= grid_mm / steps
    return (x, y, z), affine, first


def to_grid(volume: Volume, grid_mm: float, *, order: Literal[0, 1]) -> Volume:
    """Resample a RAS volume to the isotropic grid.

    Args:
        volume: In RAS order (``Volume.canonical``).
        grid_mm: Voxel length of the result.
        order: 1 for images (smoothed first where the grid gets coarser, against aliasing), 0 for labels.

    Returns:
        The same array when the grids agree, else float32 (order 1) or the dtype of the labels (order 0).
    """
    steps = np.asarray(volume.spacing_mm)
    if np.allclose(steps, grid_mm, atol=SAME_GRID_MM):
        return volume
    shape, affine, first = isotropic_grid(volume, grid_mm)
    data: NDArray[Any] = volume.data
    if order > 0:
        data = data.astype(np.float32)
        coarser = np.maximum(grid_mm / steps, 1.0)
        # The width at which a Gaussian halves what lies beyond the new Nyquist frequency, as in scikit-image.
        data = ndimage.gaussian_filter(data, (coarser - 1) / 2, mode="nearest")
    resampled = ndimage.affine_transform(
        data, grid_mm / steps, offset=first, output_shape=shape, order=order, mode="nearest"
    )
    return Volume(resampled, affine)


def onto_slabs(volume: Volume, grid: Grid) -> Iterator[NDArray[np.float32]]:
    """Interpolate a map linearly at the voxel centres of another grid; beyond its outermost centres it goes on.

    Yields:
        ``(X, Y, slices)``, which together make up the grid: a whole CT in float32 would be 840 MB.
    """
    starts = range(0, grid.shape[2], SLAB)
    depths = [min(SLAB, grid.shape[2] - start) for start in starts]
    if volume.data.shape == grid.shape and np.allclose(volume.affine, grid.affine, atol=SAME_GRID_MM):
        for start, depth in zip(starts, depths, strict=True):
            yield volume.data[..., start : start + depth].astype(np.float32, copy=False)
        return
    matrix = np.linalg.inv(volume.affine) @ grid.affine
    for start, depth in zip(starts, depths, strict=True):
        first = matrix[:3, 3] + matrix[:3, 2] * start
        shape = (grid.shape[0], grid.shape[1], depth)
        if not _reached(volume.data, matrix[:3, :3], first, shape).any():
            yield np.zeros(shape, dtype=np.float32)
            continue
        yield ndimage.affine_transform(
            volume.data.astype(np.float32, copy=False),
            matrix[:3, :3],
            offset=first,
            output_shape=shape,
            order=1,
            mode="nearest",
        )


def _reached(
    data: NDArray[Any], matrix: NDArray[np.float64], first: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[Any]:
    """The box of the data that voxels of another grid are interpolated from."""
    corners = np.stack(np.meshgrid(*[(0, length - 1) for length in shape], indexing="ij"), -1).reshape(-1, 3)
    places = corners @ matrix.T + first
    last = np.asarray(data.shape) - 1
    low = np.clip(np.floor(places.min(0)), 0, last).astype(int)
    high = np.clip(np.ceil(places.max(0)), 0, last).astype(int) + 1
    return data[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
