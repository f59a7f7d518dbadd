"""Verbs of the evaluation group: ``validate``, ``calibrate``, ``evaluate``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rsuper_bench.benchmark.case_cache import CaseCache
    from rsuper_bench.benchmark.evaluation import Protocol
    from rsuper_bench.benchmark.lesion_counts import LesionCounts
    from rsuper_bench.benchmark.mask_reading import Reading
    from rsuper_bench.benchmark.release import Release
    from rsuper_bench.benchmark.report import EvaluationReport
    from rsuper_bench.benchmark.submission import Submission
    from rsuper_bench.benchmark.task import Task
    from rsuper_bench.benchmark.validation import MissingPolicy


class SplitName(StrEnum):
    """Part of a release."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Missing(StrEnum):
    """What to do with missing predictions."""

    ERROR = "error"
    FAIL = "fail"


class Shown(StrEnum):
    """Which CTs may be drawn in the report's page."""

    SHAREABLE = "shareable"
    ALL = "all"
    NONE = "none"


class ProtocolName(StrEnum):
    """A published way of counting, written besides the report."""

    RSUPER = "rsuper"


Source = Annotated[str, typer.Argument(metavar="SUB", help="Submission: folder, zip, or org/name@revision.")]
Data = Annotated[str, typer.Option(help="Release: folder, or org/name@revision.")]
TaskName = Annotated[
    str | None,
    typer.Option(
        help="Shipped task (such as seven-tumors-v1) or YAML file. Without it: every tumor type that has both positive "
        "and negative cases in the release (release-types-v1)."
    ),
]
Counted = Annotated[
    Path | None,
    typer.Option(
        "--reference",
        help="Table of 'number of <organ> lesion instances' per CT that is the truth instead of the release.",
    ),
]
Jobs = Annotated[int, typer.Option(min=1, help="Processes and threads; results do not depend on it.")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command()(validate)
    app.command()(calibrate)
    app.command()(evaluate)


def validate(
    data: Data,
    submission: Annotated[str | None, typer.Argument(help="Submission: folder, zip, or org/name@revision.")] = None,
    split: Annotated[SplitName, typer.Option(help="Split the submission is for.")] = SplitName.TEST,
    task: TaskName = None,
    counted: Counted = None,
    example: Annotated[
        Path | None,
        typer.Option(help="Instead of checking, write a valid submission to this folder to start from."),
    ] = None,
    jobs: Jobs = 1,
) -> None:
    """List everything that is wrong with a submission: exit 0 if nothing is."""
    from rsuper_bench.benchmark.errors import ConfigError, Problem, SubmissionError
    from rsuper_bench.benchmark.example_submission import write_example
    from rsuper_bench.benchmark.records import Split
    from rsuper_bench.benchmark.reference import build_reference
    from rsuper_bench.benchmark.release import open_release
    from rsuper_bench.benchmark.submission import read_submission
    from rsuper_bench.benchmark.validation import check_submission

    if (submission is None) == (example is None):
        found = "neither a submission nor --example" if submission is None else "both a submission and --example"
        raise ConfigError.of([Problem("validate", found, "one of the two", "Name the submission to check.")])
    release = open_release(data)
    chosen = _task(task, release)
    reference = build_reference(release, Split(split.value), chosen, _counts(counted))
    if example is not None:
        write_example(example, reference)
        pairs = f"{len(reference.records)} cases x {len(chosen.tumor_types)} types"
        typer.echo(f"wrote {example}: an example for {chosen.name}, {split.value}, {pairs}; replace its scores")
        return
    assert submission is not None  # noqa: S101
    read, problems = read_submission(submission)
    if read is not None:
        checked = check_submission(read, reference, release, jobs=jobs)
        problems += checked.problems
        if checked.ignored:
            print(f"note: {checked.ignored} predictions of types outside {chosen.name} are ignored", file=sys.stderr)
    if problems:
        raise SubmissionError.of(problems)
    typer.echo(f"{submission}: valid for {chosen.name}, {split.value}: {len(reference.records)} cases, no problems")


def calibrate(
    submission: Source,
    data: Data,
    out: Annotated[Path, typer.Option(help="File of thresholds to write.")],
    split: Annotated[SplitName, typer.Option(help="Split to fit on, never the one to test on.")] = SplitName.VALIDATION,
    rule: Annotated[str, typer.Option(help="youden, specificity=0.9 or sensitivity=0.9.")] = "youden",
    task: TaskName = None,
    counted: Counted = None,
    jobs: Jobs = 1,
) -> None:
    """Freeze one threshold a tumor type on a split that will not be tested on."""
    from rsuper_bench.benchmark import thresholds
    from rsuper_bench.benchmark.files import check_out_file
    from rsuper_bench.benchmark.release import open_release

    thresholds.parse_rule(rule)
    check_out_file(out)
    release = open_release(data)
    chosen = _task(task, release)
    counts = _counts(counted)
    read = _read(submission, release, chosen, split, counts=counts, jobs=jobs)
    fitted = thresholds.calibrate(read, chosen, release, split=split.value, rule=rule, counts=counts, jobs=jobs)
    thresholds.save_thresholds(fitted, out)
    for kind, item in fitted.thresholds.items():
        if item.value is None:
            typer.echo(f"{kind:12} no threshold: {item.reason}")
        else:
            k = f"{item.sensitivity.k}/{item.sensitivity.n}", f"{item.specificity.k}/{item.specificity.n}"
            typer.echo(f"{kind:12} {item.value:.6g}  sensitivity {k[0]}  specificity {k[1]} on {split.value}")
    typer.echo(f"wrote {out}")


def evaluate(
    submission: Source,
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    split: Annotated[SplitName, typer.Option(help="Split to score on.")] = SplitName.TEST,
    task: TaskName = None,
    counted: Counted = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(
            help="Thresholds from calibrate; refused when they were fitted on this split's cases or patients."
        ),
    ] = None,
    readers: Annotated[
        Path | None,
        typer.Option(
            help="Reads of the same cases (case_id, reader, tumor_type, call or score, optional session), or "
            "literature figures to use instead of the shipped table."
        ),
    ] = None,
    missing: Annotated[
        Missing, typer.Option(help="Missing predictions: refuse them, or score them the worst way.")
    ] = Missing.ERROR,
    protocol: Annotated[
        ProtocolName | None,
        typer.Option(help="rsuper: also metrics.csv, the published table of volume thresholds (swept on these cases)."),
    ] = None,
    pictures: Annotated[
        Shown,
        typer.Option(
            help="Worst cases in report.html: those whose licence lets their CT be passed on, all the release holds, "
            "or none."
        ),
    ] = Shown.SHAREABLE,
    margin: Annotated[
        float, typer.Option(min=0, max=1, help="Sensitivity below a reader's that still counts as not inferior.")
    ] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    jobs: Jobs = 1,
    cluster: Annotated[
        str | None,
        typer.Option(help="Read masks on a Dask cluster that shares these files (tcp://host:8786)."),
    ] = None,
) -> None:
    """Score a submission per tumor type beside radiologists, and write a report."""
    import time
    from datetime import UTC, datetime

    from rsuper_bench.benchmark.errors import ConfigError, Problem
    from rsuper_bench.benchmark.evaluation import evaluate as score
    from rsuper_bench.benchmark.evaluation_folder import WRITTEN, write_evaluation
    from rsuper_bench.benchmark.evaluation_work import evaluating
    from rsuper_bench.benchmark.files import check_out_folder
    from rsuper_bench.benchmark.release import open_release
    from rsuper_bench.benchmark.report import REPORT_FILE
    from rsuper_bench.benchmark.thresholds import load_thresholds
    from rsuper_bench.benchmark.worst_cases import Pictures, with_pictures, worst_cases

    if cluster is not None and Path(submission).is_file():
        found = f"--cluster with {submission}, which is unpacked where only this machine sees it"
        raise ConfigError.of([Problem("evaluate", found, "a folder that all workers see", "Unpack it.")])
    counting: Protocol | None = "rsuper" if protocol is ProtocolName.RSUPER else None
    started, clock = datetime.now(UTC), time.monotonic()
    check_out_folder(out, REPORT_FILE, WRITTEN, inputs=[Path(submission), Path(data)])
    release = open_release(data)
    chosen = _task(task, release)
    frozen = load_thresholds(thresholds) if thresholds else None
    counts = _counts(counted)
    policy: MissingPolicy = "fail" if missing is Missing.FAIL else "error"
    with evaluating(out) as cache, _reading(jobs, cluster, cache) as reading:
        read = _read(submission, release, chosen, split, missing=policy, counts=counts, jobs=jobs)
        report = score(
            read,
            chosen,
            release,
            split=split.value,
            counts=counts,
            thresholds=frozen,
            readers=readers,
            missing=policy,
            protocol=counting,
            margin=margin,
            seed=seed,
            jobs=jobs,
            reading=reading,
        )
        worst = with_pictures(worst_cases(report), release, read, pictures=Pictures(pictures.value), jobs=jobs)
        run = {
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - clock, 1),
            "verb": "evaluate",
            "seed": seed,
            "jobs": jobs,
        }
        write_evaluation(report, out, protocol=counting, run=run, worst=worst)
    typer.echo(_summary(report))
    if protocol is not None:
        typer.echo(f"wrote {out / 'metrics.csv'}: thresholds swept on the evaluated cases, none of them frozen")
    typer.echo(f"wrote {out / 'report.json'}, {out / 'report.md'} and {out / 'report.html'}")


