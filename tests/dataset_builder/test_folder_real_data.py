"""Real CTs with tumor masks go through the folder source and open again."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.nifti import read_nifti
from rsuper_bench.benchmark.records import Presence, Side
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.cli import app
from rsuper_bench.real_data import SCANS, write_folder_input

REAL = os.environ.get("RSUPER_BENCH_DATA", "")
# Voxel counts of the masks (README of the data) times their voxel size.
MASKS_MM3 = {
    "lidc_0314": (TumorType.LUNG, 3399 * 0.78125**2 * 1.0),
    "sts_001": (TumorType.SOFT_TISSUE, 117_145 * 0.9765625**2 * 3.27),
    "sts_002": (TumorType.SOFT_TISSUE, 17_090 * 0.9765625**2 * 3.27),
}


def test_missing_files_are_all_listed(tmp_path):
    with pytest.raises(DataError) as caught:
        write_folder_input(tmp_path, tmp_path / "input")
    assert len(caught.value.problems) == sum(2 + (scan.organs is not None) for scan in SCANS)
    assert not (tmp_path / "input").exists()


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    if not REAL:
        pytest.skip("RSUPER_BENCH_DATA is not set")
    root = tmp_path_factory.mktemp("real")
    folder = write_folder_input(Path(REAL), root / "input")
    arguments = ["dataset", "build", "--source", "folder", "--input", str(folder), "--out", str(root / "release")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    shutil.rmtree(folder)  # the release needs nothing of it
    return Release(root / "release")


@pytest.mark.real_data
def test_masks_and_reports_of_real_scans(release):
    for record in release.records():
        kind, mm3 = MASKS_MM3[record.case_id]
        assert record.presence_of(kind) is Presence.PRESENT
        assert record.lesion_masks == {kind: pytest.approx(mm3, rel=1e-6)}
        (finding,) = record.findings_of(kind)
        # The text was written from the mask, so the ellipsoid of its diameters is the mask up to whole millimetres.
        assert finding.volume_mm3 == pytest.approx(mm3, rel=0.1)
        assert "written from the mask" in record.source
        assert not record.synthetic
    by_id = {record.case_id: record for record in release.records()}
    assert by_id["lidc_0314"].findings[0].side is Side.RIGHT
    assert by_id["lidc_0314"].organ_labels == ("lung_right",)


@pytest.mark.real_data
def test_voxels_keep_their_place_and_value(release):
    for scan in SCANS:
        original = read_nifti(Path(REAL) / "ct" / scan.name / "ct.nii.gz")
        stored = release.volumes(scan.name).ct
        assert (original.orientation, stored.orientation, stored.data.dtype) == ("LPS", "RAS", np.int16)
        index = np.array([10, 20, 30, 1])
        back = np.linalg.inv(stored.affine) @ original.affine @ index
        place = tuple(np.rint(back[:3]).astype(int))
        np.testing.assert_allclose(back[:3], place, atol=1e-3)
        assert stored.data[place] == np.rint(original.data[10, 20, 30])
        np.testing.assert_allclose(stored.data.mean(), original.data.mean(), atol=0.5)


@pytest.mark.real_data
def test_lint_finds_nothing(release):
    result = CliRunner().invoke(app, ["dataset", "lint", str(release.folder)])
    assert result.exit_code == 0, result.output


@pytest.mark.real_data
def test_opens_with_datasets(release, monkeypatch, tmp_path):
    from datasets import load_dataset

    cases = load_dataset(str(release.folder), "cases", cache_dir=str(tmp_path))
    rows = {row["case_id"]: row for split in cases.values() for row in split}
    assert rows.keys() == MASKS_MM3.keys()
    assert rows["sts_001"]["ct"].shape == (198, 202, 59)
    assert rows["sts_001"]["organs"] is None
