"""From "how many, how large, roughly where" to a mask, guided by what the network already sees (METHOD 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from rsuper_bench.baselines.losses.arguments import Spacing, check_finite, check_not_negative, spacing_of
from rsuper_bench.baselines.losses.balls import Box, bounding_box
from rsuper_bench.baselines.losses.looking import may_look, on_device
from rsuper_bench.baselines.losses.reported_tumors import ReportedTumors
from rsuper_bench.baselines.losses.room import Room
from rsuper_bench.baselines.losses.rounds import plan_rounds
from rsuper_bench.baselines.losses.side_by_side import CORE, TUMOR, place_side_by_side
from rsuper_bench.baselines.losses.sizes import SizeInVoxels

SIGMA_RADII = 3.0


class PseudoMask(NamedTuple):
    """Where the tumors of one channel are taken to be.

    Attributes:
        core: Surely tumor, if anything is: the positives of the Ball Loss.
        tumor: The reported volume.
        halo: The reported volume and a margin; no two tumors share a halo voxel.
        ignored: Voxels of regions whose rest cannot be called negative: a size or the number is unknown, or a tumor
            found no room.
        label: int16, 1 + the index of the tumor in report order where ``tumor`` is true, else 0.
        centres: ``(T, 3)`` voxel index of each tumor in report order, -1 where it found no room.
    """

    core: Tensor
    tumor: Tensor
    halo: Tensor
    ignored: Tensor
    label: Tensor
    centres: Tensor


def ball_pseudo_mask(
    probability: Tensor,
    region: Tensor,
    diameters_mm: Sequence[float | None] | Tensor,
    volumes_mm3: Sequence[float | None] | Tensor,
    *,
    spacing_mm: Sequence[float],
    margin: float = 0.25,
    sigma_radii: float = SIGMA_RADII,
    complete: bool = True,
) -> PseudoMask:
    """Place the reported tumors of one channel of one case where the network finds them most likely.

    Largest first: the ball of the reported diameter that collects most probability gives the centre; in a ball wider
    by ``margin`` the most probable voxels that fill the reported volume are the tumor. See `place_tumors`.

    Args:
        probability: ``(X, Y, Z)`` tumor probability, or with leading axes of length 1.
        region: Same shape, non-zero where the report places the tumors (already grown).
        diameters_mm: Largest diameter of each tumor; None, 0 or NaN where the size is unknown.
        volumes_mm3: Volume of each tumor; None, 0 or NaN where the size is unknown.
        spacing_mm: Voxel lengths along X, Y and Z.
        margin: Relative uncertainty of the reported size.
        sigma_radii: Standard deviation of the Gaussian inside the ball, in radii.
        complete: False when there may be more tumors than listed.

    Returns:
        Masks of the shape of ``probability``, and the centres.

    Raises:
        ValueError: If shapes differ, there is more than one case or channel, a size is negative or only half known,
            or the probability holds NaN.
    """
    if probability.ndim < 3 or probability.numel() != probability.shape[-3:].numel():
        raise ValueError(f"probability must be (X, Y, Z) of one case and channel, got shape {tuple(probability.shape)}")
    if probability.shape != region.shape:
        raise ValueError(f"probability {tuple(probability.shape)} and region {tuple(region.shape)} differ in shape")
    space = probability.shape[-3:]
    tumors = ReportedTumors(region.reshape(space), _listed(diameters_mm), _listed(volumes_mm3), complete=complete)
    placed = place_tumors(
        probability.reshape(space), tumors, spacing_mm=spacing_mm, margin=margin, sigma_radii=sigma_radii
    )
    core, tumor, halo, ignored, label, centres = placed
    core, tumor, halo, ignored, label = (m.reshape(probability.shape) for m in (core, tumor, halo, ignored, label))
    return PseudoMask(core, tumor, halo, ignored, label, centres)


@torch.no_grad()
def place_tumors(
    probability: Tensor,
    tumors: ReportedTumors,
    *,
    spacing_mm: Sequence[float],
    margin: float = 0.25,
    sigma_radii: float = SIGMA_RADII,
) -> PseudoMask:
    """Steps 1-5 of METHOD 4 for one sample and channel, without gradient (*ours*, explicit).

    A tumor whose region has less room left than its volume fills what is left if it is the first one there; after
    another tumor it is not placed at all, for all that is left is that tumor's rim. Equal probabilities rank by
    distance from the centre, so a flat prediction yields a ball. *Ours*: a placed tumor's whole halo, not only the
    tumor, is closed to the next ones.

    Args:
        probability: ``(X, Y, Z)`` tumor probability.
        tumors: What the report says.
        spacing_mm: Voxel lengths along X, Y and Z.
        margin: Relative uncertainty m of the reported size, not negative.
        sigma_radii: Standard deviation of the Gaussian inside the ball, in radii.

    Returns:
        Masks of the shape of ``probability``, and the centres.

    Raises:
        ValueError: If the shapes of probability and regions differ, the probability is negative or NaN, or margin is
            negative.
    """
    check_finite("probability", probability)
    check_not_negative("probability", probability)

    empty = torch.zeros(probability.shape, dtype=torch.bool, device=probability.device)
    label = torch.zeros_like(empty, dtype=torch.int16)
    nowhere = torch.full((len(tumors.diameters_mm), 3), -1, dtype=torch.long, device=probability.device)
    result = PseudoMask(empty, empty.clone(), empty.clone(), empty.clone(), label, nowhere)
    check_regions("probability", probability.shape, tumors)
    check_shape_of_balls(margin, sigma_radii)
    spacing = spacing_of(spacing_mm)
    if not may_look(probability):
        return _without_looking(probability, tumors, spacing, margin, sigma_radii)
    placed = placements(lambda box: probability[box], tumors, spacing, margin=margin, sigma_radii=sigma_radii)
    for tumor in placed:
        box = tumor.box
        for mask, part in ((result.core, tumor.core), (result.tumor, tumor.tumor), (result.halo, tumor.halo)):
            mask[box] |= part
        result.label[box].masked_fill_(tumor.tumor, tumor.index + 1)
        result.centres[tumor.index] = torch.stack(tumor.centre)
    for box, part in ignored_parts(tumors, placed):
        result.ignored[box] |= part
    return result


def _without_looking(
    probability: Tensor, tumors: ReportedTumors, spacing: Spacing, margin: float, sigma_radii: float
) -> PseudoMask:
    x, y, z = probability.shape
    rounds = plan_rounds({0: tumors}, {0: spacing}, (x, y, z), margin)
    found = place_side_by_side(probability[None], lambda values: values, rounds, sigma_radii=sigma_radii)
    kept = torch.ones((1, x, y, z), dtype=torch.bool, device=probability.device)
    found.take_open_regions(rounds, kept)
    marks, level = found.marks[0], found.level()[0]
    centres = torch.full((len(tumors.diameters_mm), 3), -1, dtype=torch.long, device=probability.device)
    if rounds.turns:
        order = on_device([turn.index for turn in rounds.turns], torch.long, probability.device)
        centres = centres.index_copy(0, order, torch.cat(found.centres))
    label = (marks >> 2) * (level >= TUMOR)
    return PseudoMask(level == CORE, level >= TUMOR, marks > 0, ~kept[0], label, centres)


@dataclass(frozen=True, eq=False)
class Placed:
    """One tumor as it was placed, in a box of the crop.

    Attributes:
        index: In report order.
        box: What the masks show of the crop.
        core: Booleans, as are the next two; all false when there was no room.
        tumor: The reported volume.
        halo: With the margin.
        centre: Three scalar tensors, voxels of the crop; -1 without room.
        fits: Boolean scalar, whether there was room.
    """

    index: int
    box: Box
    core: Tensor
    tumor: Tensor
    halo: Tensor
    centre: list[Tensor]
    fits: Tensor


def check_regions(name: str, shape: Sequence[int], tumors: ReportedTumors) -> None:
    """Refuse regions of another shape than the crop."""
    if tumors.regions is not None and tuple(tumors.regions.shape[1:]) != tuple(shape):
        raise ValueError(f"{name} {tuple(shape)} and regions {tuple(tumors.regions.shape)} differ in shape")


def check_shape_of_balls(margin: float, sigma_radii: float) -> None:
    """Refuse a negative margin and a Gaussian without width."""
    if not margin >= 0:
        raise ValueError(f"margin must not be negative, got {margin}")
    if not sigma_radii > 0:
        raise ValueError(f"sigma_radii must be positive, got {sigma_radii}")


@torch.no_grad()
def placements(
    probability: Callable[[Box], Tensor],
    tumors: ReportedTumors,
    spacing: Spacing,
    *,
    margin: float,
    sigma_radii: float,
) -> list[Placed]:
    """The tumors in the order in which they are placed; see `place_tumors`. Looks at values: for the CPU.

    Args:
        probability: Gives the tumor probability in a box of the crop.
        tumors: What the report says, of the shape of the crop.
        spacing: Voxel lengths.
        margin: Relative uncertainty of the reported size.
        sigma_radii: Standard deviation of the Gaussian, in radii.
    """
    result: list[Placed] = []
    if tumors.regions is None:
        return result
    rooms: dict[tuple[int, int], tuple[Box, Room]] = {}
    for index in tumors.largest_first:
        # Tumors with a band of their own do not share a room
        key = (tumors.region_of[index], index if tumors.has_own_bands else -1)
        if key not in rooms:
            box = tumors.box_of(key[0])
            allowed, band = tumors.regions[key[0]][box], tumors.band_of(index)
            if band is not None:
                allowed = allowed & band[box]
                box, allowed = _tightened(box, allowed)
            rooms[key] = (box, Room(probability(box), allowed, spacing, sigma_radii))
            for earlier in result:
                _close(*rooms[key], earlier)
        box, room = rooms[key]
        tumor = _placed(room, box, index, tumors.diameters_mm[index], tumors.volumes_mm3[index], spacing, margin)
        result.append(tumor)
        if bool(tumor.fits):
            for others in rooms.values():
                _close(*others, tumor)
    return result


def ignored_parts(tumors: ReportedTumors, placed: Sequence[Placed]) -> list[tuple[Box, Tensor]]:
    """Regions whose rest cannot be called negative, each with its box: masks of what to ignore."""
    if tumors.regions is None:
        return []
    parts = []
    unsized = {tumors.region_of[index] for index, volume in enumerate(tumors.volumes_mm3) if volume is None}
    for number in range(len(tumors.regions)):
        box = tumors.box_of(number)
        region = tumors.regions[number][box]
        if not tumors.complete or number in unsized:
            parts.append((box, region))
            continue
        for tumor in placed:
            if tumors.region_of[tumor.index] == number and not bool(tumor.fits):
                parts.append((box, region))
    return parts


def _placed(
    room: Room,
    box: Box,
    index: int,
    diameter_mm: float | None,
    volume_mm3: float | None,
    spacing: Spacing,
    margin: float,
) -> Placed:
    size = SizeInVoxels.of(diameter_mm, volume_mm3, margin, spacing)
    fits = room.fits(size.needed)
    nowhere = torch.full((), -1, dtype=torch.long)
    if not bool(fits):
        nothing = torch.zeros((0, 0, 0), dtype=torch.bool)
        return Placed(index, (slice(0, 0),) * 3, nothing, nothing, nothing, [nowhere] * 3, fits)
    centre = room.best_centre(size.searched_mm)
    window, core, tumor, halo = (
        room.most_probable(centre, size.radius_mm, size.counts) if size.needed else room.ball(centre, size.radius_mm)
    )
    moved = [slice(part.start + outer.start, part.stop + outer.start) for part, outer in zip(window, box, strict=True)]
    middle = [c + outer.start for c, outer in zip(centre, box, strict=True)]
    return Placed(index, (moved[0], moved[1], moved[2]), core, tumor, halo, middle, fits)


def _tightened(box: Box, allowed: Tensor) -> tuple[Box, Tensor]:
    """The box cut to what is allowed in it."""
    inner = bounding_box(allowed) if allowed.numel() else None
    if inner is None:
        return box, allowed
    x, y, z = (slice(outer.start + part.start, outer.start + part.stop) for outer, part in zip(box, inner, strict=True))
    return (x, y, z), allowed[inner]


def _close(box: Box, room: Room, tumor: Placed) -> None:
    """Take a placed tumor's halo out of a room, as far as the two meet."""
    meet = [(max(mine.start, its.start), min(mine.stop, its.stop)) for mine, its in zip(box, tumor.box, strict=True)]
    if any(first >= last for first, last in meet):
        return
    mine, its = (
        tuple(slice(first - part.start, last - part.start) for (first, last), part in zip(meet, parts, strict=True))
        for parts in (box, tumor.box)
    )
    room.close((mine[0], mine[1], mine[2]), tumor.halo[its])


def _listed(sizes: Sequence[float | None] | Tensor) -> list[float | None]:
    return [float(size) for size in sizes.flatten()] if isinstance(sizes, Tensor) else list(sizes)
