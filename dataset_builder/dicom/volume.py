"""From the files of a checked series to a volume in HU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from rsuper_bench.benchmark.errors import Problem
from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.dataset_builder.dicom.headers import quiet
from rsuper_bench.dataset_builder.rejection import CaseError, Reason

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_LIMITS = np.iinfo(np.int16)
_MAX_RESCALE = 1e6
_TAGS: list[BaseTag | int] = [
    Tag(keyword)
    for keyword in (
        *("SOPInstanceUID", "RescaleSlope", "RescaleIntercept", "Rows", "Columns", "SamplesPerPixel"),
        *("PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
        *("NumberOfFrames", "PlanarConfiguration", "PixelData"),
    )
]


def read_volume(
    root: Path, files: Sequence[tuple[str, str]], shape: tuple[int, int], affine_lps: NDArray[np.float64], *, name: str
) -> Volume:
    """Read the slices of a series.

    HU are stored value x slope + intercept of each slice, rounded to integers and cut to the range of int16.

    Args:
        root: The export.
        files: Path below the export and SOP instance UID of each slice, from the feet to the head.
        shape: Rows and columns that every slice has.
        affine_lps: Voxel index (column, row, slice) -> LPS mm.
        name: How messages name the case.

    Returns:
        ``(columns, rows, slices)`` int16 in HU, with an affine to RAS mm.

    Raises:
        CaseError: A file that is gone, damaged, or no longer what its header was.
    """
    data = np.empty((len(files), *shape), dtype=np.int16)
    with quiet():
        _fill(data, root, files, name)
    return Volume(data.transpose(2, 1, 0), LPS_TO_RAS @ affine_lps)


def _fill(data: NDArray[np.int16], root: Path, files: Sequence[tuple[str, str]], name: str) -> None:
    for index, (path, sop_uid) in enumerate(files):
        where = f"case {name}: slice {index + 1} of {len(files)}"
        try:
            hounsfield = _read_slice(root / path, sop_uid)
        except _ChangedError as cause:
            raise _refuse(where, str(cause)) from None
        except FileNotFoundError:
            raise _refuse(where, "the file is gone") from None
        except MemoryError:
            raise _refuse(where, "does not fit in memory") from None
        except Exception as cause:  # decoders raise many types for damaged pixels
            raise _refuse(where, f"pixels cannot be read ({type(cause).__name__})") from None
        if hounsfield.shape != data.shape[1:]:
            raise _refuse(where, f"{hounsfield.shape} pixels where the header says {data.shape[1:]}")
        data[index] = hounsfield


class _ChangedError(Exception):
    """The file is not the one that was scanned."""


def _read_slice(path: Path, sop_uid: str) -> NDArray[np.int16]:
    dataset = dcmread(path, force=True, specific_tags=_TAGS)
    if str(dataset.get("SOPInstanceUID", "")) != sop_uid:
        raise _ChangedError("the file changed during the build")
    if "TransferSyntaxUID" not in dataset.file_meta:  # a file without a preamble
        implicit, little_endian = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    stored = dataset.pixel_array
    slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
    if not (abs(slope) < _MAX_RESCALE and abs(intercept) < _MAX_RESCALE):  # NaN compares false
        raise ValueError("slope or intercept")
    if slope == 1 and intercept.is_integer() and stored.dtype.itemsize <= 2:  # nearly every CT: exact, and no floats
        return (stored.astype(np.int32) + int(intercept)).clip(_LIMITS.min, _LIMITS.max).astype(np.int16)
    hounsfield = stored * slope + intercept
    return np.rint(hounsfield).clip(_LIMITS.min, _LIMITS.max).astype(np.int16)


def _refuse(where: str, found: str) -> CaseError:
    return CaseError.because(
        Reason.UNREADABLE_IMAGE, [Problem(where, found, "all slices of the series", "Export the study again.")]
    )
