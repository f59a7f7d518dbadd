"""Which cases are shown as misses and false alarms, and what their pictures show."""

from __future__ import annotations

import io
import json

import nibabel as nib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import make_record, write_release, write_submission
from PIL import Image
from typer.testing import CliRunner

from rsuper_bench.benchmark.case_picture import LESION_COLOR, METHOD_COLOR, ORGAN_COLOR, SIDE, case_picture
from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.records import Presence
from rsuper_bench.benchmark.release import LabelMap, Release
from rsuper_bench.benchmark.report_page import report_page
from rsuper_bench.benchmark.submission import load_submission
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.thresholds import calibrate
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.benchmark.worst_cases import (
    NO_IMAGES,
    NOT_ASKED,
    NOT_AT_HAND,
    WITHHELD,
    Pictures,
    with_pictures,
    worst_cases,
)
from rsuper_bench.cli import app

LIVER = TumorType.LIVER
TASK = Task(name="liver-v1", description="", tumor_types=(LIVER,), bootstrap_replicates=100)
SHAPE = (20, 24, 16)
SPACING_MM = 8.0
LESION = (slice(4, 7), slice(10, 14), slice(5, 8))


def nifti(data, affine=None) -> bytes:
    return nib.Nifti1Image(data, np.diag([SPACING_MM] * 3 + [1]) if affine is None else affine).to_bytes()


