"""Connected components of a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SMALL = 64  # cc3d 4.1 fails on a line of three voxels whose middle one is empty; small arrays get a rim


def components(voxels: NDArray[np.bool_]) -> tuple[NDArray[np.uint32], int]:
    """Label the 26-connected components of a mask.

    Args:
        voxels: ``(X, Y, Z)``.

    Returns:
        Labels from 1, 0 outside, and their number.
    """
    import cc3d

    small = voxels.size < _SMALL
    labels, n = cc3d.connected_components(np.pad(voxels, 1) if small else voxels, connectivity=26, return_N=True)
    return np.asarray(labels[1:-1, 1:-1, 1:-1] if small else labels, dtype=np.uint32), int(n)