@contextmanager
def _reading(jobs: int, cluster: str | None, cache: CaseCache) -> Iterator[Reading]:
    """How masks are read, with a bar of the cases on stderr once there are some."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from rsuper_bench.benchmark.mask_reading import Reading
    from rsuper_bench.dataset_builder.cluster import on_cluster

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    hidden = not console.is_terminal  # else it ends with an empty line in a log
    with on_cluster(cluster), Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        bar = progress.add_task("reading masks", total=None, visible=False)

        def show(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total, visible=True)

        # A cluster takes as many cases as it has workers; --jobs is for this machine.
        yield Reading(jobs if cluster is None else -1, cache, show)


def _counts(table: Path | None) -> LesionCounts | None:
    from rsuper_bench.benchmark.lesion_counts import read_lesion_counts

    return None if table is None else read_lesion_counts(table)


def _read(
    source: str,
    release: Release,
    task: Task,
    split: SplitName,
    *,
    missing: MissingPolicy = "error",
    counts: LesionCounts | None,
    jobs: int,
) -> Submission:
    """The submission; if anything is wrong with its files, all that is wrong with it for the task is listed too."""
    from rsuper_bench.benchmark.errors import SubmissionError
    from rsuper_bench.benchmark.records import Split
    from rsuper_bench.benchmark.reference import build_reference
    from rsuper_bench.benchmark.submission import read_submission
    from rsuper_bench.benchmark.validation import check_submission

    read, problems = read_submission(source)
    if read is None or problems:
        if read is not None:
            reference = build_reference(release, Split(split.value), task, counts)
            problems += check_submission(read, reference, release, missing=missing, jobs=jobs).problems
        raise SubmissionError.of(problems)
    return read


def _task(name: str | None, release: Release) -> Task:
    from rsuper_bench.benchmark.reference import release_task
    from rsuper_bench.benchmark.task import load_task

    return release_task(release) if name is None else load_task(name)


def _summary(report: EvaluationReport) -> str:
    from rsuper_bench.benchmark.markdown import score_cell

    point = next(name for name in report.scores["mean"] if name.startswith("sensitivity_at_specificity"))
    label = f"sens. at {point.rsplit('_', 1)[1]} % spec."
    lines = [f"{'':12} {'AUROC':24} {'sensitivity %':26} {'specificity %':26} {label}"]
    for name, scores in report.scores.items():
        cells = [score_cell(scores["auroc"], as_percent=False)]
        cells += [score_cell(scores["sensitivity"]), score_cell(scores["specificity"])]
        lines.append(f"{name:12} {cells[0]:24} {cells[1]:26} {cells[2]:26} {score_cell(scores[point])}".rstrip())
    return "\n".join([*lines, *report.statements, report.readers.statement])
