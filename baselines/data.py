"""Which crops a training step sees. The batch of a step follows from the recipe's seed and the step alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rsuper_bench.baselines.arrays import StoredArray
from rsuper_bench.baselines.augment import Change, draw_change
from rsuper_bench.baselines.batch import Batch
from rsuper_bench.baselines.crop_targets import CropView, draw_targets, stack
from rsuper_bench.baselines.inputs import Looks, network_image
from rsuper_bench.baselines.recipe import Pool, Recipe
from rsuper_bench.baselines.report_errors import ReportError, misread
from rsuper_bench.baselines.store import CaseIndex, Store
from rsuper_bench.baselines.targets import (
    Box,
    ChannelLabel,
    Known,
    channel_labels,
    possible_box,
    without_missing_bands,
)
from rsuper_bench.baselines.turning import Turn
from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import sha256_bytes
from rsuper_bench.benchmark.records import Split
from rsuper_bench.benchmark.release import LabelMap
from rsuper_bench.benchmark.tumor_types import TumorType

Voxel = tuple[int, int, int]
TRIES = 8  # to find by chance a place in which a rotation leaves what is wanted in view, before it is centred


@dataclass(frozen=True, eq=False)
class TrainingCase:
    """A case in one pool, with what that pool may know of it, and what a recipe with ``report_errors`` made wrong."""

    index: CaseIndex
    pool: Pool
    tumor_types: Sequence[TumorType]
    labels: Sequence[ChannelLabel]
    errors: Sequence[ReportError] = ()

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


@dataclass(frozen=True)
class CropPlan:
    """A crop that will be read: its case, the drawn tumor type, its first voxel, and how it is augmented."""

    case: TrainingCase
    channel: int
    origin: Voxel
    change: Change


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
        self._drawable = {pool: _drawable(cases, len(recipe.tumor_types)) for pool, cases in self.pools.items()}

    def summary(self) -> dict[str, Any]:
        """How many cases there are, and how each tumor type is known in them (unsupervised ones included)."""
        return {
            pool: {
                "cases": len(cases),
                "synthetic": sum(case.index.record.synthetic for case in cases),
                "licences": dict(sorted(Counter(case.index.record.licence for case in cases).items())),
                "known": {
                    str(kind): dict(sorted(Counter(str(case.labels[channel].known) for case in cases).items()))
                    for channel, kind in enumerate(self.recipe.tumor_types)
                },
                "report_errors": dict(sorted(Counter(str(error) for case in cases for error in case.errors).items())),
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
        places = range(self.recipe.batch) if crops is None else crops
        return Batch.stack([self._read(plan) for plan in self.plan(step, places)])

    def plan(self, step: int, places: Iterable[int]) -> list[CropPlan]:
        """Which crops those places of a step's batch show; no voxel is read."""
        recipe = self.recipe
        stage, _ = recipe.stage_at(step)
        pools = _shares(recipe.cases[stage], recipe.batch, _generator(recipe.seed, step))
        return [self._draw_crop(pools[place], (recipe.seed, step, place)) for place in places]

    def _draw_crop(self, pool: Pool, key: tuple[int, int, int]) -> CropPlan:
        recipe, rng = self.recipe, _generator(*key)
        # Its own generator: with and without augmentation the same cases are drawn
        change = Change() if recipe.augmentation is None else draw_change(recipe.augmentation, _generator(*key, 1))
        case, channel = self._draw(pool, rng)
        return CropPlan(case, channel, _origin(case, channel, recipe, change.turn, rng), change)

    def _read(self, plan: CropPlan) -> Batch:
        """A batch of one crop."""
        recipe, case, origin, pool = self.recipe, plan.case, plan.origin, plan.case.pool
        prepared = self.store.open(case.index)
        hu = cut(prepared.ct, origin, recipe.crop, recipe.window_hu[0])
        organs = cut(prepared.organs, origin, recipe.crop, 0)
        lesions = None if prepared.lesions is None else cut(prepared.lesions, origin, recipe.crop, 0)
        targets = draw_targets(
            case.labels,
            organs,
            lesions if pool == "masks" else None,
            lesion_numbers=self.lesion_numbers,
            view=CropView(
                case.index.organ_voxels,
                case.index.organ_boxes,
                origin,
                recipe.crop,
                recipe.grid_mm,
                plan.change.turn,
            ),
            hu=hu,
            phase=case.index.record.ct.phase,
            recipe=recipe,
        )
        shown = torch.from_numpy(hu.astype(np.float32))[None, None]
        labels, looks = torch.from_numpy(organs)[None, None], Looks.of(case.index, self.store.label_map, recipe)
        return Batch(
            image=network_image(shown, labels, looks),
            hu=shown,
            targets=stack([targets]),
            spacing_mm=(recipe.grid_mm,) * 3,
            case_ids=((case.index.record.case_id, pool),),
            organs=labels,
            looks=looks,
            changes=(plan.change,),
            outside_hu=recipe.window_hu[0],
        )

    def _draw(self, pool: Pool, rng: np.random.Generator) -> tuple[TrainingCase, int]:
        """A tumor type first, each as often, then a case of which something is known about it."""
        cases, drawable = self.pools[pool], self._drawable[pool]
        if not drawable:
            return cases[int(rng.integers(len(cases)))], int(rng.integers(len(self.recipe.tumor_types)))
        channel, known = drawable[int(rng.integers(len(drawable)))]
        wanted = self.recipe.crops.positives
        candidates = known[True] + known[False]
        if wanted is not None:
            candidates = known[bool(rng.random() < wanted)] or candidates
        return candidates[int(rng.integers(len(candidates)))], channel


