"""Which crops a training step sees. The batch of a step follows from the recipe's seed and the step alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsuper_bench.baselines.crop_targets import CropView, Targets, draw_targets, stack
from rsuper_bench.baselines.inputs import network_input
from rsuper_bench.baselines.prepare import CaseIndex, Store
from rsuper_bench.baselines.recipe import Pool, Recipe
from rsuper_bench.baselines.targets import (
    Box,
    ChannelLabel,
    Known,
    channel_labels,
    possible_box,
    without_missing_bands,
)
from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import sha256_bytes
from rsuper_bench.benchmark.records import Split
from rsuper_bench.benchmark.release import LabelMap
from rsuper_bench.benchmark.tumor_types import TumorType

Voxel = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step sees.

    Attributes:
        image: ``(B, I, X, Y, Z)`` what the network sees (inputs.py).
        hu: ``(B, 1, X, Y, Z)`` clipped HU before augmentation.
        targets: With a leading batch axis.
        spacing_mm: Voxel lengths.
        case_ids: Where each crop comes from, with its pool.
    """

    image: Tensor
    hu: Tensor
    targets: Targets
    spacing_mm: tuple[float, float, float]
    case_ids: tuple[tuple[str, Pool], ...]

    def with_image(self, image: Tensor) -> Batch:
        """The same batch with another image."""
        return replace(self, image=image)

    def to(self, device: torch.device) -> Batch:
        """Move the tensors; reported regions follow."""
        if device.type == "cpu":
            return self
        return replace(self, image=self.image.to(device), hu=self.hu.to(device), targets=self.targets.to(device))


@dataclass(frozen=True, eq=False)
class TrainingCase:
    """A case in one pool, with what that pool may know of it."""

    index: CaseIndex
    pool: Pool
    tumor_types: Sequence[TumorType]
    labels: Sequence[ChannelLabel]

    def positive(self, channel: int) -> bool | None:
        """Whether the case holds a tumor of a channel; None when that is not known."""
        known = self.labels[channel].known
        if known is Known.MASK:
            return bool(self.lesion_boxes(channel))
        return {Known.PRESENT: True, Known.ABSENT: False}.get(known)

    def lesion_boxes(self, channel: int) -> list[Box]:
        """Boxes of the drawn lesions of a channel."""
        if self.labels[channel].known is not Known.MASK:
            return []
        kind = self.tumor_types[channel]
        return [item.box for item in self.index.lesions if item.tumor_type is kind and not item.excluded]


