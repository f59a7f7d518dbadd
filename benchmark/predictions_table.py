"""Reading ``predictions.csv`` or ``predictions.parquet``: ids are text, scores are numbers in [0, 1]."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from pathlib import Path

from rsuper_bench.benchmark.errors import Problem, RsuperBenchError, SubmissionError
from rsuper_bench.benchmark.files import read_table
from rsuper_bench.benchmark.records import ID_PATTERN
from rsuper_bench.benchmark.tumor_types import TumorType

REQUIRED = ("case_id", "tumor_type", "score")
OPTIONAL = ("volume_mm3",)
SHOWN_IDS = 20
MAX_BYTES = 256 * 1024**2
MAX_ROWS = 2_000_000  # 100 000 CTs of every tumor type
_ID = re.compile(ID_PATTERN)
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NOT_FINITE = {"nan", "inf", "infinity", "+inf", "-inf", "-infinity", "+infinity", "na", "n/a", "null", "none", ""}

Row = tuple[str, TumorType, float, float | None]


@dataclass(frozen=True)
class PredictionsTable:
    """What a table holds: good rows, one a case and type, those refused for their numbers, and all problems.

    Not ``readable`` is a table of which no row could be looked at.
    """

    rows: tuple[Row, ...]
    refused: frozenset[tuple[str, TumorType]]
    problems: tuple[Problem, ...]
    readable: bool = True


def read_predictions(path: Path) -> PredictionsTable:
    """Read a table of predictions, collecting every problem instead of stopping at the first."""
    try:
        columns = _parquet_columns(path) if path.suffix == ".parquet" else _csv_columns(path)
    except SubmissionError as cause:
        problems = tuple(_named(problem, path) for problem in cause.problems)
        return PredictionsTable((), frozenset(), problems, readable=False)
    return _check_rows(columns, path.name)


def shown(items: Sequence[str]) -> str:
    """The first items of a list, and how many more there are."""
    more = f" and {len(items) - SHOWN_IDS} more" if len(items) > SHOWN_IDS else ""
    return ", ".join(items[:SHOWN_IDS]) + more


def _named(problem: Problem, path: Path) -> Problem:
    return Problem(problem.where.replace(str(path), path.name), problem.found, problem.expected, problem.fix)


def _refuse(path: Path, found: str, expected: str, fix: str) -> RsuperBenchError:
    return SubmissionError.of([Problem(path.name, found, expected, fix)])


def _csv_columns(path: Path) -> dict[str, list[str]]:
    if path.stat().st_size > MAX_BYTES:
        raise _refuse(path, "larger than 256 MiB", "a smaller table", "Use predictions.parquet.")
    rows = read_table(path, REQUIRED, optional=OPTIONAL, error=SubmissionError, max_rows=MAX_ROWS)
    names = [*REQUIRED, *(name for name in OPTIONAL if rows and name in rows[0])]
    return {name: [row[name] for row in rows] for name in names}


def _parquet_columns(path: Path) -> dict[str, list[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema, facts = file.schema_arrow, file.metadata
        groups = [facts.row_group(index) for index in range(facts.num_row_groups)]
        if facts.num_rows > MAX_ROWS or sum(group.total_byte_size for group in groups) > 4 * MAX_BYTES:
            raise _refuse(path, f"{facts.num_rows} rows", f"at most {MAX_ROWS} rows, and 1 GiB", "Send fewer rows.")
        missing = [name for name in REQUIRED if name not in schema.names]
        extra = [name for name in schema.names if name not in (*REQUIRED, *OPTIONAL)]
        twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
        if missing or extra or twice:
            wrong = [f"no column '{name}'" for name in missing]
            wrong += [f"unknown column {name[:40]!a}" for name in extra]
            wrong += [f"column '{name}' twice" for name in twice]
            raise _refuse(path, ", ".join(wrong), f"columns {', '.join(REQUIRED)}", "Correct the columns.")
        for name in ("case_id", "tumor_type"):
            kind = schema.field(name).type
            if pa.types.is_dictionary(kind):
                kind = kind.value_type
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                raise _refuse(path, f"column '{name}' is {kind}", "text", f"Write {name} as strings: 001 is not 1.")
        for name in ("score", *OPTIONAL):
            if name in schema.names and not (
                pa.types.is_floating(schema.field(name).type) or pa.types.is_integer(schema.field(name).type)
            ):
                raise _refuse(path, f"column '{name}' is {schema.field(name).type}", "numbers", "Write floats.")
        table = pq.read_table(path)
        found = {name: table.column(name).to_pylist() for name in table.column_names}
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError, MemoryError) as cause:
        raise _refuse(path, f"not readable ({type(cause).__name__})", "a parquet table", "Write it again.") from None
    return {
        name: ["" if value is None else value if isinstance(value, str) else repr(value) for value in values]
        for name, values in found.items()
    }


def _check_rows(columns: dict[str, list[str]], name: str) -> PredictionsTable:
    complaints = _Complaints(name)
    volumes = columns.get("volume_mm3")
    rows: list[Row] = []
    refused: set[tuple[str, TumorType]] = set()
    first_row: dict[tuple[str, str], int] = {}
    kinds = {str(kind): kind for kind in TumorType}
    ids: dict[str, bool] = {}
    for index, (case_id, kind, score) in enumerate(
        zip(columns["case_id"], columns["tumor_type"], columns["score"], strict=True)
    ):
        line = index + 2
        if case_id not in ids:
            ids[case_id] = _ID.fullmatch(case_id) is not None
        if not ids[case_id]:
            complaints.add("unsafe case id", f"text like {ID_PATTERN}", "Rename the case.", line, ascii(case_id[:40]))
            continue
        if kind not in kinds:
            close = get_close_matches(kind, list(kinds), n=1)
            fix = f"Did you mean '{close[0]}'?" if close else f"Known types: {', '.join(kinds)}."
            complaints.add(f"unknown tumor type {kind[:40]!a}", "a known type", fix, line, case_id)
            continue
        key = (case_id, kind)
        if key in first_row:
            complaints.add(
                "a case and type that stand twice",
                "each case and type once",
                "Remove one of the two rows.",
                line,
                f"{case_id} {kind} (first in row {first_row[key]})",
            )
            continue
        first_row[key] = line
        value = complaints.number(score, "score", line, f"{case_id} {kind}", lambda number: 0 <= number <= 1)
        volume = None
        if volumes is not None and volumes[index].strip():
            volume = complaints.number(
                volumes[index], "volume_mm3", line, f"{case_id} {kind}", lambda number: number >= 0
            )
        if value is None:
            refused.add((case_id, kinds[kind]))
        else:
            rows.append((case_id, kinds[kind], value, volume))
    return PredictionsTable(tuple(rows), frozenset(refused), tuple(complaints.problems()))


class _Complaints:
    """Problems of rows, one entry a kind of problem however many rows have it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: dict[tuple[str, str, str], list[str]] = {}

    def add(self, found: str, expected: str, fix: str, line: int, what: str) -> None:
        self._found.setdefault((found, expected, fix), []).append(f"row {line} {what}")

    def number(self, text: str, column: str, line: int, what: str, allowed: Callable[[float], bool]) -> float | None:
        """The number a cell holds, or None after complaining."""
        cell = text.strip()
        expected = "a number in [0, 1]" if column == "score" else "a number of mm^3, 0 or more"
        if cell.casefold() in _NOT_FINITE:
            shown_cell = "is empty" if not cell else "is NaN or infinite"
            self.add(f"{column} {shown_cell}", expected, "A score of 0 is a valid prediction.", line, what)
            return None
        if not NUMBER.fullmatch(cell):
            fix = "Write decimals with a point." if "," in cell else "Write a plain decimal number."
            self.add(f"{column} is not a number", expected, fix, line, what)
            return None
        value = float(cell)
        if not isfinite(value):
            self.add(f"{column} is NaN or infinite", expected, "Write a finite number.", line, what)
            return None
        if not allowed(value):
            fix = "Scale scores to [0, 1]." if column == "score" else "Correct the volume."
            self.add(f"{column} out of range", expected, fix, line, what)
            return None
        return value + 0.0  # -0.0 becomes 0.0

    def problems(self) -> list[Problem]:
        return [
            Problem(self._name, f"{len(rows)} rows with {found}: {shown(rows)}", expected, fix)
            for (found, expected, fix), rows in self._found.items()
        ]
