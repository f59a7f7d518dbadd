"""What trained on what: declared training data against the evaluated release, with the leaks that are known."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from rsuper_bench.benchmark.report import DataInfo
from rsuper_bench.leaderboard.entry import Entry, Overlap

MAX_COLUMNS = 24  # the matrix stays readable; what is left out is counted
MAX_ROWS = 100


class Mark(StrEnum):
    """What is known of one method and one training set."""

    LEAK = "leak"
    CLEAR = "clear"
    SAME = "same"
    DECLARED = "declared"


MEANINGS = {
    Mark.LEAK: "leak: evaluated cases, or their patients or anatomy, are in the training data",
    Mark.CLEAR: "compared: no evaluated patient is in its training split",
    Mark.SAME: "another split of the evaluated release, not compared",
    Mark.DECLARED: "declared, not compared with the evaluated cases",
}
SYMBOLS = {Mark.LEAK: "▲", Mark.CLEAR: "✓", Mark.SAME: "◐", Mark.DECLARED: "●"}


@dataclass(frozen=True)
class Cell:
    """One mark and what it says in words."""

    mark: Mark
    text: str

    @property
    def symbol(self) -> str:
        """The mark as one character, so that colour is not needed to read it."""
        return SYMBOLS[self.mark]


@dataclass(frozen=True)
class Matrix:
    """Methods by training sets.

    Attributes:
        columns: Names of training sets, the most used first.
        rows: An entry and its cells, None where the set was not declared.
        more_columns: Training sets left out.
        more_rows: Entries left out.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Entry, tuple[Cell | None, ...]], ...]
    more_columns: int
    more_rows: int

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Marks that appear, for the legend."""
        found = {cell.mark for _, cells in self.rows for cell in cells if cell is not None}
        return tuple(mark for mark in Mark if mark in found)


def data_set_name(declared: str) -> str:
    """Name of a declared training set: ``Merlin, training split: 200 cases`` is ``Merlin``."""
    return re.split(r"[,:;(]", declared, maxsplit=1)[0].strip() or declared


def leaks(entry: Entry) -> list[str]:
    """Every leak of an entry in words."""
    return [cell.text for cell in _cells(entry).values() if cell.mark is Mark.LEAK]


def training_matrix(entries: Sequence[Entry]) -> Matrix:
    """Cross the training data of entries with what they were evaluated on."""
    cells = [_cells(entry) for entry in entries]
    labels: dict[str, str] = {}
    for entry in entries:
        for name in _names(entry):
            labels.setdefault(name.casefold(), name)
    uses = Counter(key for found in cells for key in found)
    keys = sorted(uses, key=lambda key: (-uses[key], key))
    shown = keys[:MAX_COLUMNS]
    return Matrix(
        columns=tuple(labels[key] for key in shown),
        rows=tuple(
            (entry, tuple(found.get(key) for key in shown))
            for entry, found in zip(entries[:MAX_ROWS], cells[:MAX_ROWS], strict=True)
        ),
        more_columns=len(keys) - len(shown),
        more_rows=max(len(entries) - MAX_ROWS, 0),
    )


def _names(entry: Entry) -> Iterable[str]:
    yield from map(data_set_name, entry.training_data)
    yield from (overlap.release for overlap in entry.overlaps)


def _cells(entry: Entry) -> dict[str, Cell]:
    return _cells_of(entry.training_data, entry.overlaps, entry.data)


@lru_cache(maxsize=4096)  # asked for at every place where an entry is marked
def _cells_of(training_data: tuple[str, ...], overlaps: tuple[Overlap, ...], data: DataInfo) -> dict[str, Cell]:
    found: dict[str, Cell] = {}
    for text in training_data:
        key = data_set_name(text).casefold()
        cell = _declared(data, key, text)
        if key not in found or cell.mark is Mark.LEAK:
            found[key] = cell
    for overlap in overlaps:
        key = overlap.release.casefold()
        shared = [f"{overlap.shared_patients} evaluated patients"] if overlap.shared_patients else []
        shared += [f"{overlap.shared_images} evaluated images"] if overlap.shared_images else []
        if shared:
            found[key] = Cell(
                Mark.LEAK, f"{' and '.join(shared)} are in the {overlap.split} split of {overlap.release}"
            )
        elif key not in found or found[key].mark is not Mark.LEAK:
            compared = f"none of its {overlap.n_patients} patients is evaluated"
            found[key] = Cell(Mark.CLEAR, f"{overlap.split} split compared: {compared}")
    return found


def _declared(data: DataInfo, key: str, text: str) -> Cell:
    """Judge one line of declared training data by what it says."""
    if key != data.release.casefold():
        return Cell(Mark.DECLARED, "declared, not compared")
    if re.search(rf"\b{data.split}\b", text.casefold()):
        return Cell(Mark.LEAK, f"declares the {data.split} split, which is evaluated")
    if data.smoke:
        return Cell(Mark.LEAK, f"one anatomy stands in several splits of {data.release}")
    return Cell(Mark.SAME, "another split of the evaluated release, not compared")
