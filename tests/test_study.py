"""A study: its grid, its arithmetic on made-up evaluations, and one that really trains."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

sys.path.append(str(Path(__file__).parent / "leaderboard"))
from synthetic_reports import make_report

from rsuper_bench.benchmark.errors import ConfigError
from rsuper_bench.benchmark.files import pretty_json, write_text
from rsuper_bench.benchmark.report import Outcome
from rsuper_bench.study.config import StudyConfig, load_study, shipped_studies
from rsuper_bench.study.figures import _places, settings_figure
from rsuper_bench.study.grid import cells_of, runs_of
from rsuper_bench.study.results import collect
from rsuper_bench.study.run import _claim, report_folder, run_study
from rsuper_bench.study.write import write_results

CONFIG = {
    "name": "tiny",
    "task": "demo-phantom-v1",
    "release": "nowhere",
    "seeds": (0, 1, 2),
    "bootstrap_replicates": 400,
    "arms": (
        {"name": "mask_only", "recipe": "demo_mask_only", "masks": (4, 16, 64)},
        {"name": "report_only", "recipe": "demo_report_only", "masks": (0,), "reports": (100,)},
        {"name": "combined", "recipe": "demo_combined", "masks": (4, 16), "reports": (100,)},
        {"name": "without_ball", "recipe": "demo_combined", "masks": (4,), "reports": (100,), "part": "ablation",
         "of": "combined", "set": ("weights.ball=0.0",)},
        {"name": "errors_10", "recipe": "demo_combined", "masks": (4,), "reports": (100,), "part": "setting",
         "of": "combined", "axis": "errors", "at": 0.1, "set": ("report_errors=0.1",)},
        {"name": "volume_word", "recipe": "demo_combined", "masks": (4,), "reports": (100,), "part": "setting",
         "of": "without_ball", "axis": "volume", "at": "noise-aware"},
    ),
    "axes": {"errors": {"label": "share of organs read wrong", "base": 0.0},
             "volume": {"label": "tolerance", "base": 0.1}},
}  # fmt: skip
# How far apart the scores of positives and negatives are, by arm and masks: what the made-up runs are worth.
WORTH = {("mask_only", 4): 0.5, ("mask_only", 16): 1.0, ("mask_only", 64): 2.5, ("report_only", 0): 1.5,
         ("combined", 4): 2.0, ("combined", 16): 2.2, ("without_ball", 4): 1.2, ("errors_10", 4): 2.0,
         ("volume_word", 4): 1.4}  # fmt: skip


def study(**changes):
    return StudyConfig.model_validate(CONFIG | changes)


def finish(out, run, *, n=120, worth=None):
    """Write the evaluation of a run as if it had been trained."""
    worth = WORTH[run.cell.arm, run.cell.masks] if worth is None else worth
    rng = np.random.default_rng([run.seed, round(100 * worth)])
    report = make_report(draws=100)
    outcomes = []
    for kind in report.task_definition.tumor_types:
        positive = np.arange(n) % 2
        shared = np.random.default_rng(9).normal(size=n)  # a hard case is hard for all
        latent = positive * worth + 0.8 * shared + 0.6 * rng.normal(size=n)
        for index, value in enumerate(1 / (1 + np.exp(-latent))):
            outcomes.append(
                Outcome(
                    case_id=f"case-{index:03d}", patient=f"{index:016x}", tumor_type=kind,
                    reference=int(positive[index]), score=float(value), call=int(value > 0.6),
                )
            )  # fmt: skip
    folder = report_folder(out, run)
    write_text(folder / "report.json", pretty_json(report.model_copy(update={"outcomes": tuple(outcomes)})))
    pools = {"masks": {"cases": run.cell.masks}, "reports": {"cases": run.cell.reports or 0}}
    write_text(folder.parent / "run" / "training_data.json", json.dumps(pools))


@pytest.fixture
def finished(tmp_path):
    for run in runs_of(study()):
        finish(tmp_path, run)
    return tmp_path


def test_the_grid_has_every_point_once_before_any_twice():
    runs = list(runs_of(study()))
    points = cells_of(study())
    assert len(points) == 9
    assert len(runs) == len({run.name for run in runs}) == 27
    assert [run.cell for run in runs[:9]] == points
    assert {run.seed for run in runs[:9]} == {0}
    changes = runs[0].changes(study(set=("batch=2",)))
    assert changes == ("batch=2", "max_mask_cases=4", "seed=0")


def test_a_figure_is_the_mean_over_seeds_of_the_evaluations_own(finished):
    from rsuper_bench.benchmark.sample import report_patients, report_samples

    results = collect(study(), finished)
    cell = results.cells[0]
    assert (cell.arm, cell.masks, cell.seeds) == ("mask_only", 4, (0, 1, 2))
    from sklearn.metrics import roc_auc_score

    from rsuper_bench.benchmark.report import load_report

    areas = []
    for run in runs_of(study()):
        if run.cell.label == "mask_only-masks4-reportsall":
            report = load_report(report_folder(finished, run))
            samples = report_samples(report, report_patients(report))
            areas.append(np.mean([roc_auc_score(item.positive, item.score) for item in samples.values()]))
    assert cell.scores["mean"]["auroc"].value == pytest.approx(np.mean(areas), abs=1e-9)
    assert cell.scores["mean"]["auroc"].low < np.mean(areas) < cell.scores["mean"]["auroc"].high


def test_differences_are_paired_and_signed(finished):
    results = collect(study(), finished)
    found = {(item.arm, item.base, item.base_masks): item.scores["auroc"] for item in results.differences}
    assert found["combined", "mask_only", 4].low > 0  # worth 2.0 against 0.5
    assert found["without_ball", "combined", 4].high < 0
    same = found["errors_10", "combined", 4]  # the same scores, patient by patient and seed by seed
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert {base for arm, _, base in found if arm == "report_only"} == {4, 16, 64}


def test_mask_only_crosses_report_only_between_16_and_64(finished):
    results = collect(study(), finished)
    assert 16 < results.crossing_masks["auroc"] < 64


def test_seeds_widen_the_interval(finished):
    """Three trainings that came out alike say more than three that did not."""
    alike = collect(study(), finished).cells[0].scores["mean"]["auroc"]
    for run in runs_of(study()):
        if run.cell.label == "mask_only-masks4-reportsall":
            finish(finished, run, worth=(0.0, 0.5, 1.0)[run.seed])
    apart = collect(study(), finished).cells[0].scores["mean"]["auroc"]
    assert apart.high - apart.low > 1.5 * (alike.high - alike.low)


def test_results_are_written_with_every_figure_and_the_same_bytes_twice(finished):
    config = study()
    write_results(config, finished)
    names = ["exchange", "types", "gain", "ablation", "settings"]
    paths = [finished / "results.json", finished / "results.md", *(finished / "figures" / f"{n}.png" for n in names)]
    paths += [finished / "figures" / f"{name}.svg" for name in names]
    before = [path.read_bytes() for path in paths]
    write_results(config, finished)
    assert [path.read_bytes() for path in paths] == before
    page = (finished / "results.md").read_text()
    assert "Synthetic phantoms" in page
    assert "Unfinished" not in page
    assert "**" not in page.split("## Differences")[1].split("errors_10")[1].split("\n")[0]  # 0 [0, 0] is no gain


def test_one_number_of_masks_makes_no_curve(tmp_path):
    config = study(arms=tuple(arm | {"masks": arm["masks"][:1]} for arm in CONFIG["arms"]))
    for run in runs_of(config):
        finish(tmp_path, run)
    write_results(config, tmp_path)
    assert sorted(path.stem for path in (tmp_path / "figures").glob("*.png")) == ["ablation", "settings", "types"]
    assert "Where mask only reaches" not in (tmp_path / "results.md").read_text()


def test_settings_stand_on_axes_of_their_own_beside_the_arm_they_change(finished):
    config = study()
    results = collect(config, finished)
    picture = settings_figure(results, config)
    errors, volume = picture.axes
    assert [label.get_text() for label in errors.get_xticklabels()] == ["0", "0.1"]
    assert [label.get_text() for label in volume.get_xticklabels()] == ["0.1", "noise-aware"]
    assert list(volume.get_xticks()) == [0.1, 1.1]

    def shown(axis):
        return [tuple(map(float, bar.lines[0].get_xydata()[0])) for bar in axis.containers]

    value = {cell.arm: cell.scores["mean"]["auroc"].value for cell in results.cells if cell.masks == 4}
    assert shown(errors) == [(0, value["combined"]), (0.1, value["errors_10"])]
    assert shown(volume) == [(0.1, value["without_ball"]), (1.1, value["volume_word"])]
    assert settings_figure(results, study(axes={}, arms=CONFIG["arms"][:4])) is None


def test_numbers_stand_where_they_are_and_words_beyond_them():
    assert _places(["noise-aware", 0.25, 0.1, "other"]) == {0.1: 0.1, 0.25: 0.25, "noise-aware": 0.4, "other": 0.55}
    assert _places(["a", "b"]) == {"a": 1, "b": 2}


def test_an_unfinished_study_says_so(tmp_path):
    for run in list(runs_of(study()))[:4]:
        finish(tmp_path, run)
    results = write_results(study(), tmp_path)
    assert (results.done, results.runs) == (4, 27)
    assert "**Unfinished:** 4 of 27 runs" in (tmp_path / "results.md").read_text()
    assert "one seed its interval is over patients alone" in (tmp_path / "results.md").read_text()
    assert results.cells[0].scores["mean"]["auroc"].reason == "one seed: the interval is over patients only"
    assert write_results(study(), tmp_path / "empty") is None


def test_nothing_is_said_of_a_crossing_before_report_only_is_finished(tmp_path):
    for run in runs_of(study()):
        if run.arm.name != "report_only":
            finish(tmp_path, run)
    write_results(study(), tmp_path)
    assert "Where mask only reaches" not in (tmp_path / "results.md").read_text()


def test_names_on_axes_are_shown_as_they_are(finished):
    label = r"cost in $\foo$"
    config = study(axes=CONFIG["axes"] | {"errors": {"label": label, "base": 0.0}})
    write_results(config, finished)
    assert label in (finished / "figures" / "settings.svg").read_text()


def test_results_are_not_made_in_the_folder_of_another_study(finished, tmp_path):
    from typer.testing import CliRunner

    from rsuper_bench.cli import app

    write_text(finished / "study.json", pretty_json(study()))
    other = tmp_path / "other.yaml"
    other.write_text(pretty_json(study(description="another")))
    found = CliRunner().invoke(app, ["study", str(other), "--out", str(finished), "--collect"])
    assert isinstance(found.exception, ConfigError)
    assert "holds another study" in str(found.exception)
    assert not (finished / "results.md").exists()


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (3, {"of": "without_ball"}, "arm without_ball: no other arm is called without_ball"),
        (3, {"of": "without_bal"}, "arm without_ball: no arm is called without_bal"),
        (3, {"masks": (4, 8, None)}, "arm without_ball: combined has no point with 8, all masks to compare it with"),
        (4, {"reports": (50,)}, "arm errors_10: combined has no point with 50 reports"),
        (4, {"axis": "erors"}, "arm errors_10: axes has no erors"),
        (4, {"at": False}, "arms.4.at"),
        (4, {"at": float("nan")}, "arms.4.at"),
    ],
)
def test_arms_that_would_be_compared_with_nothing_are_refused(number, change, message):
    arms = list(CONFIG["arms"])
    arms[number] = arms[number] | change
    with pytest.raises(ValidationError, match=message):
        study(arms=tuple(arms))


def test_a_baseline_that_no_arm_is_called_is_refused():
    with pytest.raises(ValidationError, match="mask_only: no arm is called mask_onyl"):
        study(mask_only="mask_onyl")


def test_no_masks_for_a_recipe_that_uses_them_is_refused(tmp_path):
    """0 would mean all there are."""
    arms = tuple(arm | {"masks": (0,), "reports": (0,)} for arm in CONFIG["arms"][:3])
    with pytest.raises(ConfigError) as caught:
        run_study(study(arms=arms, axes={}), tmp_path / "new", resume=False)
    found = [problem.where for problem in caught.value.problems]
    assert found == ["arm mask_only: masks", "arm report_only: reports", "arm combined: masks"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", shipped_studies())
def test_shipped_studies_name_recipes_and_values_that_exist(name):
    from rsuper_bench.baselines.recipe import load_recipe
    from rsuper_bench.benchmark.task import load_task
    from rsuper_bench.dataset_builder.phantom import load_phantom_config

    config = load_study(name)
    task = load_task(config.task)
    assert set(load_phantom_config(config.release.config).tumor_types) == set(task.tumor_types)
    for run in runs_of(config):
        recipe = load_recipe(run.arm.recipe, run.changes(config))
        assert set(recipe.tumor_types) == set(task.tumor_types)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": (1, 1)}, "a seed stands twice"),
        ({"arms": (CONFIG["arms"][0],) * 2}, "two arms have one name"),
        ({"arms": (CONFIG["arms"][0] | {"part": "ablation"},)}, "names the arm it is compared with"),
        ({"arms": (CONFIG["arms"][3],)}, "no arm is called combined"),
        ({"arms": (CONFIG["arms"][0] | {"at": 0.5},)}, "a setting, and nothing else"),
        ({"arms": (*CONFIG["arms"][:5], CONFIG["arms"][5] | {"axis": None})}, "a setting, and nothing else"),
        ({"axes": {"errors": {"label": "errors", "base": 0}}}, "arm volume_word: axes has no volume"),
        ({"axes": CONFIG["axes"] | {"none": {"label": "none", "base": 0}}}, "axes.none: its settings"),
        ({"axes": CONFIG["axes"] | {"errors": {"label": "errors", "base": 0.1}}}, "two arms stand at one value"),
        (
            {"arms": (*CONFIG["arms"], CONFIG["arms"][4] | {"name": "b", "at": 3, "of": "without_ball"})},
            "are of one arm",
        ),
        ({"arms": (CONFIG["arms"][0] | {"set": ("batch",)},)}, "set"),
    ],
)
def test_a_bad_study_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        study(**changes)


def test_a_misspelt_study_is_helped():
    with pytest.raises(ConfigError, match="Did you mean 'seven_tumors_phantom_small'"):
        load_study("seven_tumors_phantom_smal")


def test_a_folder_goes_on_with_its_own_study_alone(tmp_path):
    config = study(arms=CONFIG["arms"][:4], axes={})
    _claim(config, tmp_path, resume=False)
    _claim(config, tmp_path, resume=True)
    written = json.loads((tmp_path / "study.json").read_text())
    del written["axes"]  # as a version that had none wrote it
    (tmp_path / "study.json").write_text(json.dumps(written))
    _claim(config, tmp_path, resume=True)
    with pytest.raises(ConfigError, match="holds this study already"):
        _claim(config, tmp_path, resume=False)
    with pytest.raises(ConfigError, match="holds another study"):
        _claim(study(seeds=(0, 1)), tmp_path, resume=True)
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(ConfigError, match=r"study\.json"):
        _claim(config, tmp_path, resume=True)


def test_recipes_and_task_are_checked_before_anything_is_written(tmp_path):
    arms = tuple(arm | {"recipe": "demo_combind"} if arm["name"] == "combined" else arm for arm in CONFIG["arms"])
    with pytest.raises(ConfigError, match=r"(?s)unknown task.*Did you mean 'demo_combined'"):
        run_study(study(task="demo-phantom-v9", arms=arms), tmp_path / "out", resume=False)
    arms = tuple(arm | {"masks": (4,)} if arm["name"] == "report_only" else arm for arm in CONFIG["arms"])
    with pytest.raises(ConfigError, match="max_mask_cases 4 has no effect"):
        run_study(study(arms=arms), tmp_path / "out", resume=False)
    assert not (tmp_path / "out").exists()
