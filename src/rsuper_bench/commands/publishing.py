"""``rsuper-bench dataset publish`` and ``attach``: how a release leaves a machine, and how a reader completes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rsuper_bench.dataset_builder.gates import GateResult
    from rsuper_bench.dataset_builder.publish import Departure, Gating

_SHOWN = 20  # findings of a gate on the screen; --findings writes all


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(publish)
    app.command()(attach)


def publish(
    data: Annotated[Path, typer.Argument(help="Release folder.")],
    repo: Annotated[str, typer.Option(help="org/name of the dataset repository; made when there is none.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Run the gates and list what would leave; send nothing.")
    ] = False,
    against: Annotated[
        list[str] | None, typer.Option(help="Another release to compare splits with; may be given several times.")
    ] = None,
    known_words: Annotated[
        Path | None, typer.Option(help="Text file of words that are no names in these reports, one a line.")
    ] = None,
    gated: Annotated[str | None, typer.Option(help="no, auto or manual; by default manual for patients' data.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    findings: Annotated[Path | None, typer.Option(help="CSV file for all findings of the gates.")] = None,
) -> None:
    """Publish a release on the Hub, if every gate passes. Exit 1, and nothing sent, when one does not."""
    from rich.console import Console

    from rsuper_bench.benchmark.release import Release, open_release
    from rsuper_bench.dataset_builder.gates import run_gates
    from rsuper_bench.dataset_builder.publish import plan_departure
    from rsuper_bench.dataset_builder.publish import publish as send

    _check_repo(repo)
    gating = _gating(gated)
    words = _words(known_words)
    if not data.is_dir():
        raise _wrong(str(data), "no such folder", "a release folder", "Check the path.")
    release = Release(data)
    departure = plan_departure(release, repo, gating=gating, private=private)
    with Console(stderr=True).status("running the gates"):
        results = run_gates(
            release, against=[open_release(name, whole=True) for name in against or []], known_words=words
        )
    _show(departure, results)
    if findings is not None:
        _write_findings(findings, results)
    if not all(result.passed for result in results):
        typer.echo("error: not published: a gate failed; nothing was sent", err=True)
        raise typer.Exit(1)
    if dry_run:
        typer.echo("dry run: nothing was sent")
        return
    with Console(stderr=True).status("sending"):
        address = send(departure)
    typer.echo(f"published {address}")


def attach(
    data: Annotated[str, typer.Argument(help="Overlay release: a folder or org/name@revision.")],
    scans: Annotated[Path, typer.Option(help="Your own download, in the layout of the release's source.")],
    out: Annotated[Path, typer.Option(help="Folder of the complete release; made as a whole, or not at all.")],
    config: Annotated[Path | None, typer.Option(help="YAML file with the source's own options.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Cases at once; the bytes are the same for any number.")] = 1,
) -> None:
    """Join an overlay with your own scans and reports; each is checked by sha256. Stopped, it goes on where it was."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from rsuper_bench.benchmark.release import open_release
    from rsuper_bench.dataset_builder.attach import attach as join

    release = open_release(data, whole=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("attaching cases", total=None)
        result = join(
            release,
            scans,
            out,
            config=config,
            jobs=jobs,
            on_case=lambda done, total: progress.update(task, completed=done, total=total),
        )
    typer.echo(result)
    typer.echo(f"wrote {out}")


def _show(departure: Departure, results: list[GateResult]) -> None:
    typer.echo(f"to {departure.repo}, tag {departure.tag}, gated: {departure.gating}")
    for name, size in departure.files:
        typer.echo(f"{size:>15,}  {name}")
    typer.echo(f"{departure.n_bytes:>15,}  bytes in {len(departure.files)} files")
    for result in results:
        typer.echo(f"gate {result.name}: {'passed' if result.passed else f'FAILED, {result.n_findings} findings'}")
        for finding in result.findings[:_SHOWN]:
            typer.echo(f"  {finding}")
        if result.n_findings > _SHOWN:
            typer.echo(f"  ... and {result.n_findings - _SHOWN} more; --findings FILE.csv writes them")


def _write_findings(path: Path, results: list[GateResult]) -> None:
    from rsuper_bench.benchmark.files import check_out_file, csv_text, write_text

    check_out_file(path)
    rows = [
        {"gate": result.name, "reason": finding.gate, "case_id": finding.case_id, "detail": finding.detail}
        for result in results
        for finding in result.findings
    ]
    write_text(path, csv_text(rows, ["gate", "reason", "case_id", "detail"]))


def _check_repo(repo: str) -> None:
    import re

    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", repo) or len(repo) > 96:
        raise _wrong("--repo", ascii(repo[:100]), "org/name", "Correct the option.")


def _gating(gated: str | None) -> Gating | None:
    from typing import cast, get_args

    from rsuper_bench.dataset_builder.publish import Gating

    if gated is not None and gated not in get_args(Gating):
        raise _wrong("--gated", ascii(gated[:20]), "no, auto or manual", "Correct the option.")
    return cast("Gating | None", gated)


def _words(path: Path | None) -> frozenset[str]:
    from rsuper_bench.benchmark.errors import ConfigError
    from rsuper_bench.benchmark.files import read_text

    return frozenset() if path is None else frozenset(read_text(path, ConfigError).lower().split())


def _wrong(where: str, found: str, expected: str, fix: str) -> Exception:
    from rsuper_bench.benchmark.errors import ConfigError, Problem

    return ConfigError.of([Problem(where, found, expected, fix)])
