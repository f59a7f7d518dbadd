"""DICOM series written by the tests. All of it is synthetic; the identifiers are made up."""

from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    BasicTextSRStorage,
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    generate_uid,
)

NAME = "Planted^Penelope"
MRN = "MRN-4711-SECRET"
ROWS, COLUMNS, SLICES = 12, 10, 8
MIN_SLICES = 6  # instead of the default, so that the tests write few files


def uid(*parts):
    """A UID that depends on the parts only."""
    return generate_uid(entropy_srcs=[str(part) for part in parts])


def hounsfield(n=SLICES, seed=0, rows=ROWS, columns=COLUMNS):
    """Random HU ``(slices, rows, columns)``."""
    return np.random.default_rng(seed).integers(-1000, 1500, (n, rows, columns)).astype(np.int16)


def ct_slice(pixels_hu, *, position, series, study="study-1", instance=1, slope=1.0, intercept=-1024.0, **tags):
    """One CT image; ``tags`` override any attribute, None removes it."""
    stored = np.rint((pixels_hu.astype(np.float64) - intercept) / slope).astype(np.uint16)
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = uid(study, series, instance)
    dataset.Modality = "CT"
    dataset.StudyInstanceUID = uid(study)
    dataset.SeriesInstanceUID = uid(study, series)
    dataset.PatientName = NAME
    dataset.PatientID = MRN
    dataset.PatientSex = "F"
    dataset.PatientAge = "061Y"
    dataset.PatientBirthDate = "19600102"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20210304", "101112", "1"
    dataset.SeriesNumber = 1
    dataset.AccessionNumber = f"ACC-{study}"
    dataset.InstitutionName = "Planted General Hospital"
    dataset.Manufacturer = "SYNTHETIC"
    dataset.ManufacturerModelName = "Phantom 3000"
    dataset.KVP = "120"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesDescription = "Abdomen portal venous 5.0"
    dataset.BodyPartExamined = "ABDOMEN"
    dataset.ConvolutionKernel = "B30f"
    dataset.InstanceNumber = instance
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [round(float(value), 6) for value in position]
    dataset.PixelSpacing = [0.8, 0.7]
    dataset.SliceThickness = 5.0
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
    dataset.add_new(0x00091001, "LO", f"private note about {NAME}")
    dataset.PixelData = stored.tobytes()
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def save(dataset, path, syntax=ExplicitVRLittleEndian):
    """Write a dataset as a DICOM file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta, dataset.preamble = meta, b"\0" * 128
    dcmwrite(path, dataset, enforce_file_format=True)
    return path


def write_series(folder, data_hu, *, series="a", study="study-1", spacing_mm=5.0, positions=None, syntax=None, **tags):
    """A whole series, its files in an order that has nothing to do with the slices. Returns the paths by slice."""
    n = len(data_hu)
    positions = [(-100.0, -90.0, -300 + spacing_mm * i) for i in range(n)] if positions is None else positions
    names = np.random.default_rng(n).permutation(n)
    paths = []
    for index in range(n):
        dataset = ct_slice(
            data_hu[index], position=positions[index], series=series, study=study, instance=index + 1, **tags
        )
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        name = f"{series}/{names[index]:05d}"  # no extension, as many exports have it
        paths.append(save(dataset, Path(folder) / study / name, syntax or ExplicitVRLittleEndian))
    return paths


def structured_report(text, *, study="study-1", instance="sr", heading="Findings"):
    """A basic text SR with one section."""
    dataset = Dataset()
    dataset.SOPClassUID = BasicTextSRStorage
    dataset.SOPInstanceUID = uid(study, instance)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid(study), uid(study, "sr-series", instance)
    dataset.Modality, dataset.PatientID, dataset.PatientName = "SR", MRN, NAME
    dataset.ContentDate, dataset.ContentTime = "20210304", "101500"
    person = Dataset()
    person.ValueType, person.RelationshipType, person.PersonName = "PNAME", "HAS OBS CONTEXT", "Radiologist^Rita"
    item = Dataset()
    item.ValueType, item.RelationshipType, item.TextValue = "TEXT", "CONTAINS", text
    item.ConceptNameCodeSequence = Sequence([_code("121071", "Finding")])
    section = Dataset()
    section.ValueType, section.RelationshipType = "CONTAINER", "CONTAINS"
    section.ConceptNameCodeSequence = Sequence([_code("121070", heading)])
    section.ContentSequence = Sequence([item])
    dataset.ValueType = "CONTAINER"
    dataset.ContentSequence = Sequence([person, section])
    return dataset


def _code(value, meaning):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code
