"""From "how many, how large, roughly where" to a mask, guided by what the network already sees (METHOD 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rsuper_bench.baselines.losses.arguments import Spacing, check_finite, full_precision, spacing_of
from rsuper_bench.baselines.losses.balls import bounding_box
from rsuper_bench.baselines.losses.reported_tumors import ReportedTumors
from rsuper_bench.baselines.losses.room import Ball, Room

SMALLEST_DIAMETER_MM = 3.0
UNSIZED_DIAMETER_MM = 7.0
CORE_AT_LEAST_MM3 = 100.0
LARGEST_CORE_MARGIN = 0.5
GROWTH = 1.1
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
        ValueError: If the shapes of probability and regions differ, the probability holds NaN or margin is negative.
    """
    spacing = spacing_of(spacing_mm)
    if not margin >= 0:
        raise ValueError(f"margin must not be negative, got {margin}")
    regions = tumors.regions
    if regions is not None and regions.shape[1:] != probability.shape:
        raise ValueError(f"probability {tuple(probability.shape)} and regions {tuple(regions.shape)} differ in shape")
    check_finite("probability", probability)
    probability = full_precision(probability.detach())

    empty = torch.zeros_like(probability, dtype=torch.bool)
    label = torch.zeros_like(probability, dtype=torch.int16)
    result = PseudoMask(empty, empty.clone(), empty.clone(), empty.clone(), label, _no_centres(tumors, probability))
    if regions is None:
        return result
    if not tumors.complete:
        result.ignored.logical_or_(regions.any(0))
    rooms: dict[int, Room] = {}
    for index in tumors.largest_first:
        number = tumors.region_of[index]
        if number not in rooms:
            rooms[number] = _room(probability, regions[number], tumors.band, result.halo, spacing)
        room = rooms[number]
        diameter_mm, volume_mm3 = tumors.diameters_mm[index], tumors.volumes_mm3[index]
        wanted = None if volume_mm3 is None else _voxel_counts(volume_mm3, margin, spacing)
        if room.count == 0 or (wanted is not None and not room.untouched and room.count < wanted.tumor):
            result.ignored.logical_or_(regions[number])
            continue
        searched_mm = max(diameter_mm or UNSIZED_DIAMETER_MM, SMALLEST_DIAMETER_MM)
        centre = room.best_centre(searched_mm, sigma_radii)
        result.centres[index] = room.corner + torch.tensor(centre, device=probability.device)
        if wanted is None:
            result.ignored.logical_or_(regions[number])
            parts = [room.ball(centre, searched_mm / 2).voxels] * 3
        else:
            ball = _ball_with_room(room, centre, searched_mm * (1 + margin) / 2, wanted.tumor)
            parts = ball.most_probable([wanted.core, wanted.tumor, wanted.halo])
        core, tumor, halo = (part + room.corner for part in parts)
        for mask, voxels in ((result.core, core), (result.tumor, tumor), (result.halo, halo)):
            mask[voxels[:, 0], voxels[:, 1], voxels[:, 2]] = True
        result.label[tumor[:, 0], tumor[:, 1], tumor[:, 2]] = index + 1
        for other in rooms.values():
            other.close(halo)
    return result


def _room(probability: Tensor, region: Tensor, band: Tensor | None, closed: Tensor, spacing: Spacing) -> Room:
    allowed = region if band is None else region & band
    box = bounding_box(allowed)
    room = Room(probability, allowed, box or (slice(0, 0),) * 3, spacing)
    if box is not None:
        room.close(closed.nonzero())
    return room


class _Counts(NamedTuple):
    core: int
    tumor: int
    halo: int


def _voxel_counts(volume_mm3: float, margin: float, spacing: Spacing) -> _Counts:
    core_mm3 = max(volume_mm3 * (1 - min(margin, LARGEST_CORE_MARGIN)), min(CORE_AT_LEAST_MM3, volume_mm3))
    voxel_mm3 = spacing[0] * spacing[1] * spacing[2]
    volumes_mm3 = (core_mm3, volume_mm3, volume_mm3 * (1 + margin))
    return _Counts(*(max(round(volume / voxel_mm3), 1) for volume in volumes_mm3))


def _ball_with_room(room: Room, centre: tuple[int, int, int], radius_mm: float, needed: int) -> Ball:
    """A ball, grown by 10 % until it holds the needed voxels or all that the room has."""
    while True:
        ball = room.ball(centre, radius_mm)
        if len(ball.voxels) >= min(needed, room.count):
            return ball
        radius_mm *= GROWTH


def _no_centres(tumors: ReportedTumors, like: Tensor) -> Tensor:
    return torch.full((len(tumors.diameters_mm), 3), -1, dtype=torch.long, device=like.device)


def _listed(sizes: Sequence[float | None] | Tensor) -> list[float | None]:
    return [float(size) for size in sizes.flatten()] if isinstance(sizes, Tensor) else list(sizes)