class TrainingData:
    """The training cases of a store, drawn as the recipe says.

    Raises:
        DataError: When the recipe asks for masks or reports that the store does not have.
    """

    def __init__(self, store: Store, recipe: Recipe) -> None:
        self.store = store
        self.recipe = recipe
        self.lesion_numbers = {kind: number for number, kind in store.label_map.lesions.items()}
        self.pools = _pools(store.indices(Split.TRAIN), store.label_map, recipe)
        _check_pools(self.pools, recipe, str(store.folder))

    def summary(self) -> dict[str, Any]:
        """How many cases there are, and how each tumor type is known in them (unsupervised ones included)."""
        return {
            pool: {
                "cases": len(cases),
                "known": {
                    str(kind): dict(sorted(Counter(str(case.labels[channel].known) for case in cases).items()))
                    for channel, kind in enumerate(self.recipe.tumor_types)
                },
                "reported_tumors_under_two_voxels": sum(label.too_small for case in cases for label in case.labels),
                "drawn_lesions_under_two_voxels": sum(
                    item.excluded is not None for case in cases for item in case.index.lesions
                )
                if pool == "masks"
                else 0,
            }
            for pool, cases in self.pools.items()
        }

    def batch(self, step: int, crops: range | None = None) -> Batch:
        """The batch of a step (counted from 0 over all stages), or some of its crops.

        A crop follows from seed, step and its place in the batch: whoever draws it, it is the same.
        """
        recipe = self.recipe
        rng = np.random.default_rng(np.random.SeedSequence([recipe.seed, step]))
        stage, _ = recipe.stage_at(step)
        pools = _shares(recipe.cases[stage], recipe.batch, rng)
        drawn = [
            self._crop(pools[place], np.random.default_rng(np.random.SeedSequence([recipe.seed, step, place])))
            for place in (range(recipe.batch) if crops is None else crops)
        ]
        images, hu, targets, names = zip(*drawn, strict=True)
        return Batch(
            image=torch.stack(images),
            hu=torch.stack(hu),
            targets=stack(targets),
            spacing_mm=(recipe.grid_mm,) * 3,
            case_ids=names,
        )

    def _crop(self, pool: Pool, rng: np.random.Generator) -> tuple[Tensor, Tensor, Targets, tuple[str, Pool]]:
        recipe = self.recipe
        case, channel = self._draw(pool, rng)
        prepared = self.store.open(case.index)
        origin = _origin(case, channel, recipe, rng)
        hu = cut(prepared.ct, origin, recipe.crop, recipe.window_hu[0])
        organs = cut(prepared.organs, origin, recipe.crop, 0)
        lesions = None if prepared.lesions is None else cut(prepared.lesions, origin, recipe.crop, 0)
        targets = draw_targets(
            case.labels,
            organs,
            lesions if pool == "masks" else None,
            lesion_numbers=self.lesion_numbers,
            view=CropView(case.index.organ_voxels, case.index.organ_boxes, origin, recipe.crop, recipe.grid_mm),
            hu=hu,
            phase=case.index.record.ct.phase,
            recipe=recipe,
        )
        image = network_input(hu, organs, case.index, self.store.label_map, recipe)
        return image, torch.from_numpy(hu.astype(np.float32))[None], targets, (case.index.record.case_id, pool)

    def _draw(self, pool: Pool, rng: np.random.Generator) -> tuple[TrainingCase, int]:
        """A tumor type first, each as often, then a case of which something is known about it."""
        cases = self.pools[pool]
        usable = [c for c in range(len(self.recipe.tumor_types)) if any(x.positive(c) is not None for x in cases)]
        if not usable:
            return cases[int(rng.integers(len(cases)))], int(rng.integers(len(self.recipe.tumor_types)))
        channel = usable[int(rng.integers(len(usable)))]
        wanted = self.recipe.crops.positives
        candidates = [case for case in cases if case.positive(channel) is not None]
        if wanted is not None:
            positive = bool(rng.random() < wanted)
            candidates = [case for case in candidates if case.positive(channel) is positive] or candidates
        return candidates[int(rng.integers(len(candidates)))], channel


def _pools(entries: Iterable[CaseIndex], label_map: LabelMap, recipe: Recipe) -> dict[Pool, list[TrainingCase]]:
    """Cases drawn for their masks, and cases drawn for their reports; none is in both."""
    wanted = set(recipe.tumor_types)
    entries = list(entries)
    masked = [entry for entry in entries if wanted & set(entry.record.lesion_masks)] if recipe.uses_masks else []
    masked.sort(key=lambda entry: sha256_bytes(entry.record.case_id.encode()))
    drawn_for_masks = {entry.record.case_id for entry in masked[: recipe.max_mask_cases]}
    pools: dict[Pool, list[TrainingCase]] = {}
    for entry in entries:
        pool: Pool = "masks" if entry.record.case_id in drawn_for_masks else "reports"
        if pool == "reports" and not recipe.uses_reports:
            continue
        labels = [
            without_missing_bands(label, entry.organ_boxes, recipe.grid_mm)
            for label in channel_labels(entry.record, label_map, recipe, use_masks=pool == "masks")
        ]
        pools.setdefault(pool, []).append(TrainingCase(entry, pool, recipe.tumor_types, labels))
    return pools


