"""Masks for report cases: what a network trained on masks finds there, cut to what the report says (comparison row).

After Bosma et al., "Semisupervised Learning with Report-guided Pseudo Labels" (Radiology: AI, 2023, ryai.230031): the
report's count says how many of the most probable components are kept. Written from that idea; how a component is found
and where a case is given up are chosen here (docs/comparison-rows.md).
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from rsuper_bench.baselines.arrays import SUFFIX, array_bytes
from rsuper_bench.baselines.checkpoint import WEIGHTS_FILE
from rsuper_bench.baselines.data import TrainingCase, TrainingData
from rsuper_bench.baselines.distributed import Team
from rsuper_bench.baselines.predictor import Predictor
from rsuper_bench.baselines.prepare import PreparedCase
from rsuper_bench.baselines.probability_map import ProbabilityMap
from rsuper_bench.baselines.recipe import Pool, Recipe
from rsuper_bench.baselines.start import check_call
from rsuper_bench.baselines.store import CASES, STORE_FILE, CaseIndex, LesionIndex, Store, case_file
from rsuper_bench.baselines.targets import ChannelLabel, Known
from rsuper_bench.baselines.train import Run, train
from rsuper_bench.benchmark.components import components
from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.files import (
    digest_of,
    pretty_json,
    read_model,
    sha256_bytes,
    sha256_file,
    write_bytes,
    write_text,
)
from rsuper_bench.benchmark.tumor_types import TumorType

SHARE_OF_PEAK = 0.4  # a component is what is connected to its peak and at least this part of it
FAINTEST_PEAK = 0.1  # below it there is nothing to be kept
COUNTS_FILE = "pseudo_labels.json"
WHOLE = (slice(None),) * 3
NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


def pseudo_label(
    store: Store,
    recipe: Recipe,
    teacher: Path,
    out: Path,
    *,
    device: torch.device | str = "cpu",
    on_case: Callable[[int, int], None] | None = None,
) -> Store:
    """Make a store whose report cases have masks: those of the teacher's components that the reports count.

    The masks of cases that the teacher learned from stay. What an interrupted call has finished is kept.

    Args:
        store: Prepared training cases.
        recipe: Which masks there are to learn from (``max_mask_cases``) and what the reports mean.
        teacher: A finished run on the masks of the same store.
        out: Folder of the new store; CTs and organs are linked there, not copied, where the disk can.
        device: Where the teacher computes.
        on_case: Called with the number of finished cases and of all cases.

    Raises:
        DataError: If the teacher is not finished, or ``out`` is the store of another one.
    """
    predictor = Predictor(teacher, device)
    drawn_by = digest_of([predictor.digest, recipe.digest])  # its reports too decide what is drawn
    info = store.info.origin.model_copy(update={"pseudo_labels": drawn_by})
    if (out / STORE_FILE).exists() and (kept := Store(out)).info.origin == info:
        return kept
    started = out / "started.json"
    if started.exists() and started.read_text(encoding="utf-8") != pretty_json(info):
        shutil.rmtree(out)  # pseudo-labels of another teacher, or of reports read otherwise
    write_text(started, pretty_json(info))
    (out / CASES).mkdir(exist_ok=True)
    pools = _both_pools(store, recipe)
    todo = [*pools["masks"], *pools["reports"]]
    for done, case in enumerate(todo, start=1):
        if not case_file(out, case.index.record.case_id, ".json").exists():
            _write(store, out, case.index, None if case.pool == "masks" else _drawn(store, case, predictor))
        if on_case is not None:
            on_case(done, len(todo))
    write_text(out / COUNTS_FILE, pretty_json(_counts(out, pools, recipe)))
    cases = {case.index.record.case_id: _index_digest(out, case) for case in todo}
    write_text(out / STORE_FILE, pretty_json(info.model_copy(update={"cases": dict(sorted(cases.items()))})))
    return Store(out)


def _both_pools(store: Store, recipe: Recipe) -> dict[Pool, list[TrainingCase]]:
    """Cases with masks, and cases whose reports count what the teacher finds."""
    both: dict[Pool, float] = {"masks": 1.0, "reports": 1.0}
    return TrainingData(store, recipe.model_copy(update={"cases": (both,) * len(recipe.stages)})).pools


def first_recipe(recipe: Recipe) -> Recipe:
    """What is trained on the store of a release: the recipe itself; the teacher's where it is ``pseudo_labels``."""
    if recipe.objective != "pseudo_labels":
        return recipe
    return recipe.model_copy(update={"objective": "mask_only", "max_report_cases": None, "report_errors": 0.0})


def train_recipe(store: Store, recipe: Recipe, out: Path, **options: Any) -> Run:
    """Train any recipe; `train` says what the options are.

    For ``pseudo_labels`` three things happen, each of which is left as it is when it is finished: mask_only of the same
    recipe in ``out/teacher``, the store of its pseudo-labels in ``out/pseudo_labels``, and training on that store. Of
    several processes the leading one draws them, and the others wait.

    Raises:
        ConfigError: ``out`` holds another run.
        DataError: No masks, or no findings; before the teacher is trained.
    """
    if recipe.objective != "pseudo_labels":
        return train(store, recipe, out, **options)
    note = options.get("on_note") or str
    teachers = first_recipe(recipe)
    where, team = torch.device(options.get("device", "cpu")), options.get("team", Team())
    # Now, because the student's turn may come hours later
    check_call(teachers, out, store=store, resume=options.get("resume", False), device=where, team=team)
    _both_pools(store, recipe)
    note("first of two trainings: the teacher, on masks alone")
    # A finished one is checked, not trained again.
    own = {"resume": options.get("resume", False) or (out / "teacher" / WEIGHTS_FILE).exists()}
    if train(store, teachers, out / "teacher", **options | own).step < teachers.steps:  # it was told to stop before
        raise KeyboardInterrupt
    note("the teacher draws pseudo-labels in the report cases, or finds them drawn")
    draws = partial(pseudo_label, store, recipe, out / "teacher", out / "pseudo_labels", device=where)
    refined = team.leader_first(draws)
    return train(refined, recipe.model_copy(update={"max_mask_cases": None}), out, **options)


