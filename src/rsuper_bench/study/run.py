"""Doing a study: one folder a run, each run a chain of verbs; what is finished is not done again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from rsuper_bench.benchmark.errors import ConfigError, Problem
from rsuper_bench.benchmark.files import digest_of, pretty_json, read_model, write_text
from rsuper_bench.chain import Chain
from rsuper_bench.study.config import SourceSpec, StudyConfig
from rsuper_bench.study.grid import Run, runs_of

CONFIG_FILE = "study.json"
SPLITS = ("validation", "test")
AfterRun = Callable[[], object]


def run_study(
    config: StudyConfig, out: Path, *, resume: bool, jobs: int = 1, after_run: AfterRun | None = None
) -> None:
    """Train and evaluate every point of the grid.

    Args:
        config: The grid.
        out: Gets ``release``, ``stores``, and a folder a run.
        resume: Go on in a folder that holds this study.
        jobs: Workers of ``build`` and ``prepare``.
        after_run: Called after each run, such as to bring the results up to date.

    Raises:
        ConfigError: A recipe or the task cannot work, or ``out`` holds another study, or this one and ``resume`` is
            not given.
    """
    _check(config)
    _claim(config, out, resume=resume)
    runs = list(runs_of(config))
    todo = [run for run in runs if not is_done(out, run)]
    chain = Chain(n_steps=len(todo) + 1)
    release = _release(config, out, chain, jobs)
    for run in todo:
        _do(run, config, release, out, chain, jobs)
        if after_run is not None:
            after_run()


def is_done(out: Path, run: Run) -> bool:
    """Whether a run has its evaluation."""
    return (report_folder(out, run) / "report.json").is_file()


def report_folder(out: Path, run: Run) -> Path:
    """Where the evaluation of a run is."""
    return out / "runs" / run.name / "evaluation"


def _check(config: StudyConfig) -> None:
    """Every recipe and the task, before the first of many hours; all problems at once."""
    from rsuper_bench.baselines.recipe import load_recipe
    from rsuper_bench.benchmark.task import load_task

    problems: list[Problem] = []

    def load_run(run: Run) -> None:
        recipe = load_recipe(run.arm.recipe, run.changes(config))
        for pool, number, used in (
            ("masks", run.cell.masks, recipe.uses_masks),
            ("reports", run.cell.reports, recipe.uses_reports),
        ):
            if number == 0 and used:
                fix = f"Name a number, null for all there are, or a recipe that uses no {pool}."
                raise ConfigError.of([Problem(f"arm {run.arm.name}: {pool}", "0", f"{pool} for {recipe.name}", fix)])

    loads: list[Callable[[], object]] = [partial(load_task, config.task)]
    loads += [partial(load_run, run) for run in runs_of(config)]
    for load in loads:
        try:
            load()
        except ConfigError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise ConfigError.of(problems)


def _claim(config: StudyConfig, out: Path, *, resume: bool) -> None:
    path = out / CONFIG_FILE
    check_holds(config, out)
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        write_text(path, pretty_json(config))
        return
    if not resume:
        fix = "Add --resume to go on with it, or name another --out."
        raise ConfigError.of([Problem(str(out), "holds this study already", "a new folder", fix)])


def check_holds(config: StudyConfig, out: Path) -> None:
    """Refuse a folder of another study: runs of both may have the same names.

    Raises:
        ConfigError: If it is one.
    """
    path = out / CONFIG_FILE
    # Not their texts: an older version did not write every default
    if path.exists() and read_model(path, StudyConfig) != config:
        fix = "Name another --out; a study does not change while it runs."
        raise ConfigError.of([Problem(str(out), "holds another study", "this one or none", fix)])


def _release(config: StudyConfig, out: Path, chain: Chain, jobs: int) -> str | Path:
    if not isinstance(config.release, SourceSpec):
        return config.release
    from rsuper_bench.dataset_builder.phantom.config import shipped_config

    spec, release = config.release, out / "release"
    named = Path(spec.config)
    path = named if named.suffix in (".yaml", ".yml") else shipped_config(spec.config)
    build = ("dataset", "build", "--source", spec.source, "--config", path, "--seed", str(spec.seed))
    chain.step("make the release", (*build, "--jobs", str(jobs), "--out", release))
    return release


def _do(run: Run, config: StudyConfig, release: str | Path, out: Path, chain: Chain, jobs: int) -> None:
    from rsuper_bench.baselines.recipe import load_recipe

    folder = out / "runs" / run.name
    changes = run.changes(config)
    options = tuple(part for change in changes for part in ("--set", change))
    recipe = load_recipe(run.arm.recipe, changes)
    # Runs of one grid share a store: it depends on nothing else of the recipe.
    store = out / "stores" / digest_of(recipe.grid_digest)[:12]
    submissions = {split: folder / f"submission-{split}" for split in SPLITS}
    thresholds = folder / "thresholds.json"
    chain.step(
        run.name,
        ("prepare", release, "--recipe", run.arm.recipe, "--out", store, "--jobs", str(jobs), *options),
        ("train", store, "--recipe", run.arm.recipe, "--out", folder / "run", "--resume", *options),
        *(("predict", folder / "run", release, "--split", split, "--out", to) for split, to in submissions.items()),
        (
            *("calibrate", submissions["validation"], "--data", release, "--split", "validation"),
            *("--task", config.task, "--rule", config.rule, "--out", thresholds),
        ),
        (
            *("evaluate", submissions["test"], "--data", release, "--split", "test", "--task", config.task),
            *("--thresholds", thresholds, "--out", report_folder(out, run)),
        ),
    )
