"""The header of a DICOM file: the few tags that decide what becomes of it.

Only the listed tags are read, never a private one, so nothing else of a header can reach a release.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

Vector = tuple[float, float, float]
_KEYWORDS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
    "AccessionNumber",
    "PatientSex",
    "PatientAge",
    "PatientBirthDate",
    "StudyDate",
    "ContentDate",
    "ContentTime",
    "ImageType",
    "SeriesDescription",
    "ProtocolName",
    "StudyDescription",
    "BodyPartExamined",
    "ContrastBolusAgent",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "NumberOfFrames",
    "GantryDetectorTilt",
    "Manufacturer",
    "ManufacturerModelName",
    "KVP",
    "SliceThickness",
    "ConvolutionKernel",
    "AcquisitionNumber",
    "BurnedInAnnotation",
    "BitsAllocated",
    "PhotometricInterpretation",
    "SamplesPerPixel",
    "LossyImageCompression",
    "SpecificCharacterSet",
]
TAGS: list[BaseTag | int] = [Tag(keyword) for keyword in _KEYWORDS]
_MAX_DEFLATED_BYTES = 2 * 1024**2
_MAX_TEXT = 1024  # of one tag; a longer one is damage or an attack


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """What all files of a series should share; equal ones are one object in memory.

    Texts serve decisions only. ``description`` is of the series, ``context`` of protocol and study.
    """

    sop_class: str
    modality: str
    study_uid: str
    series_uid: str
    patient_id: str
    accession: str
    sex: str
    age: str
    birth_date: str
    study_date: str
    image_type: tuple[str, ...]
    description: str
    context: str
    body_part: str
    contrast_agent: str
    orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, ...]
    rows: int
    columns: int
    rescaled: bool
    rescale_type: str
    frames: int
    tilt_degrees: float
    manufacturer: str
    model: str
    kvp: float | None
    thickness_mm: float | None
    kernel: str
    burned_in: bool
    bits: int
    photometric: str
    samples: int
    lossy: bool
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM file. ``path`` is relative to the export."""

    path: str
    sop_uid: str
    info: SeriesInfo
    position: tuple[float, ...]
    acquisition: str
    time: str
    size: int
    modified_ns: int


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom silent: its warnings quote values of tags, which may be names."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def read_header(path: Path) -> Dataset | None:
    """The tags of a file that decide; None if it is not DICOM. Old files without a preamble are DICOM too.

    Raises:
        Exception: Whatever pydicom raises for a damaged file.
    """
    if not path.is_file():  # a pipe or a device
        return None
    with path.open("rb") as file:
        start = file.read(132)
    if start[128:132] == b"DICM":
        _refuse_bomb(path)
        header = dcmread(path, stop_before_pixels=True, specific_tags=TAGS)
    elif start[:2] in (b"\x08\x00", b"\x02\x00") and len(start) == 132:
        try:
            header = dcmread(path, stop_before_pixels=True, specific_tags=TAGS, force=True)
        except Exception:  # looked like DICOM by chance
            return None
        if not header.get("SOPInstanceUID"):
            return None
    else:
        return None
    if not header.get("SOPClassUID") and not header.file_meta.get("MediaStorageSOPClassUID"):
        raise InvalidDicomError("no SOP class")
    return header


def is_directory(header: Dataset) -> bool:
    """Whether a file is a DICOMDIR."""
    return bool(header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage)


def _refuse_bomb(path: Path) -> None:
    """A deflated file grows a thousandfold at most, so that a small one is harmless; no CT slice is a large one."""
    if path.stat().st_size <= _MAX_DEFLATED_BYTES:
        return
    if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        raise ValueError("a deflated file too large to be a slice")


