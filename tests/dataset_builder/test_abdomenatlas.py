"""The reader of AbdomenAtlas, on a miniature tree in its layout."""

import csv
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from miniature_sets import REPORT, cases, opened, phantom_case, refused, write_csv, write_masks

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.nifti import Volume, write_nifti
from rsuper_bench.benchmark.tumor_types import Sex, TumorType
from rsuper_bench.dataset_builder.rejection import CaseError, Reason


@pytest.fixture(scope="module")
def phantom():
    return phantom_case()


@pytest.fixture
def atlas(tmp_path, atlas_tree):
    return Path(shutil.copytree(atlas_tree, tmp_path / "atlas"))


@pytest.fixture(scope="module")
def atlas_tree(tmp_path_factory, phantom):
    root = tmp_path_factory.mktemp("trees") / "atlas"
    rows = []
    for index in (1, 2):
        scan = f"BDMAP_0000000{index}"
        write_nifti(root / "image_only" / scan / "ct.nii.gz", phantom.ct)
        write_masks(root / "mask_only" / scan / "segmentations", phantom)
        rows.append(
            {"BDMAP ID": scan, "sex": "M", "age": "44", "structured report": "structured", "narrative report": REPORT}
        )
    rows[1]["narrative report"] = ""
    rows.append(rows[0] | {"BDMAP ID": "BDMAP_00000003"})
    write_csv(root / "AbdomenAtlas3.0MiniWithMeta.csv", rows)
    write_nifti(root / "image_only" / "BDMAP_00000009" / "ct.nii.gz", phantom.ct)
    return root


def test_abdomenatlas(atlas, phantom):
    source = opened("abdomenatlas", atlas)
    (case,) = cases(source).values()
    assert (case.case_id, case.report, case.sex, case.age) == ("BDMAP_00000001", REPORT, Sex.MALE, 44.0)
    assert case.lesion_types == (TumorType.PANCREAS,)
    assert not case.redistributable
    np.testing.assert_array_equal(case.organs.data, phantom.organs.data)
    assert refused(source) == [
        ("BDMAP_00000002", "empty_report"), ("BDMAP_00000003", "missing_file"), ("BDMAP_00000009", "no_report"),
    ]  # fmt: skip


def test_abdomenatlas_with_the_other_report_and_the_older_folders(atlas, phantom):
    write_nifti(atlas / "BDMAP_00000003" / "ct.nii.gz", phantom.ct)
    write_masks(atlas / "BDMAP_00000003" / "segmentations", phantom)
    found = cases(opened("abdomenatlas", atlas, "report_column: structured report\n"))
    assert list(found) == ["BDMAP_00000001", "BDMAP_00000002", "BDMAP_00000003"]
    assert {case.report for case in found.values()} == {"structured"}


def test_a_report_column_that_is_not_there(atlas):
    with pytest.raises(DataError, match="no column for the report"):
        opened("abdomenatlas", atlas, "report_column: prose\n").keys()


def test_duplicate_and_unsafe_ids(atlas):
    path = atlas / "AbdomenAtlas3.0MiniWithMeta.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[1], lines[1].replace("BDMAP_00000001", "../../etc/passwd")]) + "\n")
    source = opened("abdomenatlas", atlas)
    with pytest.raises(DataError, match="duplicate_id"):
        source.keys()
    counts = Counter(reason for _, reason in refused(source))
    assert (counts["duplicate_id"], counts["unsafe_id"]) == (1, 1)
    assert "etc" not in repr(source.rejections())


def test_ids_are_text(atlas, phantom):
    """001 is not 1, and NA is a name."""
    for scan in ("001", "1", "NA"):
        write_nifti(atlas / "image_only" / scan / "ct.nii.gz", phantom.ct)
    with (atlas / "AbdomenAtlas3.0MiniWithMeta.csv").open("a", newline="") as file:
        csv.writer(file).writerows([[scan, "F", "1", "s", "n"] for scan in ("001", "1", "NA")])
    keys = opened("abdomenatlas", atlas).keys()
    assert [key.case_id for key in keys] == ["001", "1", "BDMAP_00000001", "NA"]


@pytest.mark.parametrize("damage", [lambda data: data[:-2000], lambda data: b"no gzip" + data, lambda data: b""])
def test_a_damaged_scan_is_rejected(atlas, damage):
    path = atlas / "image_only" / "BDMAP_00000001" / "ct.nii.gz"
    path.write_bytes(damage(path.read_bytes()))
    source = opened("abdomenatlas", atlas)
    with pytest.raises(CaseError) as caught:
        source.make(source.keys()[0])
    assert caught.value.reason is Reason.UNREADABLE_IMAGE


def test_a_mask_on_another_grid_is_rejected(atlas, phantom):
    path = atlas / "mask_only" / "BDMAP_00000001" / "segmentations" / "liver.nii.gz"
    write_nifti(path, Volume(np.ones((4, 4, 4), np.uint8), phantom.ct.affine))
    source = opened("abdomenatlas", atlas)
    with pytest.raises(CaseError) as caught:
        source.make(source.keys()[0])
    assert caught.value.reason is Reason.DIFFERENT_GRID
