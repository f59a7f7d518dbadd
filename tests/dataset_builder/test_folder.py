"""The folder source: what users bring, good and bad."""

import csv
import gzip
import json
import pickle

import numpy as np
import pytest

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.nifti import Volume, nifti_bytes, write_nifti
from rsuper_bench.benchmark.records import Phase, Split
from rsuper_bench.benchmark.tumor_types import Sex, TumorType
from rsuper_bench.dataset_builder.folder import FolderSource
from rsuper_bench.dataset_builder.label_map import LESION_NUMBER, ORGAN_NUMBER
from rsuper_bench.dataset_builder.rejection import CaseError, Reason

AFFINE = np.diag([2.0, 2, 3, 1])
REPORT = "Mr Doe has a liver mass."
MASKS = {"organs": "a/organs.nii.gz", "lesions": "a/lesion.nii.gz"}


def volume(data, affine=AFFINE):
    return Volume(np.asarray(data), affine)


def numbers(*values):
    data = np.zeros((4, 3, 2), np.uint8)
    data.flat[: len(values)] = values
    return volume(data)


@pytest.fixture
def folder(tmp_path):
    """A good folder of two cases; tests spoil it."""
    root = tmp_path / "input"
    for case in ("a", "b"):
        write_nifti(root / case / "ct.nii.gz", volume(np.arange(24, dtype=np.int16).reshape(4, 3, 2)))
        write_nifti(root / case / "organs.nii.gz", numbers(0, 7, 7, 3))
        write_nifti(root / case / "lesion.nii.gz", numbers(0, 1))
    (root / "label_map.json").write_text(json.dumps({"organs": {"7": "liver", "3": "rib_left_1"}}))
    write_cases(root, [row("a"), row("b")])
    return root


def row(case, **cells):
    return {
        "case_id": case,
        "patient_id": f"patient-{case}",
        "report": REPORT,
        "ct": f"{case}/ct.nii.gz",
        "organs": f"{case}/organs.nii.gz",
        "lesions": f"{case}/lesion.nii.gz",
        "lesion_types": "liver",
    } | cells


