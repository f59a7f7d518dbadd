"""From the files of an export to one decision a study: the series, report and masks it is made of, or reason codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.uid import SegmentationStorage

from rsuper_bench.benchmark.files import sha256_file
from rsuper_bench.dataset_builder.dicom.config import DicomConfig
from rsuper_bench.dataset_builder.dicom.export import Export
from rsuper_bench.dataset_builder.dicom.facts import Facts, facts_of
from rsuper_bench.dataset_builder.dicom.headers import Instance
from rsuper_bench.dataset_builder.dicom.pseudonym import Pseudonyms
from rsuper_bench.dataset_builder.dicom.reports import (
    REPORT_CLASSES,
    ReportBook,
    StudyIds,
    StudyReport,
    read_report_table,
    read_structured_reports,
)
from rsuper_bench.dataset_builder.dicom.segmentation import meaning, segments_of
from rsuper_bench.dataset_builder.dicom.selection import choose_series
from rsuper_bench.dataset_builder.dicom.series import CheckedSeries, Refusal, check_series, group_series
from rsuper_bench.dataset_builder.rejection import Reason, Rejection

_SHOWN = 8  # letters of a series in rejected.csv, after those of its study


@dataclass(frozen=True)
class ChosenStudy:
    """A study that becomes a case: all that is needed to read it, and no identifier of the header.

    Attributes:
        files: Path below the export and SOP instance UID of each slice, from the feet to the head.
        stats: Size and time of the files, so that a changed one is read again.
        shape: Rows and columns of a slice.
        affine_lps: Voxel index (column, row, slice) -> LPS mm.
        segmentations: Paths of the SEG objects drawn on the series.
    """

    case_id: str
    patient_id: str
    files: tuple[tuple[str, str], ...]
    stats: tuple[tuple[int, int], ...]
    shape: tuple[int, int]
    affine_lps: tuple[tuple[float, ...], ...]
    facts: Facts
    report: str
    pathology_report: str | None
    segmentations: tuple[str, ...] = ()


@dataclass
class Decisions:
    """What became of every study, series, report and unreadable file.

    Attributes:
        linkage: ``(pseudonym, kind, original)``; only for the user's own linkage file.
    """

    chosen: list[ChosenStudy] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    linkage: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    n_studies: int = 0
    n_repeated: int = 0
    n_localizers: int = 0


@dataclass(frozen=True)
class _Study:
    uid: str
    instances: tuple[Instance, ...]

    def ids(self) -> StudyIds:
        accessions = tuple(sorted({item.info.accession for item in self.instances} - {""}))
        return StudyIds(self.uid, accessions, max(item.info.patient_id for item in self.instances))


def decide(root: Path, export: Export, config: DicomConfig, pseudonyms: Pseudonyms) -> Decisions:
    """Decide on every study of an export.

    Raises:
        DataError: The report table cannot be read.
    """
    decisions = Decisions()
    studies = _studies(export)
    decisions.n_studies = len(studies)
    _unreadable(decisions, export, pseudonyms)
    reports = _reports(root, export, config, studies)
    decisions.rejections += reports.orphans
    for study in studies:
        _decide(decisions, root, study, config, pseudonyms, reports.by_study.get(study.uid))
    decisions.notes += _notes(export, decisions)
    return decisions


def _studies(export: Export) -> list[_Study]:
    by_uid: dict[str, list[Instance]] = {}
    for item in export.instances:
        by_uid.setdefault(item.info.study_uid, []).append(item)
    return [_Study(uid, tuple(items)) for uid, items in sorted(by_uid.items())]


def _unreadable(decisions: Decisions, export: Export, pseudonyms: Pseudonyms) -> None:
    for path, kind in export.unreadable:
        name = pseudonyms.of("file", path)  # the path may hold a patient's name
        decisions.rejections.append(Rejection(name, Reason.UNREADABLE_FILE, f"cannot be read ({kind})"))
        decisions.linkage.append((name, "file", path))


def _reports(root: Path, export: Export, config: DicomConfig, studies: Sequence[_Study]) -> ReportBook:
    book = ReportBook()
    if config.reports is not None:
        book = read_report_table(config.reports, [study.ids() for study in studies])
    if config.use_structured_reports:
        found = [item for item in export.instances if item.info.sop_class in REPORT_CLASSES]
        # A row of the table is what the user prepared: it wins over what the export holds.
        book.by_study = {**read_structured_reports(root, found), **book.by_study}
    return book


def _decide(
    decisions: Decisions,
    root: Path,
    study: _Study,
    config: DicomConfig,
    pseudonyms: Pseudonyms,
    report: StudyReport | None,
) -> None:
    case_id = pseudonyms.of("case", study.uid)
    decisions.linkage.append((case_id, "study", study.uid))
    patients = {item.info.patient_id for item in study.instances} - {""}
    if not study.uid:
        _reject(decisions, case_id, Reason.NO_USABLE_SERIES, f"{len(study.instances)} files without a study UID")
        return
    if len(patients) > 1:
        _reject(decisions, case_id, Reason.MIXED_PATIENTS, f"{len(patients)} patient ids in one study")
        return
    if not patients:
        _reject(decisions, case_id, Reason.NO_PATIENT_ID, "no patient id: splits by patient could not be drawn")
        return
    patient = patients.pop()
    decisions.linkage.append((pseudonyms.of("patient", patient), "patient", patient))
    images = [item for item in study.instances if item.info.sop_class not in (*REPORT_CLASSES, SegmentationStorage)]
    usable, refused = _check(root, images, config)
    chosen = choose_series(usable, config.phases)
    for series in usable:
        if series is not chosen:
            refused[series.uid] = (
                Refusal(Reason.UNWANTED_PHASE, "its contrast phase is not in `phases`")
                if chosen is None
                else Refusal(Reason.NOT_SELECTED, f"{len(series.slices)} slices; another series of the study was taken")
            )
    for uid, refusal in sorted(refused.items()):
        name = f"{case_id}.{pseudonyms.of('series', uid).removeprefix('series-')[:_SHOWN]}"
        _reject(decisions, name, refusal.reason, refusal.detail)
        decisions.linkage.append((name, "series", uid))
    if chosen is None:
        detail = f"{len(refused)} series, none usable: see their rows" if refused else "no image"
        _reject(decisions, case_id, Reason.NO_USABLE_SERIES, detail)
        return
    if report is None or report.refusal is not None:
        reason, detail = (
            (Reason.NO_REPORT, "no report of this study") if report is None else (report.refusal, report.detail)
        )
        _reject(decisions, case_id, reason or Reason.NO_REPORT, detail)
        return
    masks = _segmentations(decisions, root, study, chosen, config, case_id, pseudonyms)
    decisions.n_repeated += chosen.n_repeated
    decisions.n_localizers += chosen.n_localizers
    decisions.chosen.append(
        ChosenStudy(
            case_id=case_id,
            patient_id=pseudonyms.of("patient", patient),
            files=tuple((item.path, item.sop_uid) for item in chosen.slices),
            stats=tuple((item.size, item.modified_ns) for item in (*chosen.slices, *masks)),
            shape=(chosen.info.rows, chosen.info.columns),
            affine_lps=tuple(tuple(row) for row in chosen.affine_lps.tolist()),
            facts=facts_of(chosen.info),
            report=report.text,
            pathology_report=report.pathology,
            segmentations=tuple(item.path for item in masks),
        )
    )


def _check(
    root: Path, images: Sequence[Instance], config: DicomConfig
) -> tuple[list[CheckedSeries], dict[str, Refusal]]:
    usable: list[CheckedSeries] = []
    refused: dict[str, Refusal] = {}

    def same_content(first: Instance, second: Instance) -> bool:
        return first.size == second.size and sha256_file(root / first.path) == sha256_file(root / second.path)

    for series in group_series(images):
        checked = check_series(series, config, same_content)
        if isinstance(checked, Refusal):
            refused[series.uid] = checked
        else:
            usable.append(checked)
    return usable, refused


def _segmentations(
    decisions: Decisions,
    root: Path,
    study: _Study,
    chosen: CheckedSeries,
    config: DicomConfig,
    case_id: str,
    pseudonyms: Pseudonyms,
) -> tuple[Instance, ...]:
    """SEG objects drawn on the chosen series; the others get a row that says why they are not used."""
    slices = {item.sop_uid for item in chosen.slices}
    used = []
    for item in sorted(study.instances, key=lambda item: (item.time, item.sop_uid)):
        if item.info.sop_class != SegmentationStorage:
            continue
        try:
            labels, uids = segments_of(root / item.path)
        except Exception as cause:  # whatever a damaged file makes pydicom raise
            why = f"cannot be read ({type(cause).__name__})"
        else:
            if not uids <= slices or not uids:
                why = "drawn on another series than the one that was taken"
            elif all(meaning(label, config.segmentations) is None for label in labels):
                why = f"none of its {len(labels)} segments is named as an organ, or in segmentations of the config"
            else:
                used.append(item)
                continue
        name = f"{case_id}.{pseudonyms.of('mask', item.sop_uid).removeprefix('mask-')[:_SHOWN]}"
        _reject(decisions, name, Reason.MASK_NOT_USED, why)
        decisions.linkage.append((name, "segmentation", item.sop_uid))
    return tuple(used)


def _reject(decisions: Decisions, input_id: str, reason: Reason, detail: str) -> None:
    decisions.rejections.append(Rejection(input_id, reason, detail))


def _notes(export: Export, decisions: Decisions) -> list[str]:
    counts: Mapping[str, int] = {
        "files that are not DICOM were passed over": export.n_other,
        "DICOMDIR files were passed over (every file is read instead)": export.n_directories,
        "of them are archives: unpack them if they hold DICOM files": export.n_archives,
        "links were not followed": export.n_links,
        "files repeat another one and were left out": decisions.n_repeated,
        "localizer images inside of a series were left out": decisions.n_localizers,
    }
    read = f"{export.n_files} files read: {decisions.n_studies} studies, {len(decisions.chosen)} of them usable"
    return [read, *(f"{number} {what}" for what, number in counts.items() if number)]
