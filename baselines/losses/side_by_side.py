"""Placement where no value may be read: many tumors in one set of operations, every shape known to the host.

It comes to the voxels that `pseudo_mask.placements` finds by looking. An accelerator takes longer to start an operation
than to run it on a window, so what counts is how few there are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod

import torch
from torch import Tensor

from rsuper_bench.baselines.losses.arguments import Spacing
from rsuper_bench.baselines.losses.balls import Shape, correlate_with_ball
from rsuper_bench.baselines.losses.looking import on_device
from rsuper_bench.baselines.losses.room import masked_score, number_of, rank_keys
from rsuper_bench.baselines.losses.rounds import MOST, Group, Rounds, tables

CORE, TUMOR = 3, 2  # what is added to a tumor's mark in its core and in the rest of its volume; in its halo 1
LENGTHS = slice(11, 14)  # columns of `tables` with the voxel lengths


class Marked:
    """Placed tumors of all rows.

    Attributes:
        marks: ``(rows, X, Y, Z)`` int16: 4 (1 + index in report order) + `CORE`, `TUMOR` or 1 in a halo, else 0.
        fits: For each group, whether each of its tumors found room.
        centres: For each group ``(P, 3)`` voxels, -1 without room.
    """

    def __init__(self, marks: Tensor) -> None:
        self.marks = marks
        self.fits: list[Tensor] = []
        self.centres: list[Tensor] = []

    def level(self) -> Tensor:
        """`CORE`, `TUMOR`, 1 or 0 for every voxel."""
        return self.marks & 3

    def take_open_regions(self, rounds: Rounds, negative: Tensor) -> None:
        """Take regions whose rest cannot be called negative out of a ``(rows, X, Y, Z)`` mask.

        That is known from the report, or a tumor found no room there.
        """
        if not rounds.regions:
            return
        device = negative.device
        still_open = on_device(rounds.open, torch.bool, device)
        if rounds.turns:
            of = on_device([turn.region for turn in rounds.turns], torch.long, device)
            unplaced = torch.cat(self.fits).logical_not().float()
            still_open = still_open | (torch.zeros_like(still_open, dtype=torch.float32).index_add(0, of, unplaced) > 0)
        for numbers in _layers(rounds.region_rows):
            rows = on_device([rounds.region_rows[number] for number in numbers], torch.long, device)
            chosen = still_open.index_select(0, on_device(numbers, torch.long, device))
            part = torch.stack([rounds.regions[number] for number in numbers]) & chosen[:, None, None, None]
            negative.index_copy_(0, rows, negative.index_select(0, rows) & ~part)

    def take_rims(self, rows: list[int], rim_mm: float, spacing: Spacing, negative: Tensor) -> None:
        """Take halos widened by a rim out of a ``(rows, X, Y, Z)`` mask, in rows of one spacing."""
        together = max(MOST // prod(negative.shape[1:]), 1)
        for first in range(0, len(rows), together):
            part = on_device(rows[first : first + together], torch.long, negative.device)
            halo = (self.marks.index_select(0, part) > 0).float()
            near = correlate_with_ball(halo, 2 * rim_mm, spacing, sigma_radii=None) > 0.5
            negative.index_copy_(0, part, negative.index_select(0, part) & ~near)


@torch.no_grad()
def place_side_by_side(
    values: Tensor, probability: Callable[[Tensor], Tensor], rounds: Rounds, *, sigma_radii: float
) -> Marked:
    """Place all tumors of a batch.

    Args:
        values: ``(rows, X, Y, Z)``.
        probability: Turns some of the values into tumor probability.
        rounds: What to place.
        sigma_radii: Standard deviation of the Gaussian, in radii.
    """
    shape: Shape = (values.shape[1], values.shape[2], values.shape[3])
    found = Marked(torch.zeros(values.shape, dtype=torch.int16, device=values.device))
    if not rounds.turns:
        return found
    exact, ladders = tables(rounds, shape, sigma_radii, values.device)
    rooms, values = torch.stack(rounds.rooms).view(-1), values.reshape(-1)
    for group in rounds.groups:
        own = slice(group.first, group.first + len(group.turns))
        _place(group, exact[own], ladders[own], values, probability, rooms, shape, found)
    return found


def _place(
    group: Group,
    exact: Tensor,
    ladder: Tensor,
    values: Tensor,
    probability: Callable[[Tensor], Tensor],
    rooms: Tensor,
    shape: Shape,
    found: Marked,
) -> None:
    """Place the tumors of one group and mark them."""
    tumors, voxels = len(group.turns), prod(group.sides)
    window = (tumors, *group.sides)
    whole = exact.long()
    start, in_rooms, _, _, _, _, needed, mark, *_ = whole.unbind(1)
    steps = _steps(group.sides, shape, values.device)
    index = (start[:, None] + steps).view(-1)
    allowed = rooms.index_select(0, (in_rooms[:, None] + steps).view(-1)).view(tumors, voxels)
    marks = found.marks.view(-1)
    before = marks.index_select(0, index).view(tumors, voxels)
    free = allowed & (before == 0)
    count = free.sum(1)
    # The first tumor may be larger than the room; after it, what is left is its rim
    fits = (count > 0) & ((count == allowed.sum(1)) | (count >= needed))

    open_to_it = number_of(free)
    likely = probability(values.index_select(0, index)).float().view(tumors, voxels) * open_to_it
    del allowed
    score = masked_score(_scores(likely.view(window), exact, group.padded).reshape(tumors, voxels), open_to_it)
    centre = _unravelled(score.argmax(1), group.sides)
    del score, open_to_it

    far = _far(centre, exact[:, LENGTHS], group.sides)
    reached = torch.where(free, far, torch.inf)
    nearest = reached.topk(min(max(turn.size.needed for turn in group.turns) or 1, voxels), largest=False).values
    farthest = nearest.gather(1, whole[:, 5:6])
    limit = ladder.gather(1, torch.searchsorted(ladder, farthest).clamp(max=ladder.shape[1] - 1))
    inside = (reached <= limit) & fits[:, None]
    del nearest, reached, free

    keys = rank_keys(likely, far).masked_fill_(~inside, -1)
    del likely, far
    most = min(max(turn.size.halo for turn in group.turns), voxels)
    counts = whole[:, 2:5]
    last = keys.topk(most).values.gather(1, counts - 1)[:, :, None]
    above, level = keys[:, None] > last, (keys[:, None] == last) & inside[:, None]
    del keys, inside
    order = level.view(-1).cumsum(0, dtype=torch.int32).view(level.shape)  # of equal keys, the first in the grid
    missing = counts - above.sum(2) + order[:, :, 0] - level[:, :, 0].int()
    level &= order <= missing[:, :, None]
    del order
    nested = above.logical_or_(level).sum(1, dtype=torch.int16)
    marks.index_copy_(0, index, before.add_(nested).add_((nested > 0) * mark[:, None].short()).view(-1))
    found.fits.append(fits)
    found.centres.append(torch.where(fits[:, None], centre + whole[:, 8:11], -1))


def _scores(likely: Tensor, exact: Tensor, padded: Shape) -> Tensor:
    """Each window correlated with the Gaussian-weighted ball of its tumor."""
    axes = (1, 2, 3)
    limit, exponent = exact[:, 14:16].float().view(-1, 2, 1, 1, 1).unbind(1)
    squared = _summed((_folded(padded, exact.device) * exact[:, LENGTHS, None]).square().float(), padded)
    kernel = squared.mul(exponent).exp_().mul_(squared <= limit)
    del squared
    kernel /= kernel.sum(axes, keepdim=True)
    spectrum = torch.fft.rfftn(kernel, dim=axes)
    del kernel
    spectrum *= torch.fft.rfftn(likely, s=padded, dim=axes)
    sums: Tensor = torch.fft.irfftn(spectrum, s=padded, dim=axes)
    x, y, z = likely.shape[1:]
    return sums[:, :x, :y, :z]


def _far(centre: Tensor, lengths_mm: Tensor, sides: Shape) -> Tensor:
    """Squared distance of each window's voxels from its centre, ``(P, voxels)``; see `balls.squared_distance_mm2`."""
    steps = _counting(max(sides), centre.device)
    squares = (steps - centre[:, :, None]).mul_(lengths_mm[:, :, None]).square_().float()
    return _summed(squares, sides).view(len(centre), -1)


