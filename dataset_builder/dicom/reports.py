"""Reports of an export: rows of a CSV, or DICOM structured reports, each brought to its study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
)

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import read_table
from rsuper_bench.dataset_builder.dicom.config import ReportTable
from rsuper_bench.dataset_builder.dicom.headers import Instance, quiet
from rsuper_bench.dataset_builder.rejection import Reason, Rejection

REPORT_CLASSES = (BasicTextSRStorage, EnhancedSRStorage, ComprehensiveSRStorage, Comprehensive3DSRStorage)
_MAX_DEPTH = 32


@dataclass(frozen=True)
class StudyReport:
    """The report of a study, or the reason why it has none."""

    text: str = ""
    pathology: str | None = None
    refusal: Reason | None = None
    detail: str = ""


@dataclass(frozen=True)
class StudyIds:
    """By what a report can name a study."""

    study_uid: str
    accessions: tuple[str, ...]
    patient_id: str


@dataclass
class ReportBook:
    """Reports by study UID, and the rows that belong to none."""

    by_study: dict[str, StudyReport] = field(default_factory=dict)
    orphans: list[Rejection] = field(default_factory=list)


def read_report_table(table: ReportTable, studies: Sequence[StudyIds]) -> ReportBook:
    """Bring each row of the CSV to its study.

    A row finds its study by the study UID, else by the accession number, else by the patient id; a column that is
    empty in a row is passed over. An accession number or patient id of several studies finds none of them.

    Raises:
        DataError: Not CSV, or without the columns that the config names.
    """
    keys = [name for name in (table.study_uid, table.accession, table.patient_id) if name]
    required = [table.report, *keys, *([table.pathology_report] if table.pathology_report else [])]
    encoding = "utf-8-sig" if table.encoding == "utf-8" else table.encoding
    rows = read_table(table.file, required, where="the report table", delimiter=table.delimiter, encoding=encoding)
    if not rows:
        raise DataError.of([Problem("the report table", "no row", "a row a report", "Export the reports again.")])
    index = _index(studies)
    found: dict[str, list[tuple[str, str]]] = {}
    book = ReportBook()
    for number, row in enumerate(rows, start=2):
        study_uid, why = _study_of(row, table, index)
        if study_uid is None:
            book.orphans.append(Rejection(f"report-row-{number}", Reason.REPORT_WITHOUT_STUDY, why))
            continue
        pathology = row[table.pathology_report].strip() if table.pathology_report else ""
        found.setdefault(study_uid, []).append((row[table.report].strip(), pathology))
    for study_uid, texts in found.items():
        book.by_study[study_uid] = _one(texts, join=table.several == "join")
    return book


def read_structured_reports(root: Path, instances: Iterable[Instance]) -> dict[str, StudyReport]:
    """Texts of the structured reports of one export, by study UID; several of a study are joined in order of time."""
    by_study: dict[str, list[Instance]] = {}
    for item in instances:
        by_study.setdefault(item.info.study_uid, []).append(item)
    reports = {}
    for study_uid, items in by_study.items():
        texts = []
        for item in sorted(items, key=lambda item: (item.time, item.sop_uid)):
            try:
                with quiet():
                    text = structured_text(dcmread(root / item.path, force=True)).strip()
            except Exception:  # a damaged report is no report; the study then says so
                text = ""
            if text and text not in texts:
                texts.append(text)
        if texts:
            reports[study_uid] = StudyReport("\n\n".join(texts))
        else:
            reports[study_uid] = StudyReport(refusal=Reason.EMPTY_REPORT, detail="structured report without text")
    return reports


def structured_text(dataset: Dataset) -> str:
    """The TEXT items of a structured report, under the names of their containers; people and codes are left out."""
    lines: list[str] = []
    _collect(dataset.get("ContentSequence") or [], lines, 0)
    return "\n".join(lines)


def _collect(items: Iterable[Dataset], lines: list[str], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    for item in items:
        kind = str(item.get("ValueType", ""))
        names = item.get("ConceptNameCodeSequence") or []
        heading = str(names[0].get("CodeMeaning", "")).strip() if names else ""
        if kind == "TEXT" and str(item.get("RelationshipType", "CONTAINS")) == "CONTAINS":
            text = str(item.get("TextValue", "")).strip()
            if text:
                lines.append(f"{heading}: {text}" if heading else text)
        elif kind == "CONTAINER":
            start = len(lines)
            _collect(item.get("ContentSequence") or [], lines, depth + 1)
            if heading and len(lines) > start and not lines[start].lower().startswith(heading.lower().rstrip("s")):
                lines.insert(start, f"{heading}:")


@dataclass(frozen=True)
class _Index:
    studies: frozenset[str]
    by_accession: Mapping[str, set[str]]
    by_patient: Mapping[str, set[str]]


def _index(studies: Sequence[StudyIds]) -> _Index:
    accessions: dict[str, set[str]] = {}
    patients: dict[str, set[str]] = {}
    for study in studies:
        for accession in study.accessions:
            accessions.setdefault(accession, set()).add(study.study_uid)
        if study.patient_id:
            patients.setdefault(study.patient_id, set()).add(study.study_uid)
    return _Index(frozenset(study.study_uid for study in studies), accessions, patients)


def _study_of(row: Mapping[str, str], table: ReportTable, index: _Index) -> tuple[str | None, str]:
    uid = row[table.study_uid].strip() if table.study_uid else ""
    if uid:
        return (uid, "") if uid in index.studies else (None, "no study of this UID in the export")
    for column, known, what in (
        (table.accession, index.by_accession, "accession number"),
        (table.patient_id, index.by_patient, "patient id"),
    ):
        value = row[column].strip() if column else ""
        if value:
            studies = known.get(value, set())
            if len(studies) == 1:
                return next(iter(studies)), ""
            found = "no study" if not studies else f"{len(studies)} studies"
            return None, f"{found} of this {what} in the export"
    return None, "names no study"


def _one(texts: Sequence[tuple[str, str]], *, join: bool) -> StudyReport:
    reports = list(dict.fromkeys(text for text, _ in texts if text))
    pathology = list(dict.fromkeys(text for _, text in texts if text))
    if not reports:
        return StudyReport(refusal=Reason.EMPTY_REPORT, detail="the row has no text")
    if (len(reports) > 1 or len(pathology) > 1) and not join:
        return StudyReport(
            refusal=Reason.AMBIGUOUS_REPORT, detail=f"{max(len(reports), len(pathology))} different reports"
        )
    return StudyReport("\n\n".join(reports), "\n\n".join(pathology) or None)
