"""Overlapping windows over a case, blended slab by slab: memory follows the cross-section and not the length of a CT.

Positions and blending weights are MONAI's (`dense_patch_slices`, `compute_importance_map`), and the result is that of
its `sliding_window_inference`. That function holds every channel of the whole volume at once: 15 GB for 14 tumor types
and their organs on 410 x 410 x 800 voxels. Here a slab is handed on as soon as no later window touches it, and windows
are cut out of the prepared case one at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby, islice
from math import prod

import numpy as np
import torch
from monai.data.utils import compute_importance_map, dense_patch_slices
from numpy.typing import NDArray
from torch import Tensor

OVERLAP = 0.5
WINDOWS = 4  # at a time: on a CPU four take less time than one alone, in 3-D convolutions with channels last
BATCH_VOXELS = 128**3  # but no more than this, which keeps a GPU busy: the channels of a window are many

Voxel = tuple[int, int, int]


def window_origins(shape: Voxel, crop: Voxel, overlap: float = OVERLAP) -> list[Voxel]:
    """First voxel of every window, by the last axis; negative where a case shorter than a window is centred in it."""
    padded = [max(length, side) for length, side in zip(shape, crop, strict=True)]
    steps = [
        side if side == length else max(int(side * (1 - overlap)), 1) for side, length in zip(crop, padded, strict=True)
    ]
    before = [(long - length) // 2 for long, length in zip(padded, shape, strict=True)]
    found = [
        tuple(int(part.start) - shift for part, shift in zip(slices, before, strict=True))
        for slices in dense_patch_slices(padded, crop, steps)
    ]
    return sorted(((x, y, z) for x, y, z in found), key=lambda origin: (origin[2], origin[0], origin[1]))


class GrowingBox:
    """The box of an organ, found slab by slab; ``low`` and ``high`` are its first and past-the-last voxel."""

    def __init__(self, low: Voxel | None = None, high: Voxel | None = None) -> None:
        self.low, self.high = low, high

    @classmethod
    def around(cls, boxes: Iterable[tuple[Voxel, Voxel]]) -> GrowingBox:
        """The box of several."""
        box = cls()
        for low, high in boxes:
            box._include(low, high)
        return box

    def add(self, first: int, inside: NDArray[np.bool_]) -> None:
        """Include the voxels of ``(X, Y, slices)`` from slice ``first`` on."""
        hit = [
            np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)
        ]
        if len(hit[0]):
            (x0, y0, z0), (x1, y1, z1) = [int(h[0]) for h in hit], [int(h[-1]) + 1 for h in hit]
            self._include((x0, y0, first + z0), (x1, y1, first + z1))

    def windows(self, shape: Voxel, crop: Voxel) -> list[Voxel]:
        """Origins of crops that show the whole organ together: one around its centre where it fits into one."""
        if self.low is None or self.high is None:
            return []
        size = [max(high - low, side) for low, high, side in zip(self.low, self.high, crop, strict=True)]
        start = []
        for low, high, wide, length in zip(self.low, self.high, size, shape, strict=True):
            centred = (low + high - wide) // 2
            start.append((length - wide) // 2 if length <= wide else min(max(centred, 0), length - wide))
        x, y, z = size
        return [(start[0] + i, start[1] + j, start[2] + k) for i, j, k in window_origins((x, y, z), crop)]

    def _include(self, low: Voxel, high: Voxel) -> None:
        a, b = self.low or low, self.high or high
        self.low = (min(a[0], low[0]), min(a[1], low[1]), min(a[2], low[2]))
        self.high = (max(b[0], high[0]), max(b[1], high[1]), max(b[2], high[2]))


@torch.inference_mode()
def blended_slabs(
    shape: Voxel,
    crop: Voxel,
    window: Callable[[Voxel], Tensor | None],
    network: Callable[[Tensor], Tensor],
    *,
    device: torch.device,
) -> Iterator[tuple[int, Tensor]]:
    """Run a network over overlapping windows and hand on the blended result slab after slab.

    Args:
        shape: Voxels of the case.
        crop: Voxels of a window.
        window: Origin -> ``(I, *crop)`` what the network sees there; None where nothing of the result is wanted.
        network: ``(B, I, *crop)`` -> ``(B, C, *crop)`` values to blend, a new tensor that is overwritten.
        device: Where the network computes; a slab of all channels is held there.

    Yields:
        First slice, and ``(C, X, Y, slices)`` float32, a view that the next slab overwrites; 0 where no window was
        wanted. Together the slabs cover the case. Nothing at all when no window is wanted.
    """
    weight = compute_importance_map(crop, mode="gaussian", device=device)
    at_once = min(max(BATCH_VOXELS // prod(crop), 1), WINDOWS)
    rows = [(z, list(row)) for z, row in groupby(window_origins(shape, crop), key=lambda origin: origin[2])]
    sums: Tensor | None = None
    weights = torch.zeros(*shape[:2], crop[2], device=device)
    for number, (z, row) in enumerate(rows):
        for origin, values in _results(row, window, network, at_once, device):
            if sums is None:
                sums = torch.zeros(values.shape[0], *shape[:2], crop[2], device=device)
            inside, part = _overlap(origin, shape, crop)
            sums[:, inside[0], inside[1]] += values.mul_(weight)[:, part[0], part[1]]
            weights[inside[0], inside[1]] += weight[part[0], part[1]]
        done = crop[2] if number + 1 == len(rows) else rows[number + 1][0] - z
        first, last = max(z, 0), min(z + done, shape[2])
        if sums is None:
            continue
        slab = sums[..., first - z : last - z]
        yield first, slab.div_(weights[..., first - z : last - z].clamp(min=torch.finfo(torch.float32).tiny))
        _move_up(sums, done)
        _move_up(weights, done)


def _results(
    origins: Sequence[Voxel],
    window: Callable[[Voxel], Tensor | None],
    network: Callable[[Tensor], Tensor],
    at_once: int,
    device: torch.device,
) -> Iterator[tuple[Voxel, Tensor]]:
    """What the network says of each wanted window, in order."""
    with ThreadPoolExecutor(1) as pool:
        wanted = ((origin, image) for origin, image in _read_ahead(origins, window, pool) if image is not None)
        while batch := list(islice(wanted, at_once)):
            values = network(torch.stack([image for _, image in batch]).to(device)).float()
            yield from zip([origin for origin, _ in batch], values, strict=True)


def _read_ahead(
    origins: Sequence[Voxel], window: Callable[[Voxel], Tensor | None], pool: ThreadPoolExecutor
) -> Iterator[tuple[Voxel, Tensor | None]]:
    """Windows in order, cut out while the network computes."""
    ahead: deque[tuple[Voxel, Future[Tensor | None]]] = deque()
    for origin in origins:
        ahead.append((origin, pool.submit(window, origin)))
        if len(ahead) > WINDOWS:
            first, future = ahead.popleft()
            yield first, future.result()
    for first, future in ahead:
        yield first, future.result()


def _overlap(origin: Voxel, shape: Voxel, crop: Voxel) -> tuple[list[slice], list[slice]]:
    """The part of a case that a window covers: along x and y in voxels of the case, and in voxels of the window."""
    inside = [slice(max(o, 0), min(o + c, n)) for o, c, n in zip(origin, crop, shape, strict=True)]
    return inside, [slice(span.start - o, span.stop - o) for o, span in zip(origin, inside, strict=True)]


def _move_up(buffer: Tensor, done: int) -> None:
    """Drop the first slices in place, without a second buffer."""
    depth = buffer.shape[-1]
    for start in range(0, depth - done, done):
        stop = min(start + done, depth - done)
        buffer[..., start:stop] = buffer[..., start + done : stop + done]
    buffer[..., max(depth - done, 0) :] = 0