def write_cases(root, rows):
    with (root / "cases.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for item in rows for name in item)))
        writer.writeheader()
        writer.writerows(rows)


def made(root, index=0, **options):
    source = FolderSource.open(root, **options)
    return source.make(source.keys()[index])


def refused(root):
    with pytest.raises(DataError) as caught:
        FolderSource.open(root).keys()
    text = str(caught.value)
    assert "Doe" not in text
    assert "patient-" not in text
    return text


def test_a_good_folder(folder):
    case = made(folder)
    assert (case.case_id, case.patient_id, case.report) == ("a", "patient-a", REPORT)
    assert case.ct.data[3, 2, 1] == 23
    assert set(np.unique(case.organs.data)) == {0, ORGAN_NUMBER["liver"]}
    assert set(np.unique(case.lesions.data)) == {0, LESION_NUMBER[TumorType.LIVER]}
    assert case.lesion_types == (TumorType.LIVER,)
    assert (case.source, case.licence, case.redistributable, case.synthetic) == ("folder", "unknown", False, False)


def test_what_is_left_out_is_said(folder):
    write_cases(folder, [row("a", ward="7B")])
    notes = FolderSource.open(folder).notes()
    assert notes == [
        "columns of cases.csv that mean nothing here: 'ward'",
        "organs of label_map.json that have no label in a release: rib_left_1",
    ]


def test_optional_columns(folder):
    cells = {
        "sex": "Female",
        "age": "95",
        "phase": "portal_venous",
        "split": "test",
        "pathology_report": "adenoma",
        "source": "clinic",
        "licence": "CC0-1.0",
        "redistributable": "yes",
        "scanner": "S",
        "kvp": "120",
        "derived_from": "x",
    }
    write_cases(folder, [row("a", **cells)])
    case = made(folder)
    assert (case.sex, case.age, case.phase, case.split) == (Sex.FEMALE, 90, Phase.PORTAL_VENOUS, Split.TEST)
    assert (case.source, case.licence, case.redistributable) == ("clinic", "CC0-1.0", True)
    assert (case.pathology_report, case.scanner, case.kvp, case.derived_from) == ("adenoma", "S", 120, "x")


def test_values_of_the_config_fill_empty_cells(folder, tmp_path):
    config = tmp_path / "folder.yaml"
    config.write_text("source: clinic\nlicence: CC-BY-4.0\nredistributable: true\n")
    write_cases(folder, [row("a", licence="", source="mine")])
    case = made(folder, config=config)
    assert (case.source, case.licence, case.redistributable) == ("mine", "CC-BY-4.0", True)
    config.write_text("license: x\n")
    with pytest.raises(ConfigError, match="Did you mean 'licence'"):
        FolderSource.open(folder, config=config)


def test_lesion_label_map(folder):
    (folder / "label_map.json").write_text(json.dumps({"lesions": {"1": "liver", "2": "lung"}}))
    write_nifti(folder / "a" / "lesion.nii.gz", numbers(0, 1, 2))
    write_cases(folder, [row("a", organs="", lesion_types="")])
    case = made(folder)
    assert case.lesion_types == (TumorType.LIVER, TumorType.LUNG)
    assert set(np.unique(case.lesions.data)) == {0, LESION_NUMBER[TumorType.LIVER], LESION_NUMBER[TumorType.LUNG]}


def test_folders_of_binary_masks(folder):
    write_nifti(folder / "a" / "organs" / "kidney_left.nii.gz", numbers(0, 1))
    write_nifti(folder / "a" / "organs" / "vertebrae_L1.nii.gz", numbers(0, 0, 1))
    write_nifti(folder / "a" / "organs" / "humerus_left.nii.gz", numbers(1))
    write_nifti(folder / "a" / "tumors" / "liver_lesion.nii.gz", numbers(0, 255))
    write_nifti(folder / "a" / "tumors" / "pancreatic_lesion.nii.gz", numbers())
    write_cases(folder, [row("a", organs="a/organs", lesions="a/tumors", lesion_types="")])
    case = made(folder)
    assert case.organs.data.flat[:4].tolist() == [0, ORGAN_NUMBER["kidney_left"], ORGAN_NUMBER["vertebrae"], 0]
    assert case.lesion_types == (TumorType.LIVER, TumorType.PANCREAS)  # the empty mask says: none there
    assert set(np.unique(case.lesions.data)) == {0, LESION_NUMBER[TumorType.LIVER]}


def test_a_float_mask_of_whole_numbers_is_a_mask(folder):
    write_nifti(folder / "a" / "lesion.nii.gz", volume(np.eye(4, 3, dtype=np.float32)[..., None].repeat(2, 2)))
    assert made(folder).lesions.data.astype(bool).sum() == 6


def test_everything_that_is_wrong_is_said_at_once(folder):
    (folder / "a" / "short.nii.gz").write_bytes(nifti_bytes(numbers(1))[:-20])
    short = gzip.compress(gzip.decompress(nifti_bytes(numbers(1)))[:-4])
    (folder / "a" / "cut.nii.gz").write_bytes(short)
    write_nifti(folder / "a" / "small.nii.gz", volume(np.zeros((2, 2, 2), np.uint8)))
    write_nifti(folder / "a" / "moved.nii.gz", volume(np.zeros((4, 3, 2), np.uint8), AFFINE * 1.01))
    (folder / "a" / "link.nii.gz").symlink_to("/etc/hostname")
    write_cases(
        folder,
        [
            row("../b"),
            row("a"),
            row("a"),
            row("no-report", **MASKS, report=" "),
            row("no-file", **MASKS, ct="b/nothing.nii.gz"),
            row("dots", **MASKS, ct="../ct.nii.gz"),
            row("absolute", **MASKS, ct="/etc/passwd"),
            row("link", **MASKS, ct="a/link.nii.gz"),
            row("short", **MASKS, ct="a/short.nii.gz"),
            row("cut", **MASKS, ct="a/cut.nii.gz"),
            row("small", **MASKS | {"lesions": "a/small.nii.gz"}, ct="a/ct.nii.gz"),
            row("moved", **MASKS | {"organs": "a/moved.nii.gz"}, ct="a/ct.nii.gz"),
            row("age", **MASKS, ct="a/ct.nii.gz", age="old"),
            row("phase", **MASKS, ct="a/ct.nii.gz", phase="venous"),
            row("types", **MASKS, ct="a/ct.nii.gz", lesion_types="livr"),
            row("b", patient_id="John Doe"),
        ],
    )
    text = refused(folder)
    for line in (
        "row 2: case_id: unsafe id '../b'",
        "row 4: case_id: 'a' is already in row 3",
        "row 5: report: empty report",
        "row 6: ct: no such file 'b/nothing.nii.gz'",
        "row 7: ct: unsafe path '../ct.nii.gz'",
        "row 8: ct: unsafe path '/etc/passwd'",
        "row 9: ct: a link out of the folder 'a/link.nii.gz'",
        "row 10: ct (a/short.nii.gz): truncated or damaged gzip",
        "row 11: ct (a/cut.nii.gz): truncated: 372 of 376 bytes",
        "row 12: lesions: shape (2, 2, 2); expected the grid of the CT, shape (4, 3, 2)",
        "row 13: organs: another affine",
        "row 14: age: 'old'; expected a number from 0 to 130",
        "row 15: phase: 'venous'",
        "Did you mean 'portal_venous'?",
        "row 16: lesion_types: 'livr'",
        "Did you mean 'liver'?",
        "row 17: patient_id: unsafe id; expected",
    ):
        assert line in text, line


def test_missing_and_misspelt_columns(folder):
    cells = row("a/b")
    write_cases(folder, [{("pathology_reprot" if name == "report" else name): value for name, value in cells.items()}])
    text = refused(folder)
    assert "no column 'report'" in text
    assert "unknown column 'pathology_reprot'" in text
    assert "Did you mean 'pathology_report'?" in text
    assert "unsafe id 'a/b'" in text  # the rows are read all the same


@pytest.mark.parametrize("content", ["", "case_id,patient_id,report,ct\n", "case_id\0"])
def test_a_table_without_rows(folder, content):
    (folder / "cases.csv").write_text(content)
    assert refused(folder).startswith("error: cases.csv:")


def test_no_folder_and_no_table(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        FolderSource.open(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"cases\.csv: no such file"):
        FolderSource.open(tmp_path)


def test_masks_that_nobody_names(folder):
    (folder / "label_map.json").unlink()
    write_nifti(folder / "b" / "masks" / "spleeen.nii.gz", numbers(1))
    write_cases(folder, [row("a", lesion_types="liver;lung"), row("b", organs="", lesions="b/masks", lesion_types="")])
    text = refused(folder)
    assert "row 2: organs: a mask without names" in text
    assert "row 2: lesion_types: 2 types and no `lesions` in label_map.json" in text
    assert "row 3: lesions: mask 'spleeen.nii.gz'" in text


def test_a_lesion_map_of_unknown_types(folder):
    (folder / "label_map.json").write_text(json.dumps({"lesions": {"1": "livr"}}))
    with pytest.raises(DataError, match=r"label_map\.json: lesions\.1"):
        FolderSource.open(folder)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("ct", volume(np.full((4, 3, 2), np.nan, np.float32)), Reason.UNREADABLE_IMAGE),
        ("organs", numbers(7, 9), Reason.UNKNOWN_LABEL),
        ("organs", volume(np.full((4, 3, 2), -1, np.int16)), Reason.UNKNOWN_LABEL),
        ("organs", volume(np.full((4, 3, 2), 70_000, np.int32)), Reason.UNKNOWN_LABEL),
        ("lesion", volume(np.full((4, 3, 2), 0.5, np.float32)), Reason.UNKNOWN_LABEL),
    ],
)
def test_what_only_voxels_show_rejects_the_case(folder, file, content, reason):
    write_nifti(folder / "a" / f"{file}.nii.gz", content)
    with pytest.raises(CaseError) as caught:
        made(folder)
    assert caught.value.reason is reason
    assert "cases.csv: row 2" in str(caught.value)


