"""Reports of an export: which study each belongs to, and the reason codes of those that belong to none."""

import csv

import pytest
from synthetic_dicom import MIN_SLICES, hounsfield, uid, write_series

from rsuper_bench.dataset_builder.dicom import DicomSource, load_dicom_config


def keys_of(source):
    return source.keys()


@pytest.fixture
def many(tmp_path):
    """Three studies of two patients."""
    root = tmp_path / "export"
    for study, patient in (("study-1", "p"), ("study-2", "p"), ("study-3", "q")):
        write_series(root, hounsfield(), study=study, PatientID=patient)
    return root


def with_table(root, rows, text):
    with (root.parent / "reports.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (root.parent / "config.yaml").write_text(f"reports: {{file: reports.csv, {text}}}\n")
    config = load_dicom_config(root.parent / "config.yaml", export=root)
    source = DicomSource.open(root, config.model_copy(update={"min_slices": MIN_SLICES}))
    return source, [(item.input_id.split("-")[0], str(item.reason)) for item in source.rejections()]


def test_reports_find_their_study_by_uid_accession_and_patient(many):
    rows = [
        {"uid": uid("study-1"), "acc": "", "mrn": "", "report": "one"},
        {"uid": "", "acc": "ACC-study-2", "mrn": "", "report": "two"},
        {"uid": "", "acc": "", "mrn": "q", "report": "three"},
    ]
    source, refused = with_table(many, rows, "study_uid: uid, accession: acc, patient_id: mrn")
    assert sorted(source.make(key).report for key in keys_of(source)) == ["one", "three", "two"]
    assert refused == []


def test_reports_that_belong_to_no_study_or_to_several(many):
    rows = [
        {"mrn": "p", "report": "whose?"},
        {"mrn": "nobody", "report": "none"},
        {"mrn": "q", "report": "three"},
        {"mrn": "", "report": "lost"},
    ]
    _, refused = with_table(many, rows, "patient_id: mrn")
    assert sorted(refused) == [("case", "no_report")] * 2 + [("report", "report_without_study")] * 3


def test_a_study_with_two_reports_or_an_empty_one(many):
    rows = [
        {"acc": "ACC-study-1", "report": "first"},
        {"acc": "ACC-study-1", "report": "addendum"},
        {"acc": "ACC-study-2", "report": "  "},
        {"acc": "ACC-study-3", "report": "same"},
        {"acc": "ACC-study-3", "report": "same"},
    ]
    _, refused = with_table(many, rows, "accession: acc")
    assert sorted(refused) == [("case", "ambiguous_report"), ("case", "empty_report")]
    source, refused = with_table(many, rows, "accession: acc, several: join")
    assert {source.make(key).report for key in keys_of(source)} == {"first\n\naddendum", "same"}


def test_a_table_as_spreadsheets_on_windows_write_it(many):
    text = "acc;report\r\n" + "".join(f"ACC-study-{n};Läsion, 5 mm\r\n" for n in (1, 2, 3))
    (many.parent / "reports.csv").write_bytes(text.encode("cp1252"))
    config = "reports: {file: reports.csv, accession: acc, delimiter: ';', encoding: cp1252}\n"
    (many.parent / "config.yaml").write_text(config)
    config = load_dicom_config(many.parent / "config.yaml", export=many)
    source = DicomSource.open(many, config.model_copy(update={"min_slices": MIN_SLICES}))
    assert {source.make(key).report for key in keys_of(source)} == {"Läsion, 5 mm"}
