"""Dilation by a ball on a CPU: 64 voxels of a column are the bits of one integer.

Exact for any spacing, an order of magnitude faster than a Fourier product, and it needs an eighth of a byte a voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

WORD = 64
Words = NDArray[np.uint64]


def dilate_packed(mask: NDArray[np.bool_], radius_mm: float, spacing_mm: Sequence[float]) -> NDArray[np.bool_]:
    """Every voxel whose centre lies within a radius of that of a true voxel.

    Args:
        mask: ``(X, Y, Z)``.
        radius_mm: Radius of the ball.
        spacing_mm: Voxel lengths.

    Returns:
        Same shape.
    """
    length = mask.shape[2]
    words = _packed(mask)
    reach_x, reach_y = (int(radius_mm / step) for step in spacing_mm[:2])
    half_lengths = {
        (dx, dy): _half_length(radius_mm, dx * spacing_mm[0], dy * spacing_mm[1], spacing_mm[2])
        for dx in range(min(reach_x, mask.shape[0] - 1) + 1)
        for dy in range(min(reach_y, mask.shape[1] - 1) + 1)
    }
    levels = _grown_columns(words, max(half_lengths.values()))
    result = np.zeros_like(words)
    for dx in range(min(reach_x, mask.shape[0] - 1) + 1):
        plane = np.zeros_like(words)
        for dy in range(min(reach_y, mask.shape[1] - 1) + 1):
            half = half_lengths[dx, dy]
            if half < 0:
                break
            level = levels[min(half, len(levels) - 1)]
            _or_shifted(plane, level, dy, axis=1)
        _or_shifted(result, plane, dx, axis=0)
    return np.unpackbits(result.view(np.uint8), axis=-1, count=length, bitorder="little").astype(bool, copy=False)


def _half_length(radius: float, x: float, y: float, step: float) -> int:
    """Voxels that a column of the ball reaches up and down; -1 outside the ball."""
    left = radius * radius - x * x - y * y
    return int(sqrt(left) / step) if left >= 0 else -1


def _packed(mask: NDArray[np.bool_]) -> Words:
    count = -(-mask.shape[2] // WORD)
    bits = np.packbits(mask, axis=-1, bitorder="little")
    whole = np.zeros((*mask.shape[:2], count * WORD // 8), dtype=np.uint8)
    whole[..., : bits.shape[-1]] = bits
    return whole.view(np.dtype("<u8"))


def _grown_columns(words: Words, most: int) -> list[Words]:
    """The columns grown by 0 ... most voxels up and down; fewer when growing changes nothing any more."""
    levels = [words]
    one, last = np.uint64(1), np.uint64(WORD - 1)
    for _ in range(min(most, words.shape[-1] * WORD)):
        before = levels[-1]
        grown = before | (before << one) | (before >> one)
        if words.shape[-1] > 1:
            grown[..., 1:] |= before[..., :-1] >> last
            grown[..., :-1] |= before[..., 1:] << last
        levels.append(grown)
    return levels


def _or_shifted(into: Words, words: Words, by: int, *, axis: int) -> None:
    """Merge the words moved by some places both ways along the first or second axis."""
    if by == 0:
        np.bitwise_or(into, words, out=into)
        return
    head, tail = (slice(None),) * axis + (slice(by, None),), (slice(None),) * axis + (slice(None, -by),)
    np.bitwise_or(into[head], words[tail], out=into[head])
    np.bitwise_or(into[tail], words[head], out=into[tail])
