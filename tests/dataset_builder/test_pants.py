"""The reader of PanTS, on a miniature tree in its layout."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from miniature_sets import REPORT, opened, phantom_case, refused, write_masks, write_xlsx

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.nifti import write_nifti
from rsuper_bench.benchmark.records import Phase, Split
from rsuper_bench.benchmark.tumor_types import Sex, TumorType
from rsuper_bench.dataset_builder.rejection import CaseError, Reason


@pytest.fixture(scope="module")
def phantom():
    return phantom_case()


def write_pdf(path, text):
    """A PDF of one line, written by hand."""
    content = f"BT /F1 12 Tf 72 720 Td ({text.replace('(', '').replace(')', '')}) Tj ET".encode()
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 %s >> >> >>" % font,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
    ]
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 5\n0000000000 65535 f \n%strailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(data),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data + end)


@pytest.fixture
def pants(tmp_path, pants_tree):
    return Path(shutil.copytree(pants_tree, tmp_path / "pants"))


@pytest.fixture(scope="module")
def pants_tree(tmp_path_factory, phantom):
    root = tmp_path_factory.mktemp("trees") / "pants"
    rows = []
    for part, scan, tumor, says in (
        ("Tr", "PanTS_00000001", True, 1),
        ("Tr", "PanTS_00000002", False, 0),
        ("Tr", "PanTS_00000003", False, 1),  # the table says tumor, the mask is empty
        ("Te", "PanTS_00009001", True, 1),
        ("Te", "PanTS_00009002", True, 0),
    ):
        write_nifti(root / f"Image{part}" / scan / "ct.nii.gz", phantom.ct)
        write_masks(root / f"Label{part}" / scan / "segmentations", phantom, tumor=tumor,
                    spelling={"gallbladder": "gall_bladder"})  # fmt: skip
        write_pdf(root / f"Report{part}" / scan / "report.pdf", REPORT)
        rows.append({"PanTS ID": scan, "sex": "F", "age": 70, "ct phase": "Portal-venous", "tumor?": says,
                     "manufacturer": "GE", "manufacturer model": "LightSpeed"})  # fmt: skip
    rows[1]["ct phase"] = "Non-contrast"
    rows.append(rows[0] | {"PanTS ID": "PanTS_00000009"})
    write_xlsx(root / "metadata.xlsx", rows)
    (root / "ImageTr" / "PanTS_00000004").mkdir()
    (root / "ImageTr" / "PanTS_00000004" / "ct.npz").write_bytes(b"PK")
    write_nifti(root / "ImageTr" / "PanTS_00000005" / "ct.nii.gz", phantom.ct)
    return root


def test_pants(pants, phantom):
    source = opened("pants", pants)
    keys = source.keys()
    by_id = {key.case_id: key for key in keys}
    case = source.make(by_id["PanTS_00000001"])
    assert (case.split, case.sex, case.age, case.phase) == (Split.TRAIN, Sex.FEMALE, 70.0, Phase.PORTAL_VENOUS)
    assert case.report == REPORT
    assert case.lesion_types == (TumorType.PANCREAS,)
    np.testing.assert_array_equal(case.lesions.data, phantom.lesions.data)
    np.testing.assert_array_equal(case.organs.data, phantom.organs.data)
    assert source.make(by_id["PanTS_00009001"]).split is Split.TEST
    empty = source.make(by_id["PanTS_00000002"])
    assert empty.lesion_types == (TumorType.PANCREAS,)
    assert not empty.lesions.data.any()
    assert empty.phase is Phase.UNKNOWN  # "non-contrast" of this table is not to be trusted
    assert any("celiac_artery" in note for note in source.notes())


@pytest.mark.parametrize("scan", ["PanTS_00000003", "PanTS_00009002"])
def test_pants_table_against_mask(pants, scan):
    source = opened("pants", pants)
    keys = source.keys()
    (key,) = (key for key in keys if key.case_id == scan)
    with pytest.raises(CaseError) as caught:
        source.make(key)
    assert caught.value.reason is Reason.TABLE_AGAINST_MASK


def test_pants_lists_what_is_missing(pants):
    assert refused(opened("pants", pants)) == [
        ("PanTS_00000004", "missing_file"), ("PanTS_00000005", "no_report"), ("PanTS_00000009", "missing_file"),
    ]  # fmt: skip


@pytest.mark.parametrize(("content", "reason"), [(b"%PDF-1.4\nnothing", Reason.UNUSABLE), (b"", Reason.UNUSABLE)])
def test_pants_a_damaged_pdf(pants, content, reason):
    path = pants / "ReportTr" / "PanTS_00000001" / "report.pdf"
    path.write_bytes(content)
    source = opened("pants", pants)
    with pytest.raises(CaseError) as caught:
        source.make(source.keys()[0])
    assert caught.value.reason is reason
    write_pdf(path, " ")
    source = opened("pants", pants)
    with pytest.raises(CaseError) as caught:
        source.make(source.keys()[0])
    assert caught.value.reason is Reason.EMPTY_REPORT


def test_a_download_becomes_a_release_on_the_command_line(pants, tmp_path, monkeypatch):
    from datasets import load_dataset
    from typer.testing import CliRunner

    from rsuper_bench.cli import app

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    out = tmp_path / "release"
    result = CliRunner().invoke(
        app, ["dataset", "build", "--source", "pants", "--input", str(pants), "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    rows = {row["input_id"]: row["reason"] for row in csv.DictReader((out / "rejected.csv").open())}
    assert rows == {
        "PanTS_00000003": "table_against_mask", "PanTS_00009002": "table_against_mask",
        "PanTS_00000004": "missing_file", "PanTS_00000005": "no_report", "PanTS_00000009": "missing_file",
    }  # fmt: skip
    data = load_dataset(str(out), "attributes")
    assert {split: rows.num_rows for split, rows in data.items()} == {"train": 2, "test": 1}
    assert not any(data["train"]["redistributable"])
    assert CliRunner().invoke(app, ["dataset", "leakage", str(out)]).exit_code == 1  # the mini tree repeats one phantom


def test_a_damaged_xlsx_is_one_clear_error(pants):
    (pants / "metadata.xlsx").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(DataError, match=r"metadata\.xlsx: cannot be read"):
        opened("pants", pants).keys()
