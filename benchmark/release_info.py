"""What a release says of itself as a whole: ``release.json``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from rsuper_bench.benchmark.records import Identifier, Record, Sha256

RELEASE_FILE = "release.json"


class ReleaseKind(StrEnum):
    """How much of its cases a release carries."""

    FULL = "full"  # everything
    OVERLAY = "overlay"  # images and reports only of cases that may be passed on; `dataset attach` joins the others
    ATTRIBUTES = "attributes"  # no image and no report at all


class ReleaseInfo(Record):
    """Identity of a release; nothing in it depends on the time or the machine of the build.

    Attributes:
        name: Shown in reports and on the board.
        source: Name of the source it was built from.
        seed: Seed of the splits, and of the cases where the source makes them.
        synthetic: Whether any case is computer-made.
        kind: How much of its cases it carries.
        smoke: Whether one anatomy stands in several splits: good for trying the software, no evidence of anything.
        files: Digest of every parquet file, by its path in the release.
    """

    schema_version: Literal[1] = 1
    name: Identifier
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")] = "1.0.0"
    source: str
    seed: Annotated[int, Field(ge=0)]
    synthetic: bool
    kind: ReleaseKind = ReleaseKind.FULL
    smoke: bool = False
    files: dict[str, Sha256] = {}
