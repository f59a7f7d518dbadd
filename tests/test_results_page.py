"""docs/results.md says what the files in docs/results/ say, and nothing else."""

import importlib
import json
import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "docs")]
from test_study import finish, study

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.files import pretty_json, read_text, write_text
from rsuper_bench.study.config import StudyConfig, load_study
from rsuper_bench.study.grid import runs_of
from rsuper_bench.study.write import write_results

PROVENANCE = {
    "device": "cpu",
    "rsuper_bench": "0",
    "python": "3",
    "torch": "2",
    "monai": "1",
    "numpy": "2",
    "seed": "0",
}


@pytest.fixture(scope="module")
def script():
    return importlib.import_module("make_results")


def test_the_page_is_what_the_recorded_studies_make(script):
    page = read_text(script.PAGE)
    assert script.page_with(page, script.load_records()) == page


def test_every_recorded_study_ships_as_it_was_run_and_has_its_pictures(script):
    records = script.load_records()
    assert records
    for record in records:
        study = StudyConfig.model_validate(record["study"])
        assert load_study(study.name) == study
        assert list(script.RECORDS.glob(f"{study.name}-*.png"))
    names = {record["study"]["name"] for record in records}
    assert {path.name.split("-")[0] for path in script.RECORDS.glob("*.png")} <= names


def made_up(folder, config):
    """A study's folder as if its trainings had been done on two days."""
    write_text(folder / "study.json", pretty_json(config))
    for run in runs_of(config):
        finish(folder, run, n=40, worth=1.0 + run.seed)
        started = f"2026-01-0{1 + run.seed % 2}T10:00:00+00:00"
        session = {"started": started, "step": 0, "provenance": PROVENANCE, "notes": []}
        write_text(folder / "runs" / run.name / "run" / "run.json", json.dumps({"sessions": [session]}))
    write_results(config, folder)


def test_a_study_is_recorded_with_what_it_was_trained_with(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "RECORDS", tmp_path / "results")
    config = load_study("demo_few_masks")
    made_up(tmp_path / "study", config)
    record = script.record_of(tmp_path / "study", "A note.")
    assert record["trained"]["date"] == ["2026-01-01", "2026-01-02"]
    section = script.section(record)
    for words in ("2026-01-01, 2026-01-02; device cpu; Python 3, torch 2", "seeds 0, 1, 2; 9 of 9", "A note."):
        assert words in section
    marks = "<!-- studies: written by make_results.py -->", "<!-- end of studies -->"
    page = f"before\n{marks[0]}\nold\n{marks[1]}\nafter\n"
    assert script.page_with(page, [record]) == f"before\n{marks[0]}\n\n{section}{marks[1]}\nafter\n"
    script.RECORDS.mkdir()
    write_text(script.RECORDS / "demo_few_masks.json", pretty_json(record))
    assert script.record_of(tmp_path / "study", None)["note"] == "A note."


def test_what_nobody_could_repeat_is_not_recorded(script, tmp_path):
    made_up(tmp_path / "own", study(arms=study().arms[:1], axes={}))
    with pytest.raises(ConfigError, match="a study that ships, unchanged"):
        script.record_of(tmp_path / "own", None)
    changed = load_study("demo_few_masks").model_copy(update={"rule": "specificity=0.9"})
    made_up(tmp_path / "changed", changed)
    with pytest.raises(ConfigError, match="a study that ships, unchanged"):
        script.record_of(tmp_path / "changed", None)


def test_results_older_than_the_runs_are_refused(script, tmp_path):
    config = load_study("demo_few_masks")
    made_up(tmp_path, config)
    results = json.loads(read_text(tmp_path / "results.json"))
    write_text(tmp_path / "results.json", json.dumps(results | {"done": 3}))
    with pytest.raises(DataError, match="--collect first"):
        script.record_of(tmp_path, None)
