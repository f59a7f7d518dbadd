"""Between the grid of a CT and the isotropic RAS grid networks work on."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rsuper_bench.benchmark.nifti import Volume

SAME_GRID_MM = 1e-3


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


def onto(volume: Volume, target: Volume) -> NDArray[np.float32]:
    """Interpolate a map linearly at the voxel centres of another grid; beyond its outermost centres it goes on."""
    if volume.data.shape == target.data.shape and np.allclose(volume.affine, target.affine, atol=SAME_GRID_MM):
        return volume.data.astype(np.float32, copy=False)
    matrix = np.linalg.inv(volume.affine) @ target.affine
    return ndimage.affine_transform(
        volume.data.astype(np.float32),
        matrix[:3, :3],
        offset=matrix[:3, 3],
        output_shape=target.data.shape,
        order=1,
        mode="nearest",
    )
