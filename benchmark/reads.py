"""Reading a reader study: who called or scored which case how."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from typing import NamedTuple

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import read_table
from rsuper_bench.benchmark.predictions_table import NUMBER, shown
from rsuper_bench.benchmark.reference import Reference
from rsuper_bench.benchmark.tumor_types import TumorType

_REQUIRED = ("case_id", "reader", "tumor_type")
_READ = ("call", "score")


class ReadKey(NamedTuple):
    """One reader in one session on one tumor type. Sessions are never pooled: they may be different conditions."""

    tumor_type: TumorType
    session: str
    reader: str


@dataclass(frozen=True)
class Read:
    """One read of a case: a call, a score on the reader's own scale, or both; NaN is no score."""

    call: bool | None
    score: float


Reads = dict[ReadKey, dict[str, Read]]


def is_reader_study(path: Path) -> bool:
    """Whether a table holds reads of cases; otherwise it is a table of literature figures."""
    with path.open("rb") as file:
        header = file.readline(4096).decode("utf-8", "replace")
    columns = {column.strip().strip('"\ufeff') for column in re.split("[,;\t]", header)}
    return "reader" in columns or "call" in columns


def read_reads(path: Path, reference: Reference) -> Reads:
    """Read a table of ``case_id, reader, tumor_type`` with ``call``, ``score`` or both, and an optional ``session``.

    Returns:
        Reads of the task's tumor types by case, sorted by type, session and reader.

    Raises:
        DataError: Listing every bad row.
    """
    rows = read_table(path, _REQUIRED, optional=[*_READ, "session"])
    if not rows:
        raise DataError.of([Problem(path.name, "a header without reads", "one row a read", "Add the reads.")])
    columns = [name for name in _READ if name in rows[0]]
    if not columns:
        raise DataError.of(
            [Problem(path.name, "neither 'call' nor 'score'", "one of them, or both", "Add the column.")]
        )
    problems: dict[tuple[str, str, str], list[str]] = {}
    reads: Reads = {}
    kinds = {str(kind): kind for kind in TumorType}
    for line, row in enumerate(rows, start=2):
        case_id, reader, session = row["case_id"], row["reader"], row.get("session", "").strip()

        def complain(found: str, expected: str, fix: str, number: int = line) -> None:
            problems.setdefault((found, expected, fix), []).append(f"row {number}")

        score = _number(row["score"]) if "score" in columns else nan
        if case_id not in reference.records:
            complain("a case that is not in the split", f"cases of {reference.split}", "Remove it.")
        elif not _is_name(reader):
            complain("no usable reader name", "a short pseudonym", "Name the reader.")
        elif session and not _is_name(session):
            complain("no usable session name", "a short name", "Name the session.")
        elif row["tumor_type"] not in kinds:
            complain("an unknown tumor type", f"one of {', '.join(kinds)}", "Correct it.")
        elif "call" in columns and row["call"].strip() not in ("0", "1"):
            complain("a call that is not 0 or 1", "0 (no tumor) or 1 (tumor)", "Correct it.")
        elif score is None:
            complain("a score that is not a finite number", "a number on the reader's own scale", "Correct it.")
        else:
            found = reads.setdefault(ReadKey(kinds[row["tumor_type"]], session, reader), {})
            if case_id in found:
                complain("a second read of one case", "one read a case, type and session", "Add a session column.")
            found[case_id] = Read(row["call"].strip() == "1" if "call" in columns else None, score)
    if problems:
        raise DataError.of(
            [
                Problem(path.name, f"{found} ({shown(lines)})", expected, fix)
                for (found, expected, fix), lines in problems.items()
            ]
        )
    if reads and not any(key.tumor_type in reference.task.tumor_types for key in reads):
        expected, fix = f"some of {', '.join(reference.task.tumor_types)}", "Name the task that was read."
        raise DataError.of([Problem(path.name, "reads of other tumor types only", expected, fix)])
    order = {kind: index for index, kind in enumerate(reference.task.tumor_types)}
    wanted = sorted(
        (key for key in reads if key.tumor_type in order), key=lambda key: (order[key.tumor_type], *key[1:])
    )
    return {key: reads[key] for key in wanted}


def _is_name(text: str) -> bool:
    return bool(text.strip()) and len(text) <= 64 and text.isprintable()


def _number(text: str) -> float | None:
    if not NUMBER.fullmatch(text.strip()):  # float() would take 1_0
        return None
    value = float(text)
    return value if isfinite(value) else None
