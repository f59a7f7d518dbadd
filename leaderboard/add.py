"""From an evaluation report to an entry file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import canonical_json, pretty_json, sha256_file, write_text
from rsuper_bench.benchmark.model_problems import model_problems
from rsuper_bench.benchmark.reference import report_problems
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.report import MEAN, REPORT_FILE, EvaluationReport, load_report
from rsuper_bench.benchmark.roc_curve import roc_corners, thinned
from rsuper_bench.benchmark.task import CallRule
from rsuper_bench.leaderboard.entry import MAX_ENTRY_BYTES, Entry, Overlap, RocPoint
from rsuper_bench.leaderboard.overlap import overlap_with
from rsuper_bench.leaderboard.reading import read_entry

REPLICATE_DECIMALS = 6  # a replicate is a mean of shares of at most some thousand cases


def add_entry(
    report: Path,
    entries: Path,
    *,
    team: str,
    method: str,
    url: str | None = None,
    model_repo: str | None = None,
    trained_on: Sequence[Release] = (),
    replace: bool = False,
) -> Path:
    """Write the entry of a report below the folder of entries.

    Args:
        report: ``report.json`` or the folder that holds it.
        entries: Folder of entries; made when it does not exist.
        team: Who, as shown on the board.
        method: What, as shown on the board.
        url: Where readers find more; https only.
        model_repo: Model repository on the Hub, ``org/name``.
        trained_on: Releases whose training splits the method saw; what they share with the evaluated patients is
            counted and stated.
        replace: Overwrite the entry of the same team, method and task.

    Returns:
        The file written.

    Raises:
        DataError: If the report was changed, a name is refused, or the entry is there already.
    """
    found = load_report(report)
    file = report / REPORT_FILE if report.is_dir() else report
    if wrong := report_problems(found, str(file)):
        raise DataError.of(wrong)
    overlaps = [overlap_with(release, found) for release in trained_on]
    entry = entry_of(
        found,
        team=team,
        method=method,
        url=url,
        report_digest=sha256_file(file),
        model_repo=model_repo,
        overlaps=overlaps,
    )
    path = entries / entry.path
    if path.exists() or path.is_symlink():
        _may_replace(path, entry, replace=replace)
    write_entry(entry, path)
    return path


def write_entry(entry: Entry, path: Path) -> None:
    """Write an entry: indented, with replicates and ROC corners on one line each.

    Raises:
        DataError: If the file would be larger than a board reads.
    """
    value = entry.model_dump(mode="json", exclude={"replicates", "roc"})
    text = pretty_json(value).rstrip().removesuffix("}").rstrip()
    text += f',\n "roc": {canonical_json(entry.roc)}'
    text += f',\n "replicates": {canonical_json(entry.replicates)}\n}}\n'
    if len(text.encode()) > MAX_ENTRY_BYTES:
        found, most = f"{len(text) / 1024**2:.1f} MiB", f"at most {MAX_ENTRY_BYTES // 1024**2} MiB"
        raise DataError.of([Problem(str(path), found, most, "Use fewer bootstrap replicates.")])
    write_text(path, text)


def entry_of(
    report: EvaluationReport,
    *,
    team: str,
    method: str,
    url: str | None,
    report_digest: str,
    model_repo: str | None = None,
    overlaps: Sequence[Overlap] = (),
) -> Entry:
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
        "roc": {
            kind: tuple(RocPoint(*map(int, corner)) for corner in thinned(corners))
            for kind, corners in roc_corners(report.outcomes, by_volume=task.call_rule is CallRule.VOLUME).items()
        },
        "replicates": replicates,
        "digests": {**report.digests, "report": report_digest},
        "thresholds": report.thresholds,
        "model_repo": model_repo,
        "overlaps": tuple(overlaps),
    }
    try:
        return Entry.model_validate(fields)
    except ValidationError as cause:
        raise DataError.of(model_problems(cause, Entry, "entry")) from None


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
