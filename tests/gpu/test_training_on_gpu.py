"""The training loop on a CUDA GPU: no step waits for it, it learns in bfloat16, and an interrupted run goes on."""

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "baselines"))
from toy_world import recipe_of, toy_release

from rsuper_bench.baselines import train as loop
from rsuper_bench.baselines.augment import augmented
from rsuper_bench.baselines.data import TrainingData
from rsuper_bench.baselines.distributed import Team
from rsuper_bench.baselines.prepare import prepare
from rsuper_bench.baselines.run_state import Run
from rsuper_bench.baselines.schedule import learning_rate

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; `make gpu-check` runs it on one"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return prepare(toy_release(), recipe_of(), tmp_path_factory.mktemp("store"))


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "losses.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_step_never_waits_for_the_gpu(store, tmp_path, accumulate):
    recipe = recipe_of(accumulate=accumulate)
    device = torch.device("cuda")
    run = Run.fresh(tmp_path, recipe, store_digest=store.digest, device=device, provenance={})
    run.step = 3  # the second stage, with every term
    data = TrainingData(store, recipe)

    def step():
        batch = augmented(data.batch(run.step).pin_memory().to(device))
        measured = loop._step(run, batch, Team())
        run.update(learning_rate(recipe, run.step))
        return measured

    step()  # the first one allocates and makes the optimiser's state
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        measured = step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert measured.read().step == 5


def test_an_interrupted_run_goes_on_within_what_a_gpu_repeats(store, tmp_path):
    recipe = recipe_of(precision="fp32")
    loop.train(store, recipe, tmp_path / "whole", device="cuda")
    loop.train(store, recipe, tmp_path / "parts", device="cuda", stop_after=5)
    loop.train(store, recipe, tmp_path / "parts", device="cuda", resume=True)
    assert losses(tmp_path / "parts") == pytest.approx(losses(tmp_path / "whole"), rel=1e-3)


def test_a_gpu_trains_as_the_cpu(store, tmp_path):
    network = {"name": "toy", "fold": 2, "options": {"dropout": 0.0}}
    recipe = recipe_of(precision="fp32", network=network, augmentation=None)
    for device in ("cpu", "cuda"):
        loop.train(store, recipe, tmp_path / device, device=device)
    assert losses(tmp_path / "cuda") == pytest.approx(losses(tmp_path / "cpu"), rel=2e-2)  # TF32 convolutions


def test_it_learns_in_bfloat16(store, tmp_path):
    stages = [{"steps": 5, "learning_rate": 0.01}, {"steps": 45, "learning_rate": 0.01}]
    run = loop.train(store, recipe_of(stages=stages, overlay_every=25), tmp_path, device="cuda")
    lines = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    organs = [line["terms"]["organs"] for line in lines]
    assert [line["step"] for line in lines] == list(range(1, 51))
    assert sum(organs[-5:]) < 0.7 * sum(organs[:5])
    assert {value.dtype for value in run.ema.values()} == {torch.float32}
    assert len(list((tmp_path / "overlays").iterdir())) == 2
