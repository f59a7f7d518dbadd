"""How fast batches come, against the step that takes them: ``python tests/performance/loading.py``.

A store of made-up cases with ten organs, half of them with masks and half with reports. Recipe and crops are those of a
shipped recipe, read through the same code as in training. ``--device cuda`` also trains some steps and prints the
share of the time in which the loop waited for a batch: what a GPU idles for the sake of data. Processor time of one
batch moves less than the clock with other work on the machine; divided by the time of a step it is the number of cores
that keep a device busy.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "baselines"))
sys.path.insert(0, str(Path(__file__).parents[1] / "gpu"))

from gpu_batch import ORGANS, TYPES, _ellipsoids
from toy_world import ToyRelease, record_of

from rsuper_bench.baselines.augment import augmented
from rsuper_bench.baselines.data import TrainingData
from rsuper_bench.baselines.feeding import Feeding, feed
from rsuper_bench.baselines.networks import build_model
from rsuper_bench.baselines.objectives import OBJECTIVES
from rsuper_bench.baselines.prepare import prepare
from rsuper_bench.baselines.recipe import Recipe, load_recipe
from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.records import Finding, Presence
from rsuper_bench.benchmark.release import CaseVolumes, LabelMap
from rsuper_bench.benchmark.tumor_types import TumorType

KINDS = [TumorType(name) for name in TYPES]
NAMES = {number: (*kind.anatomy.labels, *kind.anatomy.left)[0] for number, kind in enumerate(KINDS, 1)}
WARM, REPEATS = 3, 5


def release_of(size: int, cases: int, grid_mm: float) -> ToyRelease:
    rng = np.random.default_rng(0)
    affine = np.diag([grid_mm] * 3 + [1.0])
    organs = _ellipsoids(size, ORGANS)
    made = {}
    for number in range(cases):
        masks = number % 2 == 0
        hu = (np.where(organs > 0, 100, -50) + rng.normal(0, 15, organs.shape)).astype(np.int16)
        lesions = np.zeros_like(organs)
        places = {kind: np.argwhere(organs == label) for label, kind in enumerate(KINDS, 1)}
        for label, kind in enumerate(KINDS[:5], 1):
            x, y, z = places[kind][rng.integers(len(places[kind]))]
            lesions[x - 3 : x + 4, y - 3 : y + 4, z - 3 : z + 4] = label
        stated = {kind: Presence.PRESENT if label < 5 else Presence.ABSENT for label, kind in enumerate(KINDS)}
        findings = [
            Finding(tumor_type=kind, kind="mass", diameters_mm=(7.0 * grid_mm,), attenuation="hypo")
            for kind in KINDS[:5]
        ]
        record = record_of(
            f"case-{number}",
            presence=stated,
            findings=findings,
            organ_labels=tuple(NAMES.values()),
            masks=dict.fromkeys(KINDS, 1.0) if masks else {},
        )
        drawn = Volume(lesions, affine) if masks else None
        made[record.case_id] = (record, CaseVolumes(Volume(hu, affine), Volume(organs, affine), drawn))
    labels = LabelMap(organs=NAMES, lesions=dict(enumerate(KINDS, 1)))
    return ToyRelease(made, label_map=labels)


def seconds_a_batch(data: TrainingData, steps: range, feeding: Feeding, device: torch.device) -> float:
    """After the first ones, which start the workers and fill what waits."""
    batches = feed(data.batch, steps, feeding, device)
    warm = 1 + feeding.ahead * max(feeding.workers, 1)
    for _ in range(warm):
        next(batches)
    started = time.perf_counter()
    count = sum(1 for _ in batches)
    return (time.perf_counter() - started) / count


def one_step(model, batch, recipe: Recipe) -> None:
    terms = OBJECTIVES[recipe.objective](model, augmented(batch), recipe.losses)
    torch.stack([term() for name, term in terms.items() if recipe.weight(name, 1) > 0]).sum().backward()


def training(
    model, data: TrainingData, recipe: Recipe, steps: range, feeding: Feeding, device: torch.device
) -> tuple[float, float]:
    """Seconds a step, and the share of them spent in waiting for a batch, after the first ones."""
    waited, started = 0.0, time.perf_counter()
    batches = feed(data.batch, steps, feeding, device)
    for number in range(len(steps)):
        if number == WARM:
            waited, started = 0.0, time.perf_counter()
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        one_step(model, batch, recipe)
        _wait(device)
    whole = time.perf_counter() - started
    return whole / (len(steps) - WARM), waited / whole


def name_of(workers: int) -> str:
    return f"{workers} processes" if workers else "a thread"


def timed(call, device: torch.device) -> float:
    """Seconds of a call after the first: of the processor on a CPU, of the clock on a GPU."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    call()
    _wait(device)
    started = clock()
    for _ in range(REPEATS):
        call()
    _wait(device)
    return (clock() - started) / REPEATS


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="combined")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--size", type=int, default=256, help="voxels of a case along each axis")
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-step", action="store_true", help="leave the training step out")
    chosen = parser.parse_args()
    device = torch.device(chosen.device)
    kinds = f"tumor_types=[{', '.join(TYPES)}]"
    recipe = load_recipe(chosen.recipe, [kinds, *chosen.set])
    first = recipe.stages[0].steps
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        store = prepare(release_of(chosen.size, chosen.cases, recipe.grid_mm), recipe, Path(folder))
        prepared = time.perf_counter() - started
        print(f"{recipe.name}: crop {list(recipe.crop)}, batch {recipe.batch}, {len(TYPES)} tumor types")
        print(f"{chosen.cases} cases of {chosen.size}^3 prepared in {prepared:.1f} s")
        data = TrainingData(store, recipe)
        data.batch(first)
        started = time.process_time()
        for step in range(first, first + REPEATS):
            data.batch(step)
        print(f"processor time of a batch: {(time.process_time() - started) / REPEATS * 1e3:.0f} ms")
        for workers in chosen.workers:
            feeding = Feeding(workers=workers)
            steps = range(first, first + chosen.batches + 1 + feeding.ahead * max(workers, 1))
            took = seconds_a_batch(data, steps, feeding, device)
            print(f"batches by {name_of(workers)}: {took * 1e3:.0f} ms each, {1 / took:.2f} a second")
        batch = data.batch(first).to(device)
        print(f"augmentation on {device}: {timed(lambda: augmented(batch), device) * 1e3:.0f} ms")
        if chosen.no_step:
            return
        model = build_model(recipe).to(device)
        alone = timed(lambda: one_step(model, batch, recipe), device)
        print(f"step on {device} with the batch at hand: {alone * 1e3:.0f} ms")
        for workers in chosen.workers:
            steps = range(first, first + chosen.batches + WARM)
            whole, share = training(model, data, recipe, steps, Feeding(workers=workers), device)
            print(f"training, batches by {name_of(workers)}: {whole * 1e3:.0f} ms a step, ", end="")
            print(f"{share:.0%} of it waiting for data")


if __name__ == "__main__":
    main()
