"""Planted protected information is found wherever it stands, and clean reports pass. All of it is made up."""

import csv
import gzip
import io
import os
import re
import shutil
import struct
import zlib
from datetime import date, timedelta
from pathlib import Path

import nibabel as nib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from test_extraction_of_grammar import STYLE, random_scene
from tiny_sources import TinySource, WordExtractor

from rsuper_bench.dataset_builder.build import BuildPlan, build
from rsuper_bench.dataset_builder.phi import scan_identifier, scan_path, scan_text
from rsuper_bench.dataset_builder.phi.dates import DateOrder
from rsuper_bench.dataset_builder.phi.gate import scan_release
from rsuper_bench.dataset_builder.phi.headers import TEXT_FIELDS, scan_nifti, scan_png
from rsuper_bench.dataset_builder.phi.redact import redact_dates_and_ages
from rsuper_bench.dataset_builder.phi.text import lower_words
from rsuper_bench.dataset_builder.report_grammar import write_report

PLANTED = yaml.safe_load((Path(__file__).parent / "planted_phi.yaml").read_text("utf-8"))
IN_TEXT = [(kind, text) for kind, texts in PLANTED["in_text"].items() for text in texts]


def test_the_planted_set_is_large_and_varied():
    # As docs/publish-a-release.md counts them.
    counts = len(IN_TEXT), len(PLANTED["in_ids"]), len(PLANTED["in_headers"]), len(PLANTED["clean"])
    assert counts == (646, 48, 10, 203)
    assert len(PLANTED["in_text"]) >= 14


@pytest.mark.parametrize("sentence", PLANTED["sentences"])
def test_no_planted_text_is_missed(sentence):
    missed = []
    for kind, text in IN_TEXT:
        start, report = sentence.index("{}"), sentence.replace("{}", text)
        if not any(hit.start < start + len(text) and hit.end > start for hit in scan_text(report)):
            missed.append((kind, text))
    assert missed == []


def test_no_planted_id_is_missed():
    assert [text for text in PLANTED["in_ids"] if not scan_identifier(text)] == []
    assert [text for text in PLANTED["in_ids"] if not scan_path(f"cases/{text}/ct.nii.gz")] == []


@pytest.mark.parametrize("text", PLANTED["clean"])
def test_clean_sentences_pass(text):
    assert scan_text(text) == []


def test_clean_ids_pass():
    assert {text: scan_identifier(text) for text in PLANTED["clean_ids"] if scan_identifier(text)} == {}


def test_reports_of_the_grammar_pass_but_for_their_dates():
    """They hold made-up dates of earlier CTs, which the build blanks; then nothing stops any of them."""
    reports = [write_report(random_scene(seed), np.random.default_rng([9, seed]), STYLE).text for seed in range(300)]
    assert {hit.kind for text in reports for hit in scan_text(text)} == {"date"}
    assert [hit for text in reports for hit in scan_text(redact_dates_and_ages(text))] == []


@pytest.mark.parametrize("kind", ["date", "age_over_89"])
@pytest.mark.parametrize("sentence", PLANTED["sentences"])
def test_dates_and_high_ages_are_blanked_in_place(kind, sentence):
    for text in PLANTED["in_text"][kind]:
        report = sentence.replace("{}", text)
        blanked = redact_dates_and_ages(report)
        assert len(blanked) == len(report)
        assert [hit.kind for hit in scan_text(blanked) if hit.kind == kind] == []
        spans = [(hit.start, hit.end) for hit in scan_text(report) if hit.kind == kind]
        for index, (before, after) in enumerate(zip(report, blanked, strict=True)):
            assert before == after or any(start <= index < end for start, end in spans)


def test_blanking_by_hand():
    text = "CT of 11/19/2014: a 93-year-old man, liver 12 mm."
    assert redact_dates_and_ages(text) == "CT of [date____]: a [90+__]-old man, liver 12 mm."
    assert redact_dates_and_ages("In 2014, 2/7 nodes, 89-year-old.") == "In 2014, 2/7 nodes, 89-year-old."


