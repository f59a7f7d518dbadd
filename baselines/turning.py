"""Rotating crops about their centre: where voxels come from, and what is still in view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, floor, radians

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from rsuper_bench.baselines.losses.looking import on_device

Size = tuple[int, int, int]
Corners = Sequence[tuple[int, int]]
ROUNDING = 1e-3  # voxels by which float32 can move a position in any crop


@dataclass(frozen=True)
class Turn:
    """A rotation: the voxel at ``x - centre`` shows what lay at ``matrix (x - centre)``."""

    matrix: tuple[tuple[float, float, float], ...]

    @classmethod
    def of_degrees(cls, x: float, y: float, z: float) -> Turn:
        """Rotations about the three axes, one after the other; right angles are exact."""
        matrix = np.eye(3)
        for axis, degrees in enumerate((x, y, z)):
            first, second = (other for other in range(3) if other != axis)
            one = np.eye(3)
            cosine, sine = np.round([np.cos(radians(degrees)), np.sin(radians(degrees))], 12)
            one[first, first] = one[second, second] = cosine
            one[first, second], one[second, first] = -sine, sine
            matrix = one @ matrix
        a, b, c = (tuple(float(value) for value in row) for row in matrix)
        return cls((a, b, c))  # type: ignore[arg-type]

    def after(self, box: Corners, size: Size) -> Corners:
        """A box of the crop that holds all that a box held before; empty stays empty.

        Args:
            box: First and past-the-last voxel along each axis.
            size: Voxels of the crop.
        """
        if any(first >= last for first, last in box):
            return ((0, 0),) * 3
        low, high = self._extent(box, size)
        return tuple(
            (min(max(ceil(a - ROUNDING), 0), n), max(min(floor(b + ROUNDING) + 1, n), 0))
            for a, b, n in zip(low, high, size, strict=True)
        )

    def keeps(self, box: Corners, size: Size) -> bool:
        """Whether all of a box is in the crop before and after."""
        if any(first < 0 or last > n for (first, last), n in zip(box, size, strict=True)):
            return False
        low, high = self._extent(box, size)
        return bool((low >= -0.5 - ROUNDING).all() and (high <= np.asarray(size) - 0.5 + ROUNDING).all())

    def _extent(self, box: Corners, size: Size) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the outer faces of a box come to lie."""
        centre = (np.asarray(size) - 1) / 2
        corners = np.array(list(product(*box))) - 0.5
        moved = (corners - centre) @ np.asarray(self.matrix) + centre  # by the transpose, which is the inverse
        return moved.min(0), moved.max(0)


@dataclass(frozen=True, eq=False)
class Sources:
    """Where each voxel of some turned crops comes from.

    Attributes:
        position: ``(B, 3, X, Y, Z)`` in voxels of the crop before.
        index: ``(B, N)`` nearest voxel, flat.
        inside: ``(B, X, Y, Z)`` whether that is a voxel of the crop.
    """

    position: Tensor
    index: Tensor
    inside: Tensor

    @classmethod
    def of(cls, turns: Sequence[Turn], size: Size, device: torch.device) -> Sources:
        """Sources of crops of one size; nothing is read back from the device."""
        axes = [torch.arange(n, dtype=torch.float32, device=device) - (n - 1) / 2 for n in size]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"))
        matrices = on_device([value for turn in turns for row in turn.matrix for value in row], torch.float32, device)
        rows = matrices.view(-1, 3, 3, 1, 1, 1)
        # Written out: a matrix product may use less than float32 on a GPU
        position = rows[:, :, 0] * grid[0] + rows[:, :, 1] * grid[1] + rows[:, :, 2] * grid[2]
        position += on_device([(n - 1) / 2 for n in size], torch.float32, device).view(3, 1, 1, 1)
        nearest = (position + 0.5).floor().long()
        index, inside = torch.zeros_like(nearest[:, 0]), torch.ones_like(nearest[:, 0], dtype=torch.bool)
        for axis, n in enumerate(size):
            inside &= (nearest[:, axis] >= 0) & (nearest[:, axis] < n)
            index = index * n + nearest[:, axis].clamp(0, n - 1)
        return cls(position, index.flatten(1), inside)

    def labels(self, values: Tensor) -> Tensor:
        """``(B, K, X, Y, Z)`` turned, the nearest voxel each; 0 or false where nothing was seen."""
        flat = values.flatten(2)
        turned = flat.gather(2, self.index[:, None].expand_as(flat)).view_as(values)
        return torch.where(self.inside[:, None], turned, torch.zeros_like(turned))

    def image(self, values: Tensor, outside: float) -> Tensor:
        """``(B, K, X, Y, Z)`` turned, linear between voxels; ``outside`` beyond them."""
        sizes = on_device(list(values.shape[2:]), torch.float32, values.device).view(3, 1, 1, 1)
        grid = ((2 * self.position + 1) / sizes - 1).movedim(1, -1).flip(-1)  # the last axis comes first
        return grid_sample(values - outside, grid, mode="bilinear", align_corners=False) + outside
