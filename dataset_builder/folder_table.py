"""``cases.csv`` of a folder of CTs: its columns, and every problem of every row at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import read_table, shown_cell
from rsuper_bench.dataset_builder.folder_row import TABLE, FolderRow, RowProblem, RowReader
from rsuper_bench.dataset_builder.rejection import Reason

REQUIRED = ("case_id", "patient_id", "report", "ct")
OPTIONAL = (
    "pathology_report",
    "organs",
    "lesions",
    "lesion_types",
    "sex",
    "age",
    "phase",
    "split",
    "source",
    "licence",
    "redistributable",
    "scanner",
    "kvp",
    "derived_from",
    "study_date",
)


@dataclass
class FolderTable:
    """What ``cases.csv`` holds.

    Attributes:
        rows: Rows that can be used, as far as the table tells.
        others: The other rows, as far as they could be read.
        columns: Problems of the header, which spoil every row.
        problems: Problems of the other rows.
        ignored: Columns that mean nothing here.
    """

    rows: list[FolderRow] = field(default_factory=list)
    others: list[FolderRow] = field(default_factory=list)
    columns: list[Problem] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def read_folder_table(folder: Path) -> FolderTable:
    """Read ``cases.csv`` and check all of it.

    Raises:
        DataError: When it is missing, empty or not CSV. Everything else is collected.
    """
    cells = read_table(folder / TABLE, (), where=TABLE)
    if not cells:
        raise DataError.of([Problem(TABLE, "no case", f"columns {', '.join(REQUIRED)} and a row a case", "Add rows.")])
    table = FolderTable()
    _check_columns(table, list(cells[0]))
    for number, row in enumerate(cells, start=2):
        reader = RowReader(folder, number, row)
        parsed = reader.read()
        table.problems += reader.problems
        (table.others if reader.problems else table.rows).append(parsed)
    _refuse_duplicates(table, [row.get("case_id", "").strip() for row in cells])
    return table


def _check_columns(table: FolderTable, columns: Sequence[str]) -> None:
    known = (*REQUIRED, *OPTIONAL)
    missing = [column for column in known if column not in columns]
    for column in columns:
        if column in known:
            continue
        # A column that looks like a misspelt one of ours would be lost silently; any other is the user's own.
        close = get_close_matches(column.lower(), missing, n=1, cutoff=0.8)
        if close:
            fix = f"Did you mean '{close[0]}'? Rename it."
            table.columns.append(Problem(TABLE, f"unknown column {shown_cell(column)}", "a known column", fix))
        elif not set(REQUIRED) & set(missing):  # or the first row may be no header but a patient
            table.ignored.append(shown_cell(column))
    for column in REQUIRED:
        if column in missing:
            expected = f"columns {', '.join(REQUIRED)}"
            table.columns.append(Problem(TABLE, f"no column '{column}'", expected, f"Add the column '{column}'."))


def _refuse_duplicates(table: FolderTable, ids: Sequence[str]) -> None:
    """No row of an id that stands twice is used: nobody can tell which is meant."""
    first: dict[str, int] = {}
    twice = set()
    for number, case_id in enumerate(ids, start=2):
        if case_id in first and case_id:
            twice.add(case_id)
            problem = Problem(
                f"{TABLE}: row {number}: case_id",
                f"{shown_cell(case_id)} is already in row {first[case_id]}",
                "each id once",
                "Remove or rename one of them.",
            )
            table.problems.append(RowProblem(case_id, Reason.DUPLICATE_ID, problem))
        first.setdefault(case_id, number)
    table.others += [row for row in table.rows if row.case_id in twice]
    table.rows = [row for row in table.rows if row.case_id not in twice]
