"""REPORTS.csv: the reports to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import id_problems, read_table

ID_COLUMNS = ("case_id", "id")
DATE_COLUMNS = ("report_date", "pathology_date")
DAMAGED = "damaged_text"  # flag of a report that holds U+FFFD: its file is probably in another encoding


@dataclass(frozen=True)
class ReportRow:
    """One report. Its text stays out of ``repr``, so that no log shows it."""

    case_id: str
    report: str = field(repr=False)
    pathology_report: str | None = field(default=None, repr=False)
    report_date: date | None = field(default=None, repr=False)
    pathology_date: date | None = field(default=None, repr=False)

    @property
    def is_damaged(self) -> bool:
        """Whether one of its texts held bytes that are no UTF-8 text."""
        return any("\ufffd" in text for text in (self.report, self.pathology_report or ""))


def read_reports(path: Path) -> list[ReportRow]:
    """Read reports from a CSV with ``case_id`` or ``id``, ``report`` and optional ``pathology_report``.

    Optional dates of the two texts stand in ``report_date`` and ``pathology_date`` (``2024-03-31``, or blank). Other
    columns are left alone. When both id columns are there, ``case_id`` counts. An empty report or one with bytes that
    are no text (they become U+FFFD) is read too: the extractor says of each what is wrong with it.

    Raises:
        DataError: Missing columns, unsafe or duplicate ids, unreadable dates: all of them at once.
    """
    table = read_table(path, (), lenient=True)
    if not table:
        raise DataError.of([Problem(str(path), "no rows", "a row for each report", "Check the file.")])
    columns = table[0].keys()
    problems = []
    id_column = next((name for name in ID_COLUMNS if name in columns), None)
    if id_column is None:
        problems.append(Problem(str(path), "no id column", "a column 'case_id' or 'id'", "Add the column 'case_id'."))
    else:
        problems += id_problems([row[id_column] for row in table], str(path), id_column)
    if "report" not in columns:
        problems.append(Problem(str(path), "no column 'report'", "a column 'report'", "Add the column 'report'."))
    problems += [
        Problem(f"{path}: row {number}: {name}", "not a date", "a date like 2024-03-31, or nothing", "Correct it.")
        for name in DATE_COLUMNS
        for number, row in enumerate(table, start=2)
        if row.get(name, "").strip() and _date(row[name]) is None
    ]
    if problems or id_column is None:
        raise DataError.of(problems)
    return [
        ReportRow(
            row[id_column],
            row["report"],
            row.get("pathology_report", "").strip() or None,
            _date(row.get("report_date", "")),
            _date(row.get("pathology_date", "")),
        )
        for row in table
    ]


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None
