"""From "how many, how large, roughly where" to a mask, guided by what the network already sees (METHOD 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rsuper_bench.baselines.losses.arguments import Spacing, check_finite, full_precision, spacing_of
from rsuper_bench.baselines.losses.balls import (
    ROUNDING,
    Box,
    ball_box,
    bounding_box,
    correlate_with_ball,
    squared_distance_mm2,
)
from rsuper_bench.baselines.losses.reported_tumors import ReportedTumors

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
    for index in tumors.largest_first:
        region = regions[tumors.region_of[index]]
        diameter_mm, volume_mm3 = tumors.diameters_mm[index], tumors.volumes_mm3[index]
        available = region & ~result.halo
        if tumors.band is not None:
            available &= tumors.band
        box = bounding_box(available)
        wanted = None if volume_mm3 is None else _voxel_counts(volume_mm3, margin, spacing)
        is_first = not bool((region & result.halo).any())
        if box is None or (wanted is not None and not is_first and int(available[box].sum()) < wanted.tumor):
            result.ignored.logical_or_(region)
            continue
        searched_mm = max(diameter_mm or UNSIZED_DIAMETER_MM, SMALLEST_DIAMETER_MM)
        score = correlate_with_ball(
            probability[box] * available[box], searched_mm, spacing, sigma_radii=sigma_radii
        ).masked_fill(~available[box], -1)
        best = _unravelled(int(score.argmax()), score.shape)
        centre = [part.start + offset for part, offset in zip(box, best, strict=True)]
        result.centres[index] = torch.as_tensor(centre)
        if wanted is None:
            result.ignored.logical_or_(region)
            _put_ball(result, index, available, centre, searched_mm / 2, spacing)
        else:
            radius_mm = searched_mm * (1 + margin) / 2
            _put_most_probable(result, index, probability, available, box, centre, radius_mm, wanted, spacing)
    return result


class _Counts(NamedTuple):
    core: int
    tumor: int
    halo: int


def _voxel_counts(volume_mm3: float, margin: float, spacing: Spacing) -> _Counts:
    core_mm3 = max(volume_mm3 * (1 - min(margin, LARGEST_CORE_MARGIN)), min(CORE_AT_LEAST_MM3, volume_mm3))
    voxel_mm3 = spacing[0] * spacing[1] * spacing[2]
    volumes_mm3 = (core_mm3, volume_mm3, volume_mm3 * (1 + margin))
    return _Counts(*(max(round(volume / voxel_mm3), 1) for volume in volumes_mm3))


def _put_ball(
    result: PseudoMask, index: int, available: Tensor, centre: Sequence[int], radius_mm: float, spacing: Spacing
) -> None:
    box = ball_box(centre, radius_mm, spacing, available.shape)
    squared = squared_distance_mm2(box, centre, spacing, available.device)
    inside = (squared <= (radius_mm * (1 + ROUNDING)) ** 2) & available[box]
    for mask in (result.core, result.tumor, result.halo):
        mask[box] |= inside
    result.label[box].masked_fill_(inside, index + 1)


def _put_most_probable(
    result: PseudoMask,
    index: int,
    probability: Tensor,
    available: Tensor,
    whole: Box,
    centre: Sequence[int],
    radius_mm: float,
    wanted: _Counts,
    spacing: Spacing,
) -> None:
    """Mark the most probable voxels of a ball that is grown until it holds the tumor or all that is available."""
    while True:
        box = ball_box(centre, radius_mm, spacing, available.shape)
        squared = squared_distance_mm2(box, centre, spacing, available.device)
        inside = (squared <= (radius_mm * (1 + ROUNDING)) ** 2) & available[box]
        room = int(inside.sum())
        if room >= wanted.tumor or room == int(available[whole].sum()):
            break
        radius_mm *= GROWTH
    voxels = inside.nonzero()
    voxels = voxels[squared[inside].argsort(stable=True)]  # ties in probability then fall to the nearest voxel
    x, y, z = voxels.T
    ranked = probability[box][x, y, z].argsort(descending=True, stable=True)
    for mask, count in ((result.core, wanted.core), (result.tumor, wanted.tumor), (result.halo, wanted.halo)):
        chosen = ranked[:count]
        mask[box][x[chosen], y[chosen], z[chosen]] = True
    chosen = ranked[: wanted.tumor]
    result.label[box][x[chosen], y[chosen], z[chosen]] = index + 1


def _no_centres(tumors: ReportedTumors, like: Tensor) -> Tensor:
    return torch.full((len(tumors.diameters_mm), 3), -1, dtype=torch.long, device=like.device)


def _unravelled(flat: int, shape: Sequence[int]) -> tuple[int, int, int]:
    return flat // (shape[1] * shape[2]), flat // shape[2] % shape[1], flat % shape[2]


def _listed(sizes: Sequence[float | None] | Tensor) -> list[float | None]:
    return [float(size) for size in sizes.flatten()] if isinstance(sizes, Tensor) else list(sizes)