@pytest.mark.parametrize(
    ("text", "blanked"),
    [
        ("CT on 3/4, segment 4/8, image 3/45.", "CT on ___, segment 4/8, image 3/45."),
        ("Compared with a study from 10-12 mm slices.", None),
        ("CT of 2-3 mm cuts; T1-12; 5/10 mm; scan of 3/4 views.", None),
        ("Grade 2 Mayo score. SUV 4.5. 18 lesions. Fat sat 3/4.", None),
        ("Seen last Tuesday 3/4.", "Seen last Tuesday ___."),
        ("Vom 12. M\u00e4rz 2021.", "Vom [date_______]."),
        ("On March\n3, 2021, normal.", "On _____\n[date_], normal."),
    ],
)
def test_nothing_but_the_date_is_blanked(text, blanked):
    assert redact_dates_and_ages(text) == (text if blanked is None else blanked)


STUDY = date(2021, 4, 30)


@pytest.mark.parametrize(
    ("written", "order", "redacted"),
    [
        ("CT of 2021-03-04.", None, "CT of [day -57_]."),
        ("CT of 2021-05-01.", None, "CT of [day 1___]."),
        ("CT of 03/04/2021.", None, "CT of [date____]."),  # March or April?
        ("CT of 03/04/2021.", DateOrder.MONTH_FIRST, "CT of [day -57_]."),
        ("CT of 03/04/2021.", DateOrder.DAY_FIRST, "CT of [day -27_]."),
        ("CT of 4/27/2021.", None, "CT of [day -3_]."),  # there is no month 27
        ("CT of 4/27/21.", None, "CT of [-3___]."),
        ("CT of 4/7/20.", DateOrder.MONTH_FIRST, "CT of [-388]."),
        ("CT of 30/04/2021.", DateOrder.MONTH_FIRST, "CT of [date____]."),  # not as this hospital writes
        ("CT of 20210423.", None, "CT of [day -7]."),
        ("CT of April 23, 2021.", None, "CT of [day -7______]."),
        ("CT of 23rd Apr 2021.", None, "CT of [day -7_____]."),
        ("CT of 2021-02-30.", None, "CT of [date____]."),
        ("CT of 2009-03-04.", None, "CT of [date____]."),  # so far away it may be a birth
        ("DOB: 2015-03-04", None, "[date_________]"),
        ("CT in March 2021.", None, "CT in [date____]."),
    ],
)
def test_dates_become_days_from_the_study(written, order, redacted):
    assert redact_dates_and_ages(written, STUDY, order) == redacted


@given(
    days=st.integers(-5000, 5000),
    study=st.dates(date(1990, 1, 1), date(2040, 1, 1)),
    form=st.sampled_from(
        ["%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y", "%d %B %Y", "%B %d, %Y", "%d-%b-%Y", "%m/%d/%y", "%Y%m%d"]
    ),
    order=st.sampled_from([None, *DateOrder]),
)
def test_days_are_right_or_not_there_and_nothing_moves(days, study, form, order):
    text = f"Compared with CT of {(study + timedelta(days=days)).strftime(form)}, the liver lesion is stable."
    redacted = redact_dates_and_ages(text, study, order)
    assert len(redacted) == len(text)
    assert scan_text(redacted) == []
    told = re.search(r"\[(?:day )?(-?\d+)_*\]", redacted)
    # A reading that contradicts the order may give another valid date: that is what the order is for.
    fits = {"%m/%d/%Y": DateOrder.MONTH_FIRST, "%m/%d/%y": DateOrder.MONTH_FIRST, "%d.%m.%Y": DateOrder.DAY_FIRST}
    if told and fits.get(form, order) in (order, None):
        assert int(told[1]) == days
    if form == "%Y-%m-%d":
        assert bool(told) == (abs(days) <= 3653)


@pytest.mark.real_data
@pytest.mark.skipif("RSUPER_BENCH_DATA" not in os.environ, reason="needs RSUPER_BENCH_DATA")
def test_real_reports_are_stopped_for_their_dates_only():
    """Forty reports and excerpts, whose dates were left in (or changed) by who published them."""
    with (Path(os.environ["RSUPER_BENCH_DATA"]) / "reports" / "reports.csv").open(encoding="utf-8") as file:
        texts = [row["report"] for row in csv.DictReader(file)]
    hits = [hit for text in texts for hit in scan_text(text)]
    assert {hit.kind for hit in hits} == {"date"}
    assert 5 < len(hits) < 15


