"""Which series are taken, and the reason code of every other one."""

import warnings

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    EnhancedCTImageStorage,
    JPEGLosslessSV1,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)
from synthetic_dicom import MIN_SLICES, SLICES, ct_slice, hounsfield, save, structured_report, write_series

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.records import Phase
from rsuper_bench.dataset_builder.dicom import DicomSource, load_dicom_config
from rsuper_bench.dataset_builder.dicom.export import read_export
from rsuper_bench.dataset_builder.dicom.phase import contrast_phase
from rsuper_bench.dataset_builder.rejection import Reason

N = SLICES


def opened(root, **options):
    """The export with a structured report for study-1, so that images alone decide."""
    save(structured_report("No liver lesion."), root / "study-1" / "report")
    config = load_dicom_config(None, export=root).model_copy(update={"min_slices": MIN_SLICES} | options)
    return DicomSource.open(root, config)


def keys_of(source):
    return source.keys()


def reasons(source):
    """Reason codes by series, without the row of a study that has none left."""
    return sorted(str(item.reason) for item in source.rejections() if "." in item.input_id)


def good(root, **tags):
    """A series that is always usable, so that keys() does not fail."""
    return write_series(root, hounsfield(seed=9), series="good", **tags)


def positions(z_mm, y_mm=None):
    y_mm = np.full(len(z_mm), -90.0) if y_mm is None else y_mm
    return [(-100.0, float(y), float(z)) for y, z in zip(y_mm, z_mm, strict=True)]


EVEN = -300 + 5.0 * np.arange(N)
GAP = np.concatenate([EVEN[:4], EVEN[4:] + 5])
UNEVEN = np.concatenate([EVEN[:5], EVEN[5:] + 1.5 * np.arange(1, 4)])
TWICE = np.concatenate([EVEN[:4], EVEN[:4]])
SHIFTED = np.where(np.arange(N) == 3, -85.0, -90.0)
TILT = np.radians(12)
TILTED = [1, 0, 0, 0, float(np.cos(TILT)), float(-np.sin(TILT))]


@pytest.mark.parametrize(
    ("reason", "data", "tags"),
    [
        (Reason.LOCALIZER, hounsfield(2), {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}),
        (Reason.LOCALIZER, hounsfield(), {"SeriesDescription": "Scout 0.6"}),
        (Reason.LOCALIZER, hounsfield(), {"SeriesDescription": "TOPOGRAM_LAT"}),
        (Reason.DERIVED_IMAGE, hounsfield(), {"ImageType": ["DERIVED", "SECONDARY", "MPR"]}),
        (Reason.DERIVED_IMAGE, hounsfield(), {"SeriesDescription": "Cor MPR 3.0"}),
        (Reason.DERIVED_IMAGE, hounsfield(), {"SeriesDescription": "Dose Report"}),
        (Reason.NOT_CT, hounsfield(), {"SOPClassUID": MRImageStorage, "Modality": "MR"}),
        (Reason.NOT_CT, hounsfield(1), {"SOPClassUID": SecondaryCaptureImageStorage}),
        (Reason.MULTIFRAME, hounsfield(1), {"SOPClassUID": EnhancedCTImageStorage}),
        (Reason.MULTIFRAME, hounsfield(), {"NumberOfFrames": "4"}),
        (Reason.BURNED_IN_TEXT, hounsfield(), {"BurnedInAnnotation": "YES"}),
        (Reason.LOSSY, hounsfield(), {"LossyImageCompression": "01"}),
        (Reason.NOT_HOUNSFIELD, hounsfield(), {"RescaleSlope": None}),
        (Reason.NOT_HOUNSFIELD, hounsfield(), {"RescaleType": "Z_EFF"}),
        (Reason.NOT_HOUNSFIELD, hounsfield(), {"PhotometricInterpretation": "MONOCHROME1"}),
        (Reason.OTHER_BODY_PART, hounsfield(), {"BodyPartExamined": "HEAD", "SeriesDescription": "Axial 5.0"}),
        (Reason.TOO_FEW_SLICES, hounsfield(5), {}),
        (Reason.MISSING_GEOMETRY, hounsfield(), {"ImageOrientationPatient": None}),
        (Reason.MISSING_GEOMETRY, hounsfield(), {"PixelSpacing": [0, 0.7]}),
        (Reason.MISSING_GEOMETRY, hounsfield(), {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}),
        (Reason.NOT_AXIAL, hounsfield(), {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}),
        (Reason.GANTRY_TILT, hounsfield(), {"ImageOrientationPatient": TILTED}),
        (Reason.GANTRY_TILT, hounsfield(), {"GantryDetectorTilt": 12.0}),
        (Reason.MISSING_SLICES, hounsfield(), {"positions": positions(GAP)}),
        (Reason.VARIABLE_SPACING, hounsfield(), {"positions": positions(UNEVEN)}),
        (Reason.DUPLICATE_SLICES, hounsfield(), {"positions": positions(TWICE)}),
        (Reason.MIXED_GEOMETRY, hounsfield(), {"positions": positions(EVEN, SHIFTED)}),
        (Reason.UNREADABLE_IMAGE, hounsfield(), {"Rows": 60_000}),
    ],
)
def test_the_reason_code_of_a_series(tmp_path, reason, data, tags):
    good(tmp_path / "export")
    write_series(tmp_path / "export", data, series="bad", **tags)
    source = opened(tmp_path / "export")
    assert len(source.keys()) == 1
    assert reasons(source) == [reason]


