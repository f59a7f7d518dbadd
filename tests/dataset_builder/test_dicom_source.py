"""The dicom source: what an export becomes, and that nothing which names a patient comes with it."""

import csv
import os
import pickle
import re

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.fileset import FileSet
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from synthetic_dicom import MIN_SLICES, MRN, NAME, ct_slice, hounsfield, save, structured_report, uid, write_series

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.records import Phase
from rsuper_bench.benchmark.tumor_types import Sex
from rsuper_bench.dataset_builder.dicom import DicomSource, load_dicom_config
from rsuper_bench.dataset_builder.rejection import CaseError, Reason

REPORT = "Liver: hypodense mass, 2.1 cm. Spleen is normal."


def opened(root, config=None):
    path = None
    if config is not None:
        path = root.parent / "config.yaml"
        path.write_text(config)
    config = load_dicom_config(path, export=root)
    return DicomSource.open(root, config.model_copy(update={"min_slices": MIN_SLICES}))


def reports(root, rows, name="reports.csv"):
    path = root.parent / name
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return f"reports: {{file: {name}, accession: accession}}\n"


@pytest.fixture
def export(tmp_path):
    """One study of 8 slices with its report in a table; tests add to it."""
    root = tmp_path / "export"
    write_series(root, hounsfield())
    return root


@pytest.fixture
def config(export):
    return reports(export, [{"accession": "ACC-study-1", "report": REPORT}])


def only(source):
    (key,) = source.keys()
    return source.make(key)


def ids(source):
    keys = source.keys()
    return [key.case_id for key in keys]


def codes(source):
    return sorted(item.reason for item in source.rejections())


def test_a_study_becomes_a_case(export, config):
    case = only(opened(export, config))
    assert case.report == REPORT
    assert (case.sex, case.age, case.phase, case.kvp) == (Sex.FEMALE, 61.0, Phase.PORTAL_VENOUS, 120.0)
    assert case.scanner == "SYNTHETIC Phantom 3000"
    np.testing.assert_array_equal(case.ct.data, hounsfield().transpose(2, 1, 0))


def test_hu_and_geometry_are_those_that_simpleitk_reads(export, config):
    """Voxel for voxel and millimetre for millimetre, through its own sorting of the files."""
    case = only(opened(export, config))
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(export / "study-1" / "a")))
    image = reader.Execute()
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), case.ct.data)
    for index in ((0, 0, 0), (9, 0, 0), (0, 11, 0), (3, 4, 7)):
        lps = np.array(image.TransformIndexToPhysicalPoint(index))
        np.testing.assert_allclose((case.ct.affine @ [*index, 1])[:3], lps * [-1, -1, 1], atol=1e-4)


def test_geometry_is_that_of_dcm2niix(export, config, tmp_path):
    """A second reader, which was written for scanners' quirks."""
    dcm2niix = pytest.importorskip("dcm2niix")
    out = tmp_path / "nifti"
    out.mkdir()
    dcm2niix.main(["-z", "n", "-f", "ct", "-o", str(out), str(export / "study-1" / "a")])
    theirs = nib.as_closest_canonical(nib.load(next(out.glob("*.nii"))))
    ours = only(opened(export, config)).ct.canonical()
    np.testing.assert_allclose(theirs.affine, ours.affine, atol=1e-3)
    np.testing.assert_array_equal(np.asarray(theirs.dataobj), ours.data)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_other_encodings_give_the_same_voxels(tmp_path, syntax):
    root = tmp_path / "export"
    write_series(root, hounsfield(), syntax=syntax)
    case = only(opened(root, reports(root, [{"accession": "ACC-study-1", "report": REPORT}])))
    np.testing.assert_array_equal(case.ct.data, hounsfield().transpose(2, 1, 0))


def test_a_file_without_a_preamble_is_read(export, config):
    for path in (export / "study-1" / "a").iterdir():
        dataset = pydicom.dcmread(path)
        pydicom.dcmwrite(path, pydicom.Dataset(dataset), implicit_vr=True, little_endian=True)
        assert path.read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(only(opened(export, config)).ct.data, hounsfield().transpose(2, 1, 0))


def test_jpeg_ls_gives_the_same_voxels(export, config):
    pytest.importorskip("jpeg_ls")
    for path in (export / "study-1" / "a").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.compress(pydicom.uid.JPEGLSLossless, generate_instance_uid=False)
        dataset.save_as(path)
    np.testing.assert_array_equal(only(opened(export, config)).ct.data, hounsfield().transpose(2, 1, 0))


def test_jpeg_lossless_gives_the_same_voxels(export, config):
    """The compression that PACS archives use most."""
    gdcm = pytest.importorskip("gdcm")
    for path in (export / "study-1" / "a").iterdir():
        reader, writer, change = gdcm.ImageReader(), gdcm.ImageWriter(), gdcm.ImageChangeTransferSyntax()
        reader.SetFileName(str(path))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == pydicom.uid.JPEGLosslessSV1
    np.testing.assert_array_equal(only(opened(export, config)).ct.data, hounsfield().transpose(2, 1, 0))


