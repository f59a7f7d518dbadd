"""What a network sees of a case: the CT, and on request the organs and the CT relative to each organ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.baselines.store import CaseIndex
from rsuper_bench.benchmark.release import LabelMap
from rsuper_bench.benchmark.tumor_types import region_labels

LARGEST_DEVIATION = 6.0
LABELS = 256  # of a byte


def input_channels(recipe: Recipe) -> int:
    """Channels of :func:`network_image`."""
    return 2 + len(recipe.tumor_types) if recipe.organ_input else 1


@dataclass(frozen=True, eq=False)
class Looks:
    """How some cases are shown to a network: by statistics of the whole case, so a crop looks as it does in the case.

    Attributes:
        mean_hu: ``(B,)`` of the case.
        std_hu: ``(B,)`` of the case.
        organ_hu: ``(B, 2, 256)`` median and deviation of each organ label; None without ``organ_input``.
        organs: ``(B, C, 256)`` which labels are the organ of each tumor type; None without ``organ_input``.
    """

    mean_hu: Tensor
    std_hu: Tensor
    organ_hu: Tensor | None = None
    organs: Tensor | None = None

    @classmethod
    def of(cls, index: CaseIndex, label_map: LabelMap, recipe: Recipe) -> Looks:
        """How one case is shown."""
        mean_hu, std_hu = torch.tensor([index.mean_hu]), torch.tensor([index.std_hu])
        if not recipe.organ_input:
            return cls(mean_hu, std_hu)
        organ_hu = torch.zeros(1, 2, LABELS)
        organ_hu[:, 1] = 1
        for number, spread in index.organ_hu.items():
            organ_hu[0, :, number] = torch.tensor(spread)
        labels = np.arange(LABELS, dtype=np.uint8)
        return cls(mean_hu, std_hu, organ_hu, torch.from_numpy(organ_masks(labels, index, label_map, recipe))[None])

    @classmethod
    def stack(cls, items: Sequence[Looks]) -> Looks:
        """Join cases into a batch."""
        columns = [[getattr(item, field.name) for item in items] for field in fields(cls)]
        return cls(*(None if column[0] is None else torch.cat(column) for column in columns))  # type: ignore[arg-type]

    def map(self, change: Callable[[Tensor], Tensor]) -> Looks:
        """The same with every tensor changed, by a move to a device for example."""
        values = [getattr(self, field.name) for field in fields(self)]
        return Looks(*(None if value is None else change(value) for value in values))  # type: ignore[arg-type]


def network_input(
    hu: NDArray[Any], organs: NDArray[Any], index: CaseIndex, label_map: LabelMap, recipe: Recipe
) -> Tensor:
    """``(I, X, Y, Z)`` of :func:`network_image` for one case or crop in memory.

    Args:
        hu: ``(X, Y, Z)`` clipped HU.
        organs: Same shape, organ labels.
        index: Statistics of the whole case.
        label_map: Names of the organ labels.
        recipe: Its tumor types and ``organ_input``.
    """
    looks = Looks.of(index, label_map, recipe)
    return network_image(
        torch.from_numpy(hu.astype(np.float32))[None, None], torch.from_numpy(organs)[None, None], looks
    )[0]


def network_image(hu: Tensor, organs: Tensor, looks: Looks) -> Tensor:
    """``(B, I, X, Y, Z)``: z-scored CT; with ``organ_input`` the CT relative to its organ and the organ masks follow.

    The relative CT is what "hypo" and "hyper" mean in a report: in each organ the distance of a voxel from the organ's
    median, in deviations of the organ (a robust estimate, which a tumor hardly moves), cut at 6 and
    halved; 0 elsewhere. Normalisation layers scale a network's input by all the tissue in view, and a tumor is a small
    step in that: with this channel a few dozen steps teach what takes many hundreds without it.

    Args:
        hu: ``(B, 1, X, Y, Z)`` float32.
        organs: Same shape, uint8 labels.
        looks: On the same device; nothing is read back from it.
    """
    each = (-1, 1, 1, 1, 1)
    image = (hu - looks.mean_hu.view(each)) / looks.std_hu.view(each)
    if looks.organ_hu is None or looks.organs is None:
        return image
    shown = []
    for number, (median_and_deviation, member) in enumerate(zip(looks.organ_hu, looks.organs, strict=True)):
        labels = organs[number].int().flatten()
        masks = member.index_select(1, labels).view(-1, *hu.shape[2:])
        median, deviation = median_and_deviation.index_select(1, labels).view(2, *hu.shape[2:])
        relative = torch.where(masks.any(0), (hu[number, 0] - median) / deviation, 0.0)
        relative = relative.clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION) / 2
        shown.append(torch.cat([image[number], relative[None], masks.float()]))
    return torch.stack(shown)


def organ_masks(organs: NDArray[Any], index: CaseIndex, label_map: LabelMap, recipe: Recipe) -> NDArray[np.bool_]:
    """``(C, X, Y, Z)``: the organ of every tumor type of a recipe, empty where the case does not show it."""
    return np.stack([np.isin(organs, numbers) for numbers in organ_numbers(index, label_map, recipe)])


def organ_numbers(index: CaseIndex, label_map: LabelMap, recipe: Recipe) -> list[list[int]]:
    """For every tumor type of a recipe the organ labels of a case that make up its organ; none if it has none."""
    numbers = {name: number for number, name in label_map.organs.items()}
    shown = [name for name in index.record.organ_labels if name in numbers]
    return [[numbers[name] for name in region_labels(kind, shown)] for kind in recipe.tumor_types]
