"""Merlin Abdominal CT (Stanford AIMI), with patient ids and organ masks of Merlin Plus.

    merlin_data/<study id>.nii.gz
    reports_final.xlsx (or .csv)               study id, Findings, Split
    merlin_longitudinal_metadata.csv           of Merlin Plus, here or in the folder that the config calls `plus`
    <plus>/**/<study id>/[segmentations/]<organ>.nii.gz

The data use agreement allows no redistribution, and Merlin Plus (CC BY-NC-ND 4.0) no changed copies.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import read_model
from rsuper_bench.benchmark.lesion_counts import CASE_COLUMNS
from rsuper_bench.benchmark.records import ID_PATTERN, Phase, Split
from rsuper_bench.dataset_builder.header_facts import scanner_name
from rsuper_bench.dataset_builder.organ_masks import beside
from rsuper_bench.dataset_builder.public.listing import (
    Licence,
    Listing,
    PublicCase,
    PublicConfig,
    PublicSource,
    mask_notes,
)
from rsuper_bench.dataset_builder.public.tables import Row, find_table, missing_table, read_rows
from rsuper_bench.dataset_builder.rejection import Reason

LICENCE = Licence("Merlin data use agreement (non-commercial, no redistribution); masks: Merlin Plus, CC BY-NC-ND 4.0")
_PATIENTS = "merlin_longitudinal_metadata.csv"
_ID = ("study id", "Encrypted Accession Number", "accession", "id")
_SPLITS = {"train": Split.TRAIN, "val": Split.VALIDATION, "validation": Split.VALIDATION, "test": Split.TEST}


class MerlinConfig(PublicConfig):
    """Options.

    Attributes:
        plus: Folder of Merlin Plus.
        official_splits: Keep the splits of the data set; otherwise draw them by patient.
        test_cases: Table of study ids that are the test split, such as a published one, in place of the official
            splits. All other scans are drawn by patient, but those of its patients are left out.
        tumor_masks: Take the tumor masks of Merlin Plus. Its makers did not draw every tumor, so a type counts as drawn
            only where its mask shows something, and other lesions of that type may be missing in it.
    """

    plus: Path | None = None
    official_splits: bool = True
    test_cases: Path | None = None
    tumor_masks: bool = False


def open_source(root: Path, config: Path | None) -> PublicSource:
    """Open a download."""
    options = MerlinConfig() if config is None else read_model(config, MerlinConfig)
    folder = Path.cwd() if config is None else config.parent
    plus = None if options.plus is None else (folder / options.plus).resolve()
    if plus is not None and not plus.is_dir():
        raise ConfigError.of([Problem(f"{config}: plus", "no such folder", "a folder", "Check the path.")])
    test_cases = None if options.test_cases is None else folder / options.test_cases
    options = options.model_copy(
        update={"plus": plus, "test_cases": test_cases, "organ_masks": beside(options.organ_masks, folder)}
    )
    return PublicSource("merlin", root.resolve(), options, LICENCE, list_merlin)


def list_merlin(root: Path, config: MerlinConfig) -> Listing:
    """List the scans of a download.

    Raises:
        DataError: A table is missing or malformed.
    """
    plus = config.plus or root
    patients = _patients(plus)
    table = find_table(root, "reports_final.csv", "reports_final.xlsx")
    if table is None:
        raise missing_table(root, "reports_final.xlsx", "Name the folder that holds it.")
    masks = {path.name: path for pattern in ("*", "*/*") for path in sorted(plus.glob(pattern)) if path.is_dir()}
    listing = Listing()
    contradictory = 0
    seen = set()
    for row in read_rows(table, {"study id": _ID, "report": ("Findings", "report")}):
        study = row.get(*_ID)
        seen.add(study)
        facts = patients.get(study)
        ct = _scan(root, study)
        if not re.fullmatch(ID_PATTERN, study):
            listing.reject(study, Reason.UNSAFE_ID, "no safe study id")
        elif ct is None:
            listing.reject(study, Reason.MISSING_FILE, "in the table, but not in merlin_data")
        elif facts is None:
            listing.reject(study, Reason.NO_PATIENT_ID, f"not in {_PATIENTS}: its patient is not known")
        elif not row.get("Findings", "report"):
            listing.reject(study, Reason.EMPTY_REPORT, "no findings in the table")
        else:
            contradictory += _contradicts(facts)
            listing.cases.append(_case(study, ct, row, facts, masks.get(study), config))
    for path in sorted((root / "merlin_data").glob("*.nii*")):
        study = path.name.split(".nii")[0]
        if study not in seen:
            listing.reject(study, Reason.NO_REPORT, f"not in {table.name}")
    if config.test_cases is not None:
        _hold_out(listing, config.test_cases)
    listing.notes += mask_notes(listing.cases)
    if contradictory:
        note = "have no contrast and a contrast phase in the table of Merlin Plus: phase unknown"
        listing.notes.append(f"{contradictory} scans {note}")
    if not config.tumor_masks:
        listing.notes.append("tumor masks of Merlin Plus are not taken: not every tumor is drawn (tumor_masks)")
    return listing


def _hold_out(listing: Listing, table: Path) -> None:
    """Make the scans of a table the test split, and leave the others to be drawn."""
    rows = read_rows(table, {"study id": CASE_COLUMNS})
    wanted = {row.get(*CASE_COLUMNS) for row in rows}
    found = wanted & {case.case_id for case in listing.cases}
    if not found:
        fix = "Its ids must be those of reports_final.xlsx."
        raise DataError.of([Problem(f"test_cases: {table.name}", "no usable scan of it", "study ids", fix)])
    listing.cases = [replace(case, split=Split.TEST if case.case_id in found else None) for case in listing.cases]
    rest = "" if found == wanted else "; the others cannot be used or are not there"
    listing.notes.append(f"test split: {len(found)} of {len(wanted)} scans in {table.name}{rest}")


def _patients(plus: Path) -> dict[str, Row]:
    path = find_table(plus, _PATIENTS)
    if path is None:
        fix = "Download it from Merlin Plus: without patient ids no split can keep a patient on one side."
        raise missing_table(plus, _PATIENTS, fix)
    rows = read_rows(path, {"study id": _ID, "patient id": ("Patient ID",)})
    return {row.get(*_ID): row for row in rows if re.fullmatch(ID_PATTERN, row.get("Patient ID"))}


def _scan(root: Path, study: str) -> Path | None:
    if not re.fullmatch(ID_PATTERN, study):
        return None
    paths = (root / "merlin_data" / f"{study}{suffix}" for suffix in (".nii.gz", ".nii"))
    return next((path for path in paths if path.is_file()), None)


def _contradicts(facts: Row) -> bool:
    phase = facts.phase("phase")
    return facts.get("contrast").lower() == "false" and phase not in (Phase.UNKNOWN, Phase.NON_CONTRAST)


def _case(study: str, ct: Path, row: Row, facts: Row, masks: Path | None, config: MerlinConfig) -> PublicCase:
    if masks is not None and (masks / "segmentations").is_dir():
        masks = masks / "segmentations"
    if masks is not None and not any(masks.glob("*.nii*")):
        masks = None
    return PublicCase(
        case_id=study,
        patient_id=facts.get("Patient ID"),
        ct=ct,
        report=row.get("Findings", "report"),
        split=_SPLITS.get(row.get("Split").lower()) if config.official_splits else None,
        sex=facts.sex("Gender", "Sex"),
        age=facts.age("Age"),
        phase=Phase.UNKNOWN if _contradicts(facts) else facts.phase("phase"),
        scanner=scanner_name(facts.get("manufacturer"), facts.get("manufacturermodelname")),
        kvp=facts.number("kvp"),
        masks=masks,
        drawn_fully=False,
        take_lesions=config.tumor_masks,
    )
