"""Finished cases of an evaluation that may be stopped at any moment.

One line a case in a file that only grows. A line that was cut off by a kill is no line; what is not there, or was made
from other files or by other code, is measured again.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from rsuper_bench.benchmark.case_masks import CaseFigures
from rsuper_bench.benchmark.files import canonical_json, digest_of, sha256_bytes
from rsuper_bench.benchmark.records import Record, Sha256

CACHE_FILE = "cases.jsonl"
_MEASURING = (
    "box",
    "case_masks",
    "components",
    "mask_prediction",
    "nifti",
    "release",
)  # and all that start with lesion_
_LIBRARIES = ("connected-components-3d", "nibabel", "numpy", "scipy", "surface-distance")


class _Line(Record):
    """One finished case under the digest of what it was made from."""

    key: Sha256
    figures: CaseFigures


class CaseCache:
    """Finished cases in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, CaseFigures] = {}
        if not path.exists():
            return
        data = path.read_bytes()
        for line in data.splitlines():
            try:
                item = _Line.model_validate_json(line)
            except ValidationError:  # cut off
                continue
            self._found[item.key] = item.figures
        if data and not data.endswith(b"\n"):
            with path.open("ab") as file:
                file.write(b"\n")

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: str) -> CaseFigures | None:
        """What was measured under a key; None if nothing was."""
        return self._found.get(key)

    def put(self, key: str, figures: CaseFigures) -> None:
        """Keep a case, at once and for good."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = canonical_json(_Line(key=key, figures=figures)) + "\n"
        with self._path.open("ab") as file:
            file.write(line.encode())
        self._found[key] = figures


@cache
def code_digest() -> str:
    """Digest of the code that measures masks, and of the versions of the libraries it calls."""
    folder = files("rsuper_bench.benchmark")
    sources = sorted(
        item.name
        for item in folder.iterdir()
        if item.name.endswith(".py") and (item.name.startswith("lesion_") or item.name[:-3] in _MEASURING)
    )
    return digest_of(
        {
            "sources": {name: sha256_bytes((folder / name).read_bytes()) for name in sources},
            "libraries": {name: _version(name) for name in _LIBRARIES},
        }
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
