"""One row of ``cases.csv``: its cells understood, and everything that is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import TypeVar

from rsuper_bench.benchmark.errors import Problem
from rsuper_bench.benchmark.files import shown_cell
from rsuper_bench.benchmark.records import ID_PATTERN, MAX_REPORTED_AGE, Phase, Split
from rsuper_bench.benchmark.tumor_types import Sex, TumorType
from rsuper_bench.dataset_builder.rejection import Reason

TABLE = "cases.csv"
_MAX_AGE = 130
_SEXES = {"f": Sex.FEMALE, "female": Sex.FEMALE, "m": Sex.MALE, "male": Sex.MALE}
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_PHASES = {str(phase): phase for phase in Phase}
_SPLITS = {str(split): split for split in Split}
_INSIDE = "a path inside the folder, without '..'"
Choice = TypeVar("Choice")


@dataclass(frozen=True)
class RowProblem:
    """Why a row cannot be used."""

    input_id: str
    reason: Reason
    problem: Problem


@dataclass(frozen=True)
class FolderRow:
    """One row with its cells understood. Paths are relative to the folder and known to stay in it."""

    number: int
    case_id: str
    patient_id: str
    report: str
    ct: str
    pathology_report: str | None = None
    organs: str | None = None
    lesions: str | None = None
    lesion_types: tuple[TumorType, ...] = ()
    sex: Sex | None = None
    age: float | None = None
    phase: Phase = Phase.UNKNOWN
    split: Split | None = None
    source: str | None = None
    licence: str | None = None
    redistributable: bool | None = None
    scanner: str | None = None
    kvp: float | None = None
    derived_from: str | None = None
    study_date: str = ""


@dataclass
class RowReader:
    """Reads the cells of one row and collects what is wrong with them.

    A column that the table does not have at all is no problem of the row.
    """

    folder: Path
    number: int
    cells: Mapping[str, str]
    problems: list[RowProblem] = field(default_factory=list)

    def read(self) -> FolderRow:
        """The row; a bad cell is as good as empty, and noted in ``problems``."""
        age = self._number("age", 0, _MAX_AGE)
        row = FolderRow(
            number=self.number,
            case_id=self._id("case_id") or "",
            patient_id=self._id("patient_id") or "",
            report=self._text("report"),
            ct=self._path("ct") or "",
            pathology_report=self._cell("pathology_report") or None,
            organs=self._path("organs"),
            lesions=self._path("lesions"),
            lesion_types=self._lesion_types(),
            sex=self._choice("sex", _SEXES),
            age=None if age is None else min(age, MAX_REPORTED_AGE),
            phase=self._choice("phase", _PHASES) or Phase.UNKNOWN,
            split=self._choice("split", _SPLITS),
            source=self._cell("source") or None,
            licence=self._cell("licence") or None,
            redistributable=self._choice("redistributable", _TRUTHS),
            scanner=self._cell("scanner") or None,
            kvp=self._number("kvp", 1, 1000),
            derived_from=self._id("derived_from", optional=True),
            study_date=self._date("study_date"),
        )
        if "ct" in self.cells and not self._cell("ct"):
            self._note("ct", Reason.MISSING_FILE, "no path", "the path of a NIfTI file", "Add it.")
        return row

    def _cell(self, column: str) -> str:
        return self.cells.get(column, "").strip()

    def _note(self, column: str, reason: Reason, found: str, expected: str, fix: str) -> None:
        problem = Problem(f"{TABLE}: row {self.number}: {column}", found, expected, fix)
        self.problems.append(RowProblem(self._cell("case_id"), reason, problem))

    def _id(self, column: str, *, optional: bool = False) -> str | None:
        cell = self._cell(column)
        if column not in self.cells or (optional and not cell):
            return None
        if not re.fullmatch(ID_PATTERN, cell):
            # A patient id is never shown: it may be a name.
            found = "unsafe id" if column == "patient_id" else f"unsafe id {shown_cell(cell)}"
            self._note(column, Reason.UNSAFE_ID, found, f"text like {ID_PATTERN}", "Rename it.")
        return cell

    def _text(self, column: str) -> str:
        cell = self._cell(column)
        if column in self.cells and not cell:
            fix = "Add it, or leave the case out."
            self._note(column, Reason.EMPTY_REPORT, "empty report", "the text of the report", fix)
        return self.cells.get(column, "")  # as it stands: evidence counts its characters from the first

    def _path(self, column: str) -> str | None:
        """The path, or None if there is none or it must not be opened."""
        cell = self._cell(column)
        if not cell:
            return None
        path = PurePosixPath(cell)
        hostile = path.is_absolute() or ".." in path.parts or "\\" in cell or not cell.isprintable()
        if hostile or re.match(r"^[A-Za-z]:", cell):
            self._note(column, Reason.UNSAFE_PATH, f"unsafe path {shown_cell(cell)}", _INSIDE, "Put the file there.")
        elif not (self.folder / path).exists():
            fix = "Add the file, or correct the path."
            self._note(column, Reason.MISSING_FILE, f"no such file {shown_cell(cell)}", "a file", fix)
        elif not (self.folder / path).resolve().is_relative_to(self.folder.resolve()):
            found = f"a link out of the folder {shown_cell(cell)}"
            self._note(column, Reason.UNSAFE_PATH, found, _INSIDE, "Copy the file instead of linking it.")
        else:
            return cell
        return None

    def _choice(self, column: str, choices: Mapping[str, Choice]) -> Choice | None:
        cell = self._cell(column).lower()
        if cell and cell not in choices:
            close = get_close_matches(cell, list(choices), n=1)
            fix = f"Did you mean '{close[0]}'?" if close else "Choose one of them, or leave the cell empty."
            self._note(column, Reason.BAD_VALUE, shown_cell(cell), f"one of {', '.join(choices)}", fix)
        return choices.get(cell)

    def _number(self, column: str, low: float, high: float) -> float | None:
        cell = self._cell(column)
        if not cell:
            return None
        try:
            value = float(cell)
        except ValueError:
            value = float("nan")
        if not isfinite(value) or not low <= value <= high:
            self._note(
                column, Reason.BAD_VALUE, shown_cell(cell), f"a number from {low:g} to {high:g}", "Correct the cell."
            )
        return value

    def _date(self, column: str) -> str:
        cell = self._cell(column)
        with suppress(ValueError):
            return date.fromisoformat(cell).isoformat() if cell else ""
        # The cell is not shown: a date is protected information.
        self._note(column, Reason.BAD_VALUE, "no date", "a date like 2021-03-04", "Write year-month-day, or empty it.")
        return ""

    def _lesion_types(self) -> tuple[TumorType, ...]:
        known = {str(kind): kind for kind in TumorType}
        names = [name.strip() for name in re.split(r"[;|,]", self._cell("lesion_types")) if name.strip()]
        for name in names:
            if name not in known:
                close = get_close_matches(name, list(known), n=1)
                fix = f"Did you mean '{close[0]}'?" if close else "Choose from them; separate several with ';'."
                self._note("lesion_types", Reason.BAD_VALUE, shown_cell(name), f"some of {', '.join(known)}", fix)
        if names and not self._cell("lesions"):
            fix = "Add the mask, or empty the cell."
            self._note("lesion_types", Reason.BAD_VALUE, "types without a mask", "a mask in `lesions`", fix)
        return tuple(dict.fromkeys(known[name] for name in names if name in known))
