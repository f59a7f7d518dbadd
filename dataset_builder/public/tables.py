"""Tables of public data sets: CSV or the first sheet of an .xlsx, all cells as text, columns by any of their names."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import read_table
from rsuper_bench.benchmark.records import MAX_REPORTED_AGE, Phase
from rsuper_bench.benchmark.tumor_types import Sex
from rsuper_bench.dataset_builder.header_facts import age_years

_MAX_SHEET_BYTES = 1024**3
_MAX_AGE = 130
_SEXES = {"f": Sex.FEMALE, "female": Sex.FEMALE, "m": Sex.MALE, "male": Sex.MALE}
_PHASES = {
    "noncontrast": Phase.NON_CONTRAST,
    "plain": Phase.NON_CONTRAST,
    "arterial": Phase.ARTERIAL,
    "arterialearly": Phase.ARTERIAL,
    "arteriallate": Phase.ARTERIAL,
    "earlyarterial": Phase.ARTERIAL,
    "latearterial": Phase.ARTERIAL,
    "portalvenous": Phase.PORTAL_VENOUS,
    "portal": Phase.PORTAL_VENOUS,
    "venous": Phase.PORTAL_VENOUS,
    "delayed": Phase.DELAYED,
    "delay": Phase.DELAYED,
}


@dataclass(frozen=True)
class Row:
    """One row. Column names are compared without case, spaces and underscores."""

    cells: Mapping[str, str]

    def get(self, *names: str) -> str:
        """The first cell of these columns that is there; empty when none is."""
        for name in names:
            text = self.cells.get(plain(name), "")
            if text:
                return text
        return ""

    def sex(self, *names: str) -> Sex | None:
        """Sex; None for anything but its usual names."""
        return _SEXES.get(self.get(*names).lower())

    def age(self, *names: str) -> float | None:
        """Age in full years, from 90 always 90: as a number or as DICOM writes it (``061Y``)."""
        text = self.get(*names)
        try:
            years = float(text)
        except ValueError:
            return age_years(text)
        return float(min(int(years), MAX_REPORTED_AGE)) if 0 <= years <= _MAX_AGE else None  # NaN compares false

    def number(self, *names: str) -> float | None:
        """A positive number; None for anything else."""
        try:
            value = float(self.get(*names))
        except ValueError:
            return None
        return value if 0 < value < 1e6 else None

    def phase(self, *names: str) -> Phase:
        """Contrast phase; unknown for words that are not known."""
        return _PHASES.get(plain(self.get(*names)), Phase.UNKNOWN)


def read_rows(path: Path, required: Mapping[str, Sequence[str]]) -> list[Row]:
    """Read a table.

    Args:
        path: ``.csv`` or ``.xlsx``.
        required: What must be there: a name for messages -> the column names it goes by.

    Raises:
        DataError: Missing, malformed, or without a required column.
        ConfigError: An .xlsx, and openpyxl is not installed.
    """
    rows = _xlsx(path) if path.suffix.lower() == ".xlsx" else read_table(path, (), where=path.name)
    if not rows:
        raise DataError.of([Problem(path.name, "no row", "a row a scan", "Download it again.")])
    table = [Row({plain(name): cell.strip() for name, cell in row.items()}) for row in rows]
    missing = [
        Problem(path.name, f"no column for the {what}", f"a column '{names[0]}'", "Download it again, or rename it.")
        for what, names in required.items()
        if not any(plain(name) in table[0].cells for name in names)
    ]
    if missing:
        raise DataError.of(missing)
    return table


def find_table(folder: Path, *names: str) -> Path | None:
    """The first file of these names that is there; a name may have wildcards."""
    for name in names:
        found = sorted(folder.glob(name))
        if found:
            return found[0]
    return None


def missing_table(folder: Path, name: str, fix: str) -> Exception:
    """The error for a data set without its table."""
    return DataError.of([Problem(str(folder), f"no {name}", "the data set as it is downloaded", fix)])


def plain(name: str) -> str:
    """A name without case, spaces, underscores and hyphens."""
    return "".join(character for character in name.lower() if character.isalnum() or character == "?")


def _xlsx(path: Path) -> list[dict[str, str]]:
    try:
        import openpyxl
    except ModuleNotFoundError:
        fix = "pip install -e '.[build]' in the clone, or save the sheet as CSV beside it."
        raise ConfigError.of([Problem(path.name, "openpyxl is not installed", "it", fix)]) from None
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size > _MAX_SHEET_BYTES:
            raise ValueError("too large")
        sheet = openpyxl.load_workbook(path, read_only=True, data_only=True).worksheets[0]
        lines = sheet.iter_rows(values_only=True)
        header = [_cell(value) for value in next(lines, ())]
        rows = [dict(zip(header, map(_cell, line), strict=False)) for line in lines]
    except Exception as cause:  # openpyxl raises many types for a damaged file
        found = f"cannot be read ({type(cause).__name__})"
        raise DataError.of([Problem(path.name, found, "an .xlsx table", "Download it again.")]) from None
    return [row for row in rows if any(row.values())]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
