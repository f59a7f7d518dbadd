"""F.jsonl: one line a report, what it says. It never holds report text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import atomic_path, canonical_json, read_text
from rsuper_bench.benchmark.model_problems import model_problems
from rsuper_bench.benchmark.records import ReportFindings

FAILED = "failed:"


def write_findings(path: Path, findings: Iterable[ReportFindings]) -> int:
    """Write findings atomically, one line each, in the given order.

    Returns:
        Number of lines.

    Raises:
        DataError: If it cannot be written, for example because the disk is full; nothing is left half-written.
    """
    written = 0
    try:
        with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
            for record in findings:
                file.write(canonical_json(record) + "\n")
                written += 1
    except OSError as cause:
        reason = cause.strerror or type(cause).__name__
        problem = Problem(
            str(path), f"cannot be written ({reason})", "room and the right to write", "Make room, run again."
        )
        raise DataError.of([problem]) from cause
    return written


def read_findings(path: Path, *, default_extractor: str | None = None) -> dict[str, ReportFindings]:
    """Read findings by case id, in file order.

    Args:
        path: The file.
        default_extractor: Name to put where a line names no extractor, for hand-made references.

    Raises:
        DataError: Missing, malformed or with duplicate case ids; all problems at once.
    """
    found: dict[str, ReportFindings] = {}
    problems: list[Problem] = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):  # JSON strings may hold other line ends
        if not line.strip():
            continue
        where = f"{path}:{number}"
        value = _parsed(line)
        if not isinstance(value, dict):
            problems.append(Problem(where, "not a JSON object", "one JSON object a line", "Write the file again."))
            continue
        if default_extractor is not None:
            value.setdefault("extractor", {"name": default_extractor, "version": "0"})
        try:
            record = ReportFindings.model_validate(value)
        except ValidationError as cause:
            problems.extend(model_problems(cause, ReportFindings, where))
            continue
        if record.case_id in found:
            problems.append(Problem(where, f"'{record.case_id}' stands twice", "each case once", "Remove one of them."))
        found[record.case_id] = record
    if not found and not problems:
        problems.append(Problem(str(path), "no line", "one JSON object a line", "Check the file."))
    if problems:
        raise DataError.of(problems)
    return found


def unread_problems(path: Path, findings: Mapping[str, ReportFindings]) -> list[Problem]:
    """Complaints about reports that were never read (``failed:<reason>``): their silence says nothing."""
    fix = "Run dataset extract again: it asks for these reports once more."
    return [
        Problem(f"{path}: {case_id}", f"was not read ({flag})", "findings of each report", fix)
        for case_id, record in findings.items()
        for flag in record.flags
        if flag.startswith(FAILED)
    ]


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # a number of thousands of digits is a plain ValueError
        return None
