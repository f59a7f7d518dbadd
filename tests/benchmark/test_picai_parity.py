"""PI-CAI's ten published cases: the case-level area is the published one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from conftest import make_record, write_release
from sklearn.metrics import roc_auc_score

from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.metrics import Curve, RankedCases, average_precision
from rsuper_bench.benchmark.nifti import Volume, nifti_bytes, write_nifti
from rsuper_bench.benchmark.records import Presence
from rsuper_bench.benchmark.submission import load_submission
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.tumor_types import TumorType

DATA = Path(os.environ.get("RSUPER_BENCH_DATA", "nowhere")) / "detection" / "picai_test_maps"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not (DATA / "metrics-expected.json").exists(), reason="needs RSUPER_BENCH_DATA"),
]
KIND = TumorType.PROSTATE


def test_the_published_area(tmp_path):
    maps, labels = (
        {index: np.asarray(nib.load(DATA / f"case-{index}_{name}.nii.gz").dataobj, dtype=float) for index in range(10)}
        for name in ("detection_map", "label")
    )
    top = max(data.max() for data in maps.values())
    records, images = [], {}
    for index, label in labels.items():
        state = Presence.PRESENT if label.any() else Presence.ABSENT
        record = make_record(f"case-{index}", {KIND: state})
        records.append(record.model_copy(update={"ct": record.ct.model_copy(update={"shape": label.shape})}))
        images[f"case-{index}"] = nifti_bytes(Volume(np.zeros(label.shape, np.int16), np.eye(4)))
        scaled = Volume((maps[index] / top).astype(np.float32), np.eye(4))  # confidences of 1 and 2 become shares
        write_nifti(tmp_path / "s" / "masks" / f"case-{index}" / "prostate.nii.gz", scaled)
    (tmp_path / "s" / "submission.yaml").write_text("team: t\nmethod: m\n")
    release = write_release(tmp_path / "r", records, images)
    task = Task(name="picai-v1", description="", tumor_types=(KIND,), bootstrap_replicates=100)
    report = evaluate(load_submission(tmp_path / "s"), task, release)
    expected = json.loads((DATA / "metrics-expected.json").read_text())
    found = report.scores[KIND]["auroc"]
    assert found.value == pytest.approx(expected["auroc"]) == pytest.approx(0.75)
    truth = [item.reference for item in report.outcomes]
    assert found.value == pytest.approx(roc_auc_score(truth, [item.score for item in report.outcomes]))
    assert found.reason is not None
    assert "small-sample interval" in found.reason


def test_the_published_average_precision():
    """Of lesions, from the published candidates: a lesion nobody marked (confidence 0) is never called."""
    expected = json.loads((DATA / "metrics-expected.json").read_text())
    rows = [row for case in expected["lesion_results"].values() for row in case]
    candidates = [(confidence, bool(lesion)) for lesion, confidence, _ in rows if confidence > 0]
    lesions = sum(lesion for lesion, _, _ in rows)
    confidence, found = (np.array(column) for column in zip(*candidates, strict=True))
    ranked = RankedCases.of(confidence, found, np.arange(len(found)))
    curve = Curve.of(ranked, np.ones((len(found), 1), dtype=np.int32))
    assert average_precision(curve)[0] * found.sum() / lesions == pytest.approx(expected["AP"], abs=1e-12)
    assert expected["AP"] == pytest.approx(0.2778, abs=5e-5)
