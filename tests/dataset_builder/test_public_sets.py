"""Readers of public data sets, on miniature trees in their layout made from phantoms. No public set was read here."""

import csv
import json
import os
import pickle
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.nifti import Volume, write_nifti
from rsuper_bench.benchmark.records import Phase, Split
from rsuper_bench.benchmark.tumor_types import Sex, TumorType
from rsuper_bench.dataset_builder.label_map import LABEL_MAP, LESION_NUMBER, ORGAN_NUMBER
from rsuper_bench.dataset_builder.phantom import PhantomSource
from rsuper_bench.dataset_builder.phantom.config import PhantomConfig
from rsuper_bench.dataset_builder.public import open_public_source
from rsuper_bench.dataset_builder.rejection import CaseError, Reason

REPORT = "Pancreas: hypodense mass in the head, 2.0 cm."


@pytest.fixture(scope="module")
def phantom():
    """One synthetic CT with organ masks and a pancreatic tumor."""
    config = PhantomConfig(
        n_cases=1, shape=(48, 40, 32), spacing_mm=(8.0, 8.0, 8.0), prevalence={TumorType.PANCREAS: 1.0}, mask_share=1.0
    )
    source = PhantomSource(config, 3)
    case = source.make(source.keys()[0])
    lesions = np.zeros(case.ct.data.shape, np.uint8)
    lesions[20:22, 20:22, 15:17] = LESION_NUMBER[TumorType.PANCREAS]
    return replace(case, lesions=Volume(lesions, case.ct.affine))


def write_masks(folder, phantom, *, spelling=None, lesion="pancreatic_lesion", tumor=True):
    """One binary file an organ, under the names of the data set."""
    for number in np.unique(phantom.organs.data):
        name = LABEL_MAP.organs.get(int(number))
        if name is not None:
            name = (spelling or {}).get(name, name)
            mask = (phantom.organs.data == number).astype(np.uint8)
            write_nifti(folder / f"{name}.nii.gz", Volume(mask, phantom.ct.affine))
    data = (phantom.lesions.data != 0).astype(np.uint8) * np.uint8(tumor)
    write_nifti(folder / f"{lesion}.nii.gz", Volume(data, phantom.ct.affine))
    write_nifti(folder / "celiac_artery.nii.gz", Volume(np.zeros_like(data), phantom.ct.affine))


def write_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def write_xlsx(path, rows):
    book = openpyxl.Workbook()
    book.active.append(list(rows[0]))
    for row in rows:
        book.active.append(list(row.values()))
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)


def opened(name, root, text=None):
    config = None
    if text is not None:
        config = root.parent / "config.yaml"
        config.write_text(text)
    return open_public_source(name, root, config)


def cases(source):
    copy = pickle.loads(pickle.dumps(source))  # noqa: S301 (our own bytes)
    keys = source.keys()
    return {key.case_id: copy.make(pickle.loads(pickle.dumps(key))) for key in keys}  # noqa: S301


def refused(source):
    return sorted((item.input_id, str(item.reason)) for item in source.rejections())


# --- Merlin ---------------------------------------------------------------------------------------------------------

PLUS = {
    "Encrypted Accession Number": "AC1", "Patient ID": "Merlin_1", "Exam Completed Date": "2012-01-01",
    "spacing": "0.7,0.7,1", "Age": "66.703", "Gender": "Female", "Race": "Other", "contrast": "True",
    "manufacturer": "SIEMENS", "manufacturermodelname": "SOMATOM Definition", "kvp": "100.0",
    "xraytubecurrent": "543.0", "phase": "portal_venous",
}  # fmt: skip


@pytest.fixture
def merlin(tmp_path, merlin_tree):
    return Path(shutil.copytree(merlin_tree, tmp_path / "merlin"))


