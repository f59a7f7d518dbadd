"""What validation lists: completeness against a split, and masks against their CT."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import make_record, write_release, write_submission

from rsuper_bench.benchmark.case_masks import nifti_grid
from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.nifti import Volume, nifti_bytes, write_nifti
from rsuper_bench.benchmark.records import Presence, Split
from rsuper_bench.benchmark.reference import build_reference, patient_hash, release_task
from rsuper_bench.benchmark.submission import CaseType, load_submission
from rsuper_bench.benchmark.task import CallRule, Task
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.benchmark.validation import check_submission

LIVER = TumorType.LIVER
TASK = Task(name="liver-v1", description="", tumor_types=(LIVER,))
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
SHAPE = (6, 7, 8)


@pytest.fixture
def release(tmp_path):
    states = {"a": Presence.PRESENT, "b": Presence.ABSENT, "c": Presence.UNCERTAIN}
    records = [make_record(case_id, {LIVER: state}) for case_id, state in states.items()]
    ct = nifti_bytes(Volume(np.zeros(SHAPE, dtype=np.int16), AFFINE))
    return write_release(tmp_path / "release", records, dict.fromkeys(states, ct))


def check(path, release, task=TASK, **options):
    return check_submission(load_submission(path), build_reference(release, Split.TEST, task), release, **options)


def write_masks(folder, masks):
    folder.mkdir()
    (folder / "submission.yaml").write_text("team: t\nmethod: m\n")
    for case_id, mask in masks.items():
        write_nifti(folder / "masks" / case_id / "liver.nii.gz", mask)
    return folder


def mask_of(value=1.0, shape=SHAPE, affine=AFFINE):
    data = np.zeros(shape, dtype=np.float32)
    data[1:5, 1:5, 1:5] = value
    return Volume(data, affine)


def test_a_good_submission_has_no_problems(release, submit):
    checked = check(submit([(case, "liver", 0.5) for case in "abc"]), release)
    assert checked.problems == ()
    assert checked.missing == ()


def test_missing_and_extra_cases_are_listed_together(release, submit):
    checked = check(submit([("a", "liver", 0.5), ("z", "liver", 0.5)]), release)
    text = " ".join(map(str, checked.problems))
    assert "1 cases that are not in the test split: z" in text
    assert "2 of 3 cases of liver-v1 have no liver score: b, c" in text


def test_a_refused_row_is_not_missing_besides(release, tmp_path):
    from rsuper_bench.benchmark.submission import read_submission

    folder = write_submission(tmp_path / "s", [("a", "liver", "nan"), ("b", "liver", 0), ("c", "liver", 0)])
    read, problems = read_submission(folder)
    assert read is not None
    assert len(problems) == 1
    assert check_submission(read, build_reference(release, Split.TEST, TASK), release).problems == ()


def test_types_outside_the_task_are_counted(release, submit):
    rows = [(case, kind, 0.5) for case in "abc" for kind in ("liver", "spleen")]
    checked = check(submit(rows), release)
    assert checked.problems == ()
    assert checked.ignored == 3


def test_masks_alone_are_enough(release, tmp_path):
    masks = {"a": mask_of(), "b": mask_of(0.4), "c": mask_of(0)}
    checked = check(write_masks(tmp_path / "s", masks), release)
    assert checked.problems == ()
    # 4 x 4 x 4 voxels of 2 mm: interpolation reaches 0.5 half-way, and only corners are rounded off.
    assert checked.predictions[CaseType("a", LIVER)].score == 1
    assert 0.8 * 512 < checked.predictions[CaseType("a", LIVER)].volume_mm3 <= 512
    assert checked.predictions[CaseType("b", LIVER)] == (pytest.approx(0.4), 0.0)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (mask_of(shape=(6, 7, 9)), "shape (6, 7, 9); expected (6, 7, 8)"),
        (mask_of(affine=np.diag([2.0, 2.0, 2.01, 1.0])), "another affine"),
        (mask_of(affine=np.diag([-2.0, 2.0, 2.0, 1.0])), "another affine"),
        (mask_of(255), "voxels outside [0, 1]"),
        (mask_of(np.nan), "NaN or infinite"),
    ],
)
def test_bad_masks_are_named(release, tmp_path, mask, message):
    checked = check(write_masks(tmp_path / "s", {"a": mask_of(), "b": mask, "c": mask_of()}), release)
    assert len(checked.problems) == 1  # and the case is not called missing besides
    assert f"mask of b liver: {message}" in str(checked.problems[0]) or message in str(checked.problems[0])


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.diag([2.0, 1.0, 1.0, 1.0]), "voxels of 2 x 1 x 1 mm; expected 1 x 1 x 1 mm, as the CT"),
        (np.diag([-1.0, 1.0, 1.0, 1.0]), "orientation LAS; expected RAS, as the CT"),
        (np.eye(4), None),
    ],
)
def test_without_cts_the_table_says_how_large_a_voxel_is(tmp_path, affine, message):
    release = write_release(tmp_path / "r", [make_record("a", {LIVER: Presence.PRESENT})])
    path = tmp_path / "s" / "masks" / "a" / "liver.nii.gz"
    write_nifti(path, Volume(np.zeros((6, 6, 6), np.float32), affine))
    (tmp_path / "s" / "submission.yaml").write_text("team: t\nmethod: m\n")
    problems = check(tmp_path / "s", release).problems
    assert [message] == [f"{item.found}; expected {item.expected}" for item in problems] or not message
    assert bool(problems) == bool(message)


def test_an_unreadable_mask_is_named(release, tmp_path):
    folder = write_masks(tmp_path / "s", {case: mask_of() for case in "abc"})
    path = folder / "masks/b/liver.nii.gz"
    path.write_bytes(path.read_bytes()[:-40])
    checked = check(folder, release)
    assert [problem.where for problem in checked.problems] == ["mask of b liver"]


def test_scaled_bytes_are_probabilities(release, tmp_path):
    import nibabel as nib

    folder = write_masks(tmp_path / "s", {"b": mask_of(), "c": mask_of()})
    image = nib.Nifti1Image(np.full(SHAPE, 128, dtype=np.uint8), AFFINE)
    image.header.set_slope_inter(1 / 255, 0)
    (folder / "masks/a").mkdir()
    nib.save(image, folder / "masks/a/liver.nii.gz")
    checked = check(folder, release)
    assert checked.problems == ()
    assert checked.predictions[CaseType("a", LIVER)].score == pytest.approx(128 / 255, abs=1e-6)


def test_masks_add_the_volume_that_the_table_lacks(release, tmp_path):
    folder = write_masks(tmp_path / "s", {"a": mask_of(), "b": mask_of(0), "c": mask_of()})
    write_submission(folder, [(case, "liver", 0.25) for case in "abc"])
    task = TASK.model_copy(update={"call_rule": CallRule.VOLUME})
    checked = check(folder, release, task)
    assert checked.problems == ()
    assert checked.predictions[CaseType("a", LIVER)].score == 0.25
    assert checked.predictions[CaseType("b", LIVER)].volume_mm3 == 0


def test_a_volume_task_needs_volumes(release, submit):
    task = TASK.model_copy(update={"call_rule": CallRule.VOLUME})
    checked = check(submit([(case, "liver", 0.5) for case in "abc"]), release, task)
    assert "3 predictions have no volume_mm3: a liver, b liver, c liver" in str(checked.problems[0])


def test_the_grid_of_a_ct_comes_from_its_header():
    grid = nifti_grid(nifti_bytes(Volume(np.zeros(SHAPE, dtype=np.int16), AFFINE)), "a")
    assert grid.shape == SHAPE
    assert np.allclose(grid.affine, AFFINE)
    with pytest.raises(DataError, match="unreadable CT"):
        nifti_grid(b"\x1f\x8bnonsense", "a")


def test_the_task_of_a_release_has_the_types_with_both_classes(tmp_path):
    spleen, kidney = TumorType.SPLEEN, TumorType.KIDNEY
    records = [
        make_record("a", {LIVER: Presence.PRESENT, spleen: Presence.ABSENT, kidney: Presence.UNCERTAIN}),
        make_record("b", {LIVER: Presence.ABSENT, spleen: Presence.ABSENT}, split=Split.VALIDATION),
    ]
    release = write_release(tmp_path / "r", records)
    assert release_task(release).tumor_types == (LIVER,)
    with pytest.raises(DataError, match="no tumor type with both"):
        release_task(write_release(tmp_path / "none", records[1:]))


def test_an_empty_split_is_an_error(release):
    with pytest.raises(DataError, match="no train cases"):
        build_reference(release, Split.TRAIN, TASK)


def test_patients_are_hashed():
    assert patient_hash("p1") != patient_hash("p2")
    assert "p1" not in patient_hash("p1")