def _pools(entries: Iterable[CaseIndex], label_map: LabelMap, recipe: Recipe) -> dict[Pool, list[TrainingCase]]:
    """Cases drawn for their masks, and cases drawn for their reports; none is in both."""
    wanted = set(recipe.tumor_types)
    entries = list(entries)
    masked = [entry for entry in entries if wanted & set(entry.record.lesion_masks)] if recipe.uses_masks else []
    masked.sort(key=partial(_lot, recipe.seed))
    drawn_for_masks = {entry.record.case_id for entry in masked[: recipe.max_mask_cases]}
    others = [entry for entry in entries if entry.record.case_id not in drawn_for_masks] if recipe.uses_reports else []
    others.sort(key=partial(_lot, recipe.seed))
    drawn_for_reports = {entry.record.case_id for entry in others[: recipe.max_report_cases]}
    pools: dict[Pool, list[TrainingCase]] = {}
    for entry in entries:
        pool: Pool = "masks" if entry.record.case_id in drawn_for_masks else "reports"
        if pool == "reports" and entry.record.case_id not in drawn_for_reports:
            continue
        pools.setdefault(pool, []).append(_training_case(entry, pool, label_map, recipe))
    return pools


def _training_case(entry: CaseIndex, pool: Pool, label_map: LabelMap, recipe: Recipe) -> TrainingCase:
    record = entry.record
    labels = channel_labels(record, label_map, recipe, use_masks=pool == "masks")
    errors: list[ReportError] = []
    if pool == "reports" and recipe.report_errors:
        read = [
            misread(label, record, label_map, recipe, kind)
            for label, kind in zip(labels, recipe.tumor_types, strict=True)
        ]
        labels, errors = [label for label, _ in read], [error for _, error in read if error is not None]
    labels = [without_missing_bands(label, entry.organ_boxes, recipe.grid_mm) for label in labels]
    return TrainingCase(entry, pool, recipe.tumor_types, labels, errors)


def _lot(seed: int, entry: CaseIndex) -> str:
    """Its place in a draw that depends on nothing but the recipe's seed: fewer cases are a part of more."""
    return sha256_bytes(f"{seed} {entry.record.case_id}".encode())


def _drawable(cases: Sequence[TrainingCase], channels: int) -> list[tuple[int, dict[bool, list[TrainingCase]]]]:
    """For each tumor type of which any case is known: the cases with and without it. Found once, not for each crop."""
    found = []
    for channel in range(channels):
        known: dict[bool, list[TrainingCase]] = {True: [], False: []}
        for case in cases:
            positive = case.positive(channel)
            if positive is not None:
                known[positive].append(case)
        if known[True] or known[False]:
            found.append((channel, known))
    return found


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


def _generator(*key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(key))


