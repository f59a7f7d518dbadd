"""Radiologists in the literature: other patients than ours, so context and never a head-to-head."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.files import check_model, read_table, sha256_file
from rsuper_bench.benchmark.report import LiteratureReader
from rsuper_bench.benchmark.tumor_types import TumorType

LITERATURE_TABLE = "radiologist_references-v1.csv"
STATEMENT = (
    "Radiologist figures come from the literature: other patients, scanners and reference standards, not the same "
    "cases. They are context, unpaired, graded by how solid the source is, and no verdict follows from them."
)
SYNTHETIC_STATEMENT = "Beside synthetic cases they are drawn only as orientation."
_NUMBERS = ("sensitivity", "specificity")
_IGNORED = ("derived_from_counts",)


def _path() -> Path:
    return Path(str(files("rsuper_bench.benchmark") / LITERATURE_TABLE))


@cache
def literature_digest() -> str:
    """Digest of the shipped table."""
    return sha256_file(_path())


@cache
def _table() -> tuple[LiteratureReader, ...]:
    return read_literature(_path())


def read_literature(path: Path) -> tuple[LiteratureReader, ...]:
    """Read a table of published figures; sensitivity and specificity are shares, blank where a study gives none.

    Raises:
        DataError: Listing what is wrong with it.
    """
    fields = LiteratureReader.model_fields
    required = [name for name, field in fields.items() if field.is_required() and name != "primary"]
    optional = [name for name in fields if name not in required]
    readers = []
    for line, row in enumerate(read_table(path, required, optional=[*optional, *_IGNORED]), start=2):
        values: dict[str, object] = {name: text for name, text in row.items() if name not in _IGNORED}
        values |= {name: row[name].strip() or None for name in _NUMBERS}
        values["primary"] = row.get("primary", "yes") == "yes"
        readers.append(check_model(values, LiteratureReader, f"{path.name}: row {line}", DataError))
    return tuple(readers)


def literature_readers(
    tumor_types: Iterable[TumorType] = tuple(TumorType), table: Path | None = None
) -> tuple[LiteratureReader, ...]:
    """Rows of a table, or of the shipped one, for some tumor types in the order of the types."""
    rows = _table() if table is None else read_literature(table)
    return tuple(reader for kind in tumor_types for reader in rows if reader.tumor_type is kind)


def detection_reader(readers: Iterable[LiteratureReader], tumor_type: TumorType) -> LiteratureReader | None:
    """The primary figure of detection per patient, the only one that may stand beside ours; None if there is none."""
    for reader in readers:
        if (
            reader.tumor_type is tumor_type
            and reader.primary
            and reader.task == "detection"
            and reader.unit == "patient"
            and (reader.sensitivity is not None or reader.specificity is not None)
        ):
            return reader
    return None


def interval_ends(interval: str) -> tuple[float, float] | None:
    """``0.60-0.80`` as two shares; None for anything else, such as a range over readers or of quartiles."""
    match = re.fullmatch(r"([01]?\.?[0-9]+)-([01]?\.?[0-9]+)", interval.strip())
    return (float(match[1]), float(match[2])) if match else None


def literature_statement(*, synthetic: bool) -> str:
    """What must be printed wherever literature figures appear."""
    return f"{STATEMENT} {SYNTHETIC_STATEMENT}" if synthetic else STATEMENT
