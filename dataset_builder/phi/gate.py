"""The PHI gate of a release: every text, id, file name and header in it. What cannot be read does not pass."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.files import read_text
from rsuper_bench.dataset_builder.gate_finding import GateFinding
from rsuper_bench.dataset_builder.phi.dicom import scan_dicom
from rsuper_bench.dataset_builder.phi.headers import scan_nifti, scan_png
from rsuper_bench.dataset_builder.phi.hit import Hit
from rsuper_bench.dataset_builder.phi.identifier import scan_identifier, scan_path
from rsuper_bench.dataset_builder.phi.text import lower_words, scan_text

IDS = ("case_id", "patient_id", "derived_from", "input_id")
MODELS = ("extractor.model", "extractor.version")  # many models are named by the day they came out
PATHS = ("path", "ct_file", "file")
_DIGEST = re.compile(r"[0-9a-f]{64}|[0-9a-f]{128}")
_IMAGES: dict[str, Callable[[bytes], Iterator[tuple[str, str]]]] = {
    "ct": scan_nifti,
    "organs": scan_nifti,
    "lesions": scan_nifti,
    "preview": scan_png,
}
# Keys of parquet that the writers themselves put there.
_METADATA = (b"huggingface", b"ARROW:schema", b"pandas")


def scan_release(folder: Path, known: Collection[str] = ()) -> Iterator[GateFinding]:
    """Look for protected health information in every file of a release; memory holds one group of rows.

    Args:
        folder: The release.
        known: Words in lower case that are no names in these reports (eponyms, brands).
    """
    seen: set[GateFinding] = set()
    for finding in _scan(folder, frozenset(known)):
        if finding not in seen:
            seen.add(finding)
            yield finding


def _scan(folder: Path, known: frozenset[str]) -> Iterator[GateFinding]:
    tables = sorted(folder.rglob("*.parquet"))
    with suppress(pa.ArrowException, OSError, ValueError):  # an unreadable file is reported below
        known |= lower_words(_reports(tables))
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        shown = name if not scan_path(name) else f"file {name.count('/') + 1} folders deep"
        yield from (GateFinding("", f"phi_{hit.kind}", f"name of a file{_place(hit)}") for hit in scan_path(name))
        try:
            if path.suffix == ".parquet":
                yield from _scan_table(path, name, known)
            elif name in ("manifest.jsonl", "rejected.csv", "release.json", "label_map.json"):
                yield from _scan_rows(name, _rows_of_text(path), known)
            elif name in ("README.md", "croissant.json", "run.json"):
                yield from _scan_card(name, read_text(path))
            else:
                yield from _scan_stranger(path, shown)
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, DataError) as cause:
            yield GateFinding("", "phi_unreadable", f"{shown}: cannot be read ({type(cause).__name__})")


def _reports(tables: list[Path]) -> Iterator[str]:
    for path in tables:
        with pq.ParquetFile(path) as file:
            columns = [name for name in ("report", "pathology_report") if name in file.schema_arrow.names]
            for batch in file.iter_batches(batch_size=256, columns=columns) if columns else ():
                yield from (text for column in batch.columns for text in column.to_pylist() if text)


def _scan_table(path: Path, name: str, known: frozenset[str]) -> Iterator[GateFinding]:
    with pq.ParquetFile(path) as file:
        for key in file.metadata.metadata or {}:
            if key not in _METADATA:
                yield GateFinding("", "phi_header_text", f"{name}: an entry in its metadata")
        for group in range(file.num_row_groups):
            yield from _scan_rows(name, file.read_row_group(group).to_pylist(), known)


def _rows_of_text(path: Path) -> list[Any]:
    text = read_text(path)
    if path.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    return [json.loads(line) for line in text.splitlines() if line] if path.suffix == ".jsonl" else [json.loads(text)]


def _scan_rows(name: str, rows: list[Any], known: frozenset[str]) -> Iterator[GateFinding]:
    for number, row in enumerate(rows, start=1):
        case_id = str(row.get("case_id") or "") if isinstance(row, dict) else ""
        if scan_identifier(case_id):  # an id that is protected itself is not shown
            case_id = f"in row {number}"
        for field, value in _values(row):
            where = f"{name}: {field}"
            last = field.rsplit(".", 1)[-1]
            if isinstance(value, bytes):
                column = field.split(".")[0]
                found = _IMAGES[column](value) if column in _IMAGES else iter([("unexpected", "bytes")])
                yield from (GateFinding(case_id, f"phi_{kind}", f"{where}: {place}") for kind, place in found)
            elif not _DIGEST.fullmatch(value):
                if last in IDS:
                    hits = scan_identifier(value)
                elif last in PATHS:
                    hits = scan_path(value)
                else:
                    hits = scan_text(value, known)
                if field in MODELS:
                    hits = [hit for hit in hits if hit.kind != "date"]
                yield from (GateFinding(case_id, f"phi_{hit.kind}", where + _place(hit)) for hit in hits)


def _values(value: Any, field: str = "") -> Iterator[tuple[str, str | bytes]]:
    """Every text and every embedded file of a row, with its place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(inner, f"{field}.{key}" if field else str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, field)
    elif isinstance(value, (str, bytes)) and value:
        yield field, value


# The card is made to be read: it names authors and has links; what is never in it are numbers of patients.
_CARD_KINDS = ("ssn", "medical_record_number", "accession_number", "phone", "age_over_89")


def _scan_card(name: str, text: str) -> Iterator[GateFinding]:
    for hit in scan_text(text):
        if hit.kind in _CARD_KINDS:
            yield GateFinding("", f"phi_{hit.kind}", name + _place(hit))


def _scan_stranger(path: Path, shown: str) -> Iterator[GateFinding]:
    """A file that no release has: refused whatever it is, and a DICOM file attribute by attribute."""
    yield GateFinding("", "phi_unexpected_file", f"{shown}: not part of a release")
    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            return
    try:
        import pydicom
    except ImportError:
        return
    for kind, place in scan_dicom(pydicom.dcmread(path, stop_before_pixels=True)):
        yield GateFinding("", f"phi_{kind}", f"{shown}: {place}")


def _place(hit: Hit) -> str:
    return f", characters {hit.start}-{hit.end}"
