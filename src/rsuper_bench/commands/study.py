"""The verb ``rsuper-bench study``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(study)


def study(
    config: Annotated[str, typer.Argument(help="A shipped study by name, or a YAML file.")],
    out: Annotated[Path, typer.Option(help="Gets a folder a run, results.json, results.md and figures.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the study in --out.")] = False,
    collect: Annotated[
        bool, typer.Option("--collect", help="Train nothing: make the results of finished runs.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Cases at once when the release is made and prepared.")] = 1,
) -> None:
    """Train a grid of recipes, masks, reports and seeds; say what reports are worth, with intervals."""
    from rsuper_bench.benchmark.errors import DataError, Problem
    from rsuper_bench.study.config import load_study
    from rsuper_bench.study.run import check_holds, run_study
    from rsuper_bench.study.write import PAGE_FILE, write_results

    plan = load_study(config)
    check_holds(plan, out)
    if not collect:
        run_study(plan, out, resume=resume, jobs=jobs, after_run=lambda: write_results(plan, out))
    if write_results(plan, out) is None:
        raise DataError.of([Problem(str(out), "no finished run", "one at least", "Run the study without --collect.")])
    typer.echo(out / PAGE_FILE)
