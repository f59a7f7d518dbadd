"""Scoring entries again from their predictions, and what training releases share with the evaluated cases."""

import json
import shutil

import pytest
from small_release import THREE, noisy_scores, random_records, write_release, write_submission
from typer.testing import CliRunner

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.evaluation_folder import report_json
from rsuper_bench.benchmark.records import Split
from rsuper_bench.benchmark.release import open_release
from rsuper_bench.benchmark.submission import load_submission
from rsuper_bench.benchmark.task import CallRule, load_task
from rsuper_bench.benchmark.thresholds import calibrate, save_thresholds
from rsuper_bench.cli import app
from rsuper_bench.leaderboard.add import add_entry
from rsuper_bench.leaderboard.build import build_site, check_site
from rsuper_bench.leaderboard.reading import read_entries
from rsuper_bench.leaderboard.verify import verify_entry
from rsuper_bench.leaderboard.wording import badges

TASK = load_task("demo-phantom-v1").model_copy(update={"synthetic": False, "bootstrap_replicates": 200})


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A release, a submission for its test split, thresholds frozen on validation, and a report."""
    folder = tmp_path_factory.mktemp("world")
    records = [
        *random_records(5, 30, Split.TRAIN),
        *random_records(1, 40, Split.VALIDATION),
        *random_records(2, 60, Split.TEST),
    ]
    release = write_release(folder / "release", records)
    for split, seed in ((Split.VALIDATION, 4), (Split.TEST, 3)):
        write_submission(
            folder / str(split), noisy_scores(seed, [record for record in records if record.split is split])
        )
    frozen = calibrate(load_submission(folder / "validation"), TASK, release)
    save_thresholds(frozen, folder / "thresholds.json")
    report = evaluate(load_submission(folder / "test"), TASK, release, thresholds=frozen)
    (folder / "report.json").write_text(report_json(report))
    return folder


@pytest.fixture
def entry(world, tmp_path):
    return add_entry(world / "report.json", tmp_path / "entries", team="T", method="M")


def call(*arguments):
    return CliRunner().invoke(app, ["leaderboard", *map(str, arguments)])


def edit(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    return path.read_bytes()


def test_an_entry_whose_figures_are_those_of_the_predictions_is_marked(world, entry):
    before = json.loads(entry.read_text())
    done = call("verify", entry, "--submission", world / "test", "--data", world / "release")
    assert done.exit_code == 0, done.output
    assert "all 40 figures are those of the predictions" in done.stdout
    after = json.loads(entry.read_text())
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {"provenance", "verification"}
    assert after["provenance"] == "verified"
    assert after["verification"]["submission"] == before["digests"]["submission"]
    assert after["verification"]["thresholds"] is None  # the file was not at hand
    first = entry.read_bytes()
    verify_entry(entry, world / "test", world / "release")
    assert entry.read_bytes() == first  # once more is the same bytes


def test_with_the_thresholds_their_cases_are_checked_too(world, entry):
    found = verify_entry(entry, world / "test", world / "release", thresholds=world / "thresholds.json")
    assert found.verification.thresholds == found.digests["thresholds"]


def test_check_writes_nothing(world, entry):
    before = entry.read_bytes()
    done = call("verify", entry, "--submission", world / "test", "--data", world / "release", "--check")
    assert done.exit_code == 0
    assert "marked" not in done.stdout
    assert entry.read_bytes() == before


EDITS = {
    "an interval": (lambda value: value["scores"]["liver"]["auroc"].update(low=0.9), r"scores\.liver\.auroc\.low: the"),
    "the last digits": (
        lambda value: value["scores"]["liver"]["auroc"].update(high=value["scores"]["liver"]["auroc"]["high"] - 1e-6),
        r"scores\.liver\.auroc\.high",
    ),
    "an average precision within its range": (
        lambda value: [
            value["scores"][name]["average_precision"].update(
                value=value["scores"][name]["average_precision"]["value"] + 1e-6 / (3 if name == "mean" else 1)
            )
            for name in ("liver", "mean")
        ],
        r"scores\.liver\.average_precision\.value",
    ),
    "replicates in another order": (
        lambda value: value["replicates"]["values"].reverse(),
        r"replicates\.values: \d+ values differ",
    ),
    "a metric left out": (
        lambda value: [metrics.pop("f1") for metrics in value["scores"].values()],
        r"(?s)scores\.liver\.f1: the entry says None.*scores\.mean\.f1",
    ),
    "thresholds": (lambda value: value["thresholds"].update(liver=0.2), r"counts\.liver|scores\.liver\.sensitivity"),
    "coverage": (lambda value: value["coverage"].update(missing=-5), r"coverage\.missing"),
    "training data": (
        lambda value: value.update(training_data=["nothing that leaks"]),
        r"training_data: the entry says",
    ),
    "a seed below zero": (lambda value: value.update(seed=-1), r"seed: not valid; expected greater than or equal to 0"),
    "the release": (lambda value: value["data"].update(release="other"), r"data\.release"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_doctored_entry_is_refused_and_left_as_it_is(world, entry, name):
    change, message = EDITS[name]
    before = edit(entry, change)
    with pytest.raises(DataError, match=message):
        verify_entry(entry, world / "test", world / "release")
    assert entry.read_bytes() == before


def test_a_caveat_cannot_be_taken_out(world, tmp_path):
    report = evaluate(load_submission(world / "test"), TASK, world / "release")
    assert len(report.statements) == 1  # no thresholds, so no calls
    (tmp_path / "report.json").write_text(report_json(report))
    path = add_entry(tmp_path / "report.json", tmp_path / "entries", team="T", method="M")
    verify_entry(path, world / "test", world / "release", write=False)
    edit(path, lambda value: value.update(statements=[]))
    with pytest.raises(DataError, match=r"statements: one is missing; expected 'No thresholds were given"):
        verify_entry(path, world / "test", world / "release")


def test_other_predictions_or_data_are_named(world, entry, tmp_path):
    rows = noisy_scores(9, random_records(2, 60, Split.TEST))
    other = write_submission(tmp_path / "other", rows)
    records = [*random_records(1, 40, Split.VALIDATION), *random_records(2, 60, Split.TEST)]
    smaller = write_release(tmp_path / "release", records)
    with pytest.raises(DataError, match=r"(?s)submission: digest \w{12}; expected \w{12}, as the.*release: digest"):
        verify_entry(entry, other, smaller.folder)
    save_thresholds(calibrate(load_submission(world / "validation"), TASK, smaller), tmp_path / "t.json")
    with pytest.raises(DataError, match=r"thresholds: digest"):
        verify_entry(entry, world / "test", world / "release", thresholds=tmp_path / "t.json")


def test_nobody_can_write_verified_by_hand(world, entry):
    verify_entry(entry, world / "test", world / "release")
    edit(entry, lambda value: value["verification"].update(submission="0" * 64))
    with pytest.raises(DataError, match="the verification is of other predictions"):
        read_entries(entry.parents[1])


def test_what_training_data_share_with_the_test_is_counted(world, entry, tmp_path):
    test = random_records(2, 60, Split.TEST)
    leaky = [record.model_copy(update={"split": Split.TRAIN}) for record in test[:7]]
    training = write_release(tmp_path / "leaky", [*random_records(8, 20, Split.TRAIN, prefix="own"), *leaky])
    done = call(
        "verify", entry, "--submission", world / "test", "--data", world / "release", "--trained-on", training.folder
    )
    assert done.exit_code == 0, done.output
    (found,) = json.loads(entry.read_text())["overlaps"]
    assert (found["release"], found["n_patients"], found["shared_images"]) == ("leaky", 27, 7)
    assert 5 <= found["shared_patients"] <= 7  # those whose cases all count for nothing are not evaluated
    path = add_entry(world / "report.json", tmp_path / "more", team="T", method="M", trained_on=[training])
    (added,) = json.loads(path.read_text())["overlaps"]
    assert added["shared_patients"] == found["shared_patients"]
    assert added["shared_images"] is None


def test_made_up_patients_of_one_number_are_other_people_in_another_release(world, tmp_path):
    named_alike = [
        record.model_copy(update={"split": Split.TRAIN, "synthetic": True})
        for record in random_records(2, 20, Split.TEST)
    ]
    training = write_release(tmp_path / "phantoms", named_alike)
    path = add_entry(world / "report.json", tmp_path / "entries", team="T", method="M", trained_on=[training])
    assert json.loads(path.read_text())["overlaps"][0]["shared_patients"] == 0


@pytest.fixture
def attached(world, entry):
    folder = entry.with_suffix(".submission")
    shutil.copytree(world / "test", folder)
    shutil.copy(world / "thresholds.json", folder)
    return folder


def test_predictions_beside_an_entry_are_part_of_it(tmp_path, entry, attached, world):
    build_site(tmp_path / "entries", tmp_path / "site")
    assert check_site(tmp_path / "entries", tmp_path / "site") == []
    verify_entry(entry, attached, world / "release", thresholds=attached / "thresholds.json")
    table = attached / "predictions.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], lines[1].rpartition(",")[0] + ",0.123", *lines[2:]]) + "\n")
    with pytest.raises(DataError, match=r"t__m/demo-phantom-v1\.submission: digest \w+; expected the predictions"):
        check_site(tmp_path / "entries", tmp_path / "site")


def test_only_predictions_may_lie_beside_an_entry(tmp_path, entry, attached):
    (attached / "run.sh").write_text("")
    (attached / "thresholds.json").unlink()
    (attached / "thresholds.json").symlink_to("/etc/hostname")
    lonely = entry.parent / "other-v1.submission"
    lonely.mkdir()
    (lonely / "predictions.csv").write_text("case_id")
    (entry.parent / "linked-v1.submission").symlink_to(attached, target_is_directory=True)
    with pytest.raises(DataError) as caught:
        read_entries(tmp_path / "entries")
    for part in (
        "run.sh: not part of a submission",
        "thresholds.json: not a plain file",
        "linked-v1.submission: not a plain file",
        "predictions without an entry",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("rule", ["score", "volume"])
def test_missing_predictions_and_calls_by_volume_are_scored_again_alike(world, tmp_path, rule):
    """What is missing ranks beyond every prediction, on the wrong side; the ROC corners must say the same."""
    release = open_release(world / "release")
    rows = noisy_scores(3, release.records(Split.TEST))[:-40]
    folder = write_submission(tmp_path / "sub", rows)
    lines = (folder / "predictions.csv").read_text().splitlines()
    volumes = [f"{line},{round(5000 * float(line.rpartition(',')[2]) ** 3)}" for line in lines[1:]]
    (folder / "predictions.csv").write_text("\n".join([f"{lines[0]},volume_mm3", *volumes]) + "\n")
    task = TASK.model_copy(update={"call_rule": CallRule(rule)})
    report = evaluate(load_submission(folder), task, release, missing="fail", calls_at=dict.fromkeys(THREE, 0.5))
    assert report.coverage["imputed"] > 0
    (tmp_path / "report.json").write_text(report_json(report))
    path = add_entry(tmp_path / "report.json", tmp_path / "entries", team="T", method="M")
    assert verify_entry(path, folder, release.folder).provenance == "verified"
    assert "incomplete" in dict(badges(read_entries(tmp_path / "entries")[0]))