def _check_pools(pools: dict[Pool, list[TrainingCase]], recipe: Recipe, where: str) -> None:
    problems = []
    channels = range(len(recipe.tumor_types))
    if recipe.uses_masks and not pools.get("masks"):
        problems.append(
            Problem(
                where,
                "no training case has lesion masks of the recipe's tumor types",
                f"masks, because {recipe.name} learns from them",
                "Use a release with masks, or a report_only recipe.",
            )
        )
    if recipe.uses_reports and not any(
        case.positive(channel) for case in pools.get("reports", []) for channel in channels
    ):
        problems.append(
            Problem(
                where,
                "no report of a training case states a tumor of the recipe's types",
                f"findings, because {recipe.name} learns from them",
                "Extract findings, check tumor_types and positive_kinds, or use a mask_only recipe.",
            )
        )
    if problems:
        raise DataError.of(problems)


def _shares(pools: dict[Pool, float], batch: int, rng: np.random.Generator) -> list[Pool]:
    """The pool of each crop of a batch: fixed shares, the remainder by chance."""
    names: list[Pool] = sorted(pools)
    shares = np.array([pools[name] for name in names]) / sum(pools.values())
    chosen = [name for name, share in zip(names, shares, strict=True) for _ in range(int(batch * share + 1e-9))]
    rest = batch - len(chosen)
    return chosen + [names[int(i)] for i in rng.choice(len(names), size=rest, p=shares)]


def _origin(case: TrainingCase, channel: int, recipe: Recipe, rng: np.random.Generator) -> Voxel:
    """First voxel of a crop; it is drawn so that the crop shows what the policy asks for."""
    label, policy = case.labels[channel], recipe.crops
    lesions = case.lesion_boxes(channel)
    shares = policy.negative
    if label.known is Known.MASK and lesions:
        shares = policy.mask
    elif label.known is Known.PRESENT:
        shares = policy.report if label.sized else policy.unsized
    chance = rng.random()
    boxes: list[Box] = []
    if chance < shares.tumor:
        if lesions:
            boxes = [lesions[int(rng.integers(len(lesions)))]]
        elif label.tumors:
            places = [possible_box(tumor, case.index.organ_boxes, recipe.grid_mm) for tumor in label.tumors]
            boxes = [box for box in places if box is not None]
    elif chance < shares.tumor + shares.organ:
        boxes = [case.index.organ_boxes[n] for n in label.organ if n in case.index.organ_boxes]
    if not boxes:
        return _anywhere(case.index.shape, recipe.crop, rng)
    low = np.min([box[0] for box in boxes], axis=0)
    high = np.max([box[1] for box in boxes], axis=0)
    return place_crop(low, high, case.index.shape, recipe.crop, rng)


def _anywhere(shape: Voxel, crop: Voxel, rng: np.random.Generator) -> Voxel:
    return place_crop(np.zeros(3, dtype=int), np.asarray(shape), shape, crop, rng)


def place_crop(low: NDArray[Any], high: NDArray[Any], shape: Voxel, crop: Voxel, rng: np.random.Generator) -> Voxel:
    """A crop that holds the whole box where it fits, or lies inside the box where it does not.

    Along an axis on which the case is shorter than the crop, the case is centred in it.
    """
    origin = []
    for axis in range(3):
        first, last = sorted((int(high[axis]) - crop[axis], int(low[axis])))
        spare = shape[axis] - crop[axis]
        if spare <= 0:
            origin.append(spare // 2)
            continue
        first, last = min(max(first, 0), spare), min(max(last, 0), spare)
        origin.append(int(rng.integers(first, last + 1)))
    return origin[0], origin[1], origin[2]


def cut(array: NDArray[Any], origin: Voxel, crop: Voxel, outside: float) -> NDArray[Any]:
    """Read a crop; what lies outside the case is filled."""
    inside = tuple(slice(max(o, 0), min(o + c, n)) for o, c, n in zip(origin, crop, array.shape, strict=True))
    part = np.asarray(array[inside])
    if part.shape == crop:
        return part
    pad = [(max(-o, 0), c - max(-o, 0) - n) for o, c, n in zip(origin, crop, part.shape, strict=True)]
    return np.pad(part, pad, constant_values=outside)
