"""Radiologists in the literature: other patients than ours, so context and never a head-to-head."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path

from rsuper_bench.benchmark.files import read_table, sha256_file
from rsuper_bench.benchmark.report import LiteratureReader
from rsuper_bench.benchmark.tumor_types import TumorType

LITERATURE_TABLE = "radiologist_references-v1.csv"
STATEMENT = (
    "Radiologist figures come from the literature: other patients, scanners and reference standards, not the same "
    "cases. They are context, unpaired, graded by how solid the source is, and no verdict follows from them."
)
SYNTHETIC_STATEMENT = "Beside synthetic cases they are drawn only as orientation."
_NUMBERS = ("sensitivity", "specificity")


def _path() -> Path:
    return Path(str(files("rsuper_bench.benchmark") / LITERATURE_TABLE))


@cache
def literature_digest() -> str:
    """Digest of the shipped table."""
    return sha256_file(_path())


@cache
def _table() -> tuple[LiteratureReader, ...]:
    readers = []
    for row in read_table(_path(), list(LiteratureReader.model_fields), optional=["derived_from_counts"]):
        row.pop("derived_from_counts")
        numbers = {name: float(row[name]) if row[name] else None for name in _NUMBERS}
        readers.append(LiteratureReader.model_validate(row | numbers | {"primary": row["primary"] == "yes"}))
    return tuple(readers)


def literature_readers(tumor_types: Iterable[TumorType] = tuple(TumorType)) -> tuple[LiteratureReader, ...]:
    """Rows of the shipped table for some tumor types, in the order of the types."""
    return tuple(reader for kind in tumor_types for reader in _table() if reader.tumor_type is kind)


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


def literature_statement(*, synthetic: bool) -> str:
    """What must be printed wherever literature figures appear."""
    return f"{STATEMENT} {SYNTHETIC_STATEMENT}" if synthetic else STATEMENT
