"""What a network sees of a case: the CT, and on request the organs and the CT relative to each organ."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsuper_bench.baselines.prepare import CaseIndex
from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.benchmark.release import LabelMap
from rsuper_bench.benchmark.tumor_types import region_labels

LARGEST_DEVIATION = 6.0


def input_channels(recipe: Recipe) -> int:
    """Channels of :func:`network_input`."""
    return 2 + len(recipe.tumor_types) if recipe.organ_input else 1


def network_input(
    hu: NDArray[Any], organs: NDArray[Any], index: CaseIndex, label_map: LabelMap, recipe: Recipe
) -> Tensor:
    """``(1, X, Y, Z)`` z-scored CT; with ``organ_input`` the CT relative to its organ and the organ masks follow.

    The relative CT is what "hypo" and "hyper" mean in a report: in each organ the distance of a voxel from the organ's
    median, in deviations of the organ (a robust estimate, which a tumor hardly moves), cut at 6 and
    halved; 0 elsewhere. Normalisation layers scale a network's input by all the tissue in view, and a tumor is a small
    step in that: with this channel a few dozen steps teach what takes many hundreds without it.

    Args:
        hu: ``(X, Y, Z)`` clipped HU of a case or a crop.
        organs: Same shape, organ labels.
        index: Statistics of the whole case, so that a crop looks as it does in the case.
        label_map: Names of the organ labels.
        recipe: Its tumor types and ``organ_input``.
    """
    image = normalised(hu, index)
    if not recipe.organ_input:
        return torch.from_numpy(image)[None]
    masks = organ_masks(organs, index, label_map, recipe)
    relative = np.zeros_like(image)
    for number in np.unique(organs[masks.any(0)]).tolist():
        inside = organs == number
        median, deviation = index.organ_hu[number]
        relative[inside] = (hu[inside] - np.float32(median)) / np.float32(deviation)
    shown = (relative.clip(-LARGEST_DEVIATION, LARGEST_DEVIATION) / 2).astype(np.float32)
    return torch.from_numpy(np.stack([image, shown, *masks.astype(np.float32)]))


def normalised(hu: NDArray[Any], index: CaseIndex) -> NDArray[np.float32]:
    """Clipped HU z-scored with the mean and standard deviation of the whole case."""
    return ((hu.astype(np.float32) - index.mean_hu) / index.std_hu).astype(np.float32)


def organ_masks(organs: NDArray[Any], index: CaseIndex, label_map: LabelMap, recipe: Recipe) -> NDArray[np.bool_]:
    """``(C, X, Y, Z)``: the organ of every tumor type of a recipe, empty where the case does not show it."""
    return np.stack([np.isin(organs, numbers) for numbers in organ_numbers(index, label_map, recipe)])


def organ_numbers(index: CaseIndex, label_map: LabelMap, recipe: Recipe) -> list[list[int]]:
    """For every tumor type of a recipe the organ labels of a case that make up its organ; none if it has none."""
    numbers = {name: number for number, name in label_map.organs.items()}
    shown = [name for name in index.record.organ_labels if name in numbers]
    return [[numbers[name] for name in region_labels(kind, shown)] for kind in recipe.tumor_types]