def _origin(case: TrainingCase, channel: int, recipe: Recipe, turn: Turn | None, rng: np.random.Generator) -> Voxel:
    """First voxel of a crop; it is drawn so that the crop, turned too, shows what the policy asks for."""
    boxes = _wanted(case, channel, recipe, rng)
    shape = case.index.shape
    if not boxes:
        return place_crop((0, 0, 0), shape, shape, recipe.crop, rng)
    if len(boxes) > 1 and not _fits(_around(boxes), recipe.crop):
        boxes = [boxes[int(rng.integers(len(boxes)))]]  # all of one rather than parts of several
    low, high = _around(boxes)
    for _ in range(TRIES):
        origin = place_crop(low, high, shape, recipe.crop, rng)
        if turn is None or not _fits((low, high), recipe.crop) or _keeps(turn, low, high, origin, recipe.crop):
            return origin
    middle = [(a + b) // 2 for a, b in zip(low, high, strict=True)]
    centred = [_clamped(m - n // 2, size - n) for m, n, size in zip(middle, recipe.crop, shape, strict=True)]
    return centred[0], centred[1], centred[2]


def _keeps(turn: Turn, low: Voxel, high: Voxel, origin: Voxel, crop: Voxel) -> bool:
    return turn.keeps([(a - o, b - o) for a, b, o in zip(low, high, origin, strict=True)], crop)


def _clamped(start: int, spare: int) -> int:
    """A start of the crop inside the case; a case that is shorter lies in its middle."""
    return spare // 2 if spare <= 0 else min(max(start, 0), spare)


def _wanted(case: TrainingCase, channel: int, recipe: Recipe, rng: np.random.Generator) -> list[Box]:
    """What a crop is to show, by the shares of the policy; empty for anything."""
    label, policy = case.labels[channel], recipe.crops
    lesions = case.lesion_boxes(channel)
    shares = policy.negative
    if label.known is Known.MASK and lesions:
        shares = policy.mask
    elif label.known is Known.PRESENT:
        shares = policy.report if label.sized else policy.unsized
    chance = rng.random()
    if chance < shares.tumor:
        if lesions:
            return [lesions[int(rng.integers(len(lesions)))]]
        places = [possible_box(tumor, case.index.organ_boxes, recipe.grid_mm) for tumor in label.tumors]
        return list(dict.fromkeys(box for box in places if box is not None))
    if chance < shares.tumor + shares.organ:
        return [case.index.organ_boxes[n] for n in label.organ if n in case.index.organ_boxes]
    return []


def _around(boxes: Sequence[Box]) -> Box:
    x, y, z = zip(*(box[0] for box in boxes), strict=True)
    low = min(x), min(y), min(z)
    x, y, z = zip(*(box[1] for box in boxes), strict=True)
    return low, (max(x), max(y), max(z))


def _fits(box: Box, crop: Voxel) -> bool:
    return all(b - a <= n for a, b, n in zip(*box, crop, strict=True))


def place_crop(low: Sequence[int], high: Sequence[int], shape: Voxel, crop: Voxel, rng: np.random.Generator) -> Voxel:
    """A crop that holds the whole box where it fits, or lies inside the box where it does not.

    Along an axis on which the case is shorter than the crop, the case is centred in it.
    """
    origin = []
    for axis in range(3):
        spare = shape[axis] - crop[axis]
        first, last = sorted((int(high[axis]) - crop[axis], int(low[axis])))
        first, last = _clamped(first, spare), _clamped(last, spare)
        origin.append(first if spare <= 0 else int(rng.integers(first, last + 1)))
    return origin[0], origin[1], origin[2]


def cut(array: NDArray[Any] | StoredArray, origin: Voxel, crop: Voxel, outside: float) -> NDArray[Any]:
    """Read a crop; what lies outside the case is filled."""
    inside = tuple(slice(max(o, 0), min(o + c, n)) for o, c, n in zip(origin, crop, array.shape, strict=True))
    part = np.asarray(array[inside])
    if part.shape == crop:
        return part
    pad = [(max(-o, 0), c - max(-o, 0) - n) for o, c, n in zip(origin, crop, part.shape, strict=True)]
    return np.pad(part, pad, constant_values=outside)
