"""Tumor candidates of a probability map: separate bright places, each with a confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.box import Box, box_of
from rsuper_bench.benchmark.components import components

LEVELS = (0.5, 0.4, 0.3, 0.2, 0.1, 0.05)
MAX_CANDIDATES = 200  # of one case and type; a map with more is not a prediction that anyone reads
_ROUNDING = 1e-5  # uint8 maps scaled by 1 / 255, and float32


@dataclass(frozen=True)
class Candidates:
    """Candidates of one map, the most confident first.

    Attributes:
        labels: ``(X, Y, Z)`` of the box: 0 or 1 + index of the candidate.
        box: Part of the map that holds them; None where there are none.
        confidence: ``(N,)`` highest probability of each, falling.
        dropped: How many more there were than :data:`MAX_CANDIDATES`.
    """

    labels: NDArray[np.uint32]
    box: Box | None
    confidence: NDArray[np.float64]
    dropped: int = 0


NONE = Candidates(np.zeros((0, 0, 0), np.uint32), None, np.zeros(0))


def find_candidates(probability: NDArray[Any]) -> Candidates:
    """Split a map into candidates.

    A candidate is a 26-connected component of the voxels at or above a level, whose maximum is at least twice that
    level and less than twice the next higher one; levels are 0.5, 0.4, 0.3, 0.2, 0.1 and 0.05. So a candidate
    reaches down to about half its maximum, two peaks are two candidates where the probability between them falls
    below that of the lower one, and what stays below 0.1 is none. No two candidates share a voxel, and the order of
    voxels does not matter. A binary mask gives its components, with confidence 1.

    Args:
        probability: ``(X, Y, Z)`` in [0, 1].
    """
    box = box_of(probability >= LEVELS[-1] - _ROUNDING)
    if box is None:
        return NONE
    part = probability[box]
    found = np.zeros(part.shape, dtype=np.uint32)
    peaks = [np.zeros(1)]
    count = 0
    for index, level in enumerate(LEVELS):
        above = part >= level - _ROUNDING
        inner = box_of(above)
        if inner is None:
            continue
        labels, n = components(above[inner])
        voxels = np.flatnonzero(labels)
        of_voxel = labels.reshape(-1)[voxels]
        peak = np.zeros(n + 1, dtype=np.float64)
        np.maximum.at(peak, of_voxel, part[inner].reshape(-1)[voxels].astype(np.float64))
        ceiling = 2 * LEVELS[index - 1] if index else np.inf
        fits = (peak >= 2 * (level - _ROUNDING)) & (peak < ceiling - 2 * _ROUNDING)
        numbers = np.zeros(n + 1, dtype=np.uint32)
        numbers[fits] = count + 1 + np.arange(int(fits.sum()))
        chosen = numbers[labels]
        view = found[inner]
        view[chosen > 0] = chosen[chosen > 0]
        peaks.append(peak[fits])
        count += int(fits.sum())
    return _most_confident(found, box, np.clip(np.concatenate(peaks), 0, 1))


def _most_confident(found: NDArray[np.uint32], box: Box, peak: NDArray[np.float64]) -> Candidates:
    """Number candidates by falling confidence, then size, then place of the first voxel."""
    n = len(peak) - 1
    if not n:
        return NONE
    voxels = np.flatnonzero(found)
    of_voxel = found.reshape(-1)[voxels]
    size = np.bincount(of_voxel, minlength=n + 1)
    first = np.full(n + 1, found.size, dtype=np.int64)
    np.minimum.at(first, of_voxel, voxels)
    order = 1 + np.lexsort((first[1:], -size[1:], -peak[1:]))
    kept = order[:MAX_CANDIDATES]
    numbers = np.zeros(n + 1, dtype=np.uint32)
    numbers[kept] = 1 + np.arange(len(kept))
    return Candidates(numbers[found], box, peak[kept], n - len(kept))
