"""Verbs ``demo``, ``doctor`` and ``schema``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command()(demo)
    app.command()(doctor)
    app.command()(schema)


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write; a stopped demo goes on from there.")] = Path("demo-out"),
    real: Annotated[
        Path | None, typer.Option(help="Folder of real data (see docs/real-data.md): run the chain on it instead.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the phantoms.")] = 0,
) -> None:
    """Run the whole chain: release, three baselines, evaluation, board."""
    if real is None:
        from rsuper_bench.demo import run_demo

        run_demo(out, seed=seed)
    else:
        from rsuper_bench.demo_real import run_real_demo

        run_real_demo(real, out, seed=seed)


def doctor() -> None:
    """Say what this machine can run, and how to get what it lacks."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from rsuper_bench.doctor import examine

    checks = examine(Path.cwd())
    table = Table("part", "state", "what to do", box=None, pad_edge=False)
    for check in checks:
        mark = "[green]" if check.ok else "[red]" if check.needed else "[yellow]"
        table.add_row(f"{mark}{check.part}[/]", escape(check.state), escape(check.advice))
    Console().print(table)
    if any(check.needed and not check.ok for check in checks):
        raise typer.Exit(1)


def schema(
    name: Annotated[str, typer.Argument(help="case, finding, task, submission, report, entry, recipe, ...")],
) -> None:
    """Print the JSON Schema of a record."""
    from rsuper_bench.benchmark.files import pretty_json
    from rsuper_bench.schema import json_schema

    typer.echo(pretty_json(json_schema(name)), nl=False)