def test_a_series_with_slices_of_two_sizes_is_refused(tmp_path):
    root = tmp_path / "export"
    good(root)
    paths = write_series(root, hounsfield(), series="bad")
    odd = ct_slice(hounsfield(1, rows=20)[0], position=(-100, -90, -300), series="bad", instance=1)
    save(odd, paths[0])
    assert reasons(opened(root)) == [Reason.MIXED_GEOMETRY]


def test_a_transfer_syntax_without_a_decoder_is_refused(tmp_path, monkeypatch):
    from rsuper_bench.dataset_builder.dicom import series

    root = tmp_path / "export"
    good(root)
    for path in write_series(root, hounsfield(), series="bad"):
        dataset = pydicom.dcmread(path)
        dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        dataset.save_as(path)
    monkeypatch.setattr(series, "has_decoder", lambda syntax: syntax != JPEGLosslessSV1)
    source = opened(root)
    assert reasons(source) == [Reason.NO_DECODER]
    assert "JPEG Lossless" in repr(source.rejections())


def test_a_study_without_a_usable_series_has_its_own_row(tmp_path):
    root = tmp_path / "export"
    good(root)
    write_series(root, hounsfield(5), study="study-2")
    source = opened(root)
    found = {item.reason for item in source.rejections()}
    assert found == {Reason.TOO_FEW_SLICES, Reason.NO_USABLE_SERIES}


def test_the_same_file_twice_counts_once(tmp_path):
    root = tmp_path / "export"
    paths = good(root)
    (root / "copy").mkdir()
    for path in paths[:4]:
        (root / "copy" / path.name).write_bytes(path.read_bytes())
    source = opened(root)
    case = source.make(source.keys()[0])
    np.testing.assert_array_equal(case.ct.data, hounsfield(seed=9).transpose(2, 1, 0))
    assert "4 files repeat another one and were left out" in source.notes()


def test_two_different_files_of_one_instance_are_refused(tmp_path):
    root = tmp_path / "export"
    good(root)
    paths = write_series(root, hounsfield(), series="bad")
    dataset = pydicom.dcmread(paths[0])
    dataset.PixelData = bytes(len(dataset.PixelData))
    save(pydicom.Dataset(dataset), root / "copy")
    assert reasons(opened(root)) == [Reason.DUPLICATE_SLICES]


def test_a_localizer_inside_a_series_is_left_out(tmp_path):
    root = tmp_path / "export"
    good(root)
    scout = ct_slice(
        hounsfield(1, rows=40)[0], position=(0, 0, 0), series="good", instance=99,
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
    )  # fmt: skip
    save(scout, root / "scout")
    source = opened(root)
    assert source.make(source.keys()[0]).ct.data.shape == (10, 12, 8)
    assert "1 localizer images inside of a series were left out" in source.notes()


