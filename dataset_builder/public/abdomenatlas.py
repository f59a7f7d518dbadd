"""AbdomenAtlas 3.0 Mini (RadGPT), and earlier ones that have the same folders.

    AbdomenAtlas3.0MiniWithMeta.csv                       BDMAP ID, narrative report, structured report, ...
    image_only/BDMAP_00000001/ct.nii.gz                   or BDMAP_00000001/ct.nii.gz
    mask_only/BDMAP_00000001/segmentations/<organ>.nii.gz or BDMAP_00000001/segmentations/...

Its reports were written by a program from masks that radiologists revised; they are not reports of a hospital. Its
table names no patients, so each scan counts as a patient of its own.
"""

from __future__ import annotations

import re
from pathlib import Path

from rsuper_bench.benchmark.errors import ConfigError, Problem
from rsuper_bench.benchmark.files import read_model
from rsuper_bench.benchmark.records import ID_PATTERN
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

LICENCE = Licence("CC BY-NC-ND 4.0 (AbdomenAtlas 3.0): no changed copies may be passed on")
_ID = ("BDMAP ID", "BDMAP_ID", "id")


class AbdomenAtlasConfig(PublicConfig):
    """Options.

    Attributes:
        table: The CSV of reports; the only ``AbdomenAtlas*.csv`` of the download when none is named.
        report_column: Which of its reports is the report.
    """

    table: Path | None = None
    report_column: str = "narrative report"


def open_source(root: Path, config: Path | None) -> PublicSource:
    """Open a download."""
    options = AbdomenAtlasConfig() if config is None else read_model(config, AbdomenAtlasConfig)
    folder = Path.cwd() if config is None else config.parent
    table = None if options.table is None else (folder / options.table).resolve()
    if table is not None and not table.is_file():
        raise ConfigError.of([Problem(f"{config}: table", "no such file", "a CSV", "Check the path.")])
    options = options.model_copy(update={"table": table, "organ_masks": beside(options.organ_masks, folder)})
    return PublicSource("abdomenatlas", root.resolve(), options, LICENCE, list_abdomenatlas)


def list_abdomenatlas(root: Path, config: AbdomenAtlasConfig) -> Listing:
    """List the scans of a download.

    Raises:
        DataError: The table is missing or malformed.
    """
    table = config.table or find_table(root, "AbdomenAtlas*.csv")
    if table is None:
        raise missing_table(root, "AbdomenAtlas3.0MiniWithMeta.csv", "Download it, or name it in the config: table.")
    rows = read_rows(table, {"scan id": _ID, "report": (config.report_column,)})
    listing = Listing()
    seen = set()
    for row in rows:
        scan = row.get(*_ID)
        seen.add(scan)
        if not re.fullmatch(ID_PATTERN, scan):
            listing.reject(scan, Reason.UNSAFE_ID, "no safe scan id")
            continue
        ct = _first(root / "image_only" / scan / "ct.nii.gz", root / scan / "ct.nii.gz")
        if ct is None:
            listing.reject(scan, Reason.MISSING_FILE, "in the table, but there is no ct.nii.gz")
        elif not row.get(config.report_column):
            listing.reject(scan, Reason.EMPTY_REPORT, f"no {config.report_column} in the table")
        else:
            listing.cases.append(_case(root, scan, ct, row, config))
    for folder in sorted([*(root / "image_only").glob("*"), *root.glob("BDMAP_*")]):
        if folder.is_dir() and folder.name not in seen:
            listing.reject(folder.name, Reason.NO_REPORT, f"not in {table.name}")
    listing.notes.append("no patient ids: each scan counts as a patient of its own")
    listing.notes.append("reports were written by a program from revised masks")
    listing.notes += mask_notes(listing.cases)
    return listing


def _case(root: Path, scan: str, ct: Path, row: Row, config: AbdomenAtlasConfig) -> PublicCase:
    masks = _first(root / "mask_only" / scan / "segmentations", root / scan / "segmentations")
    return PublicCase(
        case_id=scan,
        patient_id=scan,
        ct=ct,
        report=row.get(config.report_column),
        sex=row.sex("sex", "gender"),
        age=row.age("age"),
        phase=row.phase("phase", "ct phase"),
        scanner=scanner_name(row.get("manufacturer", "scanner"), row.get("manufacturer model")),
        masks=masks if masks is not None and any(masks.glob("*.nii*")) else None,
    )


def _first(*paths: Path) -> Path | None:
    return next((path for path in paths if path.exists()), None)
