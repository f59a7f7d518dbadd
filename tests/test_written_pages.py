"""Parts of pages that scripts write say what their JSON says; curves are collected as the runs left them."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import yaml

sys.path.append(str(Path(__file__).parents[1] / "docs"))


@pytest.fixture(scope="module")
def script():
    return importlib.import_module("report_only_curves")


@pytest.mark.parametrize("name", ["report_only_curves", "compare_rows"])
def test_the_page_is_what_the_recorded_figures_make(name):
    script = importlib.import_module(name)
    page, facts = script.PAGE.read_text("utf-8"), json.loads(script.RECORD.read_text("utf-8"))
    assert script.page_with(page, facts) == page


def leave(script, out, setting, seed, values, steps=100):
    folder = script.folder_of(out, "demo", setting, seed)
    (folder / "run").mkdir(parents=True)
    (folder / "curve.json").write_text(json.dumps(values))
    (folder / "run" / "recipe.yaml").write_text(yaml.safe_dump({"stages": [{"steps": steps, "learning_rate": 0.01}]}))
    noted = dict.fromkeys(("device", "rsuper_bench", "python", "torch", "monai"), "1")
    sessions = [{"started": f"2026-01-0{day}T10:00:00+00:00", "provenance": noted} for day in (1, 2)]
    (folder / "run" / "run.json").write_text(json.dumps({"sessions": sessions}))
    (out / "demo" / "phantom.yaml").write_text(yaml.safe_dump({"n_train": 12, "n_validation": 4}))


def test_finished_curves_become_a_table_that_says_where_the_ranges_are_apart(script, tmp_path):
    for seed, (low, high) in enumerate([(0.5, 0.7), (0.6, 0.8)]):
        leave(script, tmp_path, "paper", seed, [0.5, low])
        leave(script, tmp_path, "shipped", seed, [0.5, high])
    leave(script, tmp_path, "shipped, ball over the crop", 0, [0.5, 0.9])
    facts = script.collect(tmp_path, ["demo", "hard"], list(script.SETTINGS), 3)
    assert facts["steps"] == [50, 100]
    assert (facts["train_cases"], facts["validation_cases"]) == (12, 4)
    assert facts["made"]["date"] == ["2026-01-01", "2026-01-02"]
    marks = "<!-- curves: written by report_only_curves.py -->", "<!-- end of curves -->"
    page = script.page_with(f"a\n{marks[0]}\nold\n{marks[1]}\nb\n", facts)
    assert page.startswith(f"a\n{marks[0]}\n**Unfinished:** 5 of 21 trainings.")
    assert page.endswith(f"\n{marks[1]}\nb\n")
    assert "| demo | paper | 2 | 0.50 (0.50-0.50) | 0.55 (0.50-0.60) |" in page
    assert "- demo, *paper* and *shipped*: every seed of *shipped* is above every seed of the other." in page
    assert "- demo, *shipped* and *shipped, ball over the crop*: too few seeds to compare." in page
    assert "old" not in page
    with pytest.raises(SystemExit, match="put them back"):
        script.page_with("no marks", facts)


def test_curves_of_other_lengths_are_not_mixed(script, tmp_path):
    leave(script, tmp_path, "paper", 0, [0.5])
    leave(script, tmp_path, "paper", 1, [0.5], steps=200)
    with pytest.raises(SystemExit, match="2 lengths"):
        script.collect(tmp_path, ["demo"], ["paper"], 2)
    with pytest.raises(SystemExit, match="0 lengths"):
        script.collect(tmp_path, ["hard"], ["paper"], 2)