@pytest.fixture(scope="module")
def merlin_tree(tmp_path_factory, phantom):
    root = tmp_path_factory.mktemp("trees") / "merlin"
    for study in ("AC1", "AC2", "AC3", "AC4", "AC9"):
        write_nifti(root / "merlin_data" / f"{study}.nii.gz", phantom.ct)
    rows = [
        {"study id": "AC1", "Findings": REPORT, "Split": "train", "few shot": False},
        {"study id": "AC2", "Findings": REPORT, "Split": "test", "few shot": False},
        {"study id": "AC3", "Findings": REPORT, "Split": "train", "few shot": False},  # not in Merlin Plus
        {"study id": "AC4", "Findings": None, "Split": "val", "few shot": False},
        {"study id": "AC5", "Findings": REPORT, "Split": "val", "few shot": False},  # no scan
    ]
    write_xlsx(root / "reports_final.xlsx", rows)
    plus = [
        PLUS,
        PLUS | {"Encrypted Accession Number": "AC2", "Patient ID": "Merlin_2", "Age": "99.818", "contrast": "False"},
        PLUS | {"Encrypted Accession Number": "AC4", "Patient ID": "Merlin_4"},
    ]
    write_csv(root / "MerlinPlus" / "merlin_longitudinal_metadata.csv", plus)
    spelling = {"gallbladder": "gall bladder", "urinary_bladder": "bladder", "inferior_vena_cava": "postcava",
                "adrenal_gland_left": "adrenal gland left"}  # fmt: skip
    write_masks(root / "MerlinPlus" / "masks" / "AC1" / "segmentations", phantom, spelling=spelling)
    return root


def test_merlin(merlin, phantom):
    source = opened("merlin", merlin, "plus: merlin/MerlinPlus\n")
    found = cases(source)
    assert list(found) == ["AC1", "AC2"]
    case = found["AC1"]
    assert (case.patient_id, case.split, case.report) == ("Merlin_1", Split.TRAIN, REPORT)
    assert (case.sex, case.age, case.phase, case.kvp) == (Sex.FEMALE, 66.0, Phase.PORTAL_VENOUS, 100.0)
    assert case.scanner == "SIEMENS SOMATOM Definition"
    assert not case.redistributable
    np.testing.assert_array_equal(case.organs.data, phantom.organs.data)
    assert case.lesion_types == ()  # Merlin Plus did not draw every tumor
    assert "2012" not in repr(case)


def test_merlin_ages_and_phases_that_contradict_the_contrast(merlin):
    source = opened("merlin", merlin, "plus: merlin/MerlinPlus\n")
    case = cases(source)["AC2"]
    assert (case.age, case.phase) == (90.0, Phase.UNKNOWN)
    assert any("1 scans have no contrast and a contrast phase" in note for note in source.notes())
    assert case.organs is None


def test_merlin_lists_what_is_missing(merlin):
    source = opened("merlin", merlin, "plus: merlin/MerlinPlus\n")
    assert refused(source) == [
        ("AC3", "no_patient_id"), ("AC4", "empty_report"), ("AC5", "missing_file"), ("AC9", "no_report"),
    ]  # fmt: skip


def test_merlin_tumor_masks_only_when_asked_for(merlin):
    source = opened("merlin", merlin, "plus: merlin/MerlinPlus\ntumor_masks: true\n")
    assert cases(source)["AC1"].lesion_types == (TumorType.PANCREAS,)


def test_merlin_without_patient_ids_is_refused(merlin):
    with pytest.raises(DataError, match="merlin_longitudinal_metadata"):
        opened("merlin", merlin).keys()


def test_merlin_a_patient_in_two_official_splits_keeps_the_held_out_scan(merlin):
    path = merlin / "MerlinPlus" / "merlin_longitudinal_metadata.csv"
    path.write_text(path.read_text().replace("Merlin_2", "Merlin_1"))
    source = opened("merlin", merlin, "plus: merlin/MerlinPlus\n")
    assert list(cases(source)) == ["AC2"]
    assert ("AC1", "split_conflict") in refused(source)
    drawn = opened("merlin", merlin, "plus: merlin/MerlinPlus\nofficial_splits: false\n")
    assert {case.split for case in cases(drawn).values()} == {None}


# --- PanTS ----------------------------------------------------------------------------------------------------------


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


# --- AbdomenAtlas ---------------------------------------------------------------------------------------------------


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


# --- CT-RATE --------------------------------------------------------------------------------------------------------

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


# --- all of them ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["merlin", "pants", "abdomenatlas", "ct_rate"])
def test_an_empty_folder_says_what_is_missing(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no (merlin|metadata|AbdomenAtlas|radiology)"):
        opened(name, tmp_path / "empty").keys()
    with pytest.raises(ConfigError, match="no such folder"):
        opened(name, tmp_path / "none")


@pytest.mark.parametrize("name", ["merlin", "pants", "abdomenatlas", "ct_rate"])
def test_an_unknown_option_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="unknown key"):
        opened(name, tmp_path, "organ_mask: {}\n")


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


