"""Verbs of ``rsuper-bench dataset``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsuper_bench.commands import extraction, publishing

if TYPE_CHECKING:
    from rsuper_bench.benchmark.release_info import ReleaseKind
    from rsuper_bench.dataset_builder.build import BuildPlan, BuildResult

app = typer.Typer(no_args_is_help=True, help="Build, read and check datasets.")
extraction.register(app)
publishing.register(app)


@app.command()
def build(
    source: Annotated[
        str, typer.Option(help="phantom, planted, folder, dicom, merlin, pants, abdomenatlas or ct_rate.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the release; made as a whole, or not at all.")],
    input: Annotated[  # noqa: A002
        Path | None, typer.Option(help="Folder with cases.csv and NIfTI files, PACS export, or downloaded data set.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with the source's own options.")] = None,
    ct: Annotated[Path | None, typer.Option(help="planted: the CT.")] = None,
    organs: Annotated[Path | None, typer.Option(help="planted: its organ labels.")] = None,
    labels: Annotated[Path | None, typer.Option(help="planted: CSV with label and name.")] = None,
    n: Annotated[int | None, typer.Option(min=1, help="phantom, planted: number of cases.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the splits, and of cases that are made.")] = 0,
    fractions: Annotated[tuple[float, float, float], typer.Option(help="Shares of train, validation and test.")] = (
        0.7,
        0.1,
        0.2,
    ),
    extractor: Annotated[str, typer.Option(help="How to read the reports.")] = "rules",
    findings: Annotated[
        Path | None, typer.Option(help="Findings (F.jsonl) that were read before, in place of reading the reports.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the release; by default that of its source.")] = "",
    version: Annotated[str, typer.Option(help="Version of the release, such as 1.2.0.")] = "1.0.0",
    kind: Annotated[
        str, typer.Option(help="full; overlay: no scan or report that may not be passed on; attributes: none at all.")
    ] = "full",
    jobs: Annotated[int, typer.Option(min=1, help="Cases at once; the bytes are the same for any number.")] = 1,
    shard: Annotated[str | None, typer.Option(help="i/n: make this part only; then build without it.")] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler (tcp://host:8786) whose workers make the cases.")
    ] = None,
    reject_bad: Annotated[bool, typer.Option("--reject-bad", help="Go on without unusable cases; list them.")] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Let one anatomy be in several splits; marks the release as no evidence.")
    ] = False,
) -> None:
    """Build a release. A stopped build goes on where it was when the same command runs again."""
    from rsuper_bench.benchmark.files import sha256_file
    from rsuper_bench.benchmark.records import Split
    from rsuper_bench.dataset_builder import build as builder
    from rsuper_bench.dataset_builder.extraction import make_extractor
    from rsuper_bench.dataset_builder.extraction.stored_findings import StoredFindings
    from rsuper_bench.dataset_builder.sources import SOURCES, SourceOptions, open_source

    part = _shard(shard)
    options = SourceOptions(
        seed=seed, input=input, config=config, ct=ct, organs=organs, labels=labels, n=n, reject_bad=reject_bad, out=out
    )
    opened = open_source(source, options)
    reader = make_extractor(extractor) if findings is None else StoredFindings(findings)
    plan = builder.BuildPlan(
        source=opened,
        source_name=source,
        context=options.digest_parts() | ({} if findings is None else {"findings": sha256_file(findings)}),
        extractor=reader,
        out=out,
        seed=seed,
        smoke=smoke,
        strict=SOURCES[source].strict and not reject_bad,
        jobs=jobs,
        shard=part,
        cluster=cluster,
        fractions=dict(zip(Split, fractions, strict=True)),
        name=_checked_name(name),
        version=_checked_version(version),
        kind=_kind(kind),
    )
    for note in getattr(opened, "notes", list)():
        typer.echo(f"note: {note}", err=True)
    _report(_with_progress(plan), out, shard)


@app.command()
def lint(data: Annotated[str, typer.Argument(help="Release folder or org/name@revision.")]) -> None:
    """Check a release: files, digests, and whether table, mask and report agree. Exit 1 when a gate fails."""
    from rich.console import Console

    from rsuper_bench.benchmark.release import open_release
    from rsuper_bench.dataset_builder.lint import lint as check

    failed = 0
    with Console(stderr=True).status("checking"):
        for finding in check(open_release(data, whole=True).folder):
            failed += 1
            typer.echo(finding)
    typer.echo(f"{data}: " + (f"{failed} findings" if failed else "nothing found"))
    if failed:
        raise typer.Exit(1)


@app.command()
def leakage(
    data: Annotated[list[str], typer.Argument(help="One release or several, each a folder or org/name@revision.")],
) -> None:
    """Look for patients, anatomies and images in more than one split. Exit 1 when there are any."""
    from rsuper_bench.benchmark.release import open_release
    from rsuper_bench.dataset_builder.leakage import find_leaks

    leaks = list(find_leaks([open_release(folder, whole=True) for folder in data]))
    for leak in leaks:
        typer.echo(leak)
    typer.echo(f"{len(leaks)} leaks" if leaks else "no leak")
    if leaks:
        raise typer.Exit(1)


def _with_progress(plan: BuildPlan) -> BuildResult:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from rsuper_bench.dataset_builder.build import build as run

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("building cases", total=None)
        return run(plan, lambda done, total: progress.update(task, completed=done, total=total))


def _report(result: BuildResult, out: Path, shard: str | None) -> None:
    from rsuper_bench.benchmark.records import Split

    if result.state == "shard":
        typer.echo(f"shard {shard}: {result.n_cases} cases are ready; when all shards are, build without --shard")
    elif result.state == "already built":
        typer.echo(f"{out} is this release already: {result.n_cases} cases, nothing to do")
    if result.summary is not None:
        counts = result.summary.cases
        typer.echo(f"{result.n_cases} cases: {', '.join(f'{counts[split]} {split}' for split in Split)}")
        for split in Split:
            if not counts[split]:
                typer.echo(f"note: no case in {split}; load_dataset does not know this split", err=True)
    if result.rejections:
        typer.echo(f"note: {len(result.rejections)} inputs were not used, see rejected.csv", err=True)
    if result.state == "built":
        typer.echo(f"wrote {out}")


def _shard(text: str | None) -> tuple[int, int] | None:
    import re

    from rsuper_bench.benchmark.errors import ConfigError, Problem

    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError.of(
            [Problem("--shard", ascii(text[:20]), "i/n with 1 <= i <= n, such as 1/4", "Correct the option.")]
        )
    return int(match[1]), int(match[2])


def _checked_version(version: str) -> str:
    import re

    from rsuper_bench.benchmark.errors import ConfigError, Problem

    if not re.fullmatch(r"\d{1,6}\.\d{1,6}\.\d{1,6}", version):
        raise ConfigError.of(
            [Problem("--version", ascii(version[:20]), "three numbers such as 1.2.0", "Correct the option.")]
        )
    return version


def _kind(kind: str) -> ReleaseKind:
    from difflib import get_close_matches

    from rsuper_bench.benchmark.errors import ConfigError, Problem
    from rsuper_bench.benchmark.release_info import ReleaseKind

    if kind not in list(ReleaseKind):
        close = get_close_matches(kind, list(ReleaseKind), n=1)
        fix = f"Did you mean '{close[0]}'?" if close else "Choose one of them."
        raise ConfigError.of([Problem("--kind", ascii(kind[:20]), f"one of {', '.join(ReleaseKind)}", fix)])
    return ReleaseKind(kind)


def _checked_name(name: str) -> str:
    import re

    from rsuper_bench.benchmark.errors import ConfigError, Problem
    from rsuper_bench.benchmark.records import ID_PATTERN

    if name and not re.fullmatch(ID_PATTERN, name):
        raise ConfigError.of([Problem("--name", ascii(name[:40]), f"text like {ID_PATTERN}", "Choose another name.")])
    return name
