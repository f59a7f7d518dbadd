"""A small release of attributes, and submissions for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings

from rsuper_bench.benchmark.records import CaseRecord, CtInfo, Extractor, Presence, Split
from rsuper_bench.benchmark.release import LabelMap, Release, attributes_row
from rsuper_bench.benchmark.tumor_types import TumorType

settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
settings.load_profile("unhurried")

THREE = (TumorType.LIVER, TumorType.KIDNEY, TumorType.PANCREAS)


def make_record(
    case_id: str,
    presence: Mapping[TumorType, Presence],
    *,
    split: Split = Split.TEST,
    patient: str | None = None,
    synthetic: bool = False,
    **fields: object,
) -> CaseRecord:
    """A case that states presence and nothing else."""
    ct = CtInfo(
        file=f"{case_id}.nii.gz",
        sha256=hashlib.sha256(case_id.encode()).hexdigest(),
        shape=(6, 6, 6),
        spacing_mm=(1.0, 1.0, 1.0),
        orientation="RAS",
    )
    values = {
        "case_id": case_id,
        "patient_id": patient or f"p-{case_id}",
        "source": "made up",
        "licence": "CC0-1.0",
        "redistributable": True,
        "split": split,
        "ct": ct,
        "synthetic": synthetic,
        "presence": dict(presence),
        "extractor": Extractor(name="none", version="1"),
    }
    return CaseRecord.model_validate(values | fields)


def write_release(
    folder: Path,
    records: Sequence[CaseRecord],
    volumes: Mapping[str, bytes] | None = None,
    lesion_masks: Mapping[str, bytes] | None = None,
) -> Release:
    """Write a release of attributes, with CTs and lesion masks where bytes are given."""
    (folder / "attributes").mkdir(parents=True)
    rows = [attributes_row(record) for record in records]
    pq.write_table(pa.Table.from_pylist(rows), folder / "attributes" / "all-00000.parquet")
    manifest = "".join(json.dumps({"case_id": record.case_id, "ct": record.ct.sha256}) + "\n" for record in records)
    (folder / "manifest.jsonl").write_text(manifest)
    lesions = dict(enumerate(THREE, start=1))
    (folder / "label_map.json").write_text(json.dumps(LabelMap(organs={}, lesions=lesions).to_json()))
    if volumes is not None:
        (folder / "cases").mkdir()
        images = [
            {
                "case_id": case_id,
                "ct": {"bytes": data, "path": None},
                "organs": None,
                "lesions": {"bytes": lesion_masks[case_id], "path": None} if case_id in (lesion_masks or {}) else None,
            }
            for case_id, data in volumes.items()
        ]
        pq.write_table(pa.Table.from_pylist(images), folder / "cases" / "test-00000.parquet")
    return Release(folder)


def write_submission(folder: Path, rows: Sequence[tuple[str, str, object]], **info: str) -> Path:
    """Write a submission of scores."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"team": "team", "method": "method"} | info
    (folder / "submission.yaml").write_text("".join(f"{name}: {json.dumps(text)}\n" for name, text in fields.items()))
    lines = ["case_id,tumor_type,score", *(f"{case},{kind},{score}" for case, kind, score in rows)]
    (folder / "predictions.csv").write_text("\n".join(lines) + "\n")
    return folder


def random_records(
    seed: int,
    n: int,
    split: Split,
    *,
    kinds: Sequence[TumorType] = THREE,
    prefix: str = "case",
    prevalence: float = 0.4,
    cases_a_patient: int = 1,
    synthetic: bool = False,
) -> list[CaseRecord]:
    """Cases with random presence, some of it not stated or uncertain."""
    rng = np.random.default_rng(seed)
    records = []
    for index in range(n):
        presence = {}
        for kind in kinds:
            draw = rng.random()
            if draw < 0.05:
                presence[kind] = Presence.UNCERTAIN
            elif draw > 0.1:
                presence[kind] = Presence.PRESENT if rng.random() < prevalence else Presence.ABSENT
        case_id = f"{prefix}_{split}_{index:04d}"
        patient = f"p_{prefix}_{split}_{index // cases_a_patient:04d}"
        sex = "FM"[index // cases_a_patient % 2]
        records.append(make_record(case_id, presence, split=split, patient=patient, synthetic=synthetic, sex=sex))
    return records


def noisy_scores(
    seed: int, records: Sequence[CaseRecord], kinds: Sequence[TumorType] = THREE
) -> list[tuple[str, str, object]]:
    """Scores that know the truth through noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for record in records:
        for kind in kinds:
            signal = 1.5 if record.presence_of(kind) is Presence.PRESENT else 0.0
            rows.append((record.case_id, str(kind), round(float(1 / (1 + np.exp(-signal - rng.normal()))), 4)))
    return rows


@pytest.fixture(scope="session")
def small_records() -> list[CaseRecord]:
    return random_records(1, 40, Split.VALIDATION) + random_records(2, 60, Split.TEST)


@pytest.fixture(scope="session")
def small_release(tmp_path_factory: pytest.TempPathFactory, small_records: list[CaseRecord]) -> Release:
    return write_release(tmp_path_factory.mktemp("releases") / "small", small_records)


@pytest.fixture
def submit(tmp_path: Path) -> Callable[..., Path]:
    """Write a submission of rows to a fresh folder."""

    def write(rows: Sequence[tuple[str, str, object]], name: str = "sub", **info: str) -> Path:
        return write_submission(tmp_path / name, rows, **info)

    return write


@pytest.fixture(scope="session")
def test_rows(small_records: list[CaseRecord]) -> list[tuple[str, str, object]]:
    return noisy_scores(3, [record for record in small_records if record.split is Split.TEST])


@pytest.fixture(scope="session")
def validation_rows(small_records: list[CaseRecord]) -> list[tuple[str, str, object]]:
    return noisy_scores(4, [record for record in small_records if record.split is Split.VALIDATION])