def _summed(along: Tensor, sides: Shape) -> Tensor:
    """Contiguous ``(P, 3, L)`` values along the axes as their sums, ``(P, *sides)``."""
    tumors, _, length = along.shape
    x = along.as_strided((tumors, sides[0], 1, 1), (3 * length, 1, 1, 1), 0)  # one view each instead of four
    y = along.as_strided((tumors, 1, sides[1], 1), (3 * length, 1, 1, 1), length)
    z = along.as_strided((tumors, 1, 1, sides[2]), (3 * length, 1, 1, 1), 2 * length)
    return x + y + z


def _unravelled(flat: Tensor, sides: Shape) -> Tensor:
    """Voxels of a window by their flat numbers, ``(P, 3)``."""
    strides, lengths = _strides(sides, flat.device)
    return flat[:, None] // strides % lengths


def _layers(rows: list[int]) -> list[list[int]]:
    """Numbers of entries whose rows differ, together."""
    layers: list[list[int]] = []
    seen: dict[int, int] = {}
    for number, row in enumerate(rows):
        depth = seen[row] = seen.get(row, -1) + 1
        if depth == len(layers):
            layers.append([])
        layers[depth].append(number)
    return layers


@lru_cache(maxsize=4)
def _steps(sides: Shape, shape: Shape, device: torch.device) -> Tensor:
    """Flat numbers, in the crop, of the voxels of a window at its corner."""
    x, y, z = (torch.arange(side, device=device) for side in sides)
    return (x[:, None, None] * (shape[1] * shape[2]) + y[:, None] * shape[2] + z).view(-1)


@lru_cache(maxsize=16)
def _counting(length: int, device: torch.device) -> Tensor:
    return torch.arange(length, dtype=torch.float64, device=device)


@lru_cache(maxsize=16)
def _folded(padded: Shape, device: torch.device) -> Tensor:
    """Steps from the origin of a periodic grid, the shorter way around: ``(3, longest side)``."""
    step = _counting(max(padded), device)
    return torch.stack([torch.minimum(step, (side - step).abs()) for side in padded])


@lru_cache(maxsize=16)
def _strides(sides: Shape, device: torch.device) -> tuple[Tensor, Tensor]:
    strides = [sides[1] * sides[2], sides[2], 1]
    return on_device(strides, torch.long, device), on_device(sides, torch.long, device)
