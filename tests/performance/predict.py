"""Peak memory of prediction: ``tests/performance/predict.py [--slices 800] [--gate release] [--masks] [--unsure]``.

A synthetic CT of 512 x 512 voxels a slice at 0.8 x 0.8 x 1 mm, with an ellipsoid for every organ of every tumor type,
goes through `predict` with the recipe `combined`: 1 mm, windows of 128^3, fourteen types. The network is replaced by
one that costs nothing, because its own memory is that of one batch of windows at any length of a CT. Shown are the peak
resident memory of the process, how much of it the interpreter with torch took before, and what all channels of the
whole volume in float32 would take, which is what blending them at once needs. With ``--unsure`` the network takes every
voxel for every organ and gives every lesion a low, changing probability there: the most that a map can have to hold.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from math import prod
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from rsuper_bench.baselines import networks
from rsuper_bench.baselines.networks import build_model
from rsuper_bench.baselines.predict import predict
from rsuper_bench.baselines.recipe import load_recipe
from rsuper_bench.baselines.train import DATA_FILE, RECIPE_FILE
from rsuper_bench.baselines.weights import write_weights
from rsuper_bench.benchmark.nifti import read_nifti
from rsuper_bench.benchmark.records import CaseRecord, CtInfo, Extractor, Phase, Split
from rsuper_bench.benchmark.release import CaseVolumes, LabelMap
from rsuper_bench.benchmark.tumor_types import TumorType

SPACING_MM = (0.8, 0.8, 1.0)
SIDE = 512


@networks.register("one_layer")
def one_layer(in_channels: int, out_channels: int) -> torch.nn.Module:
    """A network that costs nothing."""
    return torch.nn.Conv3d(in_channels, out_channels, 1)


@dataclass
class OneCase:
    """What `predict` uses of a release: one case whose volumes lie in NIfTI files."""

    record: CaseRecord
    label_map: LabelMap
    folder: Path
    name: str = "synthetic"
    digest: str = "0" * 64

    def records(self, split: Split) -> list[CaseRecord]:
        return [self.record]

    def volumes(self, case_id: str) -> CaseVolumes:
        return CaseVolumes(read_nifti(self.folder / "ct.nii"), read_nifti(self.folder / "organs.nii"), lesions=None)


def synthetic_case(folder: Path, slices: int) -> OneCase:
    """Write a CT of noise and its organs, 4 to 16 cm long."""
    names = [label for kind in TumorType for label in kind.anatomy.all_labels]
    rng = np.random.default_rng(0)
    shape = (SIDE, SIDE, slices)
    organs = np.zeros(shape, dtype=np.uint8)
    for number, _ in enumerate(names, start=1):
        half = np.array([rng.uniform(20, 80) / step for step in SPACING_MM])
        center = np.array([rng.uniform(0.25, 0.75) * n for n in shape])
        low = np.maximum(center - half, 0).astype(int)
        high = np.minimum(center + half, shape).astype(int)
        axes = [((np.arange(a, b) - c) / h) ** 2 for a, b, c, h in zip(low, high, center, half, strict=True)]
        inside = axes[0][:, None, None] + axes[1][:, None] + axes[2] <= 1
        organs[low[0] : high[0], low[1] : high[1], low[2] : high[2]][inside] = number
    ct = np.tile(rng.normal(40, 15, (SIDE, SIDE, 8)).astype(np.int16), (1, 1, slices // 8))
    affine = np.diag([*SPACING_MM, 1.0])
    nib.save(nib.Nifti1Image(ct, affine), folder / "ct.nii")
    nib.save(nib.Nifti1Image(organs, affine), folder / "organs.nii")
    record = CaseRecord(
        case_id="case",
        patient_id="patient",
        source="synthetic",
        licence="CC0-1.0",
        redistributable=True,
        synthetic=True,
        split=Split.TEST,
        ct=CtInfo(
            file="ct.nii",
            sha256="0" * 64,
            shape=shape,
            spacing_mm=SPACING_MM,
            orientation="RAS",
            phase=Phase.PORTAL_VENOUS,
        ),
        organ_labels=tuple(names),
        presence={},
        findings=(),
        extractor=Extractor(name="none", version="1"),
    )
    return OneCase(record, LabelMap(dict(enumerate(names, start=1)), {}), folder)


def synthetic_run(folder: Path, gate: str, unsure: bool) -> None:
    recipe = load_recipe("combined", [f"organ_gate={gate}", "network={name: one_layer}"])
    torch.manual_seed(0)
    weights = build_model(recipe).segmenter.state_dict()
    if unsure:  # an untrained lesion channel says `initial_probability`, more or less, by the CT
        kinds = len(recipe.tumor_types)
        weights["bias"][:, kinds : 2 * kinds] = 10.0
    write_weights(folder, weights, recipe, {})
    (folder / RECIPE_FILE).write_text(recipe.to_yaml())
    (folder / DATA_FILE).write_text('{"release": "none"}')


def peak_gb() -> float:
    """Peak memory of this process in GB (not GiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def child(arguments: argparse.Namespace, folder: Path) -> None:
    """Predict in a process that has done nothing else."""
    case = synthetic_case_from(folder)
    torch.set_num_threads(1)
    before, started = peak_gb(), time.perf_counter()
    predict(folder, case, Split.TEST, folder / "out", masks=arguments.masks)  # type: ignore[arg-type]
    grid = [round(n * step) for n, step in zip(case.record.ct.shape, SPACING_MM, strict=True)]
    whole = 2 * len(TumorType) * prod(grid) * 4 / 1e9
    seconds = time.perf_counter() - started
    print(
        f"{'x'.join(map(str, case.record.ct.shape))}, gate {arguments.gate}, masks {arguments.masks},"
        f" unsure {arguments.unsure}: peak {peak_gb():.2f} GB, {before:.2f} GB of it before the call; {seconds:.0f} s"
        f" on one thread; all channels of the whole grid at once: {whole:.1f} GB"
    )


def synthetic_case_from(folder: Path) -> OneCase:
    """The case that another process wrote."""
    names = [label for kind in TumorType for label in kind.anatomy.all_labels]
    record = CaseRecord.model_validate_json((folder / "record.json").read_text())
    return OneCase(record, LabelMap(dict(enumerate(names, start=1)), {}), folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=800, help="a multiple of 8")
    parser.add_argument("--gate", choices=("model", "release", "none"), default="release")
    parser.add_argument("--masks", action="store_true")
    parser.add_argument("--unsure", action="store_true")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments, arguments.child)
        return
    import subprocess

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        case = synthetic_case(folder, arguments.slices)
        (folder / "record.json").write_text(case.record.model_dump_json())
        synthetic_run(folder, arguments.gate, arguments.unsure)
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--child", name], check=True)


if __name__ == "__main__":
    main()
