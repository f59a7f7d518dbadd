"""Verbs of ``rsuper-bench leaderboard``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Add entries and build the board.")


@app.command()
def add(
    report: Annotated[Path, typer.Argument(help="report.json of an evaluation, or its folder.")],
    team: Annotated[str, typer.Option(help="Who, as shown on the board.")],
    method: Annotated[str, typer.Option(help="What, as shown on the board.")],
    entries: Annotated[Path, typer.Option(help="Folder of entries.")],
    url: Annotated[str | None, typer.Option(help="Where readers find more; https only.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite the entry of this method and task.")] = False,
) -> None:
    """Write the entry of an evaluation report."""
    from rsuper_bench.leaderboard.add import add_entry

    typer.echo(add_entry(report, entries, team=team, method=method, url=url, replace=replace))


@app.command()
def build(
    entries: Annotated[Path, typer.Option(help="Folder of entries.")],
    out: Annotated[Path, typer.Option(help="Folder of the site.")],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if the site is not up to date.")
    ] = False,
) -> None:
    """Build the board from its entries."""
    from rsuper_bench.leaderboard.build import build_site, check_site

    if not check:
        typer.echo(build_site(entries, out))
        return
    differences = check_site(entries, out)
    for difference in differences:
        typer.echo(f"{difference.state}: {difference.path}", err=True)
    if differences:
        typer.echo(f"error: {out} is not up to date. Run leaderboard build without --check.", err=True)
        raise typer.Exit(1)
    typer.echo(f"{out} is up to date")
