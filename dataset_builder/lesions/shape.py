"""Planting one lesion inside an organ: position, irregular shape, and what its mask measures.

Works on any label map, so the phantom and the planted source share it. Lengths are millimetres of the patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
Slices = tuple[slice, slice, slice]
_TRIES = 6
_OUTSIDE_COST = 1.6  # growth into the fat around an organ is this much harder than inside it
_CORRIDOR = 0.3  # what is narrower than about this share of the radius is a corridor
_CORRIDOR_COST = 1.0
_LARGEST_SHARE = 0.45  # of an organ that keeps its lesions inside
_KEPT = 0.5  # a place that holds less than this share of the wanted volume is given up for another


@dataclass(frozen=True)
class LesionShape:
    """A planned lesion.

    Attributes:
        size_mm: Diameter of the sphere of the same volume.
        elongation: Longest over shortest axis.
        irregularity: Amplitude of the surface noise, relative to the radius.
        border: Whether its centre lies at the surface of the organ.
        outgrowth: Whether it may leave the organ for the fat around it.
    """

    size_mm: float
    elongation: float = 1.0
    irregularity: float = 0.0
    border: bool = False
    outgrowth: bool = False


@dataclass(frozen=True)
class Lesion:
    """A lesion as drawn: where it lies, and its mask inside that box."""

    box: Slices
    mask: Mask
    center: tuple[int, int, int]

    def measure(self, spacing_mm: Sequence[float]) -> Measured:
        """Volume and axes of the mask."""
        return measure(self.mask, spacing_mm)

    def moved(self, origin: Slices) -> Lesion:
        """The same lesion, found in a box of an image, in the coordinates of the image."""
        start = [side.start for side in origin]
        box = [slice(side.start + s, side.stop + s) for side, s in zip(self.box, start, strict=True)]
        x, y, z = (c + s for c, s in zip(self.center, start, strict=True))
        return Lesion((box[0], box[1], box[2]), self.mask, (x, y, z))

    def padded(self, margin_mm: float, spacing_mm: Sequence[float], shape: Sequence[int]) -> Lesion:
        """The same lesion in a larger box, cut at the image."""
        box = grown(self.box, np.ceil(margin_mm / np.asarray(spacing_mm)).astype(int), shape)
        mask = np.zeros([side.stop - side.start for side in box], dtype=bool)
        inner = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(self.box, box, strict=True))
        mask[inner] = self.mask
        return Lesion(box, mask, self.center)


@dataclass(frozen=True)
class Measured:
    """What a mask measures: its volume, and the axes of the ellipsoid of the same volume and second moments."""

    volume_mm3: float
    diameters_mm: tuple[float, float, float]


def measure(mask: Mask, spacing_mm: Sequence[float]) -> Measured:
    """Measure a mask.

    The axes come from the second moments (an ellipsoid of half axis a has variance a^2/5 along it), each voxel
    counted as a small box, and are scaled so that pi/6 d1 d2 d3 is exactly the volume.

    Args:
        mask: ``(X, Y, Z)``, not empty.
        spacing_mm: Voxel size.
    """
    spacing = np.asarray(spacing_mm, dtype=float)
    points = np.argwhere(mask) * spacing
    volume = len(points) * float(spacing.prod())
    centred = points - points.mean(0)
    moments = centred.T @ centred / len(points) + np.diag(spacing**2 / 12)
    axes = 2 * np.sqrt(5 * np.linalg.eigvalsh(moments)[::-1])
    axes *= (volume / (pi / 6 * axes.prod())) ** (1 / 3)
    return Measured(volume, (float(axes[0]), float(axes[1]), float(axes[2])))


def plant(
    organ: Mask,
    outside: Mask,
    spacing_mm: Sequence[float],
    shape: LesionShape,
    rng: np.random.Generator,
    *,
    min_voxels: int,
) -> Lesion | None:
    """Find a place for a lesion and draw it.

    The lesion has the wanted volume wherever the organ (and, with ``outgrowth``, the fat around it) has room: it is
    the part of the allowed voxels that comes first in an irregular ellipsoidal distance from its centre, so at the
    border of an organ it flattens instead of shrinking.

    Args:
        organ: ``(X, Y, Z)`` voxels of the organ that are still free.
        outside: ``(X, Y, Z)`` voxels that an outgrowing lesion may take.
        spacing_mm: Voxel size.
        shape: What to draw.
        rng: Source of randomness.
        min_voxels: A lesion of fewer voxels is grown to this many.

    Returns:
        The lesion, or None when no place holds half of it, or it would fill most of an organ it may not leave.
    """
    spacing = np.asarray(spacing_mm, dtype=float)
    objects = ndimage.find_objects(organ.astype(np.uint8))
    if not objects or objects[0] is None:
        return None
    pad = np.ceil(shape.size_mm * 0.9 * shape.elongation / spacing).astype(int) + 2
    box = grown(objects[0], pad, organ.shape)
    inside, fat = organ[box], outside[box]
    depth_mm = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    wanted = max(round(pi / 6 * shape.size_mm**3 / float(spacing.prod())), min_voxels)
    if not shape.outgrowth and wanted > max(_LARGEST_SHARE * int(inside.sum()), min_voxels):
        return None
    best: Lesion | None = None
    for _ in range(_TRIES):
        center = _center(depth_mm, shape, rng)
        lesion = _grow(inside, fat, spacing, center, wanted, shape, rng)
        if best is None or lesion.mask.sum() > best.mask.sum():
            best = lesion
        if best.mask.sum() >= 0.9 * wanted:
            break
    if best is None or best.mask.sum() < max(_KEPT * wanted, min_voxels):
        return None
    return best.moved(box)


def _center(depth_mm: NDArray[np.float64], shape: LesionShape, rng: np.random.Generator) -> NDArray[np.int64]:
    deepest = float(depth_mm.max())
    radius = shape.size_mm / 2
    if shape.border:
        eligible = (depth_mm > 0) & (depth_mm <= max(0.35 * radius, 1.01 * depth_mm[depth_mm > 0].min()))
    else:
        eligible = depth_mm >= min(1.1 * radius, 0.75 * deepest)
    candidates = np.flatnonzero(eligible)
    return np.array(np.unravel_index(int(rng.choice(candidates)), depth_mm.shape))


def _grow(
    inside: Mask,
    fat: Mask,
    spacing: NDArray[np.float64],
    center: NDArray[np.int64],
    wanted: int,
    shape: LesionShape,
    rng: np.random.Generator,
) -> Lesion:
    radius = shape.size_mm / 2
    reach = np.ceil(1.8 * radius * shape.elongation / spacing).astype(int) + 2
    box = grown(tuple(slice(int(c), int(c) + 1) for c in center), reach, inside.shape)
    axes = [np.arange(side.start, side.stop) - c for side, c in zip(box, center, strict=True)]
    distance = _irregular_distance(axes, spacing, shape, rng)
    organ = inside[box]
    allowed = organ | fat[box] if shape.outgrowth else organ
    # Corridors cost more than open room, so that a lesion bulges instead of creeping along the organ's edge.
    room = ndimage.gaussian_filter(allowed.astype(np.float32), _CORRIDOR * radius / spacing, mode="nearest")
    cost = np.where(organ, distance, distance * _OUTSIDE_COST) * (1 + _CORRIDOR_COST * (1 - room))
    cost[~allowed] = np.inf
    reachable = int(np.isfinite(cost).sum())
    order = np.argsort(cost, axis=None, kind="stable")[: min(wanted, reachable)]
    chosen = np.zeros(cost.shape, dtype=bool)
    chosen.flat[order] = True
    parts, _ = ndimage.label(chosen)
    here = tuple(int(c - side.start) for c, side in zip(center, box, strict=True))
    mask = parts == parts[here] if parts[here] else np.zeros_like(chosen)
    mask = ndimage.binary_fill_holes(mask) & allowed
    return Lesion(box, mask, (int(center[0]), int(center[1]), int(center[2])))


def _irregular_distance(
    axes: list[NDArray[np.int64]], spacing: NDArray[np.float64], shape: LesionShape, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Distance from the centre in an ellipsoid of random direction, made irregular by smooth noise over directions."""
    x, y, z = np.meshgrid(*(axis * step for axis, step in zip(axes, spacing, strict=True)), indexing="ij")
    points = np.stack([x, y, z], -1)
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    stretch = np.array([shape.elongation**0.5, 1.0, shape.elongation**-0.5]) if shape.elongation > 1 else np.ones(3)
    local = points @ turn / stretch
    distance = np.sqrt((local**2).sum(-1))
    direction = local / np.maximum(distance, 1e-9)[..., None]
    # A few plane waves over the sphere of directions: smooth lobes, the same at every resolution.
    waves = rng.standard_normal((8, 3)) * 2.2
    phases = rng.uniform(0, 2 * pi, 8)
    lobes = np.cos(direction @ waves.T + phases).sum(-1) / 2.0
    return np.asarray(distance * (1 + shape.irregularity * lobes).clip(0.4))


def grown(box: Sequence[slice], pad: NDArray[np.int64], shape: Sequence[int]) -> Slices:
    """A box grown by some voxels on each side, and cut at the image."""
    sides = [
        slice(max(side.start - int(p), 0), min(side.stop + int(p), n))
        for side, p, n in zip(box, pad, shape, strict=True)
    ]
    return sides[0], sides[1], sides[2]
