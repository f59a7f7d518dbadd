"""The part of a region that is still open to a tumor, cut to its box: what the placement works on.

For a CPU: values are read, so the work per tumor is a window around its centre. `side_by_side` comes to the same voxels
without reading any.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, log, prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rsuper_bench.baselines.losses.arguments import Spacing
from rsuper_bench.baselines.losses.balls import (
    ROUNDING,
    Box,
    correlate_around,
    correlate_spectrum,
    padded_shape,
    reach_of,
    squared_distance_mm2,
    whole,
    widened,
)

GROWTH = 1.1
WINDOW_GROWTHS = 3  # a ball that lacks voxels is looked for in a window wider by so many steps
FARTHEST_BITS = 0x7FFFFFFF  # of a float32


class Nested(NamedTuple):
    """Core, tumor and halo of one tumor in a window of the room."""

    window: Box
    core: Tensor
    tumor: Tensor
    halo: Tensor


@dataclass(eq=False)
class _Transformed:
    """The spectrum of the room as it was, scores made from it, and what was taken out of the room since.

    Attributes:
        padded: Sides of the transform.
        spectrum: Of the probability.
        scores: By diameter: the score, below 0 where a centre is not allowed, and how many removals it knows.
        removed: Window, voxels and their probability.
    """

    padded: tuple[int, int, int]
    spectrum: Tensor
    scores: dict[float, tuple[Tensor, int]] = field(default_factory=dict)
    removed: list[tuple[Box, Tensor, Tensor]] = field(default_factory=list)


class Room:
    """Where one region still has room.

    Args:
        probability: ``(x, y, z)`` floats in the box.
        allowed: ``(x, y, z)`` booleans in the box: the region within the slice band.
        spacing: Voxel lengths in mm.
        sigma_radii: Standard deviation of the Gaussian inside the searched ball, in radii.
    """

    def __init__(self, probability: Tensor, allowed: Tensor, spacing: Spacing, sigma_radii: float) -> None:
        self.free = allowed.clone()
        self.probability = probability.float() * number_of(allowed)
        self.spacing = spacing
        self.sigma_radii = sigma_radii
        self.count: Tensor = _count(self.free)
        self.first_count = self.count
        self._transformed: _Transformed | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sides of the box."""
        return (self.free.shape[0], self.free.shape[1], self.free.shape[2])

    def fits(self, needed: int) -> Tensor:
        """Whether a tumor of so many voxels, 0 where its size is unknown, still goes in: a boolean scalar.

        The first tumor may be larger than the room; after it, what is left is its rim.
        """
        return (self.count > 0) & ((self.count == self.first_count) | (self.count >= needed))

    def best_centre(self, diameter_mm: float) -> list[Tensor]:
        """Free voxel around which a Gaussian-weighted ball collects most probability: three scalar tensors."""
        score = self._score(diameter_mm)
        flat = torch.tensor(int(score.numpy().argmax()))
        _, rows, columns = self.shape
        return [flat // (rows * columns), flat // columns % rows, flat % columns]

    def ball(self, centre: list[Tensor], radius_mm: float) -> Nested:
        """The free voxels within a ball, as core, tumor and halo alike."""
        window = self._window(centre, radius_mm)
        inside = self.free[window] & (self._far(window, centre) <= squared_limit(radius_mm))
        return Nested(window, inside, inside, inside)

    def most_probable(self, centre: list[Tensor], radius_mm: float, counts: tuple[int, int, int]) -> Nested:
        """The most probable free voxels within a ball; equal ones by distance from the centre, then in grid order.

        A ball with fewer free voxels than the tumor grows by 10 % until it has them or holds all that is free.

        Args:
            centre: Of the ball.
            radius_mm: Its first radius.
            counts: Voxels of core, tumor and halo.
        """
        needed = counts[1]
        window = self._window(centre, radius_mm)
        far, free = self._far(window, centre), self.free[window]
        inside = free & (far <= squared_limit(radius_mm))
        wider = radius_mm
        while int(_count(inside)) < needed and window != whole(self.shape):
            wider *= GROWTH**WINDOW_GROWTHS
            window = self._window(centre, wider)
            far, free = self._far(window, centre), self.free[window]
            inside = free & (far <= squared_limit(wider))
        if wider > radius_mm or int(_count(inside)) < needed:
            inside = self._grown(free, far, radius_mm, needed)
        chosen = inside.view(-1).nonzero()[:, 0]
        rank = rank_keys(self.probability[window].reshape(-1)[chosen], far.view(-1)[chosen])
        masks = []
        for part in _highest(rank, counts):
            mask = torch.zeros(inside.shape, dtype=torch.bool)
            mask.view(-1)[chosen[part]] = True
            masks.append(mask)
        return Nested(window, *masks)

    def close(self, window: Box, taken: Tensor) -> None:
        """Take the voxels of a mask in a window of the room out of it."""
        kept = ~taken
        lost = taken & self.free[window]
        if not bool(lost.any()):
            return
        if self._transformed is not None:
            self._transformed.removed.append((window, lost, self.probability[window] * number_of(lost)))
        self.free[window] &= kept
        self.probability[window] *= number_of(kept)
        self.count = _count(self.free)

    def _grown(self, free: Tensor, far: Tensor, radius_mm: float, needed: int) -> Tensor:
        """Free voxels within the smallest of the radii r, 1.1 r, 1.21 r, ... that holds enough; else all."""
        extent_mm = sum((size * length) ** 2 for size, length in zip(self.shape, self.spacing, strict=True)) ** 0.5
        steps = max(int(log(max(extent_mm / radius_mm, 1)) / log(GROWTH)) + 2, 1)
        limits = [squared_limit(radius_mm * GROWTH**step) for step in range(steps)] + [inf]
        reached = torch.where(free, far, inf)
        farthest = _smallest(reached, needed)
        ladder = torch.tensor(limits)
        limit = ladder[torch.searchsorted(ladder, farthest).clamp(max=steps)]
        return free & (far <= limit)

    def _far(self, window: Box, centre: list[Tensor]) -> Tensor:
        inside = [middle - part.start for middle, part in zip(centre, window, strict=True)]
        return squared_distance_mm2([part.stop - part.start for part in window], inside, self.spacing)

    def _window(self, centre: list[Tensor], radius_mm: float) -> Box:
        reach = reach_of(radius_mm, self.spacing)
        return widened([slice(int(middle), int(middle) + 1) for middle in centre], reach, self.shape)

    def _score(self, diameter_mm: float) -> Tensor:
        """Weighted sum of probability around every voxel, below 0 where a centre is not allowed.

        One transform serves all tumors of a room: a second tumor of one diameter takes from the score of the
        first what that took from the room, in a window; another diameter costs half a round trip.
        """
        reach = reach_of(diameter_mm / 2, self.spacing)
        known = self._transformed
        padded = padded_shape(self.probability, diameter_mm, self.spacing)
        if known is None or any(has < asks for has, asks in zip(known.padded, padded, strict=True)):
            known = _Transformed(padded, torch.fft.rfftn(self.probability, s=padded))
            self._transformed = known
        options = {"sigma_radii": self.sigma_radii}
        score, done = known.scores.get(diameter_mm, (None, 0))
        late = known.removed[done:]
        effort = sum(_voxels(widened(box, reach, self.shape)) for box, *_ in late)
        if effort > _voxels(whole(self.shape)) * (0.5 if score is None else 1):
            known = _Transformed(known.padded, torch.fft.rfftn(self.probability, s=known.padded))
            self._transformed, score, late = known, None, []
        if score is None:
            sums = correlate_spectrum(known.spectrum, self.shape, known.padded, diameter_mm, self.spacing, **options)
            score = masked_score(sums, number_of(self.free))
        for box, taken, values in late:
            around = widened(box, reach, self.shape)
            lost = correlate_around(values, diameter_mm, self.spacing, **options)
            inner = [
                slice(a.start - b.start + r, a.stop - b.start + r) for a, b, r in zip(around, box, reach, strict=True)
            ]
            score[around] -= lost[inner[0], inner[1], inner[2]]
            score[box].masked_fill_(taken, -1)
        known.scores[diameter_mm] = (score, len(known.removed))
        return score


def masked_score(score: Tensor, free: Tensor) -> Tensor:
    """A score that is not negative, with -1 where ``free`` is 0, not 1."""
    return torch.mul(score, free).add_(free).sub_(1)


def squared_limit(radius_mm: float) -> float:
    """Squared radius with the slack of `balls.ROUNDING`."""
    return (radius_mm * (1 + ROUNDING)) ** 2


def _voxels(box: Box) -> int:
    return prod(int(part.stop - part.start) for part in box)


def number_of(mask: Tensor) -> Tensor:
    """Booleans as float32; the conversion from bytes is several times faster than from booleans."""
    return mask.contiguous().view(torch.uint8).float()


def _count(mask: Tensor) -> Tensor:
    return torch.tensor(int(np.count_nonzero(mask.numpy())))


def rank_keys(probability: Tensor, far: Tensor) -> Tensor:
    """One integer a voxel that rises with probability and, where that is equal, falls with distance.

    The bits of floats that are not negative sort like the floats.
    """
    key = probability.contiguous().view(torch.int32).long() << 32
    return key.add_(FARTHEST_BITS).sub_(far.contiguous().view(torch.int32))


def _highest(keys: Tensor, counts: tuple[int, int, int]) -> list[Tensor]:
    """Masks of the highest keys, one for each count; equal keys in order. All if there are too few."""
    masks = []
    ends = [len(keys) - count for count in counts if 0 < count < len(keys)]
    ranked = torch.from_numpy(np.partition(keys.numpy(), ends)) if ends else keys
    for count in counts:
        if count >= len(keys):
            masks.append(torch.ones_like(keys, dtype=torch.bool))
            continue
        last = ranked[len(keys) - count]
        above, level = keys > last, keys == last
        left = count - _count(above)
        if int(_count(level)) == int(left):
            masks.append(above.logical_or_(level))
        else:
            masks.append(above | (level & (level.cumsum(0) <= left)))
    return masks


def _smallest(values: Tensor, rank: int) -> Tensor:
    """The value of a rank counted from 1; infinite beyond the last."""
    flat = values.reshape(-1)
    if rank > len(flat):
        return flat.new_full((), inf)
    return torch.from_numpy(np.partition(flat.numpy(), rank - 1))[rank - 1]
