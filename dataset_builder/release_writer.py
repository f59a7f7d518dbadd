"""Staged cases -> the files of a release. Memory does not grow with the number of cases."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rsuper_bench.benchmark.files import canonical_json, csv_text, digest_of, pretty_json, sha256_file, write_text
from rsuper_bench.benchmark.records import CaseRecord, Split
from rsuper_bench.benchmark.release import CONFIGS, attributes_row, configs_of
from rsuper_bench.benchmark.release_info import RELEASE_FILE, ReleaseInfo, ReleaseKind
from rsuper_bench.dataset_builder.card import card_text
from rsuper_bench.dataset_builder.croissant import croissant
from rsuper_bench.dataset_builder.label_map import LABEL_MAP
from rsuper_bench.dataset_builder.rejection import Rejection
from rsuper_bench.dataset_builder.schema import arrow_schema, parquet_options, tumor_rows
from rsuper_bench.dataset_builder.staging import StagedCase, Staging
from rsuper_bench.dataset_builder.summary import Summary

SHARD_BYTES = 500_000_000
GROUP_BYTES = 64_000_000  # a row group is what a reader of one case has to fetch
GROUP_CASES = 8
ROW_BYTES = 10_000  # about the size of a case without images and reports
TABLE_ROWS = 1000  # rows of `attributes` and `tumors` in memory at once
PARTS = ("ct", "organs", "lesions", "report", "pathology_report")  # what the manifest vouches for
WITHHELD = (*PARTS, "preview")  # what follows from a scan or a report leaves with it


@dataclass
class _TableWriter:
    """One parquet file of rows without images, written in blocks; no file when there is no row."""

    path: Path
    config: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    writer: pq.ParquetWriter | None = None

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        self.rows += rows
        while len(self.rows) >= TABLE_ROWS:
            self._flush(TABLE_ROWS)

    def close(self) -> None:
        if self.rows:
            self._flush(len(self.rows))
        if self.writer is not None:
            self.writer.close()

    def _flush(self, n: int) -> None:
        schema = arrow_schema(self.config)
        if self.writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.writer = pq.ParquetWriter(self.path, schema, **parquet_options(self.config))
        self.writer.write_table(pa.Table.from_pylist(self.rows[:n], schema=schema))
        del self.rows[:n]


def write_release(
    staging: Staging,
    splits: Mapping[str, Split],
    digests: Mapping[str, str],
    rejections: Sequence[Rejection],
    info: ReleaseInfo,
) -> Summary:
    """Write every file of a release but ``run.json`` into ``staging.release``.

    Args:
        staging: Holds all cases.
        splits: Case id -> split, of all staged cases.
        digests: Case id -> digest it was staged under.
        rejections: Cases the source refused before any was made.
        info: What the release says of itself; the digests of its files are added.

    Returns:
        Counts.
    """
    folder = staging.release
    folder.mkdir(parents=True)
    summary = Summary()
    rejected = list(rejections)
    manifest: list[tuple[str, str]] = []
    for split in Split:
        tables = {
            config: _TableWriter(folder / config / f"{split}-00000-of-00001.parquet", config)
            for config in ("attributes", "tumors")
        }
        complete: list[str] = []
        withheld: set[str] = set()
        for case_id in sorted(case_id for case_id, of in splits.items() if of is split):
            staged = _staged(staging, case_id, digests[case_id])
            if staged.rejection is not None:
                rejected.append(staged.rejection)
            if staged.record is None:
                continue
            complete.append(case_id)
            tables["attributes"].add([attributes_row(staged.record)])
            tables["tumors"].add(tumor_rows(staged.record))
            manifest.append((case_id, _manifest_line(staged, staged.record, info.kind)))
            summary.add(staged.record)
            if withholds(info.kind, staged.record):
                withheld.add(case_id)
        for table in tables.values():
            table.close()
        if info.kind is not ReleaseKind.ATTRIBUTES:
            _write_cases(staging, folder / "cases", split, complete, withheld)
    for config in configs_of(info.kind):
        _keep_schema(folder / config, config)
    write_text(folder / "manifest.jsonl", "".join(line + "\n" for _, line in sorted(manifest)))
    write_text(folder / "rejected.csv", _rejected_text(rejected))
    write_text(folder / "label_map.json", pretty_json(LABEL_MAP.to_json()))
    files = {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(folder.rglob("*.parquet"))}
    info = info.model_copy(update={"files": files, "synthetic": summary.n_synthetic > 0})
    write_text(folder / RELEASE_FILE, pretty_json(info))
    write_text(folder / "README.md", card_text(info, summary, splits_with_rows(folder)))
    write_text(folder / "croissant.json", pretty_json(croissant(info, summary)))
    for path in sorted(folder.rglob("*.parquet")):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return summary


def withholds(kind: ReleaseKind, record: CaseRecord) -> bool:
    """Whether a release of a kind leaves out the images and the reports of a case."""
    return kind is ReleaseKind.ATTRIBUTES or (kind is ReleaseKind.OVERLAY and not record.redistributable)


def splits_with_rows(folder: Path) -> dict[str, list[Split]]:
    """The splits of each config that have a file.

    ``datasets`` cannot open a config of which one split is empty ("corresponds to no data"), so the card names only
    those that have rows.
    """
    return {
        config: [split for split in Split if any((folder / config).glob(f"{split}-*.parquet"))]
        for config in CONFIGS
        if (folder / config).is_dir()
    }


def _staged(staging: Staging, case_id: str, digest: str) -> StagedCase:
    staged = staging.read(case_id, digest, thorough=False)
    if staged is None:
        raise FileNotFoundError(f"case {case_id} vanished from {staging.folder} during the build")
    return staged


def _manifest_line(staged: StagedCase, record: CaseRecord, kind: ReleaseKind) -> str:
    line: dict[str, Any] = {
        "case_id": staged.case_id,
        "state": staged.state,
        "split": record.split,
        "record": record_digest(record),
        "files": {name: {"sha256": digest} for name, digest in staged.files.items()},
    }
    if withholds(kind, record):
        line["withheld"] = sorted(staged.files)
        line["voxels"] = staged.voxels
    return canonical_json(line)


def record_digest(record: CaseRecord) -> str:
    """Digest of what the table says of a case; the manifest holds it."""
    return digest_of(record)


def _rejected_text(rejected: Sequence[Rejection]) -> str:
    rows = [
        {"input_id": item.input_id, "reason": str(item.reason), "detail": item.detail}
        for item in sorted(rejected, key=lambda item: (item.input_id, item.reason, item.detail))
    ]
    return csv_text(rows, ["input_id", "reason", "detail"])


def _write_cases(
    staging: Staging, folder: Path, split: Split, case_ids: Sequence[str], withheld: Collection[str]
) -> None:
    sizes = [
        (case_id, ROW_BYTES if case_id in withheld else staging.parquet(case_id).stat().st_size) for case_id in case_ids
    ]
    shards = list(_batches(sizes, SHARD_BYTES, None))
    for index, shard in enumerate(shards):
        path = folder / f"{split}-{index:05d}-of-{len(shards):05d}.parquet"
        with _writer(path) as writer:
            for group in _batches(shard, GROUP_BYTES, GROUP_CASES):
                table = pa.concat_tables(_row(staging.parquet(case_id), case_id in withheld) for case_id, _ in group)
                writer.write_table(table.cast(arrow_schema("cases")), row_group_size=len(group))


def _row(path: Path, without_parts: bool) -> pa.Table:
    schema = arrow_schema("cases")
    kept = [name for name in schema.names if not (without_parts and name in WITHHELD)]
    table = pq.read_table(path, columns=kept)
    columns = [
        table.column(name) if name in kept else pa.nulls(1, type=schema.field(name).type) for name in schema.names
    ]
    return pa.table(columns, schema=schema)


@contextmanager
def _writer(path: Path) -> Iterator[pq.ParquetWriter]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, arrow_schema("cases"), **parquet_options("cases")) as writer:
        yield writer


def _batches(
    sizes: Sequence[tuple[str, int]], max_bytes: int, max_cases: int | None
) -> Iterator[list[tuple[str, int]]]:
    """Cut a sequence of cases, in order, into runs that stay below a size; a larger case is a run of its own."""
    run: list[tuple[str, int]] = []
    for item in sizes:
        full = sum(size for _, size in run) + item[1] > max_bytes or len(run) == max_cases
        if run and full:
            yield run
            run = []
        run.append(item)
    if run:
        yield run


def _keep_schema(folder: Path, config: str) -> None:
    """A config without any row still says its columns: one file without row groups, which streaming opens."""
    if not any(folder.glob("*.parquet")):
        folder.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(folder / "train-00000-of-00001.parquet", arrow_schema(config)):
            pass