def read_instance(header: Dataset, path: Path, relative: str) -> Instance:
    """What is kept of a header.

    Raises:
        Exception: A tag that makes no sense.
    """
    stat = path.stat()
    meta = header.file_meta if hasattr(header, "file_meta") else Dataset()
    syntax = str(meta.get("TransferSyntaxUID", "") or UID("1.2.840.10008.1.2"))
    slope, intercept = _number(header, "RescaleSlope"), _number(header, "RescaleIntercept")
    info = SeriesInfo(
        sop_class=_text(header, "SOPClassUID") or str(meta.get("MediaStorageSOPClassUID", "")),
        modality=_text(header, "Modality").upper(),
        study_uid=_text(header, "StudyInstanceUID"),
        series_uid=_text(header, "SeriesInstanceUID"),
        patient_id=_text(header, "PatientID"),
        accession=_text(header, "AccessionNumber"),
        sex=_text(header, "PatientSex").upper(),
        age=_text(header, "PatientAge").upper(),
        birth_date=_text(header, "PatientBirthDate"),
        study_date=_text(header, "StudyDate"),
        image_type=tuple(str(value).upper() for value in _several(header, "ImageType")),
        description=_text(header, "SeriesDescription"),
        context=f"{_text(header, 'ProtocolName')} {_text(header, 'StudyDescription')}",
        body_part=_text(header, "BodyPartExamined").upper(),
        contrast_agent=_text(header, "ContrastBolusAgent"),
        orientation=_vector(header, "ImageOrientationPatient", 6),
        pixel_spacing_mm=_vector(header, "PixelSpacing", 2),
        rows=int(_number(header, "Rows") or 0),
        columns=int(_number(header, "Columns") or 0),
        rescaled=slope is not None and intercept is not None,
        rescale_type=_text(header, "RescaleType").upper(),
        frames=int(_number(header, "NumberOfFrames") or 1),
        tilt_degrees=_number(header, "GantryDetectorTilt") or 0.0,
        manufacturer=_text(header, "Manufacturer"),
        model=_text(header, "ManufacturerModelName"),
        kvp=_number(header, "KVP"),
        thickness_mm=_number(header, "SliceThickness"),
        kernel=" ".join(str(value) for value in _several(header, "ConvolutionKernel")),
        burned_in=_text(header, "BurnedInAnnotation").upper() == "YES",
        bits=int(_number(header, "BitsAllocated") or 0),
        photometric=_text(header, "PhotometricInterpretation").upper(),
        samples=int(_number(header, "SamplesPerPixel") or 1),
        lossy=_text(header, "LossyImageCompression") == "01",
        transfer_syntax=syntax,
    )
    return Instance(
        path=relative,
        sop_uid=_text(header, "SOPInstanceUID"),
        info=info,
        position=_vector(header, "ImagePositionPatient", 3),
        acquisition=_text(header, "AcquisitionNumber"),
        time=f"{_text(header, 'ContentDate')}{_text(header, 'ContentTime')}",
        size=stat.st_size,
        modified_ns=stat.st_mtime_ns,
    )


def _value(header: Dataset, keyword: str) -> Any:
    try:
        return header.get(keyword)
    except Exception:  # a value that pydicom cannot convert is as good as none
        return None


def _text(header: Dataset, keyword: str) -> str:
    text = str(_value(header, keyword) or "").replace("\0", "").strip()
    if len(text) > _MAX_TEXT:
        raise ValueError(f"{keyword} of {len(text)} characters")
    return text


def _several(header: Dataset, keyword: str) -> tuple[Any, ...]:
    value = _value(header, keyword)
    if value is None or value == "":
        return ()
    values = (value,) if isinstance(value, str | int | float) else tuple(value)
    if len(values) > _MAX_TEXT:
        raise ValueError(f"{keyword} of {len(values)} values")
    return values


def _number(header: Dataset, keyword: str) -> float | None:
    value = _several(header, keyword)
    try:
        number = float(value[0]) if value else None
    except (ValueError, TypeError):
        return None
    return number if number is not None and abs(number) < 1e12 else None  # NaN compares false


def _vector(header: Dataset, keyword: str, length: int) -> tuple[float, ...]:
    """The numbers of a tag; empty when they are not as many as they should be, or not finite."""
    try:
        values = tuple(float(value) for value in _several(header, keyword))
    except (ValueError, TypeError):
        return ()
    return values if len(values) == length and all(abs(value) < 1e9 for value in values) else ()


@lru_cache(maxsize=64)
def has_decoder(transfer_syntax: str) -> bool:
    """Whether pixels of a transfer syntax can be read with what is installed here."""
    from pydicom.pixels.decoders.base import get_decoder

    uid = UID(transfer_syntax)
    if uid.is_transfer_syntax and not uid.is_compressed:
        return True
    try:
        return bool(get_decoder(uid).is_available)
    except NotImplementedError:
        return False
