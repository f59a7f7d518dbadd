"""Cases that cannot be used, and why: each ends in ``rejected.csv``, none vanishes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from rsuper_bench.benchmark.errors import DataError, Problem


class Reason(StrEnum):
    """Reason codes of ``rejected.csv``."""

    UNSAFE_ID = "unsafe_id"
    DUPLICATE_ID = "duplicate_id"
    BAD_VALUE = "bad_value"
    EMPTY_REPORT = "empty_report"
    UNSAFE_PATH = "unsafe_path"
    MISSING_FILE = "missing_file"
    UNREADABLE_IMAGE = "unreadable_image"
    BLANK_IMAGE = "blank_image"
    DIFFERENT_GRID = "different_grid"
    UNKNOWN_LABEL = "unknown_label"
    SPLIT_CONFLICT = "split_conflict"
    UNUSABLE = "unusable"
    # Of a DICOM series
    NOT_CT = "not_ct"
    LOCALIZER = "localizer"
    DERIVED_IMAGE = "derived_image"
    MULTIFRAME = "multiframe"
    BURNED_IN_TEXT = "burned_in_text"
    LOSSY = "lossy"
    NO_DECODER = "no_decoder"
    NOT_HOUNSFIELD = "not_hounsfield"
    OTHER_BODY_PART = "other_body_part"
    TOO_FEW_SLICES = "too_few_slices"
    MISSING_GEOMETRY = "missing_geometry"
    MIXED_GEOMETRY = "mixed_geometry"
    NOT_AXIAL = "not_axial"
    GANTRY_TILT = "gantry_tilt"
    DUPLICATE_SLICES = "duplicate_slices"
    MISSING_SLICES = "missing_slices"
    VARIABLE_SPACING = "variable_spacing"
    UNWANTED_PHASE = "unwanted_phase"
    NOT_SELECTED = "not_selected"
    # Of a study or a scan
    UNREADABLE_FILE = "unreadable_file"
    NO_USABLE_SERIES = "no_usable_series"
    NO_PATIENT_ID = "no_patient_id"
    MIXED_PATIENTS = "mixed_patients"
    NO_REPORT = "no_report"
    AMBIGUOUS_REPORT = "ambiguous_report"
    REPORT_WITHOUT_STUDY = "report_without_study"
    MASK_NOT_USED = "mask_not_used"
    # Of public data sets
    TABLE_AGAINST_MASK = "table_against_mask"
    TABLE_AGAINST_HEADER = "table_against_header"
    BLANK_HEADER = "blank_header"
    # Of organ masks made here
    NO_ORGAN_MASK = "no_organ_mask"
    SEGMENTER_FAILED = "segmenter_failed"


@dataclass(frozen=True)
class Rejection:
    """One row of ``rejected.csv``. ``detail`` never holds report text or a patient id."""

    input_id: str
    reason: Reason
    detail: str


class CaseError(DataError):
    """One case cannot be used."""

    reason: Reason = Reason.UNUSABLE

    @classmethod
    def because(cls, reason: Reason, problems: Sequence[Problem]) -> CaseError:
        """Make an error that carries a reason code."""
        error = cls("\n".join(f"error: {problem}" for problem in problems), problems)
        error.reason = reason
        return error


def detail_of(error: DataError) -> str:
    """The problems of an error on one line, without what to do."""
    if not error.problems:
        return str(error).replace("\n", " ")
    return "; ".join(f"{problem.where}: {problem.found}" for problem in error.problems)


@runtime_checkable
class CheckedSource(Protocol):
    """A source that finds unusable cases before it makes any."""

    def rejections(self) -> Sequence[Rejection]:
        """Cases that ``keys`` leaves out."""
        ...
