"""Published tables that count lesions per CT, as the truth of an evaluation.

Merlin's and PanTS' tables have a column ``number of <organ> lesion instances`` for each organ: 0 is negative, more is
positive, an empty cell says nothing. What kind of lesion was counted (cysts too?) is for whoever made the table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import digest_of, read_table
from rsuper_bench.benchmark.predictions_table import shown
from rsuper_bench.benchmark.submission import tumor_type_of
from rsuper_bench.benchmark.tumor_types import TumorType

# The first of these columns that a table has names its cases.
CASE_COLUMNS = ("case_id", "BDMAP ID", "BDMAP_ID", "Encrypted Accession Number", "study id", "PanTS ID", "id")
_COUNT = re.compile(r"^number of (.+?) (?:lesion|tumor) instances$", re.IGNORECASE)
_NUMBER = re.compile(r"([0-9]{1,6})(\.0+)?")  # tables that passed through pandas hold 2.0
_NOTHING = ("", "nan", "na", "n/a", "none")


@dataclass(frozen=True)
class LesionCounts:
    """Numbers of lesions by case and tumor type; a pair that is absent is not stated."""

    name: str
    kinds: tuple[TumorType, ...]
    cases: frozenset[str]
    counts: dict[tuple[str, TumorType], int]
    digest: str

    def positive(self, case_id: str, kind: TumorType) -> bool | None:
        """Whether a case has a lesion; None where the table does not say."""
        count = self.counts.get((case_id, kind))
        return None if count is None else count > 0


def read_lesion_counts(path: Path) -> LesionCounts:
    """Read a table; columns that count nothing are ignored.

    Raises:
        DataError: Listing everything that is wrong with it.
    """
    rows = read_table(path, [])
    if not rows:
        raise DataError.of([Problem(path.name, "a header without rows", "one row a CT", "Add the counts.")])
    columns = list(rows[0])
    case_column = next((name for name in CASE_COLUMNS if name in columns), None)
    kinds: dict[str, TumorType] = {}
    problems = []
    for column in columns:
        found = _COUNT.match(column)
        kind = tumor_type_of(found[1]) if found else None
        if kind is not None and kind in kinds.values():
            fix = "Keep one of them."
            problems.append(Problem(path.name, f"a second column that counts {kind}", "one column a type", fix))
        elif kind is not None:
            kinds[column] = kind
    if case_column is None:
        problems.append(Problem(path.name, "no column of case ids", f"one of {', '.join(CASE_COLUMNS)}", "Add it."))
    if not kinds:
        expected = "columns 'number of <organ> lesion instances'"
        problems.append(Problem(path.name, "no column that counts lesions", expected, "Rename the columns."))
    if case_column is None or problems:
        raise DataError.of(problems)
    counts: dict[tuple[str, TumorType], int] = {}
    seen: dict[str, int] = {}
    twice, nameless, no_numbers = [], [], []
    for line, row in enumerate(rows, start=2):
        case_id = row[case_column].strip()
        if not case_id:
            nameless.append(f"row {line}")
            continue
        if case_id in seen:
            twice.append(f"row {line} (first in row {seen[case_id]})")
            continue
        seen[case_id] = line
        for column, kind in kinds.items():
            cell = row[column].strip()
            if number := _NUMBER.fullmatch(cell):
                counts[case_id, kind] = int(number[1])
            elif cell.casefold() not in _NOTHING:
                no_numbers.append(f"row {line} {kind}")
    if twice:
        problems.append(Problem(path.name, f"cases that stand twice: {shown(twice)}", "each case once", "Remove them."))
    if nameless:
        problems.append(Problem(path.name, f"rows without a case id: {shown(nameless)}", "an id in each", "Add it."))
    if no_numbers:
        fix = "Correct them; leave a cell empty where nothing is known."
        problems.append(Problem(path.name, f"cells that are no counts: {shown(no_numbers)}", "0, 1, 2, ...", fix))
    if problems:
        raise DataError.of(problems)
    stated = sorted([case_id, str(kind), count] for (case_id, kind), count in counts.items())
    return LesionCounts(path.name, tuple(kinds.values()), frozenset(seen), counts, digest_of(stated))


def refuse_uncounted(table: LesionCounts, kinds: tuple[TumorType, ...], cases: set[str], split: str) -> None:
    """Refuse a table that does not count a type of the task, or knows none of the cases.

    Raises:
        DataError: Saying which.
    """
    problems = []
    uncounted = [str(kind) for kind in kinds if kind not in table.kinds]
    if uncounted:
        expected = f"a column for each type of the task; it has {', '.join(table.kinds)}"
        fix = "Name a task of the types it counts."
        problems.append(Problem(table.name, f"no count of {', '.join(uncounted)}", expected, fix))
    if not cases & table.cases:
        expected = f"case ids of the {split} split"
        problems.append(Problem(table.name, "none of the cases of the split", expected, "Use the ids of the release."))
    if problems:
        raise DataError.of(problems)