@given(st.sampled_from(IN_TEXT), st.sampled_from(["\u00a0", "\u2011", "\u200b"]))
def test_unusual_characters_hide_nothing(item, character):
    text = item[1]
    hidden = text.replace(" ", character) if character == "\u00a0" else text.replace("-", character)
    if character == "\u200b":  # between all characters, seen by nobody
        hidden = character.join(text)
    assert bool(scan_text(f"Liver is normal. {hidden} Spleen is normal."))


@given(st.text(max_size=200))
def test_any_text_can_be_scanned(text):
    for hit in scan_text(text):
        assert 0 <= hit.start < hit.end <= len(text)
    scan_identifier(text)
    scan_path(text)


# --- headers


def image(**fields):
    made = nib.Nifti1Image(np.zeros((2, 3, 4), np.int16), np.eye(4))
    for name, value in fields.items():
        made.header[name] = value
    return made


def codes(data):
    return {code for code, _ in scan_nifti(data)}


@pytest.mark.parametrize("field", TEXT_FIELDS)
@pytest.mark.parametrize("text", PLANTED["in_headers"])
def test_any_text_in_a_header_is_found(field, text):
    size = nib.Nifti1Header.template_dtype[field].itemsize
    data = image(**{field: text.encode()[:size]}).to_bytes()
    for stored in (data, gzip.compress(data)):
        found = list(scan_nifti(stored))
        assert [code for code, _ in found] == ["header_text"]
        assert text not in found[0][1] or text == "x"


def test_what_hides_elsewhere_in_a_nifti_file_is_found():
    plain = image().to_bytes()
    assert codes(plain) == codes(gzip.compress(plain)) == set()
    extended = image()
    extended.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"SMITH^JOHN"))
    assert codes(extended.to_bytes()) == {"header_extension"}
    moved = bytearray(plain[:352] + b"SMITH^JOHN".ljust(16, b"\0") + plain[352:])
    moved[108:112] = struct.pack("<f", 368.0)
    assert codes(bytes(moved)) == {"header_extension"}
    assert codes(plain + b"SMITH^JOHN") == codes(gzip.compress(plain + b"SMITH^JOHN")) == {"hidden_bytes"}
    buffer = io.BytesIO()
    with gzip.GzipFile("smith_john.nii", "wb", fileobj=buffer) as file:
        file.write(plain)
    assert codes(buffer.getvalue()) == {"gzip_text"}
    assert codes(gzip.compress(plain) + gzip.compress(b"SMITH^JOHN")) == {"hidden_bytes"}
    for broken in (b"", b"\x1f\x8b", plain[:200], gzip.compress(plain)[:-12]):
        assert codes(broken) & {"unreadable", "hidden_bytes"}


def test_what_hides_in_a_picture_is_found():
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    def png(**more):
        buffer = io.BytesIO()
        Image.new("L", (4, 4)).save(buffer, "PNG", **more)
        return buffer.getvalue()

    info = PngInfo()
    info.add_text("Comment", "SMITH^JOHN")
    assert list(scan_png(png())) == []
    assert {code for code, _ in scan_png(png(pnginfo=info))} == {"image_text"}
    assert {code for code, _ in scan_png(png() + b"SMITH")} == {"hidden_bytes"}
    assert {code for code, _ in scan_png(b"JFIF")} == {"unreadable"}


# --- DICOM

