"""The work folder of a build: one finished file a case, so that a stopped build goes on where it was.

It lies beside the release (``.NAME.building``). A case is staged as a one-row parquet file and a small JSON file
that is written last: what has no JSON file, or one that does not fit, is made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from pydantic import ValidationError

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import atomic_path, canonical_json, sha256_file, write_text
from rsuper_bench.benchmark.records import CaseRecord, Identifier, Record, Sha256
from rsuper_bench.dataset_builder.prepared_case import PreparedCase
from rsuper_bench.dataset_builder.rejection import Reason, Rejection
from rsuper_bench.dataset_builder.schema import arrow_schema, parquet_options


class StagedCase(Record):
    """What became of one case. ``digest`` is of everything it was made from."""

    case_id: Identifier
    digest: Sha256
    state: Literal["complete", "rejected"]
    reason: Reason | None = None
    detail: str = ""
    parquet_sha256: Sha256 | None = None
    record: CaseRecord | None = None
    files: dict[str, Sha256] = {}
    voxels: dict[str, Sha256] = {}

    @property
    def rejection(self) -> Rejection | None:
        """The row in ``rejected.csv``."""
        return None if self.reason is None else Rejection(self.case_id, self.reason, self.detail)


@dataclass(frozen=True)
class Staging:
    """Where staged cases lie."""

    folder: Path

    @classmethod
    def beside(cls, out: Path) -> Staging:
        """The work folder of a release."""
        out = out.absolute()
        return cls(out.parent / f".{out.name}.building")

    @property
    def release(self) -> Path:
        """Where the release is put together before it is moved to its place."""
        return self.folder / "release"

    def parquet(self, case_id: str) -> Path:
        """The staged row of a case."""
        return self.folder / "cases" / f"{case_id}.parquet"

    def read(self, case_id: str, digest: str, *, thorough: bool = True) -> StagedCase | None:
        """What was staged for a case; None if nothing was, or it was made from something else, or it is damaged.

        Args:
            case_id: The case.
            digest: Of what the case is made from now.
            thorough: Read the staged row too and compare its digest.
        """
        try:
            staged = StagedCase.model_validate_json(self._note(case_id).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        if staged.digest != digest:
            return None
        if thorough and staged.state == "complete":
            path = self.parquet(case_id)
            if not path.exists() or sha256_file(path) != staged.parquet_sha256:
                return None
        return staged

    def write(self, case: PreparedCase, digest: str) -> StagedCase:
        """Stage a case."""
        path = self.parquet(case.record.case_id)
        table = pa.Table.from_pylist([case.row()], schema=arrow_schema("cases"))
        with atomic_path(path) as temporary:
            pq.write_table(table, temporary, **parquet_options("cases"))
        return self._keep(
            StagedCase(
                case_id=case.record.case_id,
                digest=digest,
                state="complete",
                parquet_sha256=sha256_file(path),
                record=case.record,
                files=case.digests(),
                voxels=case.voxel_digests(),
            )
        )

    def reject(self, case_id: str, digest: str, reason: Reason, detail: str) -> StagedCase:
        """Note that a case cannot be used."""
        return self._keep(
            StagedCase(case_id=case_id, digest=digest, state="rejected", reason=reason, detail=detail[:2000])
        )

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the work folder, or one shard of it, against a second build.

        Raises:
            DataError: If another build holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / f"{name}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise DataError.of(
                [
                    Problem(
                        str(self.folder), "another build is at work here", "one at a time", "Wait for it, or stop it."
                    )
                ]
            ) from None
        try:
            yield
        finally:
            lock.release()

    def remove(self) -> None:
        """Delete the work folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _note(self, case_id: str) -> Path:
        return self.folder / "cases" / f"{case_id}.json"

    def _keep(self, staged: StagedCase) -> StagedCase:
        write_text(self._note(staged.case_id), canonical_json(staged))
        return staged