def test_a_config_cannot_run_code(tmp_path):
    ran = tmp_path / "ran"
    with pytest.raises(ConfigError, match="cannot be parsed"):
        opened("pants", tmp_path, f"organ_masks: !!python/object/apply:pathlib.Path.touch [{ran}]\n")
    assert not ran.exists()


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


def test_every_organ_name_of_the_public_sets_is_known_or_listed():
    """Names that Merlin Plus lists; what has no label in a release is named here on purpose."""
    from rsuper_bench.dataset_builder.mask_names import organ_number

    listed = """adrenal gland left, adrenal gland right, aorta, bladder, cbd stent, celiac artery, celiac trunk, colon,
        common bile duct, duodenum, esophagus, femur left, femur right, gall bladder, hepatic vessels, intestine,
        kidney left, kidney right, liver, liver segment 1, liver segment 8, lung left, lung right, pancreas body,
        pancreas head, pancreas tail, pancreas, pancreatic duct, portal vein and splenic vein, postcava, prostate,
        rectum, renal vein left, renal vein right, spleen, stomach, superior mesenteric artery,
        superior mesenteric vein"""
    unknown = {name.strip() for name in listed.split(",") if organ_number(name) is None}
    assert unknown == {
        "cbd stent", "celiac artery", "celiac trunk", "common bile duct", "femur left", "femur right",
        "hepatic vessels", "intestine", "pancreatic duct", "portal vein and splenic vein", "renal vein left",
        "renal vein right", "superior mesenteric artery", "superior mesenteric vein",
    }  # fmt: skip
    assert organ_number("postcava") == ORGAN_NUMBER["inferior_vena_cava"]


DATA = Path(os.environ.get("RSUPER_BENCH_DATA", "")) / "ct" / "totalseg_example"


@pytest.mark.real_data
@pytest.mark.skipif(not (DATA / "seg_fast").is_dir(), reason="RSUPER_BENCH_DATA has no ct/totalseg_example")
@pytest.mark.parametrize("name", ["abdomenatlas", "pants", "merlin"])
def test_a_real_ct_with_real_masks_in_each_layout(tmp_path, name):
    """A real CT and one real mask an organ (TotalSegmentator example), against the volumes published with them."""
    root, scan = tmp_path / name, "BDMAP_00000001"
    ct, masks = {
        "abdomenatlas": (f"image_only/{scan}/ct.nii.gz", f"mask_only/{scan}/segmentations"),
        "pants": (f"ImageTr/{scan}/ct.nii.gz", f"LabelTr/{scan}/segmentations"),
        "merlin": (f"merlin_data/{scan}.nii.gz", f"masks/{scan}"),
    }[name]
    (root / ct).parent.mkdir(parents=True)
    (root / ct).write_bytes((DATA / "ct_sm.nii.gz").read_bytes())
    (root / masks).mkdir(parents=True)
    for path in (DATA / "seg_fast").glob("*.nii.gz"):
        (root / masks / path.name).write_bytes(path.read_bytes())
    write_csv(root / "AbdomenAtlas3.0.csv", [{"BDMAP ID": scan, "narrative report": REPORT}])
    write_csv(root / "metadata.csv", [{"PanTS ID": scan}])
    (root / "ReportTr" / scan).mkdir(parents=True)
    (root / "ReportTr" / scan / "report.txt").write_text(REPORT)
    write_csv(root / "reports_final.csv", [{"study id": scan, "Findings": REPORT, "Split": "train"}])
    write_csv(root / "merlin_longitudinal_metadata.csv", [PLUS | {"Encrypted Accession Number": scan}])
    source = opened(name, root)
    case = source.make(source.keys()[0])
    published = json.loads((DATA / "seg_fast_statistics.json").read_text())
    assert case.organs.same_grid(case.ct)
    for organ in ("spleen", "kidney_left", "kidney_right", "liver", "pancreas"):
        mm3 = (case.organs.data == ORGAN_NUMBER[organ]).sum() * case.ct.voxel_mm3
        assert mm3 == pytest.approx(published[organ]["volume"], rel=1e-3), organ
    assert not (case.organs.data == ORGAN_NUMBER["urinary_bladder"]).any()  # its mask is empty
