"""Implicit shapes on a voxel grid: ellipsoids, tubes and the smooth noise that makes them irregular.

Every shape is a field that is below 1 inside. All lengths are millimetres of the body frame (x to the patient's
right, y to the front, z to the head), so that one patient looks the same on every grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.float32]
Point: TypeAlias = tuple[float, float, float]
Corner: TypeAlias = Sequence[float] | NDArray[np.float64]
Slices: TypeAlias = tuple[slice, slice, slice]

# Standard deviation of a sum of cubic B-splines with unit normal weights, per axis, averaged over positions.
_SPLINE_SD_3D = 0.479**1.5
TUBE_REACH = 1.6
_FAR = 1e3


@dataclass(frozen=True)
class Box:
    """A part of the grid: where it lies in the arrays, and the body coordinates along each axis."""

    slices: Slices
    axes: tuple[Field, Field, Field]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        x, y, z = self.axes
        return x.size, y.size, z.size

    @property
    def open_mesh(self) -> tuple[Field, Field, Field]:
        """Coordinates shaped to broadcast to the box."""
        x, y, z = self.axes
        return x[:, None, None], y[None, :, None], z[None, None, :]


@dataclass(frozen=True)
class Grid:
    """Body coordinates of every voxel of an axis-aligned RAS grid."""

    axes: tuple[Field, Field, Field]

    @classmethod
    def centred(cls, shape: Sequence[int], spacing_mm: Sequence[float], scale: float, center_mm: Point) -> Grid:
        """A grid whose middle lies at ``center_mm`` of a body that is ``scale`` times the adult one."""
        axes = [
            ((np.arange(n) - (n - 1) / 2) * step / scale + middle).astype(np.float32)
            for n, step, middle in zip(shape, spacing_mm, center_mm, strict=True)
        ]
        return cls((axes[0], axes[1], axes[2]))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        x, y, z = self.axes
        return x.size, y.size, z.size

    @property
    def whole(self) -> Box:
        """The box that is the whole grid."""
        return Box((slice(0, self.shape[0]), slice(0, self.shape[1]), slice(0, self.shape[2])), self.axes)

    def box(self, low: Corner, high: Corner) -> Box | None:
        """Voxels between two corners in body coordinates; None when the grid does not meet them."""
        slices, axes = [], []
        for axis, first, last in zip(self.axes, low, high, strict=True):
            start, stop = np.searchsorted(axis, (first, last)).tolist()
            if stop <= start:
                return None
            slices.append(slice(start, stop))
            axes.append(axis[start:stop])
        return Box((slices[0], slices[1], slices[2]), (axes[0], axes[1], axes[2]))


@dataclass(frozen=True)
class Ellipsoid:
    """A superellipsoid: ``exponent`` 2 is round, larger is boxier. ``tilt_deg`` turns it about x, y and z."""

    center: Point
    radii: Point
    tilt_deg: Point = (0.0, 0.0, 0.0)
    exponent: float = 2.0

    def bounds(self, margin: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Corners of a box that holds the shape, grown by a factor."""
        half = np.abs(rotation(self.tilt_deg)) @ np.asarray(self.radii) if any(self.tilt_deg) else np.array(self.radii)
        return np.asarray(self.center) - half * margin, np.asarray(self.center) + half * margin

    def field(self, box: Box) -> Field:
        """Below 1 inside; 1.0 + t at about t radii outside the surface."""
        x, y, z = (axis - np.float32(c) for axis, c in zip(box.open_mesh, self.center, strict=True))
        if any(self.tilt_deg):
            turn = rotation(self.tilt_deg).astype(np.float32)
            x, y, z = (turn[0, i] * x + turn[1, i] * y + turn[2, i] * z for i in range(3))
        p = self.exponent
        if p == 2.0:
            total = (x / self.radii[0]) ** 2 + (y / self.radii[1]) ** 2 + (z / self.radii[2]) ** 2
            return np.asarray(np.sqrt(total), dtype=np.float32)
        total = (np.abs(x / self.radii[0]) ** p + np.abs(y / self.radii[1]) ** p + np.abs(z / self.radii[2]) ** p) ** (
            1 / p
        )
        return np.asarray(total, dtype=np.float32)