def test_two_phases_under_one_series_uid_are_two_series(tmp_path):
    root = tmp_path / "export"
    write_series(root, hounsfield(seed=1), series="both", AcquisitionNumber=1)
    for index, slice_hu in enumerate(hounsfield(seed=2)):
        item = ct_slice(
            slice_hu, position=(-100, -90, EVEN[index]), series="both", instance=100 + index, AcquisitionNumber=2
        )
        save(item, root / "second" / str(index))
    source = opened(root)
    assert len(source.keys()) == 1
    assert reasons(source) == [Reason.NOT_SELECTED]


def test_an_acquisition_number_that_counts_slices_divides_nothing(tmp_path):
    root = tmp_path / "export"
    for index, slice_hu in enumerate(hounsfield()):
        item = ct_slice(
            slice_hu, position=(-100, -90, EVEN[index]), series="a", instance=index, AcquisitionNumber=index
        )
        save(item, root / str(index))
    assert len(opened(root).keys()) == 1


def test_a_study_of_two_patients_is_refused(tmp_path):
    root = tmp_path / "export"
    good(root)
    write_series(root, hounsfield(), study="study-2", series="a")
    write_series(root, hounsfield(), study="study-2", series="b", PatientID="another")
    write_series(root, hounsfield(), study="study-3", PatientID=None)
    found = [item.reason for item in opened(root).rejections()]
    assert sorted(found) == [Reason.MIXED_PATIENTS, Reason.NO_PATIENT_ID]


def description(root, source):
    """Description of the series that was taken."""
    (key,) = source.keys()
    return str(pydicom.dcmread(root / key.study.files[0][0]).SeriesDescription)


@pytest.mark.parametrize(
    ("wanted", "others"),
    [
        ({"SeriesDescription": "Venous 5.0"}, [{"SeriesDescription": "Native"}, {"SeriesDescription": "Arterial"}]),
        ({"SeriesDescription": "Portal B30"}, [{"SeriesDescription": "Portal lung", "ConvolutionKernel": "B70f"}]),
        ({"SeriesDescription": "Portal"}, [{"SeriesDescription": "Portal B", "ImageType": ["DERIVED", "PRIMARY"]}]),
        ({"SeriesDescription": "Portal thin", "SliceThickness": 1}, [{"SeriesDescription": "Portal thick"}]),
    ],
)  # fmt: skip
def test_which_of_several_usable_series_is_taken(tmp_path, wanted, others):
    root = tmp_path / "export"
    for index, tags in enumerate(others):
        write_series(root, hounsfield(seed=index), series=f"other-{index}", **tags)
    write_series(root, hounsfield(seed=7), series="wanted", **wanted)
    source = opened(root)
    assert description(root, source) == wanted["SeriesDescription"]
    assert reasons(source) == [Reason.NOT_SELECTED] * len(others)


def test_more_slices_win_and_a_short_series_of_a_better_phase_does_not(tmp_path):
    root = tmp_path / "export"
    write_series(root, hounsfield(20), series="long", SeriesDescription="Abdomen 5.0")
    write_series(root, hounsfield(7), series="short", SeriesDescription="Portal venous liver")
    write_series(root, hounsfield(10), series="thick", spacing_mm=10.0, SeriesDescription="Abdomen 10")
    assert description(root, opened(root)) == "Abdomen 5.0"


def test_a_phase_that_is_not_listed_is_not_taken(tmp_path):
    root = tmp_path / "export"
    good(root)
    write_series(root, hounsfield(), study="study-2", SeriesDescription="Native")
    source = opened(root, phases=(Phase.PORTAL_VENOUS,))
    assert reasons(source) == [Reason.UNWANTED_PHASE]


def test_the_choice_does_not_depend_on_file_names(tmp_path):
    chosen = set()
    for order in (("x", "y"), ("y", "x")):
        root = tmp_path / order[0]
        for name, series in zip(("1", "2"), order, strict=True):
            for path in write_series(root / "tmp", hounsfield(), series=series):
                (root / name).mkdir(exist_ok=True)
                path.rename(root / name / path.name)
        source = opened(root)
        chosen.add(str(pydicom.dcmread(root / source.keys()[0].study.files[0][0]).SeriesInstanceUID))
    assert len(chosen) == 1


