"""A trained run and a release -> a submission folder (CONTRACTS, METHOD 9). What is done is not done again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import yaml

from rsuper_bench.baselines.predictor import Predictor
from rsuper_bench.baselines.prepare import PreparedCase, prepare_case
from rsuper_bench.baselines.probability_map import write_map
from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.baselines.train import DATA_FILE
from rsuper_bench.baselines.trained_on import TrainedOn
from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import csv_text, pretty_json, read_model, write_text
from rsuper_bench.benchmark.mask_prediction import denoised_volume_mm3
from rsuper_bench.benchmark.nifti import Grid, Volume
from rsuper_bench.benchmark.records import CaseRecord, Split
from rsuper_bench.benchmark.release import Release

PARTIAL = ".partial"
STARTED = "started"
INFORMATION = "submission.yaml"
TABLE = "predictions.csv"
COLUMNS = ("case_id", "tumor_type", "score", "volume_mm3")
INPUTS = {
    False: "The network sees the CT alone.",
    True: "The network sees the CT, the organ masks of the release and the CT relative to each organ.",
}
GATES = {
    "model": "Lesions outside the organ that the model itself predicts are removed.",
    "release": "Lesions outside the organ masks of the release are removed: these masks are an input at test time.",
    "none": "Lesions are kept wherever they are predicted.",
}


def predict(
    run: Path,
    release: Release,
    split: Split,
    out: Path,
    *,
    masks: bool = False,
    device: torch.device | str = "cpu",
    on_case: Callable[[int, int], None] | None = None,
) -> None:
    """Write a submission for a split.

    Args:
        run: A finished training run.
        release: Has the images; nothing but CT and organ masks is read, never a report or a lesion.
        split: Which cases.
        out: Folder of the submission. Cases that an interrupted call with the same run and data finished are kept.
        masks: Whether to write probability maps too, on the grid of each CT.
        device: Where to compute.
        on_case: Called with the number of finished cases and of all cases.

    Raises:
        DataError: The run is not finished, the split is empty, or a case cannot be read.
    """
    predictor = Predictor(run, device)
    information = _information(run, predictor, release)
    records = release.records(split)
    if not records:
        raise DataError.of(
            [Problem(str(release.folder), f"no cases in split {split}", "cases", "Check the splits of the release.")]
        )
    _start(out, {"weights": predictor.digest, "release": release.digest, "split": str(split), "masks": masks})
    rows = []
    for done, record in enumerate(records, start=1):
        part = out / PARTIAL / f"{record.case_id}.json"
        own = _finished(part, record, predictor.recipe)
        if own is None:
            own = _predict_case(predictor, release, record, out if masks else None)
            write_text(part, pretty_json(own))
        rows += own
        if on_case is not None:
            on_case(done, len(records))
    write_text(out / INFORMATION, information)
    write_text(out / TABLE, csv_text(rows, COLUMNS))
    _forget_parts(out)


def _predict_case(predictor: Predictor, release: Release, record: CaseRecord, out: Path | None) -> list[dict[str, str]]:
    """Rows of one case; with ``out`` its maps are written first."""
    case, grid = _prepared(predictor.recipe, release, record)
    rows = []
    for kind, found, score in zip(predictor.recipe.tumor_types, *predictor(case, release.label_map), strict=True):
        shown = Volume(found.dense(), case.affine)
        rows.append(
            {
                "case_id": record.case_id,
                "tumor_type": str(kind),
                "score": f"{score:.6f}",
                "volume_mm3": f"{denoised_volume_mm3(shown):.1f}",
            }
        )
        if out is not None:
            write_map(out / "masks" / record.case_id / f"{kind}.nii.gz", shown, grid)
    return rows


def _finished(part: Path, record: CaseRecord, recipe: Recipe) -> list[dict[str, str]] | None:
    """Rows of a case that an interrupted call finished; None where there are none, or others than it would have."""
    try:
        rows = json.loads(part.read_text(encoding="utf-8"))
        keys = [(row["case_id"], row["tumor_type"]) for row in rows]
        whole = all(set(row) == set(COLUMNS) and all(isinstance(cell, str) for cell in row.values()) for row in rows)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return rows if whole and keys == [(record.case_id, str(kind)) for kind in recipe.tumor_types] else None


def _prepared(recipe: Recipe, release: Release, record: CaseRecord) -> tuple[PreparedCase, Grid]:
    """The case on the recipe's grid, and the grid of its CT, whose voxels are not needed any more."""
    volumes = replace(release.volumes(record.case_id), lesions=None)
    return prepare_case(record, volumes, release.label_map, recipe), volumes.ct.grid


def _start(out: Path, identity: dict[str, object]) -> None:
    """Keep finished cases of the same run and data; forget those of another, its maps and its tables."""
    started, own = out / PARTIAL / STARTED, pretty_json(identity)
    if not (started.exists() and started.read_bytes() == own.encode()):
        if (out / PARTIAL).is_dir() or (out / INFORMATION).exists():
            shutil.rmtree(out / "masks", ignore_errors=True)
            for name in (INFORMATION, TABLE):
                (out / name).unlink(missing_ok=True)
        if (out / PARTIAL).is_dir():
            _forget_parts(out)
        write_text(started, own)
    for torn in out.glob("**/.*.partial"):  # what a killed call was writing
        torn.unlink()


def _forget_parts(out: Path) -> None:
    """Remove the parts; what says whose they are goes last, so that a kill in between leaves none without it."""
    for path in sorted((out / PARTIAL).iterdir(), key=lambda path: path.name == STARTED):
        path.unlink()
    (out / PARTIAL).rmdir()


def _information(run: Path, predictor: Predictor, release: Release) -> str:
    recipe = predictor.recipe
    trained = read_model(run / DATA_FILE, TrainedOn, DataError)
    pools = " and ".join(f"{pool.cases} cases with {name}" for name, pool in trained.pools.items())
    same = trained.release == release.digest
    name = release.name if same else f"release {trained.release[:12]}"
    return yaml.safe_dump(
        {
            "team": "rsuper-bench baselines",
            "method": recipe.name,
            "description": f"{recipe.network.name} at {recipe.grid_mm:g} mm, objective {recipe.objective}. "
            f"{INPUTS[recipe.organ_input]} {GATES[recipe.organ_gate]} Weights {predictor.digest[:12]}.",
            "training_data": [f"{name}, training split: {pools}"],
            "licence": "Apache-2.0",
            "contact": "https://github.com/rsuper-bench/rsuper-bench",
        },
        sort_keys=False,
        width=120,
    )
