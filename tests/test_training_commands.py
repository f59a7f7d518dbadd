"""``prepare``, ``train``, ``predict`` and ``validate`` as a user types them, on a few phantoms."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from rsuper_bench.baselines.recipe import load_recipe, shipped_recipes
from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.cli import app

HERE = str(Path(__file__).parent)  # no release
PHANTOM = {
    "n_train": 6,
    "n_validation": 1,
    "n_test": 2,
    "shape": [72, 52, 56],
    "body_scale": 0.8,
    "center_mm": [0.0, 0.0, 42.0],
    "tumor_types": ["liver", "kidney", "pancreas"],
    "prevalence": 0.7,
    "mask_share": 0.5,
}


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    (folder / "phantom.yaml").write_text(yaml.safe_dump(PHANTOM))
    run("dataset", "build", "--source", "phantom", "--config", folder / "phantom.yaml", "--out", folder / "release")
    return folder / "release"


@pytest.mark.slow
def test_from_a_release_to_a_valid_submission(release, tmp_path):
    run("prepare", release, "--recipe", "smoke", "--out", tmp_path / "store")
    out = run("train", tmp_path / "store", "--recipe", "smoke", "--out", tmp_path / "run", "--set", "seed=3")
    assert out == f"smoke, 8 steps: {tmp_path / 'run'}\n"  # progress is on stderr
    assert load_recipe(tmp_path / "run" / "recipe.yaml").seed == 3
    run("predict", tmp_path / "run", release, "--split", "test", "--out", tmp_path / "submission", "--masks")
    out = run("validate", tmp_path / "submission", "--data", release, "--split", "test", "--task", "demo-phantom-v1")
    assert "valid" in out
    # a release can be named instead of a store, and a finished run is left as it is
    run("train", release, "--recipe", "smoke", "--out", tmp_path / "direct", "--set", "seed=3")
    weights = (tmp_path / "run" / "weights.safetensors").read_bytes()
    direct = (tmp_path / "direct" / "weights.safetensors").read_bytes()
    run("train", release, "--recipe", "smoke", "--out", tmp_path / "direct", "--set", "seed=3", "--resume")
    assert (tmp_path / "direct" / "weights.safetensors").read_bytes() == direct
    assert len(direct) == len(weights)
    lines = (tmp_path / "direct" / "losses.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 9))


@pytest.mark.slow
@pytest.mark.parametrize("objective", [name.removeprefix("demo_") for name in shipped_recipes() if "demo_" in name])
def test_the_demo_recipes_train_on_phantoms(release, tmp_path, objective):
    short = ("--set", "stages=[{steps: 1, learning_rate: 0.01}, {steps: 1, learning_rate: 0.01}]")
    run("train", release, "--recipe", f"demo_{objective}", "--out", tmp_path / "run", *short)
    run("predict", tmp_path / "run", release, "--split", "test", "--out", tmp_path / "submission")
    assert len((tmp_path / "submission" / "predictions.csv").read_text().splitlines()) == 1 + 2 * 3


def test_a_network_that_cannot_work_is_refused_before_a_release_is_prepared(release, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = ["train", str(release), "--recipe", "smoke", "--set", "crop=[50, 48, 48]", "--out", "run"]
    result = CliRunner().invoke(app, call)
    assert isinstance(result.exception, ConfigError)
    assert "cannot take crop [50, 48, 48]" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_pseudo_labels_train_on_a_store(release, tmp_path):
    short = ("--set", "stages=[{steps: 1, learning_rate: 0.01}, {steps: 1, learning_rate: 0.01}]")
    run("prepare", release, "--recipe", "demo_pseudo_labels", "--out", tmp_path / "store")
    run("train", tmp_path / "store", "--recipe", "demo_pseudo_labels", "--out", tmp_path / "run", *short)
    assert (tmp_path / "run" / "weights.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("train", "nowhere", "--recipe", "smoke", "--out", "run"), ConfigError, "no such folder"),
        (("train", HERE, "--recipe", "smoke", "--out", "run"), DataError, "a release made by"),
        (("train", HERE, "--recipe", "smoke", "--out", f"{HERE}/run"), ConfigError, "which is read"),
        (("prepare", HERE, "--recipe", "smoke", "--out", HERE), ConfigError, "which is read"),
        (("predict", "run", HERE, "--split", "test", "--out", f"{HERE}/sub"), ConfigError, "which is read"),
        (("train", HERE, "--recipe", "smok", "--out", "run"), ConfigError, "Did you mean 'smoke'"),
        (("train", HERE, "--recipe", "smoke", "--set", "bach=1", "--out", "run"), ConfigError, "Did you mean 'batch'"),
        (("prepare", "nowhere", "--recipe", "smoke", "--out", "store"), ConfigError, "no such folder"),
        (("predict", "nowhere", "nowhere", "--split", "test", "--out", "sub"), ConfigError, "no such folder"),
    ],
)
def test_wrong_calls_are_refused_and_nothing_is_written(tmp_path, monkeypatch, arguments, error, message):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("device", ["tpu", "meta", ""])
def test_an_unusable_device_is_refused(tmp_path, monkeypatch, device):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["train", ".", "--recipe", "smoke", "--out", "run", "--device", device])
    assert isinstance(result.exception, ConfigError)
    assert f"'{device}' cannot be used here" in str(result.exception)


def test_a_grid_too_fine_for_any_memory_is_refused_before_a_case_is_read(release, tmp_path):
    call = ["prepare", str(release), "--recipe", "smoke", "--set", "grid_mm=0.01", "--out", str(tmp_path / "store")]
    result = CliRunner().invoke(app, call)
    assert isinstance(result.exception, ConfigError)
    assert "grid_mm 0.01: case phantom-0000" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "call",
    [
        ("prepare", "DATA", "--recipe", "smoke"),
        ("train", "DATA", "--recipe", "smoke"),
        ("predict", "RUN", "DATA", "--split", "test"),
    ],
)
def test_a_place_for_something_else_is_refused_before_the_work(tmp_path, call):
    (tmp_path / "note").write_text("mine")
    (tmp_path / "predictions.csv").write_text("mine")
    (tmp_path / "losses.jsonl").write_text("mine")
    places = [tmp_path / "note", tmp_path / "note" / "inside"] + [tmp_path] * (call[0] != "prepare")
    for out in places:
        result = CliRunner().invoke(app, [*call, "--out", str(out)])
        assert isinstance(result.exception, ConfigError), result.output
        assert len(result.exception.problems) == 1
        assert "--out" in str(result.exception)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"mine"}
