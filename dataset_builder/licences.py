"""Licences: their names on the Hub, and the gate that keeps what may not be passed on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.files import read_text
from rsuper_bench.benchmark.records import CaseRecord
from rsuper_bench.benchmark.release import Release
from rsuper_bench.dataset_builder.gate_finding import GateFinding
from rsuper_bench.dataset_builder.release_writer import WITHHELD

# A licence that forbids to pass on what was changed; reorienting a scan and renumbering its labels is a change.
_FORBIDS = re.compile(
    r"(?:^|[^a-z])(?:nd|no[- ]?deriv\w*|dua|data use agreement|no redistribution|not redistributable"
    r"|all rights reserved|proprietary|confidential|internal|private|restricted)(?![a-z])",
    re.I,
)
_UNKNOWN = re.compile(r"(?:unknown|none|n/?a|other|\?|-|tbd|todo|unclear|unlicen[sc]ed|not stated)?", re.I)


def licence_gate(release: Release) -> Iterator[GateFinding]:
    """Find what the licence of a case does not allow to leave.

    Scan, masks, picture and reports of a case may only be here when the case says that they may be passed on, under a
    licence with a name that does not say the opposite.
    """
    try:
        carried = dict(_carried(release.folder))
        records = {record.case_id: record for record in release.records()}
    except (pa.ArrowException, OSError, ValueError, KeyError, DataError) as cause:
        yield GateFinding("", "licence_unreadable", f"cases or attributes: {type(cause).__name__}")
        return
    for case_id, parts in sorted(carried.items()):
        if case_id not in records:
            yield GateFinding(case_id, "licence_missing", "it has no row in attributes, and so no licence")
        elif parts:
            yield from _check(records[case_id], parts)
    yield from _withheld(release.folder, carried)


def _check(record: CaseRecord, parts: list[str]) -> Iterator[GateFinding]:
    shown = ", ".join(parts)
    if not record.redistributable:
        fix = "build with --kind overlay or --kind attributes"
        yield GateFinding(record.case_id, "licence_forbids", f"{shown} may not be passed on; {fix}")
    elif _UNKNOWN.fullmatch(record.licence.strip()):
        yield GateFinding(record.case_id, "licence_missing", f"{shown} may be passed on, but under what licence?")
    elif _FORBIDS.search(record.licence):
        detail = f"{shown} may be passed on, it says, but its licence forbids that"
        yield GateFinding(record.case_id, "licence_contradicts", detail)


def _carried(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The parts that each row of `cases` holds; the bytes of images are not read, only whether there are any."""
    for path in sorted((folder / "cases").glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            names = [f"{name}.path" if name in ("ct", "organs", "lesions", "preview") else name for name in WITHHELD]
            for batch in file.iter_batches(batch_size=256, columns=["case_id", *names]):
                for row in batch.to_pylist():
                    yield row["case_id"], [name for name in WITHHELD if row[name] is not None]


def _withheld(folder: Path, carried: dict[str, list[str]]) -> Iterator[GateFinding]:
    """A case that the manifest says is left out must be left out."""
    try:
        lines = [json.loads(line) for line in read_text(folder / "manifest.jsonl").splitlines() if line]
        withheld = {line["case_id"] for line in lines if line.get("withheld")}
    except (ValueError, KeyError, TypeError, DataError) as cause:
        yield GateFinding("", "licence_unreadable", f"manifest.jsonl: {type(cause).__name__}")
        return
    for case_id in sorted(withheld):
        if carried.get(case_id):
            yield GateFinding(case_id, "not_withheld", f"{', '.join(carried[case_id])} should be left out")
