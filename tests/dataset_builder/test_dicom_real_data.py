"""The dicom source on three real CT slices and the DICOM SEG drawn on them (QIICR/dcmqi, BSD-3-Clause)."""

import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK

from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.dicom import DicomSource, load_dicom_config
from rsuper_bench.dataset_builder.dicom.config import SegmentationConfig
from rsuper_bench.dataset_builder.label_map import LESION_NUMBER, ORGAN_NUMBER
from rsuper_bench.dataset_builder.prepared_case import prepare_case
from rsuper_bench.dataset_builder.rejection import Reason

DATA = Path(os.environ.get("RSUPER_BENCH_DATA", "")) / "ct" / "dcmqi_3slice"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not (DATA / "01.dcm").is_file(), reason="RSUPER_BENCH_DATA has no ct/dcmqi_3slice"),
]


def opened(tmp_path, **options):
    root = tmp_path / "export"
    root.mkdir()
    for path in DATA.iterdir():  # the NRRD beside them is junk to a DICOM reader
        (root / path.name).write_bytes(path.read_bytes())
    accession = str(pydicom.dcmread(DATA / "01.dcm", stop_before_pixels=True).AccessionNumber)
    (tmp_path / "reports.csv").write_text(f'Accession,Text\n{accession},"Liver: no focal lesion."\n')
    text = "min_slices: 3\nreports: {file: reports.csv, accession: Accession, report: Text}\n"
    (tmp_path / "config.yaml").write_text(text)
    config = load_dicom_config(tmp_path / "config.yaml", export=root).model_copy(update=options)
    return DicomSource.open(root, config)


def made(source):
    (key,) = source.keys()
    return source.make(key)


def test_hu_are_those_of_pydicom_and_geometry_that_of_simpleitk(tmp_path):
    case = made(opened(tmp_path))
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames([str(DATA / name) for name in ("03.dcm", "02.dcm", "01.dcm")])  # from the feet to the head
    image = reader.Execute()
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), case.ct.data)
    for index, name in enumerate(("03.dcm", "02.dcm", "01.dcm")):
        dataset = pydicom.dcmread(DATA / name)
        np.testing.assert_array_equal(
            pydicom.pixels.apply_rescale(dataset.pixel_array, dataset).T, case.ct.data[..., index]
        )
        lps = np.array(dataset.ImagePositionPatient, float)
        np.testing.assert_allclose((case.ct.affine @ [0, 0, index, 1])[:3], lps * [-1, -1, 1], atol=1e-4)


def test_the_seg_gives_the_liver_that_its_authors_published_as_nrrd(tmp_path):
    case = made(opened(tmp_path))
    image = SimpleITK.ReadImage(str(DATA / "liver_spine_seg.nrrd"))
    theirs = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0) == 1
    ours = case.organs.data == ORGAN_NUMBER["liver"]
    assert ours.sum() == theirs.sum() > 1000
    for index in np.argwhere(theirs)[:: theirs.sum() // 50]:
        lps = np.array(image.TransformIndexToPhysicalPoint([int(i) for i in index]))
        ijk = np.rint(np.linalg.inv(case.ct.affine) @ [*(lps * [-1, -1, 1]), 1])[:3].astype(int)
        assert ours[tuple(ijk)]


def test_a_segment_named_in_the_config_is_a_lesion(tmp_path):
    case = made(opened(tmp_path, segmentations=SegmentationConfig(lesions={"Liver": TumorType.LIVER})))
    assert case.lesion_types == (TumorType.LIVER,)
    assert (case.lesions.data == LESION_NUMBER[TumorType.LIVER]).sum() > 1000
    assert case.organs is None


def test_a_segmentation_of_another_series_is_listed(tmp_path):
    source = opened(tmp_path)
    seg = pydicom.dcmread(source.root / "liver.dcm")
    seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID = "1.2.3"
    seg.save_as(source.root / "liver.dcm")
    assert made(source).organs is None
    assert [item.reason for item in source.rejections()] == [Reason.MASK_NOT_USED]


def test_the_case_can_be_prepared(tmp_path):
    from tiny_sources import WordExtractor

    from rsuper_bench.benchmark.records import Split

    prepared = prepare_case(made(opened(tmp_path)), Split.TRAIN, WordExtractor())
    assert prepared.record.ct.orientation == "RAS"
    assert prepared.record.organ_labels == ("liver",)
    assert prepared.record.age == 60