def test_slope_and_intercept_of_each_slice_count(tmp_path):
    root = tmp_path / "export"
    data = hounsfield() // 2 * 2
    paths = write_series(root, data, slope=2.0, intercept=-2000.0)
    dataset = pydicom.dcmread(paths[3])
    dataset.RescaleIntercept = -1990.0
    dataset.save_as(paths[3])
    case = only(opened(root, reports(root, [{"accession": "ACC-study-1", "report": REPORT}])))
    expected = data.copy()
    expected[3] += 10
    np.testing.assert_array_equal(case.ct.data, expected.transpose(2, 1, 0))


@pytest.mark.parametrize("slope", [1.0, 2.0])
def test_values_beyond_int16_are_cut_and_do_not_wrap(tmp_path, slope):
    root = tmp_path / "export"
    paths = write_series(root, np.zeros((8, 12, 10), np.int16), slope=slope)
    dataset = pydicom.dcmread(paths[0])
    dataset.PixelData = np.full((12, 10), 65_535, np.uint16).tobytes()
    dataset.save_as(paths[0])
    case = only(opened(root, reports(root, [{"accession": "ACC-study-1", "report": REPORT}])))
    assert (case.ct.data[..., 0] == 32_767).all()


def test_nothing_that_names_the_patient_or_the_day_is_carried(export, config):
    source = opened(export, config)
    key = source.keys()[0]
    carried = repr(source.make(key)) + repr(source.rejections()) + repr(source.notes())
    for secret in (NAME, "Penelope", MRN, "ACC-", uid("study-1"), "2021", "19600102", "General Hospital"):
        assert secret not in carried
    assert re.fullmatch(r"case-[b-t]{16}", key.case_id)
    assert re.fullmatch(r"patient-[b-t]{16}", key.patient_id)


def test_a_worker_gets_no_identifier_of_the_header(export, config):
    source = opened(export, config)
    sent = pickle.dumps((source, source.keys()[0]))
    for secret in (NAME, MRN, "ACC-study-1", "19600102", "20210304"):
        assert secret.encode() not in sent


def test_a_worker_makes_the_same_case_without_a_scan(export, config, monkeypatch):
    source = opened(export, config)
    key = source.keys()[0]
    copy, copied_key = pickle.loads(pickle.dumps((source, key)))  # noqa: S301 (our own bytes)
    monkeypatch.setattr("rsuper_bench.dataset_builder.dicom.source.read_export", None)
    np.testing.assert_array_equal(copy.make(copied_key).ct.data, source.make(key).ct.data)


def test_pseudonyms_follow_from_the_salt(export, config, tmp_path):
    first = ids(opened(export, config))
    salt = tmp_path / "export.salt"
    assert salt.stat().st_mode & 0o777 == 0o600
    assert ids(opened(export, config)) == first
    salt.unlink()
    assert ids(opened(export, config)) != first
    salt.write_text("short\n")
    with pytest.raises(DataError, match="no salt"):
        opened(export, config).keys()


def test_studies_of_one_patient_share_the_pseudonym(export):
    write_series(export, hounsfield(seed=1), study="study-2")
    write_series(export, hounsfield(seed=2), study="study-3", PatientID="someone-else")
    rows = [{"accession": f"ACC-study-{n}", "report": REPORT} for n in (1, 2, 3)]
    keys = opened(export, reports(export, rows)).keys()
    patients = [key.patient_id for key in keys]
    assert len(keys) == 3
    assert len(set(patients)) == 2


def test_the_linkage_file_is_written_when_asked_for(export, config, tmp_path):
    source = opened(export, config + "linkage_file: private/linkage.csv\n")
    key = source.keys()[0]
    path = tmp_path / "private" / "linkage.csv"
    rows = {row["pseudonym"]: row["original"] for row in csv.DictReader(path.open())}
    assert rows[key.case_id] == uid("study-1")
    assert rows[key.patient_id] == MRN
    assert path.stat().st_mode & 0o777 == 0o600


def test_secrets_inside_the_release_are_refused(export, config, tmp_path):
    (tmp_path / "config.yaml").write_text(config + "linkage_file: out/linkage.csv\n")
    with pytest.raises(ConfigError, match="linkage_file: inside the release"):
        load_dicom_config(tmp_path / "config.yaml", export=export, out=tmp_path / "out")


def test_a_salt_inside_the_export_is_refused(export, config):
    with pytest.raises(ConfigError, match="inside the export"):
        opened(export, config + "salt_file: export/salt\n")


@pytest.mark.parametrize(
    ("tags", "age"),
    [
        ({"PatientAge": "095Y"}, 90.0),
        ({"PatientAge": "018M"}, 1.0),
        ({"PatientAge": None}, 61.0),  # 2 January 1960 to 4 March 2021
        ({"PatientAge": "??"}, 61.0),
        ({"PatientAge": None, "PatientBirthDate": None}, None),
        ({"PatientAge": "999Y"}, None),
    ],
)
def test_ages(tmp_path, tags, age):
    root = tmp_path / "export"
    write_series(root, hounsfield(), **tags)
    assert only(opened(root, reports(root, [{"accession": "ACC-study-1", "report": REPORT}]))).age == age


