"""A small release, a clean submission for it, and what a mutated one must come to."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmark"))

from conftest import make_record, write_release

from rsuper_bench.benchmark.nifti import Volume, nifti_bytes
from rsuper_bench.benchmark.records import Presence
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.tumor_types import TumorType

CASES = tuple(f"case_{index:02d}" for index in range(1, 7))
KINDS = (TumorType.LIVER, TumorType.KIDNEY)
SHAPE, AFFINE = (9, 8, 7), np.diag([2.0, 2.0, 2.5, 1.0])
TASK = Task(name="fuzz-v1", description="", tumor_types=KINDS, bootstrap_replicates=100)
POSITIVE = {
    (case, kind): (index + place) % 2 == 0 for index, case in enumerate(CASES) for place, kind in enumerate(KINDS)
}

Key = tuple[str, str]
Values = dict[Key, tuple[float, float | None]]


def make_release(folder: Path) -> Release:
    """Six cases, three of each type positive; liver lesions are drawn in all of them."""
    records, images, masks = [], {}, {}
    for case in CASES:
        drawn = np.zeros(SHAPE, np.uint8)
        if POSITIVE[case, KINDS[0]]:
            drawn[2:5, 2:5, 2:5] = 1
        presence = {kind: Presence.PRESENT if POSITIVE[case, kind] else Presence.ABSENT for kind in KINDS}
        record = make_record(case, presence, lesion_masks={KINDS[0]: float(drawn.sum() * 10)})
        ct = record.ct.model_copy(update={"shape": SHAPE, "spacing_mm": (2.0, 2.0, 2.5)})
        records.append(record.model_copy(update={"ct": ct}))
        images[case] = nifti_bytes(Volume(np.zeros(SHAPE, np.int16), AFFINE))
        masks[case] = nifti_bytes(Volume(drawn, AFFINE))
    return write_release(folder, records, images, masks)


@dataclass
class Draft:
    """A submission before it is written.

    Attributes:
        scores: By case and type; what the table holds.
        volumes: The same for ``volume_mm3``; empty: no such column.
        masks: Predicted maps.
        info: ``submission.yaml``.
        with_table: Whether ``predictions.csv`` is written.
    """

    scores: dict[Key, float]
    volumes: dict[Key, float] = field(default_factory=dict)
    masks: dict[Key, NDArray[np.float32]] = field(default_factory=dict)
    info: dict[str, object] = field(default_factory=lambda: {"team": "team", "method": "method"})
    with_table: bool = True

    @classmethod
    def random(cls, rng: np.random.Generator, *, masks: bool = False, volumes: bool = False) -> Draft:
        """Scores with three decimals, or maps of a random box each."""
        keys = [(case, str(kind)) for case in CASES for kind in KINDS]
        draft = cls({key: round(float(rng.random()), 3) for key in keys})
        if volumes:
            draft.volumes = {key: round(float(rng.random() * 1000), 1) for key in keys}
        if masks:
            draft.masks, draft.with_table = {key: random_mask(rng) for key in keys}, False
        return draft

    @property
    def values(self) -> Values:
        """What the clean submission says, where a table says it."""
        return {key: (score, self.volumes.get(key)) for key, score in self.scores.items()}

    def rows(self) -> list[list[str]]:
        """The table as cells, header first."""
        header = ["case_id", "tumor_type", "score", *(["volume_mm3"] if self.volumes else [])]
        cells = [
            [*key, repr(score), *([repr(self.volumes[key])] if self.volumes else [])]
            for key, score in self.scores.items()
        ]
        return [header, *cells]

    def table(self) -> str:
        """The table as text."""
        return "".join(",".join(row) + "\n" for row in self.rows())

    def write(self, folder: Path) -> Path:
        """Write it as a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "submission.yaml").write_text(
            "".join(f"{name}: {json.dumps(value)}\n" for name, value in self.info.items())
        )
        if self.with_table:
            (folder / "predictions.csv").write_bytes(self.table().encode())
        for (case, kind), data in self.masks.items():
            path = folder / "masks" / case / f"{kind}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(nifti_bytes(Volume(data, AFFINE)))
        return folder


def random_mask(rng: np.random.Generator) -> NDArray[np.float32]:
    """A map with one box of a random probability."""
    data = np.zeros(SHAPE, np.float32)
    low = rng.integers(0, 4, 3)
    data[tuple(slice(start, start + 3) for start in low)] = rng.random()
    return data


@dataclass(frozen=True)
class Expected:
    """What must become of a submission.

    Attributes:
        values: Score (and volume, where not None) of each case and type if it is scored; None: it must be refused.
        may_refuse: Whether one clear error is as good as the score.
        absent: Pairs that are missing and scored the worst way; only with ``missing="fail"``.
        missing: Policy to evaluate with.
    """

    values: Values | None
    may_refuse: bool = False
    absent: frozenset[Key] = frozenset()
    missing: str = "error"


REFUSED = Expected(None)


def same(draft: Draft) -> Expected:
    """The mutation changes nothing that is said."""
    return Expected(draft.values)


_PLAIN_NUMBER = re.compile(rb"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")


def naive_table(data: bytes) -> Values | None:
    """What the bytes of a table say by the plainest reading; None where they say nothing complete."""
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        return None
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows or sorted(name.strip() for name in rows[0]) != sorted({name.strip() for name in rows[0]}):
        return None
    header = [name.strip() for name in rows[0]]
    if not {"case_id", "tumor_type", "score"} <= set(header) or any(len(row) != len(header) for row in rows):
        return None
    found: Values = {}
    for row in rows[1:]:
        cells = dict(zip(header, row, strict=True))
        key = cells["case_id"], cells["tumor_type"]
        numbers = [cells["score"], *([cells["volume_mm3"]] if "volume_mm3" in cells else [])]
        if key in found or key not in {(case, str(kind)) for case in CASES for kind in KINDS}:
            return None
        if not all(
            _PLAIN_NUMBER.fullmatch(number.encode()) for number in numbers if number.strip() or number is numbers[0]
        ):
            return None
        if not 0 <= float(numbers[0]) <= 1:
            return None
        volume = float(numbers[1]) if len(numbers) > 1 and numbers[1].strip() else None
        if volume is not None and not 0 <= volume < float("inf"):
            return None
        found[key] = float(numbers[0]), volume
    return found if len(found) == len(CASES) * len(KINDS) else None
