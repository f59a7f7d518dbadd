"""``rsuper-bench demo``: phantoms -> release -> three baselines -> submissions -> evaluation -> board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rsuper_bench.benchmark.report import MEAN, EvaluationReport, Score, load_report
from rsuper_bench.chain import Chain

BASELINES = ("mask_only", "report_only", "combined")
URL = "https://arxiv.org/abs/2510.14803"
TABLE_METRICS = {
    "auroc": "AUROC",
    "sensitivity_at_specificity_90": "sens. at 90 % spec.",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}


def run_demo(out: Path, *, seed: int = 0) -> None:
    """Run the chain on phantoms and print a table, then the paths of report and board.

    A second call with the same folder goes on where the first was stopped.
    """
    config = Path(str(files("rsuper_bench.dataset_builder"))) / "configs" / "phantom-demo.yaml"
    release = out / "release"
    chain = Chain(n_steps=len(BASELINES) * 2 + 3)
    chain.step(
        "make phantoms, read their reports, write a release",
        (
            "dataset",
            "build",
            "--source",
            "phantom",
            "--config",
            config,
            "--seed",
            str(seed),
            "--jobs",
            "2",
            "--out",
            release,
        ),
    )
    recipes = {baseline: f"demo_{baseline}" for baseline in BASELINES}
    reports = train_and_evaluate(chain, release, out, recipes, task="demo-phantom-v1")
    board = build_board(chain, reports, out, release)
    print_table(reports)
    combined = reports["combined"].scores[MEAN]["auroc"]
    print(f"combined: mean AUROC {interval_text(combined)} on synthetic phantoms, which are not patients")
    print(f"report: {out / 'evaluation' / 'combined' / 'report.html'}")
    print(f"board:  {board}")


def train_and_evaluate(
    chain: Chain,
    release: Path,
    out: Path,
    recipes: dict[str, str],
    *,
    task: str | None,
    changes: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, EvaluationReport]:
    """Train each recipe, freeze its thresholds on validation, evaluate it on test.

    Args:
        chain: Shows and runs the verbs.
        release: Release folder.
        out: Gets ``store``, ``runs``, ``submissions``, ``thresholds`` and ``evaluation``.
        recipes: Baseline name -> recipe; all of one grid.
        task: Task name, or None for all types the release states.
        changes: Baseline name -> ``KEY=VALUE`` for ``--set``.

    Returns:
        Baseline name -> report.
    """
    task_option = () if task is None else ("--task", task)
    options = {name: [part for value in (changes or {}).get(name, ()) for part in ("--set", value)] for name in recipes}
    store = out / "store"
    first = next(iter(recipes))
    chain.step(
        "bring the training cases to the grid, once for all trainings",
        ("prepare", release, "--recipe", recipes[first], "--out", store, "--jobs", "2", *options[first]),
    )
    reports = {}
    for baseline, recipe in recipes.items():
        run, evaluation = out / "runs" / baseline, out / "evaluation" / baseline
        chain.step(
            f"train {baseline}",
            ("train", store, "--recipe", recipe, "--out", run, "--resume", *options[baseline]),
        )
        submissions = {split: out / "submissions" / f"{baseline}-{split}" for split in ("validation", "test")}
        thresholds = out / "thresholds" / f"{baseline}.json"
        chain.step(
            f"predict, calibrate on validation, evaluate on test: {baseline}",
            *(("predict", run, release, "--split", split, "--out", folder) for split, folder in submissions.items()),
            (
                *("calibrate", submissions["validation"], "--data", release, "--split", "validation"),
                *("--rule", "youden", *task_option, "--out", thresholds),
            ),
            (
                *("evaluate", submissions["test"], "--data", release, "--split", "test", *task_option),
                *("--thresholds", thresholds, "--out", evaluation),
            ),
        )
        reports[baseline] = load_report(evaluation)
    return reports


def build_board(chain: Chain, reports: dict[str, EvaluationReport], out: Path, release: Path) -> Path:
    """Add an entry for each report, with what its training split shares with the test, and build the board.

    Returns:
        The page to open.
    """
    entries, site = out / "entries", out / "site"
    chain.step(
        "build the board",
        *(
            (
                "leaderboard",
                "add",
                out / "evaluation" / baseline / "report.json",
                "--team",
                "rsuper-bench demo",
                "--method",
                baseline,
                "--url",
                URL,
                "--entries",
                entries,
                "--trained-on",
                release,
                "--replace",
            )
            for baseline in reports
        ),
        ("leaderboard", "build", "--entries", entries, "--out", site),
    )
    return site / "index.html"


def interval_text(score: Score) -> str:
    """``0.81 [0.74, 0.88]``, or why there is no figure."""
    if score.value is None:
        return f"undefined ({score.reason})"
    if score.low is None or score.high is None:
        return f"{score.value:.2f}"
    return f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}]"


def print_table(reports: dict[str, EvaluationReport]) -> None:
    """Mean figures of each baseline, with 95 % intervals."""
    first = next(iter(reports.values()))
    title = (
        f"{first.task}, test split, {first.data.n_cases} cases, mean of {len(first.task_definition.tumor_types)} types"
    )
    table = Table("baseline", *TABLE_METRICS.values(), title=f"{title} (95 % interval)", title_justify="left")
    for name, report in reports.items():
        scores = report.scores[MEAN]
        table.add_row(name, *(interval_text(scores[metric]) for metric in TABLE_METRICS))
    Console(width=120).print(table)
    for statement in dict.fromkeys(line for report in reports.values() for line in report.statements):
        print(f"note: {statement}")
