"""Weights on the Hub: pushed by the command, read back by ``predict``, through a Hub on the loopback interface."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from hubserver import Repo, StoredFile, client_environment, serving
from typer.testing import CliRunner

from rsuper_bench.baselines.checkpoint import WEIGHTS_FILE
from rsuper_bench.baselines.hub import open_run, plan_weights
from rsuper_bench.baselines.networks import build_model
from rsuper_bench.baselines.recipe import load_recipe
from rsuper_bench.baselines.weights import write_weights
from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.files import sha256_file
from rsuper_bench.benchmark.report import SubmissionInfo
from rsuper_bench.cli import app

sys.path.append(str(Path(__file__).parent / "leaderboard"))
from synthetic_reports import make_report

BENCH = "import sys; from rsuper_bench.cli import main; sys.argv[0] = 'rsuper-bench'; main()"
PHANTOM = {
    "n_train": 1,
    "n_validation": 1,
    "n_test": 1,
    "shape": [64, 48, 48],
    "body_scale": 0.72,
    "tumor_types": ["liver", "kidney", "pancreas"],
}
TRAINED = {
    "release": "ab" * 32,
    "masks": {
        "cases": 3,
        "synthetic": 3,
        "licences": {"CC0-1.0": 3},
        "known": {"liver": {"mask": 3}},
        "case_ids": ["patient-7"],
    },
    "host": "machine-of-someone",
}


@pytest.fixture
def run(tmp_path):
    """What `train` leaves, without training."""
    folder = tmp_path / "run"
    recipe = load_recipe("smoke")
    torch.manual_seed(0)
    write_weights(folder, build_model(recipe).segmenter.state_dict(), recipe, {"step": "8"})
    (folder / "recipe.yaml").write_text(recipe.to_yaml())
    (folder / "training_data.json").write_text(json.dumps(TRAINED))
    (folder / "losses.jsonl").write_text("{}\n")
    return folder


def report_of(run, **more):
    info = SubmissionInfo(
        team="us", method="smoke", description=f"A network. Weights {sha256_file(run / WEIGHTS_FILE)[:12]}."
    )
    return make_report(0.7, submission=info, synthetic=True, **more)


def test_the_card_holds_the_table_and_names_no_case(run):
    report = report_of(run)
    departure = plan_weights(run, "org/name", [report], licence="apache-2.0")
    assert list(departure.files) == ["README.md", "weights.safetensors", "recipe.yaml", "training_data.json"]
    card = departure.files["README.md"].decode()
    head = yaml.safe_load(card.split("---")[1])
    assert (head["license"], head["library_name"]) == ("apache-2.0", "rsuper-bench")
    for kind, scores in report.scores.items():
        row = next(line for line in card.splitlines() if line.startswith(f"| {kind} |"))
        assert f"{scores['auroc'].value:.3f} [" in row
        assert f"{100 * scores['sensitivity'].value:.1f} [" in row
    assert "rsuper-bench predict org/name DATA" in card
    assert "ab" * 32 in card
    assert "3 cases for their masks, 3 of them **synthetic**; licences of the cases: CC0-1.0: 3" in card
    assert "Synthetic cases: no evidence about patients" in card
    assert "organ masks" in card  # smoke removes lesions outside of the organ masks of the release
    everything = card + "".join(
        content.decode() for name, content in departure.files.items() if isinstance(content, bytes)
    )
    named = {outcome.case_id for outcome in report.outcomes} | {outcome.patient for outcome in report.outcomes}
    assert not [word for word in (*named, "patient-7", "machine-of-someone") if word in everything]


def test_without_an_evaluation_the_card_says_so(run):
    card = plan_weights(run, "org/name", licence="cc-by-4.0").files["README.md"].decode()
    assert "what it can do is not known" in card


def test_hostile_words_stay_words_in_the_card(run):
    recipe = load_recipe("smoke").model_copy(update={"name": "<script>alert(1)</script> | [x](y)"})
    (run / "recipe.yaml").write_text(recipe.to_yaml())
    write_weights(run, build_model(recipe).segmenter.state_dict(), recipe, {})
    card = plan_weights(run, "org/name", licence="mit").files["README.md"].decode()
    assert "<script>" not in card
    assert "[x](y)" not in card


def test_all_that_is_wrong_with_a_push_is_said_at_once(run):
    other = make_report(0.7)
    with pytest.raises(ConfigError) as caught:
        plan_weights(run, "../x", [other], licence="Apache 2")
    assert len(caught.value.problems) == 3
    assert re.search("not of weights [0-9a-f]{12}; expected a report of a submission", str(caught.value))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("training_data.json", "{", "training_data.json"),
        ("training_data.json", '{"release": 3}', "release"),
        ("recipe.yaml", "name: x", "recipe.yaml"),
        ("weights.safetensors", "not weights", "not readable"),
        ("recipe.yaml", load_recipe("smoke", ["organ_gate=none"]).to_yaml(), "organ_gate: release -> none"),
    ],
)
def test_a_damaged_run_is_not_pushed(run, name, content, message):
    (run / name).write_text(content)
    with pytest.raises((DataError, ConfigError), match=message):
        plan_weights(run, "org/name", licence="mit")


def test_what_is_no_run_and_no_repository_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        open_run(tmp_path / "nowhere")


def test_a_recipe_is_printed_complete_and_can_be_read_back(tmp_path):
    call = ["recipe", "small_combined", "--set", "batch=4"]
    result = CliRunner().invoke(app, [*call, "--out", str(tmp_path / "mine.yaml")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "mine.yaml").read_text() == CliRunner().invoke(app, call).stdout
    assert load_recipe(tmp_path / "mine.yaml") == load_recipe("small_combined", ["batch=4"])


def bench(hub, home, *arguments, account="hf_owner"):
    return subprocess.run(
        [sys.executable, "-c", BENCH, *map(str, arguments)],
        env=client_environment(hub, home, account) | {"OMP_NUM_THREADS": "1"},
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.slow
def test_weights_go_to_the_hub_and_predict_from_there(run, tmp_path):
    (tmp_path / "phantom.yaml").write_text(yaml.safe_dump(PHANTOM))
    made = ["dataset", "build", "--source", "phantom", "--config", tmp_path / "phantom.yaml"]
    assert CliRunner().invoke(app, [*map(str, made), "--out", str(tmp_path / "release")]).exit_code == 0
    report = tmp_path / "report.json"
    report.write_text(report_of(run).model_dump_json())
    call = ("weights", "push", run, "--repo", "org/name", "--licence", "apache-2.0", "--evaluation", report)
    home = tmp_path / "hf"
    with serving() as hub:
        dry = bench(hub, home, *call, "--dry-run")
        assert dry.returncode == 0, dry.stderr
        assert "nothing was sent" in dry.stdout
        assert "| liver |" in dry.stdout
        assert hub.requests == []
        pushed = bench(hub, home, *call, "--private")
        assert pushed.returncode == 0, pushed.stderr
        repo = hub.repos["models/org/name"]
        assert repo.private
        assert set(repo.tree()) == {"README.md", "weights.safetensors", "recipe.yaml", "training_data.json"}
        assert repo.tree()["weights.safetensors"].data == (run / WEIGHTS_FILE).read_bytes()
        revision = pushed.stdout.strip().rpartition("/")[2]
        for name, source in (("there", f"org/name@{revision}"), ("here", run)):
            done = bench(
                hub, home, "predict", source, tmp_path / "release", "--split", "test", "--out", tmp_path / name
            )
            assert done.returncode == 0, done.stderr
        for name in ("predictions.csv", "submission.yaml"):
            assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
        hub.repos["models/org/taken"] = taken = Repo("org/taken")
        taken.commit({"thesis.pdf": StoredFile(b"mine", large=False)}, "main")
        for name, account, part in (
            ("org/taken", "hf_owner", "1 files and no weights.safetensors"),
            ("org/other", "hf_reader", "the Hub gave"),
        ):
            refused = bench(hub, home, *call[:4], name, *call[5:], account=account)
            assert refused.returncode in (1, 2)
            assert part in refused.stderr
            assert "Traceback" not in refused.stderr
            assert "hf_" not in refused.stderr.replace("hf auth", "")
        missing = bench(hub, home, "predict", "org/nothing", tmp_path / "release", "--split", "test", "--out", "x")
        assert missing.returncode == 1
        assert "no such folder, and the Hub gave" in missing.stderr
