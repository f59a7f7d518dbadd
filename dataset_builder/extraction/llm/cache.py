"""Finished reports on disk, one file each, so that a killed run asks for none of them again. No report text."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from rsuper_bench.benchmark.files import canonical_json, digest_of, sha256_bytes, write_text
from rsuper_bench.benchmark.records import Record

Kept = TypeVar("Kept", bound=Record)


def cache_key(*, report: str, prompt_digest: str, model: str, schema_digest: str, version: str) -> str:
    """Name of a finished report: another text, prompt, model, schema or version of the check is another name."""
    return digest_of(
        {
            "report": sha256_bytes(report.encode("utf-8", "surrogatepass")),
            "prompt": prompt_digest,
            "model": model,
            "schema": schema_digest,
            "version": version,
        }
    )


class AnswerCache:
    """A folder of verified answers. Each is written whole or not at all; several runs may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str, model: type[Kept]) -> Kept | None:
        """What was kept under a key; None if nothing was, or something that does not parse (it is asked for again)."""
        try:
            return model.model_validate_json(self._path(key).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def put(self, key: str, value: Record) -> None:
        """Keep a value.

        Raises:
            OSError: If the disk is full or may not be written to.
        """
        write_text(self._path(key), canonical_json(value) + "\n")

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"
