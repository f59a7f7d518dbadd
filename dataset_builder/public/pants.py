"""PanTS (Johns Hopkins), the NIfTI release.

    metadata.xlsx (or .csv)                                      PanTS ID, sex, age, ct phase, tumor?, ...
    ImageTr|ImageTe/PanTS_00000001/ct.nii.gz
    LabelTr|LabelTe/PanTS_00000001/segmentations/<organ>.nii.gz  with pancreatic_lesion
    ReportTr|ReportTe/PanTS_00000001/report.pdf (or .txt)

Its tables name no patients, so each scan counts as a patient of its own: scans of one patient may be on both sides.
"""

from __future__ import annotations

import re
from pathlib import Path

from rsuper_bench.benchmark.files import read_model
from rsuper_bench.benchmark.records import ID_PATTERN, Phase, Split
from rsuper_bench.benchmark.tumor_types import TumorType
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

LICENCE = Licence("CC BY-NC-ND 4.0 (PanTS): no changed copies may be passed on")
_PARTS = {"Tr": Split.TRAIN, "Te": Split.TEST}
_TUMOR = {"1": True, "0": False, "true": True, "false": False, "yes": True, "no": False}


class PantsConfig(PublicConfig):
    """Options.

    Attributes:
        trust_non_contrast: Believe the table where it says non-contrast; users found enhanced scans among those.
    """

    trust_non_contrast: bool = False


def open_source(root: Path, config: Path | None) -> PublicSource:
    """Open a download."""
    options = PantsConfig() if config is None else read_model(config, PantsConfig)
    folder = Path.cwd() if config is None else config.parent
    options = options.model_copy(update={"organ_masks": beside(options.organ_masks, folder)})
    return PublicSource("pants", root.resolve(), options, LICENCE, list_pants)


def list_pants(root: Path, config: PantsConfig) -> Listing:
    """List the scans of a download.

    Raises:
        DataError: The table is missing or malformed.
    """
    table = find_table(root, "metadata.csv", "metadata.xlsx")
    if table is None:
        raise missing_table(root, "metadata.xlsx", "Name the folder that holds it.")
    rows = {row.get("PanTS ID", "id"): row for row in read_rows(table, {"scan id": ("PanTS ID", "id")})}
    listing = Listing()
    seen = set()
    for part, split in _PARTS.items():
        for folder in sorted(path for path in (root / f"Image{part}").glob("*") if path.is_dir()):
            scan = folder.name
            seen.add(scan)
            if not re.fullmatch(ID_PATTERN, scan):
                listing.reject(scan, Reason.UNSAFE_ID, "no safe folder name")
            elif not (folder / "ct.nii.gz").is_file():
                old = (folder / "ct.npz").is_file()
                what = "the .npz release has no voxel size: download the NIfTI release" if old else "no ct.nii.gz"
                listing.reject(scan, Reason.MISSING_FILE, what)
            elif (report := _report(root, part, scan)) is None:
                listing.reject(scan, Reason.NO_REPORT, f"no report in Report{part}")
            else:
                masks = root / f"Label{part}" / scan / "segmentations"
                listing.cases.append(_case(folder, split, report, masks, rows.get(scan), config))
    for scan in sorted(set(rows) - seen):
        listing.reject(scan, Reason.MISSING_FILE, "in the table, but there is no scan")
    without = sum(not case.says_tumor for case in listing.cases)
    if without:
        listing.notes.append(f"{without} scans have no `tumor?` in {table.name}: their masks are taken as they are")
    listing.notes.append("no patient ids: each scan counts as a patient of its own")
    listing.notes += mask_notes(listing.cases)
    return listing


def _report(root: Path, part: str, scan: str) -> Path | None:
    paths = (root / f"Report{part}" / scan / name for name in ("report.txt", "report.pdf"))
    return next((path for path in paths if path.is_file()), None)


def _case(folder: Path, split: Split, report: Path, masks: Path, row: Row | None, config: PantsConfig) -> PublicCase:
    row = row or Row({})
    phase = row.phase("ct phase", "phase")
    tumor = _TUMOR.get(row.get("tumor?").lower())
    return PublicCase(
        case_id=folder.name,
        patient_id=folder.name,
        ct=folder / "ct.nii.gz",
        report=report,
        split=split,
        sex=row.sex("sex", "gender"),
        age=row.age("age"),
        phase=Phase.UNKNOWN if phase is Phase.NON_CONTRAST and not config.trust_non_contrast else phase,
        scanner=scanner_name(row.get("manufacturer"), row.get("manufacturer model")),
        masks=masks if masks.is_dir() and any(masks.glob("*.nii*")) else None,
        says_tumor=() if tumor is None else ((TumorType.PANCREAS, tumor),),
    )
