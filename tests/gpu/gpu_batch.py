"""A synthetic batch for measuring: organs as ellipsoids, drawn through the same code as training crops."""

from __future__ import annotations

from dataclasses import replace
from math import pi

import numpy as np
import torch

from rsuper_bench.baselines.augment import Change
from rsuper_bench.baselines.batch import Batch
from rsuper_bench.baselines.crop_targets import CropView, draw_targets, stack
from rsuper_bench.baselines.inputs import Looks
from rsuper_bench.baselines.recipe import Recipe, load_recipe
from rsuper_bench.baselines.targets import ChannelLabel, Known, Tumor
from rsuper_bench.benchmark.records import Attenuation, Phase

TYPES = ("liver", "kidney", "pancreas", "spleen", "stomach", "colon", "gallbladder", "duodenum", "esophagus", "adrenal")
# Centre and radii of each organ in parts of the crop; none is cut by it.
ORGANS = (
    ((0.30, 0.45, 0.68), (0.26, 0.30, 0.24)),
    ((0.25, 0.70, 0.24), (0.13, 0.14, 0.18)),
    ((0.60, 0.52, 0.52), (0.20, 0.08, 0.08)),
    ((0.84, 0.66, 0.72), (0.13, 0.15, 0.16)),
    ((0.74, 0.30, 0.74), (0.17, 0.16, 0.16)),
    ((0.72, 0.30, 0.24), (0.20, 0.18, 0.16)),
    ((0.42, 0.16, 0.48), (0.09, 0.09, 0.10)),
    ((0.47, 0.38, 0.36), (0.09, 0.10, 0.13)),
    ((0.58, 0.72, 0.84), (0.06, 0.06, 0.14)),
    ((0.50, 0.72, 0.52), (0.08, 0.06, 0.07)),
)
# Tumors of the report case, by type: diameters in parts of the crop; None is a tumor without a size. Ten in all.
REPORTED = {"liver": (0.3, 0.2, 0.12, 0.08), "kidney": (0.22, 0.1), "pancreas": (0.12,), "spleen": (0.15,)} | {
    "stomach": (None,),
    "colon": (None,),
}


def recipe_for(objective: str, size: int, width: int) -> Recipe:
    """A full recipe with ten lesion channels and cubic crops."""
    changes = [f"tumor_types=[{', '.join(TYPES)}]", f"crop=[{size}, {size}, {size}]", f"network.options.width={width}"]
    return load_recipe(objective, changes)


def synthetic_batch(
    recipe: Recipe, pools: tuple[str, ...], *, seed: int = 0, changes: tuple[Change, ...] | None = None
) -> Batch:
    """One crop a pool. A mask case shows tumors in liver and kidney; a report case states ten, in six organs."""
    changes = changes or (Change(),) * len(pools)
    size = recipe.crop[0]
    rng = np.random.default_rng(seed)
    organs = _ellipsoids(size, ORGANS)
    numbers = {kind: number for number, kind in enumerate(recipe.tumor_types, 1)}
    lesions = np.zeros_like(organs)
    for number, place in ((1, ((0.3, 0.45, 0.68), (0.1, 0.1, 0.1))), (2, ((0.25, 0.7, 0.24), (0.06, 0.06, 0.06)))):
        lesions[_ellipsoids(size, (place,)) > 0] = number
    places = {number: np.nonzero(organs == number) for number in numbers.values()}
    voxels = {number: len(place[0]) for number, place in places.items()}
    boxes = {
        number: (tuple(int(axis.min()) for axis in place), tuple(int(axis.max()) + 1 for axis in place))
        for number, place in places.items()
    }
    images, hus, targets = [], [], []
    for pool, change in zip(pools, changes, strict=True):
        hu = np.where(organs > 0, 100, -50) + rng.normal(0, 15, organs.shape)
        hu = np.where(lesions > 0, hu - 40, hu).astype(np.int16)
        drawn = draw_targets(
            _mask_labels(numbers) if pool == "masks" else _report_labels(numbers, size),
            organs,
            lesions if pool == "masks" else None,
            lesion_numbers=numbers,
            view=CropView(voxels, boxes, (0, 0, 0), recipe.crop, recipe.grid_mm, change.turn),
            hu=hu,
            phase=Phase.PORTAL_VENOUS,
            recipe=recipe,
        )
        hus.append(torch.from_numpy(hu.astype(np.float32))[None])
        images.append((hus[-1] - 50) / 100)
        targets.append(drawn)
    case_ids = tuple((f"case-{index}", pool) for index, pool in enumerate(pools))
    labels = torch.from_numpy(organs)[None, None].repeat(len(pools), 1, 1, 1, 1)
    looks = Looks(torch.full((len(pools),), 50.0), torch.full((len(pools),), 100.0))
    images, hu, spacing = torch.stack(images), torch.stack(hus), (recipe.grid_mm,) * 3
    return Batch(images, hu, stack(targets), spacing, case_ids, labels, looks, changes, recipe.window_hu[0])


def _ellipsoids(size: int, places: tuple) -> np.ndarray:
    axis = (np.arange(size) + 0.5) / size
    drawn = np.zeros((size, size, size), dtype=np.uint8)
    for number, (centre, radii) in enumerate(places, 1):
        x, y, z = (((axis - middle) / radius) ** 2 for middle, radius in zip(centre, radii, strict=True))
        drawn[(x[:, None, None] + y[None, :, None] + z[None, None, :] <= 1) & (drawn == 0)] = number
    return drawn


def _mask_labels(numbers: dict) -> list[ChannelLabel]:
    return [ChannelLabel(Known.MASK, organ=(number,)) for number in numbers.values()]


def _report_labels(numbers: dict, size: int) -> list[ChannelLabel]:
    labels = []
    for kind, number in numbers.items():
        label = ChannelLabel(Known.ABSENT, organ=(number,))
        if sizes := REPORTED.get(kind):
            tumors = tuple(_tumor(number, None if part is None else part * size) for part in sizes)
            label = replace(label, known=Known.PRESENT, unknown=(number,), tumors=tumors)
        labels.append(label)
    return labels


def _tumor(number: int, diameter_mm: float | None) -> Tumor:
    volume_mm3 = None if diameter_mm is None else pi / 6 * diameter_mm**3
    return Tumor(region=(number,), diameter_mm=diameter_mm, volume_mm3=volume_mm3, attenuation=Attenuation.HYPO)
