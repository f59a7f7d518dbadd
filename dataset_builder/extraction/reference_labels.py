"""LABELS of an agreement: findings read by hand, as a table or as findings of the same form."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import id_problems, read_table, shown_cell
from rsuper_bench.benchmark.records import Finding, Presence, ReportFindings
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.findings_file import read_findings, unread_problems

_PRESENCE = {
    "1": Presence.PRESENT,
    "0": Presence.ABSENT,
    "u": Presence.UNCERTAIN,
    "": Presence.NOT_STATED,
}
LESION_SUFFIX = "_lesion"
SIZE_SUFFIX = "_largest_mm"


@dataclass(frozen=True)
class ReferenceLabels:
    """What people read in reports.

    Attributes:
        presence: Case id -> type -> what the report says; only the types that were labelled.
        largest_mm: Case id -> type -> largest current size in mm, where stated.
        findings: Case id -> all findings, when the labels are findings (jsonl); empty for a table.
    """

    presence: dict[str, dict[TumorType, Presence]]
    largest_mm: dict[str, dict[TumorType, float]]
    findings: dict[str, tuple[Finding, ...]] = field(default_factory=dict)


def largest_size_mm(findings: tuple[Finding, ...], tumor_type: TumorType) -> float | None:
    """Largest stated diameter over the findings of a type; None when none is sized."""
    sizes = [max(found.diameters_mm) for found in findings if found.tumor_type is tumor_type and found.diameters_mm]
    return max(sizes, default=None)


def read_labels(path: Path) -> ReferenceLabels:
    """Read labels: ``.jsonl`` is findings, anything else a CSV with ``id``, ``<type>_lesion``, ``<type>_largest_mm``.

    Raises:
        DataError: All problems at once.
    """
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        findings = read_findings(path, default_extractor="reference")
        if problems := unread_problems(path, findings):
            raise DataError.of(problems)
        return labels_of(findings)
    return _read_label_table(path)


def labels_of(findings: dict[str, ReportFindings]) -> ReferenceLabels:
    """Use one set of findings as the reference for another."""
    types = {tumor_type for record in findings.values() for tumor_type in record.presence}
    presence = {
        case_id: {kind: record.presence.get(kind, Presence.NOT_STATED) for kind in TumorType if kind in types}
        for case_id, record in findings.items()
    }
    largest_mm: dict[str, dict[TumorType, float]] = {}
    for case_id, record in findings.items():
        sizes = {kind: largest_size_mm(record.findings, kind) for kind in TumorType}
        largest_mm[case_id] = {kind: size for kind, size in sizes.items() if size is not None}
    return ReferenceLabels(presence, largest_mm, {case_id: record.findings for case_id, record in findings.items()})


def _read_label_table(path: Path) -> ReferenceLabels:
    table = read_table(path, ())
    if not table:
        raise DataError.of([Problem(str(path), "no rows", "a row for each report", "Check the file.")])
    columns = table[0].keys()
    id_column = next((name for name in ("id", "case_id") if name in columns), None)
    types = [tumor_type for tumor_type in TumorType if f"{tumor_type}{LESION_SUFFIX}" in columns]
    problems: list[Problem] = []
    if id_column is None:
        problems.append(Problem(str(path), "no column 'id'", "columns id, <organ>_lesion", "Add the column 'id'."))
    else:
        problems += id_problems([row[id_column] for row in table], str(path), id_column)
    if not types:
        known = ", ".join(f"{tumor_type}{LESION_SUFFIX}" for tumor_type in TumorType)
        problems.append(Problem(str(path), "no '<organ>_lesion' column", f"at least one of: {known}", "Add one."))
    problems += _unknown_columns(columns, path)
    presence: dict[str, dict[TumorType, Presence]] = {}
    largest_mm: dict[str, dict[TumorType, float]] = {}
    for number, row in enumerate(table, start=2):
        case_id = row[id_column] if id_column else str(number)
        presence[case_id], largest_mm[case_id] = {}, {}
        for tumor_type in types:
            stated = _PRESENCE.get(row[f"{tumor_type}{LESION_SUFFIX}"].strip().lower())
            where = f"{path}: row {number}"
            if stated is None:
                problems.append(
                    Problem(f"{where}: {tumor_type}{LESION_SUFFIX}", "not a label", "1, 0, u or blank", "Mend it.")
                )
                continue
            presence[case_id][tumor_type] = stated
            cell = row.get(f"{tumor_type}{SIZE_SUFFIX}", "").strip()
            size = _positive(cell)
            if cell and size is None:
                problems.append(
                    Problem(f"{where}: {tumor_type}{SIZE_SUFFIX}", "not a size", "mm above 0, or blank", "Mend it.")
                )
            elif size is not None:
                largest_mm[case_id][tumor_type] = size
    if problems:
        raise DataError.of(problems)
    return ReferenceLabels(presence, largest_mm)


def _unknown_columns(columns: Collection[str], path: Path) -> list[Problem]:
    """Columns that look like labels and would be left out: of no tumor type, or sizes without their labels."""
    problems = []
    for column in columns:
        suffix = next((suffix for suffix in (LESION_SUFFIX, SIZE_SUFFIX) if column.endswith(suffix)), None)
        if suffix is None:
            continue
        name = column.removesuffix(suffix)
        if name not in list(TumorType):
            close = get_close_matches(name, list(TumorType), n=1)
            fix = f"Did you mean '{close[0]}{suffix}'?" if close else "Rename or remove the column."
            expected = f"one of: {', '.join(TumorType)}"
            problems.append(Problem(f"{path}: {shown_cell(column)}", "no tumor type", expected, fix))
        elif f"{name}{LESION_SUFFIX}" not in columns:
            expected = f"the column '{name}{LESION_SUFFIX}' beside it"
            problems.append(Problem(f"{path}: {column}", "sizes without labels", expected, "Add it, or remove this."))
    return problems


def _positive(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None
