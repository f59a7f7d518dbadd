"""The loop: exact resume, a guard that names the term, files that are whole at any time."""

import json

import pytest
import torch
from toy_world import recipe_of

from rsuper_bench.baselines import objectives
from rsuper_bench.baselines.checkpoint import read_checkpoint
from rsuper_bench.baselines.recipe import load_recipe
from rsuper_bench.baselines.train import TrainingError, train
from rsuper_bench.benchmark.errors import ConfigError, DataError

FILES = {"recipe.yaml", "training_data.json", "run.json", "losses.jsonl", "tensorboard"} | {
    f"{name}.safetensors" for name in ("state", "state.previous", "weights")
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(toy_store, tmp_path):
    recipe = recipe_of()
    train(toy_store, recipe, tmp_path / "whole")
    for stop_after in (2, 3, 99):  # the second stop is in the second stage, beyond a regular save
        train(toy_store, recipe, tmp_path / "parts", resume=True, stop_after=stop_after)
    for name in ("weights.safetensors", "state.safetensors", "losses.jsonl", "recipe.yaml", "training_data.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name
    assert {path.name for path in (tmp_path / "whole").iterdir()} == FILES


def test_a_killed_run_repeats_the_steps_since_its_last_save(toy_store, tmp_path):
    recipe = recipe_of()
    train(toy_store, recipe, tmp_path / "whole")

    class Killed(BaseException):
        pass

    def kill(line):
        if line.step == 5:
            # a kill writes nothing: undo what the loop saves on its way out
            states.update({path.name: path.read_bytes() for path in (tmp_path / "killed").iterdir() if path.is_file()})
            raise Killed

    states = {}
    with pytest.raises(Killed):
        train(toy_store, recipe, tmp_path / "killed", on_step=kill)
    for name, content in states.items():
        (tmp_path / "killed" / name).write_bytes(content)
    # the log had got further than the state, and its last line is torn
    with (tmp_path / "killed" / "losses.jsonl").open("a") as file:
        file.write('{"step": 4, "loss": 1}\n{"step": 5, "lo')
    train(toy_store, recipe, tmp_path / "killed", resume=True)
    for name in ("weights.safetensors", "losses.jsonl"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes(), name


def test_the_log_has_every_term_of_every_step(toy_store, tmp_path):
    recipe = recipe_of()
    train(toy_store, recipe, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert [line["stage"] for line in lines] == [0] * 3 + [1] * 5
    for line in lines:
        # the ball has no weight in the first stage and is not computed there
        assert ("ball" in line["terms"]) == (line["stage"] == 1)
        weighed = sum(recipe.weight(name, line["stage"]) * value for name, value in line["terms"].items())
        assert line["loss"] == pytest.approx(weighed, abs=1e-5)


def test_the_resolved_recipe_is_saved_before_the_first_step(toy_store, tmp_path, monkeypatch):
    def fail(*_):
        assert load_recipe(tmp_path / "recipe.yaml") == recipe_of()
        raise RuntimeError("first step")

    monkeypatch.setitem(objectives.OBJECTIVES, "combined", fail)
    with pytest.raises(RuntimeError, match="first step"):
        train(toy_store, recipe_of(), tmp_path)


def test_training_lowers_the_loss(toy_store, tmp_path):
    recipe = recipe_of(stages=[{"steps": 5, "learning_rate": 0.01}, {"steps": 45, "learning_rate": 0.01}])
    train(toy_store, recipe, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    organs = [line["terms"]["organs"] for line in lines]
    assert sum(organs[-5:]) < 0.7 * sum(organs[:5])


def test_prediction_uses_the_average_of_the_weights(toy_store, tmp_path):
    run = train(toy_store, recipe_of(), tmp_path)
    saved = read_checkpoint(tmp_path / "weights.safetensors")
    assert saved.metadata["step"] == "8"
    assert {"torch", "monai", "python", "device", "rsuper_bench", "recipe", "store"} <= set(saved.metadata)
    assert (saved.metadata["seed"], saved.metadata["release"]) == ("7", "d" * 64)
    current = run.model.segmenter.state_dict()
    assert set(saved.tensors) == set(current)
    assert any(not torch.equal(saved.tensors[name], current[name]) for name in current)


def test_a_loss_that_is_not_finite_stops_and_names_the_term_and_the_cases(toy_store, tmp_path, monkeypatch):
    whole = objectives.OBJECTIVES["combined"]
    calls = []

    def broken(*arguments):
        terms = whole(*arguments)
        calls.append(1)
        return terms | {"volume": lambda: terms["attenuation"]() * float("nan")} if len(calls) == 5 else terms

    monkeypatch.setitem(objectives.OBJECTIVES, "combined", broken)
    with pytest.raises(TrainingError, match=r"step 5: volume is nan.*\n.*case-0\d") as caught:
        train(toy_store, recipe_of(), tmp_path)
    assert caught.value.exit_code == 1
    monkeypatch.setitem(objectives.OBJECTIVES, "combined", whole)
    assert train(toy_store, recipe_of(), tmp_path, resume=True).step == 8


def test_a_folder_with_a_run_is_not_overwritten(toy_store, tmp_path):
    train(toy_store, recipe_of(), tmp_path, stop_after=1)
    with pytest.raises(ConfigError, match="Add --resume"):
        train(toy_store, recipe_of(), tmp_path)
    with pytest.raises(ConfigError, match="another recipe"):
        train(toy_store, recipe_of(seed=8), tmp_path, resume=True)
    assert load_recipe(tmp_path / "recipe.yaml") == recipe_of()


def test_a_store_of_another_grid_is_refused(toy_store, tmp_path):
    with pytest.raises(DataError, match=r"Run `rsuper-bench prepare`"):
        train(toy_store, recipe_of(grid_mm=3.0), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_seed_is_another_run(toy_store, tmp_path):
    one = train(toy_store, recipe_of(), tmp_path / "one", stop_after=2)
    two = train(toy_store, recipe_of(seed=8), tmp_path / "two", stop_after=2)
    assert any(not torch.equal(a, b) for a, b in zip(one.ema.values(), two.ema.values(), strict=True))
