"""Balls in millimetres on voxel grids: dilation by a ball and correlation with a weighted one.

A ball is symmetric, so its spectrum is real, and correlation and convolution are the same Fourier product.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from rsuper_bench.baselines.losses.arguments import Spacing, spacing_of
from rsuper_bench.baselines.losses.looking import may_look
from rsuper_bench.baselines.losses.packed_dilation import dilate_packed

Box = tuple[slice, slice, slice]
Shape = tuple[int, int, int]
ROUNDING = 1e-6  # relative slack of a radius, so that 2 voxels of 1.5 mm lie within 3 mm on every machine
COARSE = 16  # on an accelerator transforms have sides of multiples of this: few plans serve boxes of every size


def bounding_box(mask: Tensor) -> Box | None:
    """Smallest box around the true voxels of an ``(X, Y, Z)`` mask on the CPU; None when there are none."""
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


def whole(shape: Sequence[int]) -> Box:
    """The box of a whole grid."""
    return (slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2]))


def widened(box: Sequence[slice], by: Sequence[int], shape: Sequence[int]) -> Box:
    """A box with so many more voxels on both sides, within the grid."""
    parts = [
        slice(max(part.start - more, 0), min(part.stop + more, size))
        for part, more, size in zip(box, by, shape, strict=True)
    ]
    return (parts[0], parts[1], parts[2])


def reach_of(radius_mm: float, spacing: Spacing) -> list[int]:
    """Voxels that a ball reaches along each axis."""
    return [int(radius_mm * (1 + ROUNDING) / length) for length in spacing]


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
    reach = reach_of(radius_mm, spacing)
    if not any(reach):
        return grown
    for volume in grown.view(-1, *mask.shape[-3:]):
        box = bounding_box(volume) if may_look(volume) else whole(volume.shape)
        if box is not None:
            around = widened(box, reach, volume.shape)
            volume[around] = grown_within(volume[around], radius_mm, spacing)
    return grown


def grown_within(mask: Tensor, radius_mm: float, spacing: Spacing) -> Tensor:
    """`grow` for one boolean ``(X, Y, Z)`` mask: in packed bits on a CPU, else one Fourier product."""
    if mask.device.type == "cpu":
        return torch.from_numpy(dilate_packed(mask.numpy(), radius_mm * (1 + ROUNDING), spacing))
    return correlate_with_ball(mask.float(), 2 * radius_mm, spacing, sigma_radii=None) > 0.5


def correlate_with_ball(volume: Tensor, diameter_mm: float, spacing: Spacing, *, sigma_radii: float | None) -> Tensor:
    """Sum of the values within a ball around every voxel, zero beyond the borders.

    Args:
        volume: ``(..., X, Y, Z)`` floats.
        diameter_mm: Diameter of the ball.
        spacing: Voxel lengths in mm.
        sigma_radii: None: every voxel of the ball weighs 1. Else the weights fall as a Gaussian whose standard
            deviation is this many radii, and sum to 1.

    Returns:
        Same shape, exact up to the rounding of a Fourier transform.
    """
    padded = padded_shape(volume, diameter_mm, spacing)
    transformed = torch.fft.rfftn(volume, s=padded, dim=(-3, -2, -1))
    return correlate_spectrum(transformed, volume.shape[-3:], padded, diameter_mm, spacing, sigma_radii=sigma_radii)


def correlate_around(volume: Tensor, diameter_mm: float, spacing: Spacing, *, sigma_radii: float | None) -> Tensor:
    """`correlate_with_ball` with everything the ball reaches beyond the volume: wider by its reach on both sides."""
    reach = reach_of(diameter_mm / 2, spacing)
    lengths = [size + 2 * r for size, r in zip(volume.shape, reach, strict=True)]
    x, y, z = (next_fast_len(4 * ceil(length / 4), real=True) for length in lengths)
    held = volume.new_zeros((x, y, z))
    held[tuple(slice(r, r + size) for r, size in zip(reach, volume.shape, strict=True))] = volume
    transformed = torch.fft.rfftn(held)
    return correlate_spectrum(transformed, lengths, (x, y, z), diameter_mm, spacing, sigma_radii=sigma_radii)


def padded_shape(volume: Tensor, diameter_mm: float, spacing: Spacing) -> Shape:
    """Sides of the transform that correlates a volume with balls up to a diameter.

    Two voxels of a box are at most size - 1 apart: what a ball holds beyond that never meets anything, and padding by
    the rest keeps the product from wrapping around. Rounding lets boxes of similar size share a spectrum.
    """
    reach = reach_of(diameter_mm / 2, spacing)
    lengths = [size + min(r, size - 1) for size, r in zip(volume.shape[-3:], reach, strict=True)]
    step = 4 if volume.device.type == "cpu" else COARSE
    rounded = [
        next_fast_len(4 * ceil(length / 4), real=True) if step == 4 else step * next_fast_len(ceil(length / step))
        for length in lengths
    ]
    return (rounded[0], rounded[1], rounded[2])


def correlate_spectrum(
    transformed: Tensor,
    shape: Sequence[int],
    padded: Shape,
    diameter_mm: float,
    spacing: Spacing,
    *,
    sigma_radii: float | None,
) -> Tensor:
    """`correlate_with_ball` for a volume that is already transformed."""
    real = torch.float64 if transformed.dtype == torch.complex128 else torch.float32
    spectrum = _ball_spectrum(diameter_mm, spacing, sigma_radii, padded, real, transformed.device)
    product: Tensor = torch.fft.irfftn(transformed * spectrum, s=padded, dim=(-3, -2, -1))
    return product[..., : shape[0], : shape[1], : shape[2]]


def squared_distance_mm2(shape: Sequence[int], centre: Sequence[Tensor], spacing: Spacing) -> Tensor:
    """Squared distance of every voxel of a grid from a voxel of it, float32.

    Squares are taken in float64 and then rounded: distances that are equal on paper are equal here, on every device.
    """
    axes = [
        ((torch.arange(size, dtype=torch.float64, device=middle.device) - middle) * length).square().float()
        for size, middle, length in zip(shape, centre, spacing, strict=True)
    ]
    return axes[0][:, None, None] + axes[1][:, None] + axes[2]


@lru_cache(maxsize=16)
def _ball_spectrum(
    diameter_mm: float,
    spacing: Spacing,
    sigma_radii: float | None,
    padded: Shape,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """Spectrum of a ball around the origin of a periodic grid; real, for a ball is its own mirror image."""
    limit = (diameter_mm / 2 * (1 + ROUNDING)) ** 2
    squared = torch.zeros((), dtype=torch.float64, device=device)
    for axis, (size, length) in enumerate(zip(padded, spacing, strict=True)):
        step = torch.arange(size, dtype=torch.float64, device=device)
        far = torch.minimum(step, size - step) * length  # the shorter way around
        squared = squared + far.square().view([-1 if axis == i else 1 for i in range(3)])
    weights = squared <= limit
    if sigma_radii is None:
        kernel = weights.to(dtype)
    else:
        kernel = weights * torch.exp(-squared / (2 * (sigma_radii * diameter_mm / 2) ** 2))
        kernel = (kernel / kernel.sum()).to(dtype)
    spectrum: Tensor = torch.fft.rfftn(kernel).real.contiguous()
    return spectrum