DICOM = {
    "PatientName": "SMITH^JOHN", "PatientID": "PAT1", "PatientBirthDate": "19500102", "PatientAge": "093Y",
    "PatientAddress": "somewhere", "PatientTelephoneNumbers": "1", "OtherPatientIDs": "2", "AccessionNumber": "A1",
    "StudyID": "7", "StudyDate": "20190314", "SeriesDate": "20190314", "AcquisitionDateTime": "20190314101010",
    "StudyTime": "101010", "InstitutionName": "Gotham", "InstitutionAddress": "1 Road", "StationName": "CT1",
    "ReferringPhysicianName": "DOE^JANE", "PerformingPhysicianName": "ROE^R", "OperatorsName": "POE^P",
    "NameOfPhysiciansReadingStudy": "LEE^L", "PhysiciansOfRecord": "FOX^F", "RequestingPhysician": "COX^C",
    "DeviceSerialNumber": "99", "StudyInstanceUID": "1.2.840.1.2.3", "SeriesInstanceUID": "1.2.840.1.2.4",
    "FrameOfReferenceUID": "1.2.840.1.2.5", "PatientComments": "likes tea", "AdditionalPatientHistory": "pain",
    "StudyDescription": "CT for Dr. Smith", "SeriesDescription": "SMITH JOHN ABD", "ProtocolName": "call 617-555-0123",
    "ImageComments": "?", "Occupation": "smith", "EthnicGroup": "x", "MilitaryRank": "x",
    "PatientMotherBirthName": "X^Y",
    "RequestedProcedureDescription": "MRN 1234567", "BurnedInAnnotation": "YES", "ResponsiblePerson": "X^Z",
    "CurrentPatientLocation": "ward", "AdmissionID": "5", "InstitutionalDepartmentName": "x",
    "AdmittingDate": "20190314",
}  # fmt: skip


@pytest.mark.parametrize("keyword", DICOM)
def test_no_identifying_attribute_is_missed(keyword):
    pydicom = pytest.importorskip("pydicom")
    from rsuper_bench.dataset_builder.phi.dicom import scan_dicom

    dataset = pydicom.Dataset()
    setattr(dataset, keyword, DICOM[keyword])
    found = list(scan_dicom(dataset))
    assert [where for _, where in found][:1] == [keyword]
    assert DICOM[keyword] not in found[0][0]
    outer = pydicom.Dataset()
    outer.RequestAttributesSequence = [dataset]
    assert next(scan_dicom(outer))[1].endswith(f"> {keyword}")


def test_private_attributes_and_overlays_are_found_and_geometry_is_not():
    pydicom = pytest.importorskip("pydicom")
    from rsuper_bench.dataset_builder.phi.dicom import scan_dicom

    clean = pydicom.Dataset()
    clean.Modality, clean.PatientAge, clean.PatientSex, clean.KVP = "CT", "061Y", "F", 120
    clean.SeriesDescription, clean.Manufacturer = "portal venous 1.25 mm", "SIEMENS"
    clean.StudyInstanceUID, clean.PixelSpacing = "2.25.1234", [0.7, 0.7]
    assert list(scan_dicom(clean)) == []
    clean.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(1, "LO", "SMITH")
    clean.add_new(0x60003000, "OW", b"\1\0")
    assert {kind for kind, _ in scan_dicom(clean)} == {"private_tag", "overlay"}


# --- a whole release


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    out = tmp_path_factory.mktemp("phi") / "release"
    build(BuildPlan(TinySource(), "tiny", {}, WordExtractor(), out))
    return out


@pytest.fixture
def folder(good, tmp_path):
    return shutil.copytree(good, tmp_path / "release")


def rewrite(folder, config, change):
    for path in (folder / config).glob("*.parquet"):
        table = pq.read_table(path)
        rows = table.to_pylist()
        for row in rows:
            change(row)
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def found(folder):
    findings = list(scan_release(folder))
    shown = "\n".join(map(str, findings))
    for secret in ("Quillfeather", "quillfeather", "2019", "SMITH", "smith", "1234567"):
        assert secret not in shown
    return findings


def test_a_clean_release_passes(good):
    assert found(good) == []


TEXT_COLUMNS = ("report", "pathology_report", "source", "licence", "ct_scanner")


@pytest.mark.parametrize("column", TEXT_COLUMNS)
def test_every_text_column_is_read(folder, column):
    planted = "signed by Dr. Quillfeather"
    rewrite(folder, "cases", lambda row: row.update({column: planted}) if row["case_id"] == "case-003" else None)
    (finding,) = found(folder)
    assert (finding.case_id, finding.gate) == ("case-003", "phi_physician")
    assert (
        finding.detail == f"cases/train-00000-of-00001.parquet: {column}, characters 0-26" or "test" in finding.detail
    )


