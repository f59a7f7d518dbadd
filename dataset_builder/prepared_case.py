"""From what a source yields to what a release holds: checked, on a RAS grid, in int16 HU, with findings."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rsuper_bench.benchmark import records
from rsuper_bench.benchmark.errors import Problem
from rsuper_bench.benchmark.files import sha256_bytes
from rsuper_bench.benchmark.nifti import Volume, nifti_bytes
from rsuper_bench.benchmark.records import MAX_REPORTED_AGE, CaseRecord, CtInfo, Presence, ReportFindings, Split
from rsuper_bench.benchmark.release import attributes_row
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.fingerprint import fingerprint
from rsuper_bench.dataset_builder.label_map import LABEL_MAP, LESION_NUMBER
from rsuper_bench.dataset_builder.phi.redact import redact_dates_and_ages
from rsuper_bench.dataset_builder.preview import preview_png
from rsuper_bench.dataset_builder.raw_case import RawCase
from rsuper_bench.dataset_builder.rejection import CaseError, Reason


class ReportReader(Protocol):
    """What the builder needs of an extractor."""

    @property
    def info(self) -> records.Extractor:
        """Provenance."""
        ...

    def extract(self, case_id: str, report: str, pathology_report: str | None = None) -> ReportFindings:
        """Read one report."""
        ...


@dataclass(frozen=True)
class PreparedCase:
    """One case as the release holds it. ``files`` are the embedded volumes by column name."""

    record: CaseRecord
    report: str
    pathology_report: str | None
    files: dict[str, bytes]
    preview: bytes

    def row(self) -> dict[str, Any]:
        """The row of the case in ``cases``."""
        names = {name: f"{self.record.case_id}_{name}.nii.gz" for name in ("ct", "organs", "lesions")}
        volumes = {
            name: {"bytes": self.files[name], "path": path} if name in self.files else None
            for name, path in names.items()
        }
        return attributes_row(self.record) | {
            **volumes,
            "preview": {"bytes": self.preview, "path": f"{self.record.case_id}_preview.png"},
            "report": self.report,
            "pathology_report": self.pathology_report,
        }

    def voxel_digests(self) -> dict[str, str]:
        """Digest of every volume without its compression, which differs between machines; empty when it is not needed.

        Who joins an overlay with a download of their own compares these.
        """
        if self.record.redistributable:
            return {}
        return {name: sha256_bytes(gzip.decompress(data)) for name, data in sorted(self.files.items())}

    def digests(self) -> dict[str, str]:
        """Digest of every part that the manifest vouches for."""
        texts = {"report": self.report, "pathology_report": self.pathology_report}
        parts = self.files | {name: text.encode() for name, text in texts.items() if text is not None}
        return {name: sha256_bytes(data) for name, data in sorted(parts.items())}


def prepare_case(raw: RawCase, split: Split, extractor: ReportReader) -> PreparedCase:
    """Check a raw case, bring it to the closest RAS grid and read its report.

    Axes are flipped and permuted, never resampled; HU are rounded to integers. Organ and lesion maps must lie on the
    CT's grid and hold no number that the label map does not know.

    Raises:
        CaseError: With a reason code, when the case cannot be used.
    """
    if not raw.report.strip():
        raise _refuse(raw, Reason.EMPTY_REPORT, "report", "empty", "the text of a report", "Add the report.")
    ct, organs, lesions = volumes_of(raw)
    files = files_of(ct, organs, lesions)
    findings = extractor.extract(raw.case_id, raw.report, raw.pathology_report)
    record = CaseRecord(
        case_id=raw.case_id,
        patient_id=raw.patient_id,
        source=raw.source,
        licence=raw.licence,
        redistributable=raw.redistributable,
        split=split,
        ct=CtInfo(
            file=f"{raw.case_id}_ct.nii.gz",
            sha256=sha256_bytes(files["ct"]),
            shape=(ct.data.shape[0], ct.data.shape[1], ct.data.shape[2]),
            spacing_mm=ct.spacing_mm,
            orientation=ct.orientation,
            phase=raw.phase,
            scanner=raw.scanner,
            kvp=raw.kvp,
            fingerprint=fingerprint(ct),
        ),
        sex=raw.sex,
        age=None if raw.age is None else min(raw.age, MAX_REPORTED_AGE),
        synthetic=raw.synthetic,
        derived_from=raw.derived_from,
        organ_labels=() if organs is None else _shown(organs),
        lesion_masks={} if lesions is None else {kind: _mm3(lesions, kind) for kind in raw.lesion_types},
        # What is not stated is left out, as when the row is read back: a record has one form and one digest.
        presence={kind: what for kind, what in findings.presence.items() if what is not Presence.NOT_STATED},
        findings=findings.findings,
        not_evaluable={**findings.not_evaluable, **raw.not_evaluable},
        extractor=findings.extractor,
    )
    return PreparedCase(record, *texts_of(raw), files, preview_png(ct, organs, lesions))


def texts_of(raw: RawCase) -> tuple[str, str | None]:
    """Report and pathology report as a release holds them: dates and ages above 89 are written over in place."""

    def redacted(text: str) -> str:
        return redact_dates_and_ages(text, raw.study_date, raw.date_order)

    return redacted(raw.report), None if raw.pathology_report is None else redacted(raw.pathology_report)


def volumes_of(raw: RawCase) -> tuple[Volume, Volume | None, Volume | None]:
    """CT, organs and lesions of a raw case as a release holds them.

    Raises:
        CaseError: With a reason code, when an image cannot be used.
    """
    ct = _hounsfield(raw)
    organs = _labels(raw, "organs", raw.organs, ct, set(LABEL_MAP.organs))
    lesions = _labels(raw, "lesions", raw.lesions, ct, set(LABEL_MAP.lesions))
    if raw.lesion_types and lesions is None:
        raise _refuse(raw, Reason.BAD_VALUE, "lesion_types", "types without a lesion mask", "a mask", "Add the mask.")
    return ct, organs, lesions


def files_of(ct: Volume, organs: Volume | None, lesions: Volume | None) -> dict[str, bytes]:
    """The NIfTI bytes of the volumes that there are, by column name."""
    volumes = {"ct": ct, "organs": organs, "lesions": lesions}
    return {name: nifti_bytes(volume) for name, volume in volumes.items() if volume is not None}


def _hounsfield(raw: RawCase) -> Volume:
    data = raw.ct.data
    if data.ndim != 3 or data.dtype.kind not in "iuf":
        found = f"{data.ndim} dimensions of {data.dtype}"
        raise _refuse(raw, Reason.UNREADABLE_IMAGE, "ct", found, "a 3-D image of numbers", "Export the CT again.")
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        found = f"{int((~np.isfinite(data)).sum())} voxels are NaN or infinite"
        raise _refuse(raw, Reason.UNREADABLE_IMAGE, "ct", found, "finite HU", "Replace them before import.")
    if data.min() == data.max():
        raise _refuse(raw, Reason.BLANK_IMAGE, "ct", f"every voxel is {data.min()}", "a CT", "Export the CT again.")
    if data.dtype != np.int16:
        limits = np.iinfo(np.int16)
        data = np.rint(data).clip(limits.min, limits.max).astype(np.int16)
    return Volume(data, raw.ct.affine).canonical()


def _labels(raw: RawCase, name: str, volume: Volume | None, ct: Volume, known: set[int]) -> Volume | None:
    if volume is None:
        return None
    if not volume.same_grid(raw.ct):
        same_shape = volume.data.shape == raw.ct.data.shape
        found = "another affine" if same_shape else f"shape {volume.data.shape}"
        expected = f"the grid of the CT, shape {raw.ct.data.shape}"
        raise _refuse(raw, Reason.DIFFERENT_GRID, name, found, expected, "Resample the mask to the CT, nearest label.")
    numbers = {int(number) for number in np.unique(volume.data)} - {0}
    if not numbers <= known:
        shown = ", ".join(str(number) for number in sorted(numbers - known)[:10])
        raise _refuse(raw, Reason.UNKNOWN_LABEL, name, f"unknown label {shown}", "known labels", "Name the label.")
    data = volume.canonical().data.astype(np.uint8)
    return Volume(data, ct.affine)  # the CT's own affine, so that the grids are equal and not only close


def _shown(organs: Volume) -> tuple[str, ...]:
    return tuple(LABEL_MAP.organs[int(number)] for number in np.unique(organs.data) if number)


def _mm3(lesions: Volume, kind: TumorType) -> float:
    return round(float(np.count_nonzero(lesions.data == LESION_NUMBER[kind]) * lesions.voxel_mm3), 6)


def _refuse(raw: RawCase, reason: Reason, what: str, found: str, expected: str, fix: str) -> CaseError:
    return CaseError.because(reason, [Problem(f"case {raw.case_id}: {what}", found, expected, fix)])
