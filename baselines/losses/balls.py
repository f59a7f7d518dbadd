"""Balls in millimetres on voxel grids: dilation by a ball and correlation with a weighted one.

Both are one Fourier product on the bounding box, whatever the size of the ball; a ball is symmetric, so its spectrum is
real and correlation and convolution are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from rsuper_bench.baselines.losses.arguments import Spacing, spacing_of

Box = tuple[slice, slice, slice]
Shape = tuple[int, int, int]
ROUNDING = 1e-6  # relative slack of a radius, so that 2 voxels of 1.5 mm lie within 3 mm on every machine


def bounding_box(mask: Tensor) -> Box | None:
    """Smallest box around the true voxels of an ``(X, Y, Z)`` mask; None when there are none."""
    bytes_of = mask.contiguous().view(torch.uint8)  # the maximum of bytes is vectorised, any() of booleans is not
    first = _span(bytes_of.flatten(1).amax(1))
    if first is None:
        return None
    plane = bytes_of[first].amax(0)
    second, third = _span(plane.amax(1)), _span(plane.amax(0))
    if second is None or third is None:
        raise AssertionError("a plane with a true voxel has true rows and columns")
    return (first, second, third)


def _span(line: Tensor) -> slice | None:
    indices = line.nonzero()
    return slice(int(indices[0]), int(indices[-1]) + 1) if len(indices) else None


def grow(mask: Tensor, radius_mm: float, spacing_mm: Sequence[float]) -> Tensor:
    """Every voxel whose centre lies within a radius of the centre of a true voxel.

    Args:
        mask: ``(..., X, Y, Z)``; non-zero is true. Outside the grid everything is false.
        radius_mm: Radius of the ball; below the voxel size the mask stays as it is.
        spacing_mm: Voxel lengths along X, Y and Z.

    Returns:
        Boolean tensor of the same shape.

    Raises:
        ValueError: If the mask has fewer than three axes, the radius is negative or a spacing is not positive.
    """
    spacing = spacing_of(spacing_mm)
    if mask.ndim < 3:
        raise ValueError(f"mask must be (..., X, Y, Z), got shape {tuple(mask.shape)}")
    if not 0 <= radius_mm < float("inf"):
        raise ValueError(f"radius_mm must be finite and not negative, got {radius_mm}")
    grown = mask.bool().clone(memory_format=torch.contiguous_format)
    for volume in grown.view(-1, *mask.shape[-3:]):
        around, covered = grown_box(volume, radius_mm, spacing)
        if around is not None:
            volume[around] = covered
    return grown


def grown_box(mask: Tensor, radius_mm: float, spacing: Spacing) -> tuple[Box | None, Tensor]:
    """`grow` for one boolean ``(X, Y, Z)`` mask, and only the box that holds the result; None when it is empty."""
    box = bounding_box(mask)
    if box is None:
        return None, mask[:0]
    reach = [int(radius_mm * (1 + ROUNDING) / length) for length in spacing]
    if not any(reach):
        return box, mask[box]
    around = _widened(box, reach, mask.shape)
    return around, correlate_with_ball(mask[around].float(), 2 * radius_mm, spacing, sigma_radii=None) > 0.5


def correlate_with_ball(volume: Tensor, diameter_mm: float, spacing: Spacing, *, sigma_radii: float | None) -> Tensor:
    """Sum of the values within a ball around every voxel, zero beyond the borders.

    Args:
        volume: ``(X, Y, Z)`` floats.
        diameter_mm: Diameter of the ball.
        spacing: Voxel lengths in mm.
        sigma_radii: None: every voxel of the ball weighs 1. Else the weights fall as a Gaussian whose standard
            deviation is this many radii, and sum to 1.

    Returns:
        ``(X, Y, Z)``, exact up to the rounding of a Fourier transform.
    """
    reach = [int(diameter_mm / 2 * (1 + ROUNDING) / length) for length in spacing]
    # Two voxels of the box are at most size - 1 apart: what a ball holds beyond that never meets anything, and padding
    # by the rest keeps the product from wrapping around. Multiples of 4 let boxes of similar size share a spectrum.
    lengths = [size + min(r, size - 1) for size, r in zip(volume.shape, reach, strict=True)]
    rounded = [next_fast_len(4 * ceil(length / 4), real=True) for length in lengths]
    padded: Shape = (rounded[0], rounded[1], rounded[2])
    spectrum = _ball_spectrum(diameter_mm, spacing, sigma_radii, padded, volume.dtype, volume.device)
    transformed = torch.fft.rfftn(volume, s=padded)
    product: Tensor = torch.fft.irfftn(transformed.mul_(spectrum), s=padded)
    return product[: volume.shape[0], : volume.shape[1], : volume.shape[2]]


def squared_distance_mm2(box: Box, centre: Sequence[int], spacing: Spacing, device: torch.device) -> Tensor:
    """Squared distance of every voxel of a box from a centre given in voxels of the whole grid."""
    axes = [
        ((torch.arange(part.start, part.stop, dtype=torch.float64, device=device) - middle) * length).square()
        for part, middle, length in zip(box, centre, spacing, strict=True)
    ]
    return axes[0][:, None, None] + axes[1][:, None] + axes[2]


def _widened(box: Sequence[slice], reach: Sequence[int], shape: Sequence[int]) -> Box:
    parts = [
        slice(max(part.start - by, 0), min(part.stop + by, size))
        for part, by, size in zip(box, reach, shape, strict=True)
    ]
    return (parts[0], parts[1], parts[2])


@lru_cache(maxsize=32)
def _ball_spectrum(
    diameter_mm: float,
    spacing: Spacing,
    sigma_radii: float | None,
    padded: Shape,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """Spectrum of a ball around the origin of a periodic grid; real, for a ball is its own mirror image."""
    radius_mm = diameter_mm / 2
    inner = [int(radius_mm * (1 + ROUNDING) / length) for length in spacing]
    window = (slice(0, 2 * inner[0] + 1), slice(0, 2 * inner[1] + 1), slice(0, 2 * inner[2] + 1))
    squared = squared_distance_mm2(window, inner, spacing, torch.device("cpu"))
    weights = (squared <= (radius_mm * (1 + ROUNDING)) ** 2).double()
    if sigma_radii is not None:
        weights *= torch.exp(-squared / (2 * (sigma_radii * radius_mm) ** 2))
        weights /= weights.sum()
    reach = [min(r, (length - 1) // 2) for r, length in zip(inner, padded, strict=True)]
    kept = weights[tuple(slice(i - r, i + r + 1) for i, r in zip(inner, reach, strict=True))]
    kernel = torch.zeros(padded, dtype=dtype)
    kernel[: kept.shape[0], : kept.shape[1], : kept.shape[2]] = kept
    kernel = kernel.roll([-r for r in reach], (0, 1, 2))
    spectrum: Tensor = torch.fft.rfftn(kernel).real.contiguous().to(device)
    return spectrum
