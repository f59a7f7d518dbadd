"""Whatever ends a run (a kill, a signal, a full disk), it goes on to the same bits."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from toy_world import recipe_of

from rsuper_bench.baselines.checkpoint import read_checkpoint, write_checkpoint
from rsuper_bench.baselines.distributed import Team
from rsuper_bench.baselines.losses.looking import without_looking
from rsuper_bench.baselines.predictor import Predictor
from rsuper_bench.baselines.run_state import Run
from rsuper_bench.baselines.start import start
from rsuper_bench.baselines.train import TrainingError, train
from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.files import digest_of

HERE = Path(__file__).parent
SAME = ("weights.safetensors", "state.safetensors", "losses.jsonl", "recipe.yaml", "training_data.json")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def begin(store, out, changes):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)}
    command = [sys.executable, str(HERE / "toy_run.py"), str(store.folder), str(out), json.dumps(changes), "--resume"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def assert_same(one, other, names=SAME):
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.slow
def test_a_run_killed_at_random_ends_bit_for_bit_like_an_uninterrupted_one(toy_store, tmp_path):
    seed = int.from_bytes(os.urandom(4), "big")
    print("seed of the kills:", seed)
    chance = np.random.default_rng(seed)
    changes = {"overlay_every": 2, "save_every": 2}
    train(toy_store, recipe_of(**changes), tmp_path / "whole")
    for _ in range(2):  # times
        process = begin(toy_store, tmp_path / "killed", changes)
        step = int(chance.integers(1, 5))  # printed lines, counted from where this process went on
        for _, _line in zip(range(step), process.stdout, strict=False):
            pass
        time.sleep(chance.random() * 0.3)  # anywhere in a step, a picture or a save
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert begin(toy_store, tmp_path / "killed", changes).wait(120) == 0
    assert_same(tmp_path / "whole", tmp_path / "killed")
    assert_points_once(tmp_path / "killed")
    for name in ("step-00000002.png", "step-00000008.png"):
        assert_same(tmp_path / "whole" / "overlays", tmp_path / "killed" / "overlays", [name])


def assert_points_once(run, steps=8):
    events = EventAccumulator(str(run / "tensorboard"), purge_orphaned_data=False)
    events.Reload()
    assert len(list((run / "tensorboard").iterdir())) == 1
    assert [point.step for point in events.Scalars("loss")] == list(range(1, steps + 1))
    lines = [json.loads(line) for line in (run / "losses.jsonl").read_text().splitlines()]
    organs = [point.value for point in events.Scalars("terms/organs")]
    assert organs == pytest.approx([line["terms"]["organs"] for line in lines])
    tags = {"loss", "learning_rate", "gradient_norm"} | {f"terms/{name}" for name in lines[-1]["terms"]}
    assert tags <= set(events.Tags()["scalars"])
    return events


def test_events_have_every_point_once_after_a_resume(toy_store, tmp_path):
    recipe = recipe_of(overlay_every=3)
    train(toy_store, recipe, tmp_path, stop_after=4)
    train(toy_store, recipe, tmp_path, resume=True)
    events = assert_points_once(tmp_path)
    assert [picture.step for picture in events.Images("overlay")] == [3, 6]
    assert sorted(path.name for path in (tmp_path / "overlays").iterdir()) == ["step-00000003.png", "step-00000006.png"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_step_finish_and_saves_it(toy_store, tmp_path, number, monkeypatch):
    train(toy_store, recipe_of(), tmp_path / "whole")
    update = Run.update

    def interrupted(run, rate):
        if run.step == 4:
            signal.raise_signal(number)  # in the middle of a step
        update(run, rate)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "update", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(toy_store, recipe_of(), tmp_path / "run")
    assert signal.getsignal(number) is before
    assert len((tmp_path / "run" / "losses.jsonl").read_text().splitlines()) == 5
    train(toy_store, recipe_of(), tmp_path / "run", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "run")


def test_what_is_interrupted_inside_an_update_is_not_saved(toy_store, tmp_path, monkeypatch):
    train(toy_store, recipe_of(), tmp_path / "whole")
    follow = Run._follow

    def broken(run):
        if run.step == 4:
            raise RuntimeError("in the middle of an update")
        follow(run)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_follow", broken)
        with pytest.raises(RuntimeError, match="in the middle"):
            train(toy_store, recipe_of(), tmp_path / "run")
    train(toy_store, recipe_of(), tmp_path / "run", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize(
    ("limit_bytes", "file"), [(20_000, "state.safetensors"), (1_000, "losses.jsonl"), (2_000, "tensorboard")]
)
def test_a_full_disk_loses_nothing(toy_store, tmp_path, limit_bytes, file, capfd):
    train(toy_store, recipe_of(), tmp_path / "whole")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(line):
        if line.step == 5:  # the state of step 3 is saved, that of step 6 comes next
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))

    try:
        with pytest.raises(DataError) as caught:
            train(toy_store, recipe_of(), tmp_path / "run", on_step=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    message = str(caught.value)
    assert message.count("error:") == 1
    assert "cannot be written (File too large)" in message
    assert file != "state.safetensors" or f"{file}: cannot" in message
    assert "go on with --resume" in message
    assert capfd.readouterr().err == ""
    assert not list((tmp_path / "run").glob(".*"))  # no leftovers
    train(toy_store, recipe_of(), tmp_path / "run", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "run")


def test_a_damaged_state_falls_back_to_the_one_before_and_says_so(toy_store, tmp_path):
    train(toy_store, recipe_of(), tmp_path / "whole")
    train(toy_store, recipe_of(), tmp_path / "run", stop_after=7)
    newest = tmp_path / "run" / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1000])
    notes = []
    train(toy_store, recipe_of(), tmp_path / "run", resume=True, on_note=notes.append)
    assert [note for note in notes if "Going on from state.previous.safetensors" in note and str(newest) in note]
    assert_same(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("torn", [b'{"step": 5, "lo', b'{"grad_norm":1,"terms":{"a":1}', b"\xff\xfe\n", b"[1]\n"])
def test_a_torn_loss_log_is_mended(toy_store, tmp_path, torn):
    train(toy_store, recipe_of(), tmp_path / "whole")
    train(toy_store, recipe_of(), tmp_path / "run", stop_after=4)
    with (tmp_path / "run" / "losses.jsonl").open("ab") as file:
        file.write(torn)
    train(toy_store, recipe_of(), tmp_path / "run", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "run")


def test_what_was_changed_since_is_named(toy_store, tmp_path):
    train(toy_store, recipe_of(), tmp_path, stop_after=1)
    with pytest.raises(ConfigError, match=r"another recipe \(batch: 2 -> 4; seed: 7 -> 8\)"):
        train(toy_store, recipe_of(seed=8, batch=4), tmp_path, resume=True)


@pytest.mark.parametrize("step", [1, 8])
def test_a_run_of_an_older_version_goes_on(toy_store, tmp_path, step):
    """Recipes had fewer keys then: what a run wrote has another digest."""
    train(toy_store, recipe_of(), tmp_path / "today")
    run = tmp_path / "older"
    train(toy_store, recipe_of(), run, stop_after=step)
    written = recipe_of().model_dump(mode="json")
    assert written.pop("report_errors") == 0
    (run / "recipe.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
    for path in run.glob("*.safetensors"):
        saved = read_checkpoint(path)
        header = {key: value for key, value in saved.metadata.items() if key != "recipe_json"}
        write_checkpoint(path, saved.tensors, header | {"recipe": digest_of(written)})
    with pytest.raises(ConfigError, match=r"another recipe \(report_errors: None -> 0\.1\)"):
        train(toy_store, recipe_of(report_errors=0.1), run, resume=True)
    # Stopped before anything was saved, which is no reason to refuse it
    start(toy_store, recipe_of(), run, resume=True, device=torch.device("cpu"), team=Team())
    train(toy_store, recipe_of(), run, resume=True)
    tensors = [read_checkpoint(folder / "weights.safetensors").tensors for folder in (run, tmp_path / "today")]
    assert all(torch.equal(tensors[0][name], value) for name, value in tensors[1].items())
    Predictor(run)


def test_a_state_of_another_store_is_refused(toy_store, tmp_path, monkeypatch):
    train(toy_store, recipe_of(), tmp_path, stop_after=1)
    monkeypatch.setattr(type(toy_store), "digest", "f" * 64)
    with pytest.raises(ConfigError, match="state of other prepared cases: another release"):
        train(toy_store, recipe_of(), tmp_path, resume=True)


def test_a_finished_run_is_left_as_it_is(toy_store, tmp_path):
    train(toy_store, recipe_of(), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    assert train(toy_store, recipe_of(), tmp_path, resume=True).step == 8
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")} == before


def test_damaged_weights_of_a_finished_run_are_written_again(toy_store, tmp_path):
    train(toy_store, recipe_of(), tmp_path)
    weights = tmp_path / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-7])
    train(toy_store, recipe_of(), tmp_path, resume=True)
    assert weights.read_bytes() == whole


def test_weights_of_another_recipe_are_written_again(toy_store, tmp_path):
    train(toy_store, recipe_of(), tmp_path / "run")
    train(toy_store, recipe_of(seed=8), tmp_path / "other")
    weights = tmp_path / "run" / "weights.safetensors"
    own = weights.read_bytes()
    (tmp_path / "other" / "weights.safetensors").replace(weights)
    train(toy_store, recipe_of(), tmp_path / "run", resume=True)
    assert weights.read_bytes() == own


@pytest.mark.parametrize("step", ["-1", "9", "x", "9" * 5000])
def test_a_state_with_an_impossible_step_is_refused(toy_store, tmp_path, step):
    train(toy_store, recipe_of(), tmp_path, stop_after=1)
    path = tmp_path / "state.safetensors"
    saved = read_checkpoint(path)
    write_checkpoint(path, saved.tensors, saved.metadata | {"step": step})
    with pytest.raises(DataError, match="no number of finished steps; expected 0 to 8"):
        train(toy_store, recipe_of(), tmp_path, resume=True)


def test_another_machine_is_noted(toy_store, tmp_path):
    train(toy_store, recipe_of(), tmp_path, stop_after=2)
    path = tmp_path / "run.json"
    path.write_text(path.read_text().replace('"cpu"', '"a GPU"'))
    notes = []
    train(toy_store, recipe_of(), tmp_path, resume=True, on_note=notes.append)
    assert any(note.startswith("device was a GPU and is cpu") for note in notes)
    sessions = json.loads(path.read_text())["sessions"]
    assert [session["step"] for session in sessions] == [0, 2]
    assert sessions[1]["provenance"]["release"] == "d" * 64


@pytest.mark.parametrize("sessions", ['{"sessions": [{"provenance": 3}]}', '{"sessions": [1]}', "[]", "\0"])
def test_a_damaged_note_of_sessions_is_begun_again(toy_store, tmp_path, sessions):
    train(toy_store, recipe_of(), tmp_path, stop_after=2)
    (tmp_path / "run.json").write_text(sessions)
    assert train(toy_store, recipe_of(), tmp_path, resume=True, stop_after=1).step == 3
    assert json.loads((tmp_path / "run.json").read_text())["sessions"][-1]["step"] == 2


def test_losses_read_late_never_reach_the_disk_when_they_are_not_finite(toy_store, tmp_path, monkeypatch):
    """On a GPU the host looks every few steps: weights made in between are in memory only."""
    from rsuper_bench.baselines import journal, objectives

    train(toy_store, recipe_of(), tmp_path / "whole")
    looking = journal.LossLog
    monkeypatch.setattr(journal, "LossLog", lambda _every, on_step: looking(10, on_step))
    combined = objectives.OBJECTIVES["combined"]
    calls = []

    def broken(*arguments):
        calls.append(1)
        terms = combined(*arguments)
        return terms | {"volume": lambda: terms["attenuation"]() * float("nan")} if len(calls) == 5 else terms

    with monkeypatch.context() as patch:
        patch.setitem(objectives.OBJECTIVES, "combined", broken)
        with without_looking(), pytest.raises(TrainingError, match=r"step 5: volume is nan"):
            train(toy_store, recipe_of(), tmp_path / "run")
    assert len(calls) == 6  # it went on until the save at step 6 looked
    train(toy_store, recipe_of(), tmp_path / "run", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "run")
