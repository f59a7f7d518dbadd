"""Two processes on a CPU train as one does, and fail with one message."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy_world import recipe_of

from rsuper_bench.baselines.checkpoint import read_checkpoint
from rsuper_bench.baselines.distributed import Team, own_device
from rsuper_bench.baselines.train import train
from rsuper_bench.benchmark.errors import ConfigError

HERE = Path(__file__).parent
NETWORK = {"name": "toy", "fold": 2, "options": {"dropout": 0.0}}  # the noise of dropout is another in each process


def torchrun(*arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE), "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.run(
        [*command, str(HERE / "toy_run.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )


def losses(folder):
    return [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_train_like_one_with_the_doubled_batch(toy_store, tmp_path):
    """And each computes its share in two parts. Tolerance: the order of float32 sums, through eight steps of AdamW."""
    changes = {"batch": 4, "network": NETWORK}
    train(toy_store, recipe_of(**changes), tmp_path / "one")
    result = torchrun(toy_store.folder, tmp_path / "two", json.dumps(changes | {"accumulate": 2}))
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [str(step) for step in range(1, 9)]  # one process reports
    for one, two in zip(losses(tmp_path / "one"), losses(tmp_path / "two"), strict=True):
        assert one["terms"] == pytest.approx(two["terms"], rel=2e-4, abs=2e-5)
        assert one["grad_norm"] == pytest.approx(two["grad_norm"], rel=2e-4)
    weights = [read_checkpoint(tmp_path / name / "weights.safetensors") for name in ("one", "two")]
    for name, tensor in weights[0].tensors.items():
        torch.testing.assert_close(weights[1].tensors[name], tensor, rtol=1e-3, atol=1e-4)
    assert weights[1].metadata["processes"] == "2"
    written = {path.name for path in (tmp_path / "two").iterdir()}
    assert written == {path.name for path in (tmp_path / "one").iterdir()}


@pytest.mark.slow
def test_a_failing_process_ends_all_with_one_message(toy_store, tmp_path):
    changes = {"batch": 4, "network": NETWORK, "broken": {"rank": 1, "step": 4}}
    result = torchrun(toy_store.folder, tmp_path / "run", json.dumps(changes))
    assert result.returncode == 1
    assert result.stderr.count("error: ") == 1
    assert "error: case-03: cannot be read" in result.stderr
    ours = result.stderr.partition("torch/distributed")[0]  # torchrun itself adds a summary with a traceback
    assert "Traceback" not in ours
    assert (tmp_path / "run" / "state.safetensors").exists()


@pytest.mark.slow
def test_the_command_line_starts_processes_and_says_an_error_once(toy_store, tmp_path):
    """Both find that three crops cannot be split; torchrun would add a traceback and a summary."""
    call = ["train", toy_store.folder, "--recipe", "smoke", "--set", "batch=3", "--out", tmp_path, "--processes", "2"]
    result = subprocess.run(
        [sys.executable, "-m", "rsuper_bench", *map(str, call)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        timeout=300,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("error: batch 3: cannot be split among 2 processes"), result.stderr
    assert len(result.stderr.splitlines()) == 2
    assert list(tmp_path.iterdir()) == []


PSEUDO_LABELS = {
    "objective": "pseudo_labels",
    "cases": [{"masks": 1}],
    "weights": {"segmentation": 1.0, "organs": 1.0},
    "stages": [{"steps": 2, "learning_rate": 0.01}],
    "network": NETWORK,
}


@pytest.mark.slow
def test_one_process_draws_pseudo_labels_and_the_other_waits_as_long_as_it_takes(toy_store, tmp_path):
    changes = PSEUDO_LABELS | {"drawing": {"seconds": 4}}  # of four cases: longer than other messages may take
    result = torchrun(toy_store.folder, tmp_path, json.dumps(changes))
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["1", "2", *["drawn by 0"] * 4, "1", "2"]
    assert json.loads((tmp_path / "pseudo_labels" / "pseudo_labels.json").read_text())["report_cases"] == 4
    assert read_checkpoint(tmp_path / "weights.safetensors").metadata["processes"] == "2"


@pytest.mark.slow
def test_who_waits_for_pseudo_labels_ends_with_the_one_that_draws(toy_store, tmp_path):
    result = torchrun(toy_store.folder, tmp_path, json.dumps(PSEUDO_LABELS | {"drawing": {"fails": True}}))
    assert result.returncode == 1
    assert result.stderr.count("error: ") == 1
    assert "error: case-05: cannot be read" in result.stderr
    assert not (tmp_path / "weights.safetensors").exists()


def test_a_batch_is_shared_evenly_or_not_at_all():
    assert [list(Team(rank, 2).share(4)) for rank in (0, 1)] == [[0, 1], [2, 3]]
    with pytest.raises(ConfigError, match=r"batch 3.*cannot be split among 2 processes(?s:.*)--set batch=4"):
        Team(0, 2).share(3)


def test_each_process_takes_its_own_gpu(monkeypatch):
    assert own_device("cuda") == "cuda"
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert own_device("cuda") == "cuda"  # some clusters set it without torchrun
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert [own_device(name) for name in ("cuda", "cuda:1", "cpu")] == ["cuda:3", "cuda:1", "cpu"]
