"""Which tumors are placed side by side where no value may be read: planned on the host from reports and boxes alone.

Tumors of different samples or channels do not meet. The k-th largest tumor of each is placed in round k, in one set of
operations for all whose boxes are of like size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log, prod

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from rsuper_bench.baselines.losses.arguments import Spacing
from rsuper_bench.baselines.losses.balls import COARSE, Box, Shape, reach_of
from rsuper_bench.baselines.losses.looking import on_device
from rsuper_bench.baselines.losses.reported_tumors import ReportedTumors
from rsuper_bench.baselines.losses.room import GROWTH, squared_limit
from rsuper_bench.baselines.losses.sizes import SizeInVoxels

SIDE = 8  # windows have sides of multiples of this
ALIKE = 8  # a window shared by tumors has at most so many times the voxels of the smallest box
MOST = 2**24  # voxels of the transforms of one set: bounds the memory
ENOUGH = 3e38  # mm^2: farther than any voxel, less than infinite


@dataclass(frozen=True)
class Turn:
    """One tumor to place.

    Attributes:
        row: Sample times channels plus channel.
        index: Of the tumor in report order.
        region: In `Rounds.regions`.
        room: In `Rounds.rooms`.
        box: Holds the region; not empty.
        size: What is searched and how many voxels are chosen.
        spacing: Voxel lengths.
    """

    row: int
    index: int
    region: int
    room: int
    box: Box
    size: SizeInVoxels
    spacing: Spacing


@dataclass(frozen=True)
class Group:
    """Tumors placed together: all of different rows.

    Attributes:
        turns: The tumors.
        first: Number of the first in `Rounds.turns`.
        sides: Of the window of each.
        padded: Sides of the transform of a window.
        starts: First voxel of each window.
    """

    turns: list[Turn]
    first: int
    sides: Shape
    padded: Shape
    starts: list[list[int]]


@dataclass(frozen=True, eq=False)
class Rounds:
    """All tumors of a batch, group after group.

    Attributes:
        groups: In the order in which they are placed.
        turns: Their tumors in that order.
        regions: Regions of all rows, of those alone that have tumors or are open.
        region_rows: Row of each.
        open: Whether the rest of a region cannot be called negative, as far as the report says.
        rooms: Where a tumor may be: a region, or a region within a slice band.
    """

    groups: list[Group]
    turns: list[Turn]
    regions: list[Tensor]
    region_rows: list[int]
    open: list[bool]
    rooms: list[Tensor]


def plan_rounds(
    reports: Mapping[int, ReportedTumors], spacings: Mapping[int, Spacing], shape: Shape, margin: float
) -> Rounds:
    """Plan the placement of all tumors of a batch.

    Args:
        reports: By row, sample times channels plus channel.
        spacings: Voxel lengths by row.
        shape: Sides of the crop.
        margin: Relative uncertainty of the reported size.
    """
    regions: list[Tensor] = []
    region_rows: list[int] = []
    is_open: list[bool] = []
    rooms: list[Tensor] = []
    rounds: list[list[Turn]] = []
    for row, report in reports.items():
        if report.regions is None:
            continue
        unsized = {where for where, size in zip(report.region_of, report.volumes_mm3, strict=True) if size is None}
        known: dict[int, int] = {}
        for number in range(len(report.regions)):
            if report.complete and number not in report.region_of:
                continue
            known[number] = len(regions)
            regions.append(report.regions[number])
            region_rows.append(row)
            is_open.append(not report.complete or number in unsized)
        shared: dict[tuple[int, int], int] = {}
        later = 0
        for index in report.largest_first:
            number = report.region_of[index]
            box = report.box_of(number)
            if not prod(part.stop - part.start for part in box):
                continue  # an empty region: there is nothing to place it in and nothing to ignore
            key = (number, index if report.has_own_bands else -1)
            if key not in shared:
                shared[key] = len(rooms)
                region, band = regions[known[number]], report.band_of(index)
                rooms.append(region if band is None else region & band)
            size = SizeInVoxels.of(report.diameters_mm[index], report.volumes_mm3[index], margin, spacings[row])
            if later == len(rounds):
                rounds.append([])
            rounds[later].append(Turn(row, index, known[number], shared[key], box, size, spacings[row]))
            later += 1
    groups: list[Group] = []
    for turns in rounds:
        first = sum(len(group.turns) for group in groups)
        groups.extend(_groups(turns, first, shape))
    ordered = [turn for group in groups for turn in group.turns]
    return Rounds(groups, ordered, regions, region_rows, is_open, rooms)


def tables(rounds: Rounds, shape: Shape, sigma_radii: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """What the operations need to know of each tumor, in two copies to the device.

    Returns:
        ``(T, 16)`` float64: first voxel of the window in all rows and in all rooms; voxels of core, tumor and halo, no
        more than the window has; rank, from 0, of the farthest voxel the ball must hold; how many must be free; mark of
        the tumor; first voxel along each axis; voxel lengths; squared radius of the searched ball; exponent of its
        Gaussian a mm^2.
        ``(T, L)`` float32: squared radii of the growing ball in mm^2.
    """
    per_plane = shape[1] * shape[2]
    rows: list[list[float]] = []
    for group in rounds.groups:
        voxels = prod(group.sides)
        for turn, (x, y, z) in zip(group.turns, group.starts, strict=True):
            size, within = turn.size, x * per_plane + y * shape[2] + z
            radius_mm = size.searched_mm / 2
            rows.append(
                [
                    turn.row * prod(shape) + within,
                    turn.room * prod(shape) + within,
                    *(min(count, voxels) for count in size.counts),
                    min(max(size.needed, 1), voxels) - 1,
                    size.needed,
                    4 * (turn.index + 1),
                    *(x, y, z),
                    *turn.spacing,
                    squared_limit(radius_mm),
                    -0.5 / (sigma_radii * radius_mm) ** 2,
                ]
            )
    extents_mm = [
        sum((side * length) ** 2 for side, length in zip(shape, turn.spacing, strict=True)) ** 0.5
        for turn in rounds.turns
    ]
    steps = [
        max(int(log(max(extent / turn.size.radius_mm, 1)) / log(GROWTH)) + 2, 1)
        for extent, turn in zip(extents_mm, rounds.turns, strict=True)
    ]
    ladders = [
        [squared_limit(turn.size.radius_mm * GROWTH**step) for step in range(max(steps))] + [ENOUGH]
        for turn in rounds.turns
    ]
    return on_device(rows, torch.float64, device), on_device(ladders, torch.float32, device)


def _groups(turns: list[Turn], first: int, shape: Shape) -> list[Group]:
    """Tumors of one round, the large boxes first, cut where a box is much smaller or memory would run out."""
    groups: list[list[Turn]] = []
    for turn in sorted(turns, key=lambda turn: -_voxels(turn.box)):
        wider = [*groups[-1], turn] if groups else []
        sides = _sides(wider, shape) if wider else None
        if (
            sides is not None
            and prod(sides) <= ALIKE * _voxels(turn.box)
            and len(wider) * prod(_padded(wider, sides)) <= MOST
        ):
            groups[-1] = wider
        else:
            groups.append([turn])
    found = []
    for group in groups:
        sides = _sides(group, shape)
        starts = [
            [min(part.start, length - side) for part, length, side in zip(turn.box, shape, sides, strict=True)]
            for turn in group
        ]
        found.append(Group(group, first, sides, _padded(group, sides), starts))
        first += len(group)
    return found


def _sides(turns: list[Turn], shape: Shape) -> Shape:
    widest = [max(turn.box[axis].stop - turn.box[axis].start for turn in turns) for axis in range(3)]
    x, y, z = (min(SIDE * ceil(side / SIDE), length) for side, length in zip(widest, shape, strict=True))
    return (x, y, z)


def _padded(turns: list[Turn], sides: Shape) -> Shape:
    """As `balls.padded_shape`, for the largest ball of all."""
    reaches = [reach_of(turn.size.searched_mm / 2, turn.spacing) for turn in turns]
    widest = [max(reach[axis] for reach in reaches) for axis in range(3)]
    lengths = [side + min(reach, side - 1) for side, reach in zip(sides, widest, strict=True)]
    x, y, z = (COARSE * next_fast_len(ceil(length / COARSE)) for length in lengths)
    return (x, y, z)


def _voxels(box: Box) -> int:
    return prod(part.stop - part.start for part in box)
