"""The largest diameter of a lesion in mm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def largest_diameter_mm(lesion: NDArray[np.bool_], affine: NDArray[np.float64]) -> float:
    """Distance of the two points farthest apart among the centres of the outer faces of a lesion's voxels.

    These are the corners of its marching-cubes surface. A row of n voxels of h mm measures n h; a single voxel
    measures its longest edge.

    Args:
        lesion: ``(X, Y, Z)``, not empty; a crop of the image will do.
        affine: From voxel index to mm.
    """
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    points = _ends_of_lines(lesion) @ affine[:3, :3].T
    corners = points[ConvexHull(points).vertices] if len(points) > 32 else points
    return float(pdist(corners).max())


def _ends_of_lines(lesion: NDArray[np.bool_]) -> NDArray[np.float64]:
    """First and last face centre of every line of voxels along each axis: all others lie between two of them."""
    ends = []
    for axis in range(3):
        along = np.moveaxis(lesion, axis, 2)
        lines = np.argwhere(along.any(2))
        inside = along[lines[:, 0], lines[:, 1]]
        first = inside.argmax(1) - 0.5
        last = inside.shape[1] - inside[:, ::-1].argmax(1) - 0.5
        for end in (first, last):
            ends.append(np.insert(lines.astype(np.float64), axis, end, axis=1))
    return np.concatenate(ends)