def test_bad_rows_can_be_left_out(folder):
    write_cases(folder, [row("a"), row("b", report=""), row("c"), row("c"), row("=d", ct="b/ct.nii.gz")])
    source = FolderSource.open(folder, reject_bad=True)
    assert [key.case_id for key in source.keys()]  # noqa: SIM118 == ["a"]
    found = {(item.input_id, item.reason) for item in source.rejections()}
    assert {("b", Reason.EMPTY_REPORT), ("c", Reason.DUPLICATE_ID), ("=d", Reason.UNSAFE_ID)} <= found
    assert {"a"} == {"a", "b", "c", "=d"} - {item.input_id for item in source.rejections()}


def test_the_digest_of_a_case_follows_its_row_and_files(folder):
    before = FolderSource.open(folder).keys()
    assert FolderSource.open(folder).keys() == before
    write_nifti(folder / "b" / "lesion.nii.gz", numbers(1, 1, 1, 0, 1))
    after = FolderSource.open(folder).keys()
    assert after[0] == before[0]
    assert after[1].input_digest != before[1].input_digest


def test_a_worker_gets_no_table_and_sees_when_it_changes(folder):
    source = FolderSource.open(folder)
    keys = source.keys()
    assert REPORT.encode() not in pickle.dumps(FolderSource.open(folder))
    write_cases(folder, [row("a", report="other"), row("b")])
    with pytest.raises(DataError, match="changed during the build"):
        source.make(keys[0])


def test_a_table_without_header_shows_nothing_of_its_patients(folder):
    (folder / "cases.csv").write_text('a,PatientMiller,"Mass in the liver of Ms Miller.",a/ct.nii.gz\n' * 2)
    source = FolderSource.open(folder)
    with pytest.raises(DataError) as caught:
        source.keys()
    assert len(caught.value.problems) == 4
    assert "Miller" not in str(caught.value) + str(source.notes())


def test_a_missing_quote_shows_nothing_of_the_report(folder):
    (folder / "cases.csv").write_text(
        "case_id,patient_id,report,ct,lesions,sex\na,p,No mass. Ms Miller, known for cysts, was seen, again Ms Miller\n"
    )
    with pytest.raises(DataError) as caught:
        FolderSource.open(folder).keys()
    assert {problem.where for problem in caught.value.problems} >= {"cases.csv: row 2: ct", "cases.csv: row 2: sex"}
    for secret in ("Miller", "cysts", "seen"):
        assert secret not in str(caught.value)