def test_nested_texts_are_read(folder):
    rewrite(folder, "attributes", lambda row: row["extractor"].update(model="MRN 1234567"))
    assert {finding.gate for finding in found(folder)} == {"phi_medical_record_number"}


def test_a_model_may_be_named_by_a_day(folder):
    rewrite(folder, "attributes", lambda row: row["extractor"].update(model="some-model-2019-08-06"))
    assert found(folder) == []


def test_what_the_readers_of_public_sets_write_passes():
    from rsuper_bench.dataset_builder.public import abdomenatlas, ct_rate, merlin, pants

    licences = [module.LICENCE.text for module in (abdomenatlas, ct_rate, merlin, pants)]
    assert {text: scan_text(text) for text in licences if scan_text(text)} == {}


@pytest.mark.parametrize("column", ["case_id", "patient_id", "derived_from", "ct_file"])
def test_ids_and_paths_are_read_and_never_shown(folder, column):
    rewrite(folder, "attributes", lambda row: row.update({column: "smith_john_2019-03-14"}))
    findings = found(folder)
    assert {finding.gate for finding in findings} >= {"phi_name", "phi_date"}


@pytest.mark.parametrize("column", ["ct", "organs", "lesions"])
def test_embedded_headers_are_read(folder, column):
    def plant(row):
        if row["case_id"] == "case-003":
            loaded = nib.Nifti1Image.from_bytes(gzip.decompress(row[column]["bytes"]))
            loaded.header["descrip"] = b"SMITH^JOHN"
            row[column]["bytes"] = gzip.compress(loaded.to_bytes(), mtime=0)

    rewrite(folder, "cases", plant)
    (finding,) = found(folder)
    assert (finding.case_id, finding.gate) == ("case-003", "phi_header_text")
    assert finding.detail.endswith(f"{column}.bytes: descrip holds 10 characters")


def test_other_files_are_refused_and_dicom_is_read(folder):
    pydicom = pytest.importorskip("pydicom")
    dataset = pydicom.Dataset()
    dataset.PatientName, dataset.SOPClassUID, dataset.SOPInstanceUID = (
        "SMITH^JOHN",
        "1.2.840.10008.5.1.4.1.1.2",
        "2.25.1",
    )
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.save_as(folder / "cases" / "smith_john.dcm", enforce_file_format=True)
    gates = {finding.gate for finding in found(folder)}
    assert gates == {"phi_unexpected_file", "phi_name"}


def test_lists_of_the_release_are_read(folder):
    with (folder / "rejected.csv").open("a") as file:
        file.write("smith_john,unusable,/home/x/MRN 1234567/ct.nii.gz\n")
    assert {finding.gate for finding in found(folder)} == {"phi_name", "phi_path", "phi_medical_record_number"}


def test_metadata_of_parquet_is_read(folder):
    path = next((folder / "tumors").glob("*.parquet"))
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"note": b"SMITH^JOHN"}), path)
    assert "phi_header_text" in {finding.gate for finding in found(folder)}


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"\0" * 1000])
def test_what_cannot_be_read_does_not_pass(folder, damage):
    next((folder / "cases").glob("*.parquet")).write_bytes(damage)
    assert "phi_unreadable" in {finding.gate for finding in found(folder)}


def test_known_words_are_no_names(folder):
    text = "no liver. Xanthic Quillfeather pattern."
    rewrite(folder, "cases", lambda row: row.update(report=text))
    assert {finding.gate for finding in scan_release(folder)} == {"phi_name"}
    assert list(scan_release(folder, {"quillfeather", "xanthic"})) == []


def test_a_name_that_one_report_writes_in_lower_case_hides_nobody():
    texts = ["patient john quillfeather, smith john.", "Ms smith. the liver.", "the spleen. SMITH, JOHN."]
    assert lower_words(texts) == {"the"}
    known = lower_words(texts * 2)
    assert "liver" in known
    assert not known & {"john", "smith"}
    assert [hit.kind for hit in scan_text("Seen: john smith.", known)] == ["name"]


def test_zlib_streams_without_end_are_refused():
    packer = zlib.compressobj(wbits=31)
    assert codes(packer.compress(image().to_bytes())) == {"unreadable"}