@pytest.mark.parametrize(
    ("text", "agent", "phase"),
    [
        ("ABD/PEL  W CONTRAST PORTAL VENOUS", "OMNI 350", Phase.PORTAL_VENOUS),
        ("Abdomen_ven_1.5_B31f", "", Phase.PORTAL_VENOUS),
        ("late arterial 1.0", "", Phase.ARTERIAL),
        ("Delayed 5 min", "", Phase.DELAYED),
        ("nativ 5.0", "", Phase.NON_CONTRAST),
        ("W/O CONTRAST", "", Phase.NON_CONTRAST),
        ("W/O CONTRAST", "OMNI 350", Phase.UNKNOWN),  # the tag says otherwise
        ("arterial + venous", "", Phase.UNKNOWN),
        ("Abdomen 5.0", "OMNI 350", Phase.UNKNOWN),  # enhanced, but when?
        ("Abdomen advent party", "", Phase.UNKNOWN),
        ("", "", Phase.UNKNOWN),
    ],
)
def test_phase(tmp_path, text, agent, phase):
    save(
        ct_slice(hounsfield(1)[0], position=(0, 0, 0), series="a", SeriesDescription=text, ContrastBolusAgent=agent),
        tmp_path / "slice",
    )
    assert contrast_phase(read_export(tmp_path).instances[0].info) is phase


def test_hostile_tags_neither_fail_the_scan_nor_speak(tmp_path, capfd, caplog):
    root = tmp_path / "export"
    good(root)
    bad = ct_slice(hounsfield(1)[0], position=(0, 0, 0), series="bad", instance=1)
    with pytest.warns(UserWarning, match="Invalid"):
        bad.PatientAge = "Penelope was here"
    bad.add_new(0x00181151, "UT", "9" * 10_000_000)
    bad.add_new(0x00091002, "UN", b"Planted^Penelope" * 100_000)
    save(bad, root / "bad-1")
    long = ct_slice(hounsfield(1)[0], position=(0, 0, 0), series="long", SeriesDescription="x" * 5000)
    save(long, root / "bad-2")
    claims = (root / "bad-1").read_bytes()
    place = claims.index(b"\x28\x00\x10\x00US\x02\x00")  # Rows: now of 65 534 bytes
    (root / "bad-3").write_bytes(claims[: place + 6] + b"\xfe\xff" + claims[place + 8 : place + 40])
    capfd.readouterr()
    caplog.clear()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        source = opened(root)
        assert len(source.keys()) == 1
    said = [repr(source.rejections()), caplog.text, *capfd.readouterr(), *(str(item.message) for item in warned)]
    assert "Penelope" not in " ".join(said)


def test_damaged_bytes_give_reason_codes_and_never_an_exception(tmp_path):
    """Bytes of headers changed at random, and files cut off: what is made is made, the rest has a reason."""
    root = tmp_path / "export"
    paths = good(root)
    source = opened(root)  # writes the report too
    originals = {path: path.read_bytes() for path in [*paths, root / "study-1" / "report"]}
    made = refused = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        for path, content in originals.items():
            damaged = bytearray(content)
            if rng.random() < 0.15:
                for place in rng.integers(128, min(len(damaged), 900), rng.choice([1, 3, 30])):
                    damaged[place] = rng.integers(256)
            if rng.random() < 0.02:
                damaged = damaged[: rng.integers(len(damaged))]
            path.write_bytes(damaged)
        source = DicomSource.open(root, source.config)
        try:
            for key in keys_of(source):
                source.make(key)
                made += 1
        except DataError:
            refused += 1
        assert "Penelope" not in repr(source.rejections())
    assert made > 0
    assert refused > 0
    assert made + refused == 30


def test_every_study_ends_in_the_release_or_in_the_list(tmp_path):
    root = tmp_path / "export"
    for index in range(6):
        write_series(root, hounsfield(8 if index % 2 else 3), study=f"study-{index}")
    source = opened(root)
    taken = {key.case_id for key in keys_of(source)}
    refused = {item.input_id for item in source.rejections() if "." not in item.input_id}
    assert len(taken | refused) == 6
    assert not taken & refused