def volumes():
    ct = np.full(SHAPE, 40, np.int16)
    organ, lesion = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    organ[2:10, 6:18, 3:12] = 5
    lesion[LESION] = 1
    return ct, organ, lesion


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Eight cases with CT and masks: positives score 0.1, 0.2, 0.3 and 0.9, negatives 0.8, 0.6, 0.1 and missing."""
    folder = tmp_path_factory.mktemp("world")
    states = [Presence.PRESENT] * 4 + [Presence.ABSENT] * 4
    records = [
        make_record(f"c{index}", {LIVER: state}, redistributable=index != 1) for index, state in enumerate(states)
    ]
    records += [make_record(f"v{index}", {LIVER: state}, split="validation") for index, state in enumerate(states)]
    release = write_release(folder / "release", records)
    (release.folder / "label_map.json").write_text(json.dumps(LabelMap({5: "liver"}, {1: LIVER}).to_json()))
    (release.folder / "cases").mkdir()
    ct, organ, lesion = volumes()
    rows = [
        {
            "case_id": record.case_id,
            "ct": {"bytes": nifti(ct), "path": None},
            "organs": {"bytes": nifti(organ), "path": None},
            "lesions": {"bytes": nifti(lesion if record.presence_of(LIVER) == "present" else lesion * 0), "path": None},
        }
        for record in records
    ]
    pq.write_table(pa.Table.from_pylist(rows), release.folder / "cases" / "test-00000.parquet")
    scores = [0.1, 0.2, 0.3, 0.9, 0.8, 0.6, 0.1]
    sub = write_submission(folder / "sub", [(f"c{index}", "liver", score) for index, score in enumerate(scores)])
    write_submission(folder / "val", [(f"v{i}", "liver", 0.9 if i < 4 else 0.4) for i in range(8)])
    mask = np.zeros(SHAPE, np.float32)
    mask[12:15, 12:15, 10:13] = 0.8
    masks = sub / "masks" / "c4"
    masks.mkdir(parents=True)
    nib.save(nib.Nifti1Image(mask, np.diag([SPACING_MM] * 3 + [1])), masks / "liver.nii.gz")
    return folder, Release(release.folder)


def scored(world, *, frozen=True):
    folder, release = world
    fitted = calibrate(load_submission(folder / "val"), TASK, release, split="validation", rule="youden")
    submission = load_submission(folder / "sub")
    options = {"thresholds": fitted} if frozen else {}
    return evaluate(submission, TASK, release, missing="fail", **options), submission


def test_the_surest_come_first_and_what_is_missing_is_no_miss(world):
    report, _ = scored(world)
    assert report.coverage["imputed"] == 1  # c7, scored 1, is not the method's false alarm
    found = [(item.case_id, item.missed) for item in worst_cases(report).cases]
    assert found == [("c0", True), ("c1", True), ("c2", True), ("c4", False)]
    assert [item.case_id for item in worst_cases(report, per_type=1).cases] == ["c0", "c4"]


def test_without_calls_they_are_the_ends_of_the_ranking(world):
    report, _ = scored(world, frozen=False)
    found = [(item.case_id, item.missed) for item in worst_cases(report).cases]
    assert found == [("c0", True), ("c1", True), ("c2", True), ("c4", False), ("c5", False), ("c6", False)]


def test_pictures_only_of_what_may_be_passed_on(world):
    report, submission = scored(world)
    worst = worst_cases(report)
    release = world[1]
    drawn = with_pictures(worst, release, submission)
    assert [item.jpeg is not None for item in drawn.cases] == [True, False, True, True]
    assert drawn.note == WITHHELD
    assert "c1" in report_page(report, drawn)
    everything = with_pictures(worst, release, submission, pictures=Pictures.ALL)
    assert all(item.jpeg for item in everything.cases)
    assert everything.note == ""
    none = with_pictures(worst, release, submission, pictures=Pictures.NONE)
    assert not any(item.jpeg for item in none.cases)
    assert none.note == NOT_ASKED


def test_a_release_of_attributes_or_an_overlay_has_no_pictures(world, tmp_path):
    report, submission = scored(world)
    bare = write_release(tmp_path / "bare", world[1].records())
    assert with_pictures(worst_cases(report), bare, submission).note == NO_IMAGES
    (tmp_path / "bare" / "cases").symlink_to(world[1].folder / "cases")
    info = {"name": "x", "source": "x", "seed": 0, "synthetic": False, "kind": "overlay"}
    (tmp_path / "bare" / "release.json").write_text(json.dumps(info))
    assert with_pictures(worst_cases(report), Release(tmp_path / "bare"), submission).note == NO_IMAGES


def test_no_scan_is_fetched_for_a_picture(world, monkeypatch):
    report, submission = scored(world)
    release = Release(world[1].folder)
    monkeypatch.setattr(Release, "volumes_at_hand", property(lambda self: False))
    monkeypatch.setattr(Release, "volumes", lambda self, case_id: pytest.fail("a scan was asked for"))
    assert with_pictures(worst_cases(report), release, submission, pictures=Pictures.ALL).note == NOT_AT_HAND


def test_same_bytes_at_any_number_of_threads(world):
    report, submission = scored(world)
    pages = {
        report_page(report, with_pictures(worst_cases(report), world[1], submission, pictures=Pictures.ALL, jobs=jobs))
        for jobs in (1, 1, 3)
    }
    assert len(pages) == 1


def test_what_is_in_the_pictures(world):
    report, submission = scored(world)
    drawn = {item.case_id: item for item in with_pictures(worst_cases(report), world[1], submission).cases}
    assert drawn["c0"].shows == "organ, drawn lesion"
    assert drawn["c4"].shows == "organ, prediction"
    missed, alarm = (np.asarray(Image.open(io.BytesIO(drawn[name].jpeg))).astype(int) for name in ("c0", "c4"))
    assert missed.shape == (SIDE, 3 * SIDE + 8, 3)
    assert near(missed, LESION_COLOR).sum() > 100
    assert near(missed, METHOD_COLOR).sum() == 0
    assert near(alarm, METHOD_COLOR).sum() > 50
    assert near(alarm, LESION_COLOR).sum() == 0
    assert near(missed, ORGAN_COLOR).sum() > 200


def near(picture, color, tolerance=60):
    return np.abs(picture - np.array(color)).max(axis=-1) < tolerance


def test_left_and_right_front_and_back():
    """A marker at the patient's right, front and top lies at the left and the top of the picture."""
    las = np.diag([-8.0, 8.0, 8.0, 1])  # the first index runs to the left, so the right is where it is low
    axial, coronal, _ = planes_of(np.s_[:8], las)
    for plane in (axial, coronal):
        assert plane[SIDE // 2, 40] > 100 > plane[SIDE // 2, SIDE - 40]
    axial, _, sagittal = planes_of(np.s_[:, 12:], las)  # front
    assert axial[40, SIDE // 2] > 100 > axial[SIDE - 40, SIDE // 2]
    assert sagittal[SIDE // 2, 40] > 100 > sagittal[SIDE // 2, SIDE - 40]
    _, coronal, sagittal = planes_of(np.s_[:, :, 12:], las)  # head
    for plane in (coronal, sagittal):
        assert plane[40, SIDE // 2] > 100 > plane[SIDE - 40, SIDE // 2]


def planes_of(bright, affine):
    ct = np.full((20, 20, 20), -1000, np.int16)
    ct[bright] = 40
    data = case_picture(Volume(ct, affine).canonical(), (10, 10, 10))
    picture = np.asarray(Image.open(io.BytesIO(data))).astype(int)[..., 0]
    return [picture[:, start : start + SIDE] for start in (0, SIDE + 4, 2 * SIDE + 8)]


def test_planes_are_true_to_scale():
    """A cube of 40 mm is as wide as it is high in every plane, however thick the slices are."""
    ct = np.full((80, 80, 40), -1000, np.int16)
    ct[30:50, 30:50, 16:24] = 200  # 40 mm each way at 2 x 2 x 5 mm
    volume = Volume(ct, np.diag([2.0, 2.0, 5.0, 1]))
    picture = np.asarray(Image.open(io.BytesIO(case_picture(volume, (40, 40, 20)))))[..., 0]
    for start in (0, SIDE + 4, 2 * SIDE + 8):
        bright = picture[:, start : start + SIDE] > 110
        wide, high = bright.any(0).sum(), bright.any(1).sum()
        assert wide == pytest.approx(40 / 170 * SIDE, abs=4)
        assert high == pytest.approx(wide, abs=4)


def test_a_focus_at_the_edge_of_a_tiny_image():
    ct = np.zeros((1, 2, 3), np.int16)
    mask = np.ones(ct.shape, bool)
    data = case_picture(Volume(ct, np.diag([1.0, 1, 1, 1])), (0, 1, 2), organ=mask, lesion=mask, predicted=mask)
    assert Image.open(io.BytesIO(data)).size == (3 * SIDE + 8, SIDE)


def test_the_command_line_draws_and_withholds(world, tmp_path):
    folder, release = world
    task = tmp_path / "liver-v1.yaml"
    task.write_text("name: liver-v1\ndescription: ''\ntumor_types: [liver]\nbootstrap_replicates: 100\n")
    base = ["evaluate", folder / "sub", "--data", release.folder, "--task", task, "--missing", "fail"]
    for value, pictures in (("shareable", 5), ("none", 0)):
        out = tmp_path / value
        result = CliRunner().invoke(app, [str(part) for part in (*base, "--pictures", value, "--out", out)])
        assert result.exit_code == 0, result.output
        assert (out / "report.html").read_text().count("data:image/jpeg") == pictures
        assert str(out / "report.html") in result.output