def draw(label: ChannelLabel, found: ProbabilityMap, organs: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Pseudo-mask of one tumor type.

    Args:
        label: What the report says.
        found: The teacher's probabilities.
        organs: ``(X, Y, Z)`` organ labels of the case.

    Returns:
        ``(X, Y, Z)``; empty where the report excludes a tumor; None where the report leaves number or presence open, or
        the teacher sees fewer than are reported: then nothing is known of that type.
    """
    if label.known is Known.ABSENT:
        return np.zeros(organs.shape, dtype=bool)
    if label.known is not Known.PRESENT or not label.complete:
        return None
    probability = found.dense()
    mask = np.zeros(organs.shape, dtype=bool)
    for place, count in sorted(Counter(tumor.region for tumor in label.tumors).items()):
        part = most_probable(np.where(np.isin(organs, place), probability, 0), count)
        if part is None:
            return None
        mask |= part
    return mask


def most_probable(probability: NDArray[np.float32], count: int) -> NDArray[np.bool_] | None:
    """The most probable components, as many as wanted; None where there are fewer.

    A component holds what is connected with its peak by voxels of at least 0.4 times the peak. The next peak is looked
    for outside of it and of the voxels that touch it.
    """
    left, kept = probability.copy(), np.zeros(probability.shape, dtype=bool)
    for _ in range(count):
        peak = np.unravel_index(int(left.argmax()), left.shape)
        if left[peak] < FAINTEST_PEAK:
            return None
        labels, _ = components(left >= SHARE_OF_PEAK * left[peak])
        component = labels == labels[peak]
        kept |= component
        left[ndimage.binary_dilation(component, NEIGHBOURS)] = 0
    return kept


def _drawn(store: Store, case: TrainingCase, predictor: Predictor) -> dict[TumorType, NDArray[np.bool_]]:
    """Pseudo-masks of the types of which the report says enough."""
    stored = store.open(case.index)
    prepared = PreparedCase(case.index, stored.ct[WHOLE], stored.organs[WHOLE], None)
    maps = predictor(prepared, store.label_map).maps
    drawn = {
        kind: draw(label, found, prepared.organs)
        for kind, label, found in zip(case.tumor_types, case.labels, maps, strict=True)
    }
    return {kind: mask for kind, mask in drawn.items() if mask is not None}


def _write(store: Store, out: Path, index: CaseIndex, masks: dict[TumorType, NDArray[np.bool_]] | None) -> None:
    """A case as it is, or with other masks; the index is written last."""
    case_id = index.record.case_id
    kept = [name for name in index.files if masks is None or name != "lesions"]
    for name in kept:
        _link(case_file(store.folder, case_id, f".{name}{SUFFIX}"), case_file(out, case_id, f".{name}{SUFFIX}"))
    if masks is not None:
        record = index.record.model_copy(update={"lesion_masks": {}})
        files = {name: index.files[name] for name in kept}
        index = index.model_copy(update={"record": record, "lesions": (), "files": files})
        if masks:
            index = _with_masks(store, out, index, masks)
    write_text(case_file(out, case_id, ".json"), pretty_json(index))


def _with_masks(store: Store, out: Path, index: CaseIndex, masks: dict[TumorType, NDArray[np.bool_]]) -> CaseIndex:
    numbers = {kind: number for number, kind in store.label_map.lesions.items()}
    shown = np.zeros(index.shape, dtype=np.uint8)
    lesions = []
    for kind, mask in masks.items():
        shown[mask] = numbers[kind]
        labels, _ = components(mask)
        for x, y, z in ndimage.find_objects(labels):
            box = (x.start, y.start, z.start), (x.stop, y.stop, z.stop)
            lesions.append(LesionIndex(tumor_type=kind, box=box))
    content = array_bytes(shown)
    write_bytes(case_file(out, index.record.case_id, f".lesions{SUFFIX}"), content)
    volumes = {kind: float(mask.sum()) * store.info.grid_mm**3 for kind, mask in masks.items()}
    record = index.record.model_copy(update={"lesion_masks": volumes})
    files = index.files | {"lesions": sha256_bytes(content)}
    return index.model_copy(update={"record": record, "lesions": tuple(lesions), "files": files})


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)


def _counts(out: Path, pools: dict[Pool, list[TrainingCase]], recipe: Recipe) -> dict[str, Any]:
    """How many cases kept their masks, and what became of each tumor type in the others."""
    errors = Counter(str(error) for case in pools["reports"] for error in case.errors)
    outcomes: Counter[str] = Counter()
    for case in pools["reports"]:
        drawn = read_model(case_file(out, case.index.record.case_id, ".json"), CaseIndex, DataError).record.lesion_masks
        for kind, label in zip(recipe.tumor_types, case.labels, strict=True):
            outcome = str(label.known)
            if label.known is Known.PRESENT:
                outcome = "present, number not stated" if not label.complete else "present, fewer found"
                outcome = "present, drawn" if kind in drawn else outcome
            outcomes[f"{kind}: {outcome}"] += 1
    return {
        "mask_cases": len(pools["masks"]),
        "report_cases": len(pools["reports"]),
        "report_errors": dict(sorted(errors.items())),
        "types": dict(sorted(outcomes.items())),
    }


def _index_digest(out: Path, case: TrainingCase) -> str:
    return sha256_file(case_file(out, case.index.record.case_id, ".json"))