@dataclass(frozen=True)
class Tube:
    """A bent tube through some points, with a radius at each."""

    points: tuple[Point, ...]
    radii: tuple[float, ...]

    def bounds(self, margin: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Corners of a box that holds the shape, its radii grown by a factor."""
        points, radii = np.asarray(self.points), np.asarray(self.radii)[:, None]
        return (points - radii * margin).min(0), (points + radii * margin).max(0)

    def field(self, box: Box) -> Field:
        """Distance to the centre line over the radius there."""
        return self.field_and_course(box)[0]

    def field_and_course(self, box: Box) -> tuple[Field, Field]:
        """The field, and how far along the tube the nearest centre point lies (0 first point, 1 last).

        Exact up to ``TUBE_REACH``; farther away the field is only known to be larger.
        """
        best = np.full(box.shape, np.float32(_FAR))
        course = np.zeros(box.shape, np.float32)
        for i in range(len(self.points) - 1):
            # Each piece only looks at the voxels around it: a long thin tube fills little of its box.
            piece = Tube(self.points[i : i + 2], self.radii[i : i + 2])
            near = Grid(box.axes).box(*piece.bounds(TUBE_REACH))
            if near is None:
                continue
            here, t = piece._straight(near)
            nearer = here < best[near.slices]
            best[near.slices] = np.where(nearer, here, best[near.slices])
            course[near.slices] = np.where(nearer, (i + t) / (len(self.points) - 1), course[near.slices])
        return best, course

    def _straight(self, box: Box) -> tuple[Field, Field]:
        """Field and course of a tube of two points."""
        start, end = np.asarray(self.points[0]), np.asarray(self.points[1])
        along = end - start
        x, y, z = (axis - np.float32(origin) for axis, origin in zip(box.open_mesh, start, strict=True))
        ax, ay, az = (along / (float(along @ along) or 1.0)).astype(np.float32)
        t = np.clip(x * ax + y * ay + z * az, 0, 1)
        ax, ay, az = along.astype(np.float32)
        distance = np.sqrt((x - t * ax) ** 2 + (y - t * ay) ** 2 + (z - t * az) ** 2)
        radius = np.float32(self.radii[0]) + t * np.float32(self.radii[1] - self.radii[0])
        return np.asarray(distance / radius, np.float32), np.asarray(t, np.float32)


Shape: TypeAlias = Ellipsoid | Tube


def rotation(tilt_deg: Point) -> NDArray[np.float64]:
    """Rotation about x, then y, then z."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.deg2rad(tilt_deg)), np.sin(np.deg2rad(tilt_deg))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


@dataclass(frozen=True)
class SmoothNoise:
    """A smooth random field of about unit variance, fixed to the body: a lattice of normals under cubic B-splines."""

    lattice: Field
    low: NDArray[np.float64]
    wavelength: float

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        low: Corner,
        high: Corner,
        wavelength: float,
    ) -> SmoothNoise:
        """Draw a field over the box between two corners."""
        extent = np.asarray(high, dtype=float) - np.asarray(low, dtype=float)
        count = np.ceil(extent / wavelength).astype(int) + 4
        lattice = rng.standard_normal(tuple(count.tolist())).astype(np.float32)
        return cls(lattice, np.asarray(low, dtype=float), wavelength)

    def field(self, box: Box) -> Field:
        """Values on a box; zero far outside the corners."""
        value = self.lattice
        for axis, low in zip(box.axes, self.low, strict=True):
            # Contracting the leading axis and appending the new one three times restores the order x, y, z.
            value = np.tensordot(value, _spline_weights(axis, float(low), self.wavelength, value.shape[0]), (0, 1))
        return np.asarray(value / np.float32(_SPLINE_SD_3D), dtype=np.float32)


def _spline_weights(axis: Field, low: float, wavelength: float, count: int) -> Field:
    position = (axis - np.float32(low)) / np.float32(wavelength) + 1
    u = np.abs(position[:, None] - np.arange(count, dtype=np.float32)[None, :])
    near = 2 / 3 - u**2 + u**3 / 2
    far = np.clip(2 - u, 0, None) ** 3 / 6
    return np.asarray(np.where(u < 1, near, far), dtype=np.float32)
