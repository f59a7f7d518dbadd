"""The reader of CT-RATE, on a miniature tree in its layout."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from miniature_sets import opened, phantom_case, refused, write_csv

from rsuper_bench.benchmark.nifti import Volume, write_nifti
from rsuper_bench.benchmark.records import Split
from rsuper_bench.dataset_builder.rejection import CaseError, Reason


@pytest.fixture(scope="module")
def phantom():
    return phantom_case()


LPS_ORIGIN = (-190.0, -150.0, -300.0)


@pytest.fixture
def ct_rate(tmp_path, ct_rate_tree):
    return Path(shutil.copytree(ct_rate_tree, tmp_path / "ct_rate"))


@pytest.fixture(scope="module")
def ct_rate_tree(tmp_path_factory, phantom):
    """Blank headers and stored values (HU = value - 8192), as the older files are."""
    root = tmp_path_factory.mktemp("trees") / "ct_rate" / "dataset"
    stored = (phantom.ct.data.astype(np.float32) + 8192).astype(np.float32)
    metadata, reports = {"train": [], "validation": []}, {"train": [], "validation": []}
    for name in (
        "train_1_a_1",
        "train_1_a_2",
        "train_1_b_2",
        "train_2_a_1",
        "train_3_a_1",
        "valid_1_a_1",
        "valid_2_a_1",
    ):
        part, number, scan, _ = name.split("_")
        path = root / part / f"{part}_{number}" / f"{part}_{number}_{scan}" / f"{name}.nii.gz"
        write_nifti(path, Volume(stored, np.eye(4)))
        long = "validation" if part == "valid" else part
        metadata[long].append({
            "VolumeName": f"{name}.nii.gz", "Manufacturer": "Philips", "ManufacturerModelName": "Ingenuity",
            "PatientSex": "M", "PatientAge": "093Y", "RescaleSlope": "1", "RescaleIntercept": "-8192",
            "XYSpacing": "[8.0, 7.0]", "ZSpacing": "6.0", "ImagePositionPatient": str(list(LPS_ORIGIN)),
            "ImageOrientationPatient": "[1, 0, 0, 0, 1, 0]", "StudyDate": "20200102",
        })  # fmt: skip
        reports[long].append({"VolumeName": f"{name}.nii.gz", "Findings_EN": "No nodule.", "Impressions_EN": "Normal."})
    metadata["validation"].pop()  # valid_2 has no row
    reports["train"].append({"VolumeName": "train_8_a_1.nii.gz", "Findings_EN": "x", "Impressions_EN": ""})
    for long in metadata:
        write_csv(root / "metadata" / f"{long}_metadata.csv", metadata[long])
        write_csv(root / "radiology_text_reports" / f"{long}_reports.csv", reports[long])
    (root / "metadata" / "no_chest_train.txt").write_text("train_2_a_1.nii.gz\n")
    return root.parent


def test_ct_rate_mends_blank_headers_and_stored_values(ct_rate, phantom):
    source = opened("ct_rate", ct_rate)
    case = source.make(source.keys()[0])
    assert (case.case_id, case.patient_id, case.split, case.age) == ("train_1_a", "train_1", Split.TRAIN, 90.0)
    assert case.report == "Findings: No nodule.\nImpression: Normal."
    np.testing.assert_array_equal(case.ct.data, phantom.ct.data)
    np.testing.assert_allclose(case.ct.spacing_mm, (8.0, 7.0, 6.0))
    np.testing.assert_allclose(case.ct.affine[:3, 3], np.array(LPS_ORIGIN) * [-1, -1, 1])
    assert "2020" not in repr(case)
    assert not case.redistributable


def test_ct_rate_one_reconstruction_a_scan_and_no_head(ct_rate):
    source = opened("ct_rate", ct_rate)
    keys = source.keys()
    assert [key.case_id for key in keys] == ["train_1_a", "train_1_b", "train_3_a", "valid_1_a", "valid_2_a"]
    assert {key.split for key in keys} == {Split.TRAIN, Split.VALIDATION}
    assert refused(source) == [
        ("train_1_a_2", "not_selected"), ("train_2_a_1", "other_body_part"), ("train_8_a_1", "missing_file"),
    ]  # fmt: skip
    assert keys[0].patient_id == keys[1].patient_id


def test_ct_rate_a_blank_header_without_a_row_is_refused(ct_rate):
    source = opened("ct_rate", ct_rate, "valid_is: test\n")
    key = source.keys()[-1]
    assert key.split is Split.TEST
    with pytest.raises(CaseError) as caught:
        source.make(key)
    assert caught.value.reason is Reason.BLANK_HEADER


def test_ct_rate_mended_files_win(ct_rate, phantom):
    mended = Volume(phantom.ct.data, np.diag([-8.0, -7, 6, 1]))
    name = "train_1_a_1"
    write_nifti(ct_rate / "dataset" / "train_fixed" / "train_1" / "train_1_a" / f"{name}.nii.gz", mended)
    source = opened("ct_rate", ct_rate)
    case = source.make(source.keys()[0])
    np.testing.assert_array_equal(case.ct.data, phantom.ct.data)
    np.testing.assert_allclose(case.ct.affine, mended.affine)


@pytest.mark.parametrize(
    ("data", "affine", "reason"),
    [
        (lambda hu: hu, np.diag([3.0, 3, 3, 1]), Reason.TABLE_AGAINST_HEADER),
        (lambda hu: hu + 8192, np.diag([8.0, 7, 6, 1]), Reason.NOT_HOUNSFIELD),
        (lambda hu: np.full(hu.shape, np.nan, np.float32), np.eye(4), Reason.UNREADABLE_IMAGE),
        (lambda hu: hu * 0, np.eye(4), None),
    ],
)
def test_ct_rate_volumes_that_are_wrong(ct_rate, phantom, data, affine, reason):
    path = ct_rate / "dataset" / "train" / "train_3" / "train_3_a" / "train_3_a_1.nii.gz"
    write_nifti(path, Volume(data(phantom.ct.data), affine))
    source = opened("ct_rate", ct_rate)
    key = source.keys()[2]
    if reason is None:  # zeros become -8192 everywhere: the builder refuses a blank image
        assert len(np.unique(source.make(key).ct.data)) == 1
        return
    with pytest.raises(CaseError) as caught:
        source.make(key)
    assert caught.value.reason is reason
