"""A trained run and a release -> a submission folder (CONTRACTS, METHOD 9). What is done is not done again."""

from __future__ import annotations

import gzip
import io
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import yaml
from monai.inferers import SlidingWindowInferer
from numpy.typing import NDArray
from torch import Tensor

from rsuper_bench.baselines.checkpoint import WEIGHTS_FILE, load_into, read_checkpoint
from rsuper_bench.baselines.detection import Map, detections, gate
from rsuper_bench.baselines.inputs import network_input
from rsuper_bench.baselines.networks import Segmenter, build_model
from rsuper_bench.baselines.prepare import PreparedCase, prepare_case
from rsuper_bench.baselines.recipe import Recipe, load_recipe
from rsuper_bench.baselines.resampling import onto
from rsuper_bench.baselines.train import DATA_FILE, RECIPE_FILE
from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import csv_text, pretty_json, read_text, sha256_file, write_bytes, write_text
from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.records import CaseRecord, Split
from rsuper_bench.benchmark.release import LabelMap, Release

PARTIAL = ".partial"
COLUMNS = ("case_id", "tumor_type", "score", "volume_mm3")
OVERLAP = 0.5
WINDOWS = 4  # at a time: on a CPU four take less time than one alone, in 3-D convolutions with channels last
SLOPE_OFFSET = 112  # of scl_slope and scl_inter in a NIfTI-1 header
INPUTS = {
    False: "The network sees the CT alone.",
    True: "The network sees the CT, the organ masks of the release and the CT relative to each organ.",
}
GATES = {
    "model": "Lesions outside the organ that the model itself predicts are removed.",
    "release": "Lesions outside the organ masks of the release are removed: these masks are an input at test time.",
    "none": "Lesions are kept wherever they are predicted.",
}


class Predictor:
    """A trained network that maps a prepared case to probability maps.

    Raises:
        DataError: When the run has no weights, or they are not those of its recipe.
    """

    def __init__(self, run: Path, device: torch.device | str = "cpu") -> None:
        if not (run / WEIGHTS_FILE).exists():
            raise DataError.of(
                [Problem(str(run), f"no {WEIGHTS_FILE}", "a finished run", "Finish it with `train ... --resume`.")]
            )
        self.recipe = load_recipe(run / RECIPE_FILE)
        self.digest = sha256_file(run / WEIGHTS_FILE)
        self.device = torch.device(device)
        self.network: Segmenter = build_model(self.recipe).segmenter
        load_into(self.network, read_checkpoint(run / WEIGHTS_FILE).tensors, str(run / WEIGHTS_FILE))
        self.network.to(self.device).eval()
        self._slide = SlidingWindowInferer(self.recipe.crop, sw_batch_size=WINDOWS, overlap=OVERLAP, mode="gaussian")

    @torch.inference_mode()
    def __call__(self, case: PreparedCase, label_map: LabelMap) -> tuple[Map, Map]:
        """Tumor and organ probabilities, each ``(C, X, Y, Z)``, one channel a tumor type of the recipe."""
        image = network_input(np.asarray(case.ct), np.asarray(case.organs), case.index, label_map, self.recipe)
        both: NDArray[np.float32] = self._slide(image[None].to(self.device), self._window)[0].float().cpu().numpy()
        channels = len(self.recipe.tumor_types)
        return both[:channels], both[channels:]

    def _window(self, image: Tensor) -> Tensor:
        outputs = self.network(image)
        return torch.cat([outputs.final, outputs.organs], 1).sigmoid()


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
    records = release.records(split)
    if not records:
        raise DataError.of(
            [Problem(str(release.folder), f"no cases in split {split}", "cases", "Check the splits of the release.")]
        )
    _start(out, {"weights": predictor.digest, "release": release.digest, "split": str(split), "masks": masks})
    for done, record in enumerate(records, start=1):
        part = out / PARTIAL / f"{record.case_id}.json"
        if not part.exists():
            write_text(part, pretty_json(_predict_case(predictor, release, record, out if masks else None)))
        if on_case is not None:
            on_case(done, len(records))
    rows = [
        row
        for record in records
        for row in json.loads((out / PARTIAL / f"{record.case_id}.json").read_text(encoding="utf-8"))
    ]
    write_text(out / "submission.yaml", _information(run, predictor.recipe, release))
    write_text(out / "predictions.csv", csv_text(rows, COLUMNS))
    _forget_parts(out)


def _predict_case(predictor: Predictor, release: Release, record: CaseRecord, out: Path | None) -> list[dict[str, str]]:
    """Rows of one case; with ``out`` its maps are written first."""
    recipe = predictor.recipe
    volumes = replace(release.volumes(record.case_id), lesions=None)
    case = prepare_case(record, volumes, release.label_map, recipe)
    lesions, organs = predictor(case, release.label_map)
    lesions = gate(lesions, organs, case, release.label_map, recipe)
    if out is not None:
        for kind, probability in zip(recipe.tumor_types, lesions, strict=True):
            shown = onto(Volume(probability, case.affine), volumes.ct)
            path = out / "masks" / record.case_id / f"{kind}.nii.gz"
            write_bytes(path, probability_bytes(Volume(shown, volumes.ct.affine)))
    return [
        {
            "case_id": record.case_id,
            "tumor_type": str(kind),
            "score": f"{score:.6f}",
            "volume_mm3": f"{volume_mm3:.1f}",
        }
        for kind, (score, volume_mm3) in detections(lesions, case, recipe).items()
    ]


def probability_bytes(volume: Volume) -> bytes:
    """A probability map as gzipped NIfTI: 0 to 255 in a byte, with the slope 1/255; no time stamp."""
    image = nib.Nifti1Image(np.rint(volume.data * 255).astype(np.uint8), volume.affine)
    image.set_qform(volume.affine, code=1)
    image.set_sform(volume.affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    raw = bytearray(image.to_bytes())
    # nibabel would scale the bytes once more if it were told the slope.
    struct.pack_into(f"{image.header.endianness}ff", raw, SLOPE_OFFSET, 1 / 255, 0.0)
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=6, mtime=0, filename="") as file:
        file.write(raw)
    return buffer.getvalue()


def _start(out: Path, identity: dict[str, object]) -> None:
    """Keep finished cases of the same run and data; forget those of another."""
    started = out / PARTIAL / "started"
    own = pretty_json(identity)
    if started.exists() and started.read_text(encoding="utf-8") != own:
        _forget_parts(out)
    write_text(started, own)


def _forget_parts(out: Path) -> None:
    for path in (out / PARTIAL).glob("*"):
        path.unlink()
    (out / PARTIAL).rmdir()


def _information(run: Path, recipe: Recipe, release: Release) -> str:
    trained = json.loads(read_text(run / DATA_FILE, DataError))
    pools = " and ".join(
        f"{trained[pool]['cases']} cases with {pool}" for pool in ("masks", "reports") if pool in trained
    )
    same = trained["release"] == release.digest
    name = release.name if same else f"release {trained['release'][:12]}"
    return yaml.safe_dump(
        {
            "team": "rsuper-bench baselines",
            "method": recipe.name,
            "description": f"{recipe.network.name} at {recipe.grid_mm:g} mm, objective {recipe.objective}. "
            f"{INPUTS[recipe.organ_input]} {GATES[recipe.organ_gate]}",
            "training_data": [f"{name}, training split: {pools}"],
            "licence": "Apache-2.0",
            "contact": "https://github.com/rsuper-bench/rsuper-bench",
        },
        sort_keys=False,
        width=120,
    )
