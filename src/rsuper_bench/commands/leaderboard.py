"""Verbs of ``rsuper-bench leaderboard``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Add entries, score them again, build the board and publish it.")

TrainedOn = Annotated[
    list[str] | None,
    typer.Option(help="Release the method was trained on: patients it shares with the test are counted. Repeatable."),
]


class SiteKind(StrEnum):
    """Where a board is published."""

    SPACE = "space"
    DATASET = "dataset"


@app.command()
def add(
    report: Annotated[Path, typer.Argument(help="report.json of an evaluation, or its folder.")],
    team: Annotated[str, typer.Option(help="Who, as shown on the board.")],
    method: Annotated[str, typer.Option(help="What, as shown on the board.")],
    entries: Annotated[Path, typer.Option(help="Folder of entries.")],
    url: Annotated[str | None, typer.Option(help="Where readers find more; https only.")] = None,
    model_repo: Annotated[str | None, typer.Option(help="Model repository on the Hub, org/name.")] = None,
    trained_on: TrainedOn = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite the entry of this method and task.")] = False,
) -> None:
    """Write the entry of an evaluation report."""
    from rsuper_bench.benchmark.release import open_release
    from rsuper_bench.leaderboard.add import add_entry

    releases = [open_release(name) for name in trained_on or ()]
    path = add_entry(
        report,
        entries,
        team=team,
        method=method,
        url=url,
        model_repo=model_repo,
        trained_on=releases,
        replace=replace,
    )
    typer.echo(path)


@app.command()
def verify(
    entry: Annotated[Path, typer.Argument(help="Entry file.")],
    submission: Annotated[str, typer.Option(help="Its predictions: a folder, a zip or org/name[@revision].")],
    data: Annotated[str, typer.Option(help="Release it was evaluated on: a folder or org/name@revision.")],
    thresholds: Annotated[
        Path | None,
        typer.Option(help="Its frozen thresholds; without them, calls are made at the values the entry states."),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Table of lesion counts, if the entry was evaluated on one.")
    ] = None,
    readers: Annotated[Path | None, typer.Option(help="Readers, if the entry was evaluated beside a file.")] = None,
    trained_on: TrainedOn = None,
    check: Annotated[bool, typer.Option("--check", help="Compare only; write nothing.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Threads; the figures do not depend on it.")] = 1,
) -> None:
    """Score an entry again from its predictions; every figure must be the same, and then it is marked verified."""
    from rsuper_bench.benchmark.release import open_release
    from rsuper_bench.leaderboard.verify import verify_entry

    found = verify_entry(
        entry,
        submission,
        data,
        thresholds=thresholds,
        counts=reference,
        readers=readers,
        trained_on=[open_release(name) for name in trained_on or ()],
        write=not check,
        jobs=jobs,
    )
    figures = sum(len(metrics) for metrics in found.scores.values())
    typer.echo(f"{entry}: all {figures} figures are those of the predictions")
    if not check:
        typer.echo("marked as verified")


@app.command()
def build(
    entries: Annotated[Path, typer.Option(help="Folder of entries.")],
    out: Annotated[Path, typer.Option(help="Folder of the site.")],
    readme: Annotated[
        Path | None, typer.Option(help="Markdown file that carries the board between its two board comments.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if site or readme are not up to date.")
    ] = False,
) -> None:
    """Build the board from its entries."""
    from rsuper_bench.leaderboard.build import build_site, check_site

    if not check:
        typer.echo(build_site(entries, out, readme=readme))
        return
    differences = check_site(entries, out, readme=readme)
    for difference in differences:
        typer.echo(f"{difference.state}: {difference.path}", err=True)
    if differences:
        typer.echo(f"error: {out} is not up to date. Run leaderboard build without --check.", err=True)
        raise typer.Exit(1)
    typer.echo(f"{out} is up to date")


@app.command()
def publish(
    site: Annotated[Path, typer.Argument(help="Folder that leaderboard build wrote.")],
    repo: Annotated[str, typer.Option(help="org/name on the Hub; made when there is none.")],
    kind: Annotated[SiteKind, typer.Option(help="A static Space, or a dataset repository.")] = SiteKind.SPACE,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    benchmark: Annotated[
        str | None,
        typer.Option(
            help="Dataset repository of the benchmark, org/name: entries with a model repository get their figures "
            "there, as Hub evaluation results in a pull request."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would leave; send nothing.")] = False,
) -> None:
    """Publish a built board on the Hub."""
    from rsuper_bench.leaderboard.publish import plan_publication, send

    plan = plan_publication(site, repo, kind=kind.value, private=private, benchmark=benchmark)
    for name, data in plan.files.items():
        typer.echo(f"{len(data):>12,}  {name}")
    for model, files in plan.results.items():
        typer.echo(f"{len(files):>12,}  evaluation results for {model}")
    if dry_run:
        typer.echo("dry run: nothing was sent")
        return
    for address in send(plan):
        typer.echo(f"published {address}")
