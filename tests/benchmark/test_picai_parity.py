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
from rsuper_bench.benchmark.release import LabelMap
from rsuper_bench.benchmark.submission import load_submission
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.tumor_types import TumorType

DATA = Path(os.environ.get("RSUPER_BENCH_DATA", "nowhere")) / "detection" / "picai_test_maps"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not (DATA / "metrics-expected.json").exists(), reason="needs RSUPER_BENCH_DATA"),
]
KIND = TumorType.PROSTATE


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The ten cases as a release with lesion masks, and the ten maps as a submission."""
    tmp_path = tmp_path_factory.mktemp("picai")
    maps, labels = (
        {index: np.asarray(nib.load(DATA / f"case-{index}_{name}.nii.gz").dataobj, dtype=float) for index in range(10)}
        for name in ("detection_map", "label")
    )
    top = max(data.max() for data in maps.values())
    records, images, masks = [], {}, {}
    for index, label in labels.items():
        state = Presence.PRESENT if label.any() else Presence.ABSENT
        record = make_record(f"case-{index}", {KIND: state}, lesion_masks={KIND: float(label.sum())})
        records.append(record.model_copy(update={"ct": record.ct.model_copy(update={"shape": label.shape})}))
        images[f"case-{index}"] = nifti_bytes(Volume(np.zeros(label.shape, np.int16), np.eye(4)))
        masks[f"case-{index}"] = nifti_bytes(Volume((4 * label).astype(np.uint8), np.eye(4)))
        scaled = Volume((maps[index] / top).astype(np.float32), np.eye(4))  # confidences of 1 and 2 become shares
        write_nifti(tmp_path / "s" / "masks" / f"case-{index}" / "prostate.nii.gz", scaled)
    (tmp_path / "s" / "submission.yaml").write_text("team: t\nmethod: m\n")
    release = write_release(tmp_path / "r", records, images, masks)
    (release.folder / "label_map.json").write_text(json.dumps(LabelMap(organs={}, lesions={4: KIND}).to_json()))
    task = Task(name="picai-v1", description="", tumor_types=(KIND,), bootstrap_replicates=100)
    return evaluate(load_submission(tmp_path / "s"), task, release)


def test_the_published_area(report):
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


def test_the_published_lesions(report):
    """Who found what in each case, with the published overlap: from our own candidates and matching."""
    expected = json.loads((DATA / "metrics-expected.json").read_text())["lesion_results"]
    for item in report.lesion_outcomes:
        published = expected[item.case_id]
        hits = sorted((confidence, overlap) for lesion, confidence, overlap in published if lesion and confidence)
        found = sorted((2 * lesion.confidence, lesion.overlap) for lesion in item.lesions if lesion.confidence)
        alarms = sorted(confidence for lesion, confidence, _ in published if not lesion)
        assert sorted(2 * one for one in item.false_alarms) == alarms
        assert len(item.lesions) == sum(lesion for lesion, _, _ in published)
        if item.case_id == "case-6":
            # Two candidates on one lesion: PI-CAI takes the larger overlap (confidence 1, 0.33), we take the more
            # confident one (2, 0.29), so that a threshold cannot change who found what. Both leave the other out.
            assert hits == [(1, pytest.approx(1 / 3))]
            assert found == [(2, pytest.approx(30 / 105, abs=1e-6))]
            assert len(item.repeats) == 1
        else:
            assert [confidence for confidence, _ in found] == [confidence for confidence, _ in hits]
            assert [overlap for _, overlap in found] == pytest.approx([overlap for _, overlap in hits], abs=1e-6)


def test_the_published_free_response_curve(report):
    # Ten lesions. At confidence 2: case-6 found, one false alarm (case-5). At 1: four more found (cases 4, 5, 7, 8) and
    # three more false alarms (2, 3, 9).
    found = report.lesions[KIND]
    assert (found.n_cases, found.n_lesions) == (10, 10)
    assert [(p.fp_per_case, p.sensitivity) for p in found.froc.points] == [(0.1, 0.1), (0.4, 0.5)]
