"""From an evaluation report to an entry file."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from pydantic import ValidationError

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import model_problems, pretty_json, sha256_file, write_text
from rsuper_bench.benchmark.report import MEAN, REPORT_FILE, EvaluationReport, Outcome, load_report
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.leaderboard.entry import MAX_ENTRY_BYTES, MAX_ROC_POINTS, Entry, RocPoint
from rsuper_bench.leaderboard.reading import read_entry

REPLICATE_DECIMALS = 6  # a replicate is a mean of shares of at most some thousand cases


def add_entry(
    report: Path, entries: Path, *, team: str, method: str, url: str | None = None, replace: bool = False
) -> Path:
    """Write the entry of a report below the folder of entries.

    Args:
        report: ``report.json`` or the folder that holds it.
        entries: Folder of entries; made when it does not exist.
        team: Who, as shown on the board.
        method: What, as shown on the board.
        url: Where readers find more; https only.
        replace: Overwrite the entry of the same team, method and task.

    Returns:
        The file written.

    Raises:
        DataError: If the report or a name is refused, or the entry is there already.
    """
    found = load_report(report)
    file = report / REPORT_FILE if report.is_dir() else report
    entry = entry_of(found, team=team, method=method, url=url, report_digest=sha256_file(file))
    path = entries / entry.path
    if path.exists() or path.is_symlink():
        _may_replace(path, entry, replace=replace)
    text = pretty_json(entry)
    if len(text.encode()) > MAX_ENTRY_BYTES:
        raise DataError.of(
            [
                Problem(
                    str(report),
                    f"its entry would be {len(text) / 1024**2:.1f} MiB",
                    f"at most {MAX_ENTRY_BYTES // 1024**2} MiB",
                    "Use fewer bootstrap replicates.",
                )
            ]
        )
    write_text(path, text)
    return path


def entry_of(report: EvaluationReport, *, team: str, method: str, url: str | None, report_digest: str) -> Entry:
    """Take from a report what the board shows and what ranks it; cases and patients stay behind.

    Raises:
        DataError: Listing everything the board does not accept.
    """
    kinds = [str(kind) for kind in report.task_definition.tumor_types]
    scores = {name: report.scores[name] for name in (*kinds, MEAN) if name in report.scores}
    replicates = report.replicates
    if replicates is not None:
        values = [None if value is None else round(value, REPLICATE_DECIMALS) for value in replicates.values]
        replicates = replicates.model_copy(update={"values": tuple(values)})
    task = report.task_definition
    task = task.model_copy(update={"description": " ".join(task.description.split())})
    version = report.provenance.get("rsuper_bench") or "unknown"
    fields = {
        "team": team,
        "method": method,
        "url": url,
        "task": report.task,
        "fingerprint": report.fingerprint,
        "task_definition": task,
        "source": f"rsuper-bench evaluate, version {version}, seed {report.seed}",
        "description": report.submission.description[:2000],
        "training_data": report.submission.training_data,
        "licence": report.submission.licence,
        "data": report.data,
        "statements": report.statements,
        "missing_policy": report.missing_policy,
        "seed": report.seed,
        "scores": scores,
        "counts": report.counts,
        "coverage": report.coverage,
        "roc": roc_curves(report.outcomes),
        "replicates": replicates,
        "digests": {**report.digests, "report": report_digest},
    }
    try:
        return Entry.model_validate(fields)
    except ValidationError as cause:
        raise DataError.of(model_problems(cause, Entry, "entry")) from None


def roc_curves(outcomes: Iterable[Outcome]) -> dict[TumorType, tuple[RocPoint, ...]]:
    """Empirical ROC curve of each tumor type that has positive and negative cases.

    Corners only, where the curve turns: equal scores are one step, and points inside a straight piece are left out.
    A curve with more than 200 corners keeps 200 of them, evenly spaced, and both ends.
    """
    by_kind: dict[TumorType, list[Outcome]] = {}
    for outcome in outcomes:
        by_kind.setdefault(outcome.tumor_type, []).append(outcome)
    return {
        kind: _thinned(_corners(cases))
        for kind, cases in sorted(by_kind.items())
        if {case.reference for case in cases} == {0, 1}
    }


def _corners(cases: Iterable[Outcome]) -> list[RocPoint]:
    corners = [RocPoint(fp=0, tp=0)]
    for _, equal in groupby(sorted(cases, key=lambda case: -case.score), key=lambda case: case.score):
        references = [case.reference for case in equal]
        last = corners[-1]
        point = RocPoint(fp=last.fp + references.count(0), tp=last.tp + references.count(1))
        if len(corners) > 1 and _on_a_line(corners[-2], last, point):
            corners.pop()
        corners.append(point)
    return corners


def _on_a_line(a: RocPoint, b: RocPoint, c: RocPoint) -> bool:
    return (b.fp - a.fp) * (c.tp - b.tp) == (c.fp - b.fp) * (b.tp - a.tp)


def _thinned(corners: list[RocPoint]) -> tuple[RocPoint, ...]:
    if len(corners) <= MAX_ROC_POINTS:
        return tuple(corners)
    step = (len(corners) - 1) / (MAX_ROC_POINTS - 1)
    return tuple(corners[round(index * step)] for index in range(MAX_ROC_POINTS))


def _may_replace(path: Path, entry: Entry, *, replace: bool) -> None:
    """Refuse to overwrite without being asked, and ever to overwrite the entry of somebody else."""
    old = read_entry(path, entry.path)
    other = isinstance(old, Entry) and (old.team, old.method) != (entry.team, entry.method)
    if other:
        raise DataError.of(
            [Problem(str(path), "holds another team's entry", "a name of its own", "Choose another team or method.")]
        )
    if not replace:
        raise DataError.of(
            [
                Problem(
                    str(path),
                    "there is an entry of this team, method and task",
                    "a new one",
                    "Pass --replace to overwrite it, or name the method differently.",
                )
            ]
        )
