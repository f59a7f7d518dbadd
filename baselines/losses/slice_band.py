"""A reported image number limits where a tumor can be (METHOD 6).

Positions are in mm along the slices, from the outer face of the first one. The direction in which a report counts is
unknown, so both are allowed; that makes bands symmetric about the middle of the scan, and the axis' own direction does
not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

import torch
from torch import Tensor

Interval = tuple[float, float]
Band = tuple[Interval, ...]


def slice_band(image: int, diameter_mm: float, *, slices: int, slice_mm: float) -> Band | None:
    """Where along the slices a tumor can be: reported slice +- max(round((d + 2) / 2), 1) x 2 mm, or its mirror image.

    Args:
        image: Number of the slice in the report, counted from 1.
        diameter_mm: Largest diameter of the tumor. Half millimetres round up: the wider band is the safer one.
        slices: Number of slices of the original CT.
        slice_mm: Their spacing.

    Returns:
        One or two intervals in mm, or None when the CT has no such slice: the number belongs to another series.

    Raises:
        ValueError: If a length or the number of slices is not positive.
    """
    for name, value in (("diameter_mm", diameter_mm), ("slices", slices), ("slice_mm", slice_mm)):
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be positive and finite, got {value}")
    if not 1 <= image <= slices:
        return None
    half_mm = 2.0 * max(floor((diameter_mm + 2) / 2 + 0.5), 1)
    middles = sorted({(index + 0.5) * slice_mm for index in (image - 1, slices - image)})
    intervals = [(middle - half_mm, middle + half_mm) for middle in middles]
    return _merged(intervals)


def widened_band(band: Band, by_mm: float) -> Band:
    """A band grown by a margin on every side."""
    return _merged([(low - by_mm, high + by_mm) for low, high in band])


def joined_band(bands: Sequence[Band]) -> Band:
    """The union of bands."""
    return _merged([interval for band in bands for interval in band])


def band_voxels(band: Band, count: int, *, first: int, grid_mm: float) -> Tensor:
    """Slices of a crop whose centres lie in a band.

    Args:
        band: In mm from the face of the first slice of the whole grid.
        count: Slices of the crop.
        first: Index in the whole grid of the crop's first slice; may be negative.
        grid_mm: Spacing of the grid.

    Returns:
        ``(count,)`` booleans.
    """
    centre_mm = (torch.arange(count, dtype=torch.float64) + (first + 0.5)) * grid_mm
    inside = torch.zeros(count, dtype=torch.bool)
    for low, high in band:
        inside |= (centre_mm >= low - 1e-6) & (centre_mm <= high + 1e-6)
    return inside


def band_box(band: Band, low: int, high: int, *, grid_mm: float) -> tuple[int, int] | None:
    """The slices from ``low`` up to ``high`` that a band leaves: first and past-the-last, None for none."""
    inside = band_voxels(band, high - low, first=low, grid_mm=grid_mm).nonzero()[:, 0]
    return (low + int(inside[0]), low + int(inside[-1]) + 1) if len(inside) else None


def _merged(intervals: Sequence[Interval]) -> Band:
    merged: list[Interval] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)
