"""The smallest box around some voxels: work on it instead of on the whole image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]


def box_of(voxels: NDArray[np.bool_], margin: int = 0) -> Box | None:
    """Box of the true voxels, grown by a margin inside the image; None where there are none.

    Args:
        voxels: ``(X, Y, Z)``.
        margin: Voxels to add on each side.
    """
    spans: list[slice] = []
    rest = voxels
    for axis in range(3):
        # From the outside in: later axes look only at what the earlier ones left.
        others = tuple(other for other in range(3) if other != axis)
        hit = np.flatnonzero(rest.any(axis=others))
        if not len(hit):
            return None
        low, high = int(hit[0]), int(hit[-1]) + 1
        rest = rest[tuple(slice(low, high) if other == axis else slice(None) for other in range(3))]
        spans.append(slice(max(low - margin, 0), min(high + margin, voxels.shape[axis])))
    return spans[0], spans[1], spans[2]


def union(one: Box | None, other: Box | None) -> Box | None:
    """Smallest box around two."""
    if one is None or other is None:
        return one or other
    spans = [slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True)]
    return spans[0], spans[1], spans[2]