def test_junk_is_passed_over_and_counted(export, config):
    (export / "README.TXT").write_text("exported by a PACS")
    (export / "study-1" / "AUTORUN.INF").write_bytes(b"\0" * 500)
    (export / "empty").write_bytes(b"")
    (export / "DICOMDIR").write_bytes((export / "README.TXT").read_bytes())
    source = opened(export, config)
    assert len(source.keys()) == 1
    assert "4 files that are not DICOM were passed over" in source.notes()
    assert codes(source) == []


def test_a_real_dicomdir_is_passed_over(export, config):
    files = FileSet()
    for path in sorted((export / "study-1" / "a").iterdir()):
        files.add(path)
    files.write(export.parent / "set")
    (export.parent / "set" / "DICOMDIR").rename(export / "DICOMDIR")
    source = opened(export, config)
    assert len(source.keys()) == 1
    assert "1 DICOMDIR files were passed over (every file is read instead)" in source.notes()


def test_archives_are_pointed_out(export, config):
    (export / "studies.zip").write_bytes(b"PK\x03\x04" + bytes(200))
    assert "1 of them are archives: unpack them if they hold DICOM files" in opened(export, config).notes()


def test_a_deflate_bomb_is_not_opened(export, config):
    """A deflated file may grow a thousandfold: one that is larger than any slice is not read."""
    big = ct_slice(np.random.default_rng(0).integers(0, 999, (1100, 1100)), position=(0, 0, 0), series="bomb")
    big.add_new(0x00091002, "OB", np.random.default_rng(0).bytes(3_000_000))
    save(big, export / "bomb", DeflatedExplicitVRLittleEndian)
    source = opened(export, config)
    assert len(source.keys()) == 1
    assert codes(source) == [Reason.UNREADABLE_FILE]


def test_a_folder_that_cannot_be_read_is_listed(export, config, monkeypatch):
    (export / "locked").mkdir()
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    source = opened(export, config)
    assert len(source.keys()) == 1
    assert codes(source) == [Reason.UNREADABLE_FILE]


def test_a_damaged_file_is_listed_without_its_name(export, config):
    path = export / "SMITH^JOHN" / "img"
    path.parent.mkdir()
    path.write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 300)
    source = opened(export, config)
    assert len(source.keys()) == 1
    assert codes(source) == [Reason.UNREADABLE_FILE]
    assert "SMITH" not in repr(source.rejections())


def test_a_link_out_of_the_export_is_not_followed(export, config, tmp_path):
    outside = write_series(tmp_path / "outside", hounsfield(seed=5), study="study-9")
    (export / "link").symlink_to(outside[0])
    (export / "folder").symlink_to(outside[0].parent)
    source = opened(export, config)
    assert len(source.keys()) == 1
    assert "2 links were not followed" in source.notes()


def test_a_file_that_changes_after_the_scan_is_refused(export, config):
    source = opened(export, config)
    key = source.keys()[0]
    path = next((export / "study-1" / "a").iterdir())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CaseError, match="pixels cannot be read") as caught:
        source.make(key)
    assert caught.value.reason is Reason.UNREADABLE_IMAGE
    assert str(path) not in str(caught.value)
    path.unlink()
    with pytest.raises(CaseError, match="gone"):
        source.make(key)


def test_a_changed_file_changes_the_key(export, config):
    before = opened(export, config).keys()[0].input_digest
    assert opened(export, config).keys()[0].input_digest == before
    path = next((export / "study-1" / "a").iterdir())
    dataset = pydicom.dcmread(path)
    dataset.RescaleIntercept = 0
    dataset.save_as(path)
    assert opened(export, config).keys()[0].input_digest != before


def test_an_export_without_a_usable_study_says_why(tmp_path):
    root = tmp_path / "export"
    write_series(root, hounsfield(5))
    with pytest.raises(DataError, match=r"no usable study of 1 \(1 no_usable_series, 1 too_few_slices\)"):
        opened(root).keys()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("report: x\n", "Did you mean 'reports'"),
        ("reports: {file: none.csv, accession: a}\n", "no such file"),
        ("reports: {file: reports.csv}\n", "names no column"),
        ("phases: [portal]\n", "phases"),
        ("organ_masks: {}\n", "folder and totalsegmentator"),
    ],
)
def test_a_bad_config_is_refused(export, config, text, message):
    with pytest.raises(ConfigError, match=message):
        opened(export, text)


def test_a_structured_report_is_read(export):
    save(structured_report(REPORT), export / "study-1" / "sr.dcm")
    case = only(opened(export))
    assert REPORT in case.report
    assert "Radiologist" not in case.report
