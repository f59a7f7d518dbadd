"""The structure of an organ, taken from the organ itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rsuper_bench.dataset_builder.lesions.organ_map import OrganMap
from rsuper_bench.dataset_builder.lesions.shape import Slices

_RESIDUAL_MM = 6.0  # structure is what a blur of this width takes away
_OUTLIER = 2.5  # robust standard deviations; beyond lie vessels, stones, metal and the organ's edge
_PLACES_TRIED = 12
_MIN_VOXELS = 30


class ResidualTexture:
    """What a blur inside each organ takes away, copied from another place of the same organ.

    An organ without a structure of its own (lung, or one too small) lends that of the quietest organ.

    Args:
        hu: The image.
        organs: Organ labels.
        lenders: Labels whose structure may be copied.
    """

    def __init__(self, hu: NDArray[np.float32], organs: OrganMap, lenders: Sequence[int]) -> None:
        self._labels = organs.labels.copy()  # lesions change the labels of a case, not where its texture comes from
        self._boxes: Mapping[int, Slices] = dict(organs.boxes)
        self._residual = np.zeros(hu.shape, np.float32)
        self._spread: dict[int, float] = {}
        for number in lenders:
            box = organs.boxes[number]
            region = self._labels[box] == number
            if region.sum() < _MIN_VOXELS:
                continue
            residual = _residual(hu[box], region, [_RESIDUAL_MM / step for step in organs.spacing_mm])
            self._residual[box][region] = residual[region]
            self._spread[number] = float(residual[region].std())

    def patch(self, box: Slices, organ: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Structure for a box: of some places tried, the one that lies most inside the organ; gaps are drawn."""
        shape = [side.stop - side.start for side in box]
        if not self._spread:
            return np.zeros(shape, np.float32)
        source = organ if organ in self._spread else min(self._spread, key=lambda number: self._spread[number])
        home = self._boxes[source]
        region, residual = self._labels[home] == source, self._residual[home]
        inside = np.argwhere(region)
        filled = rng.choice(residual[region], size=shape)
        best = 0
        for _ in range(_PLACES_TRIED):
            corner = inside[int(rng.integers(len(inside)))] - np.array(shape) // 2
            there = tuple(slice(max(c, 0), min(c + n, m)) for c, n, m in zip(corner, shape, region.shape, strict=True))
            covered = region[there]
            if covered.sum() > best:
                best = int(covered.sum())
                here = tuple(slice(s.start - c, s.stop - c) for s, c in zip(there, corner, strict=True))
                place, target, kept = there, here, covered
        filled[target] = np.where(kept, residual[place], filled[target])
        return np.asarray(filled - filled.mean(), dtype=np.float32)


def _residual(hu: NDArray[np.float32], region: NDArray[np.bool_], sigmas: list[float]) -> NDArray[np.float32]:
    """Image minus its blur over the region alone, cut at the outliers."""
    weight = ndimage.gaussian_filter(region.astype(np.float32), sigmas)
    smooth = ndimage.gaussian_filter(np.where(region, hu, np.float32(0)), sigmas) / np.maximum(weight, 1e-3)
    residual = hu - smooth
    limit = _OUTLIER * 1.4826 * float(np.median(np.abs(residual[region])))
    return np.asarray(np.clip(residual, -limit, limit), dtype=np.float32)
