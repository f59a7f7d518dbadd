"""CT-RATE (chest CT with reports), as downloaded from the Hub.

    [dataset/]train[_fixed]/train_1/train_1_a/train_1_a_1.nii.gz     split_patient_scan_reconstruction
    [dataset/]radiology_text_reports/train_reports.csv               VolumeName, Findings_EN, Impressions_EN, ...
    [dataset/]metadata/train_metadata.csv                            VolumeName, RescaleSlope, XYSpacing, ZSpacing, ...
    [dataset/]metadata/no_chest_train.txt                            volumes that show no chest

Older files have a blank header and stored values instead of HU; the metadata table mends both. One reconstruction of a
scan becomes its case. The card says CC BY-NC-SA 4.0, and the terms one agrees to allow no redistribution.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.errors import Problem
from rsuper_bench.benchmark.files import read_model, read_text
from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.records import Phase, Split
from rsuper_bench.dataset_builder.header_facts import scanner_name
from rsuper_bench.dataset_builder.organ_masks import beside
from rsuper_bench.dataset_builder.public.listing import Licence, Listing, PublicCase, PublicConfig, PublicSource
from rsuper_bench.dataset_builder.public.tables import Row, find_table, missing_table, read_rows
from rsuper_bench.dataset_builder.rejection import CaseError, Reason

LICENCE = Licence("CC BY-NC-SA 4.0 (CT-RATE); its terms of use allow no redistribution")
_NAME = re.compile(r"((train|valid)_\d{1,7})_([a-z]{1,3})_(\d{1,3})")
_GEOMETRY = ("XYSpacing", "ZSpacing", "ImagePositionPatient", "ImageOrientationPatient")
_RESCALE = ("RescaleSlope", "RescaleIntercept")
_SPACING_TOLERANCE = 0.02
_AIR_HU = -500  # every chest CT has at least this dark a hundredth
_MAX_BODY = re.compile(r"head|brain|skull|neck", re.IGNORECASE)


class CtRateConfig(PublicConfig):
    """Options.

    Attributes:
        reconstruction: Which reconstruction of a scan is taken; the lowest number when it has no such one.
        valid_is: What the data set's ``valid`` becomes. It has no third split.
    """

    reconstruction: int = 1
    valid_is: Literal["validation", "test"] = "validation"


def open_source(root: Path, config: Path | None) -> PublicSource:
    """Open a download."""
    options = CtRateConfig() if config is None else read_model(config, CtRateConfig)
    folder = Path.cwd() if config is None else config.parent
    options = options.model_copy(update={"organ_masks": beside(options.organ_masks, folder)})
    return PublicSource("ct_rate", root.resolve(), options, LICENCE, list_ct_rate, mend_ct_rate)


def list_ct_rate(root: Path, config: CtRateConfig) -> Listing:
    """List the scans of a download.

    Raises:
        DataError: No report table, or a malformed one.
    """
    base = root / "dataset" if (root / "dataset").is_dir() else root
    listing = Listing()
    found = False
    for part in ("train", "valid"):
        reports = find_table(base / "radiology_text_reports", f"{part}_reports.csv", f"{_long(part)}_reports.csv")
        volumes = _volumes(base, part)
        if reports is None:
            for name in volumes:
                listing.reject(name, Reason.NO_REPORT, f"no {part}_reports.csv")
            continue
        found = True
        split = Split.TRAIN if part == "train" else Split(config.valid_is)
        _list_part(listing, base, part, reports, volumes, split, config)
    if not found:
        raise missing_table(root, "radiology_text_reports/train_reports.csv", "Name the folder that holds it.")
    return listing


def _list_part(
    listing: Listing,
    base: Path,
    part: str,
    reports: Path,
    volumes: dict[str, Path],
    split: Split,
    config: CtRateConfig,
) -> None:
    texts = {_stem(row.get("VolumeName")): row for row in read_rows(reports, {"volume": ("VolumeName",)})}
    metadata = find_table(base / "metadata", f"{part}_metadata.csv", f"{_long(part)}_metadata.csv")
    facts = {} if metadata is None else {_stem(row.get("VolumeName")): row for row in read_rows(metadata, {})}
    no_chest = {
        _stem(line.strip())
        for path in sorted((base / "metadata").glob(f"no_chest*{part}*.txt"))
        for line in read_text(path).splitlines()
    }
    scans: dict[str, list[str]] = {}
    for name in volumes:
        match = _NAME.fullmatch(name)
        if match is None:
            listing.reject(name, Reason.UNSAFE_ID, "no name of this data set")
        else:
            scans.setdefault(f"{match[1]}_{match[3]}", []).append(name)
    for name in sorted(set(texts) - set(volumes)):
        listing.reject(name, Reason.MISSING_FILE, f"in {reports.name}, but there is no volume")
    for scan, names in sorted(scans.items()):
        chosen = _chosen(listing, names, no_chest, facts, config)
        if chosen is None:
            continue
        report = _report(next((texts[name] for name in (chosen, *names) if name in texts), Row({})))
        if not report:
            known = any(name in texts for name in names)
            listing.reject(scan, Reason.EMPTY_REPORT if known else Reason.NO_REPORT, f"no text in {reports.name}")
            continue
        listing.cases.append(_case(scan, volumes[chosen], report, split, facts.get(chosen, Row({}))))


def _chosen(
    listing: Listing, names: list[str], no_chest: set[str], facts: dict[str, Row], config: CtRateConfig
) -> str | None:
    usable = []
    for name in sorted(names, key=_reconstruction):
        row = facts.get(name, Row({}))
        if name in no_chest or _MAX_BODY.search(row.get("BodyPartExamined")):
            listing.reject(name, Reason.OTHER_BODY_PART, "shows no chest")
        else:
            usable.append(name)
    if not usable:
        return None
    chosen = next((name for name in usable if _reconstruction(name) == config.reconstruction), usable[0])
    for name in usable:
        if name != chosen:
            listing.reject(name, Reason.NOT_SELECTED, "another reconstruction of the scan was taken")
    return chosen


def _case(scan: str, ct: Path, report: str, split: Split, row: Row) -> PublicCase:
    match = _NAME.fullmatch(_stem(ct.name))
    return PublicCase(
        case_id=scan,
        patient_id=match[1] if match else scan,
        ct=ct,
        report=report,
        split=split,
        sex=row.sex("PatientSex"),
        age=row.age("PatientAge"),
        phase=Phase.UNKNOWN,  # called non-contrast as a whole; the table does not say it of a scan
        scanner=scanner_name(row.get("Manufacturer"), row.get("ManufacturerModelName")),
        kvp=row.number("KVP"),
        facts=tuple((name, row.get(name)) for name in (*_GEOMETRY, *_RESCALE) if row.get(name)),
    )


def mend_ct_rate(case: PublicCase, ct: Volume) -> Volume:
    """Give a volume with a blank header its place and its HU, both from the metadata table.

    Raises:
        CaseError: A blank header and no metadata, a header that contradicts the table, or values that are not HU.
    """
    facts = dict(case.facts)
    said = _spacing(facts)
    blank = np.allclose(np.abs(ct.affine[:3, :3]), np.eye(3), atol=1e-4)
    if said is not None and not np.allclose(sorted(ct.spacing_mm), sorted(said), rtol=_SPACING_TOLERANCE):
        if not blank:
            shown = " x ".join(f"{value:.3g}" for value in ct.spacing_mm)
            found = f"voxels of {shown} mm in the header, {' x '.join(f'{value:.3g}' for value in said)} in the table"
            raise _refuse(case, Reason.TABLE_AGAINST_HEADER, found, "one of them")
        ct = Volume(_rescaled(case, ct, facts), _affine(case, facts, said))
    elif said is None and blank:
        raise _refuse(case, Reason.BLANK_HEADER, "a blank header and no row in the metadata", "its voxel size")
    dark = float(np.percentile(ct.data[::4, ::4, ::4], 1))
    if dark > _AIR_HU:
        raise _refuse(case, Reason.NOT_HOUNSFIELD, f"the darkest hundredth is {dark:.0f}: not HU", "air near -1000 HU")
    return ct


def _rescaled(case: PublicCase, ct: Volume, facts: dict[str, str]) -> NDArray[np.float32]:
    try:
        slope, intercept = float(facts["RescaleSlope"]), float(facts["RescaleIntercept"])
    except (KeyError, ValueError):
        raise _refuse(case, Reason.NOT_HOUNSFIELD, "no rescale slope and intercept", "both in the metadata") from None
    return (ct.data * np.float32(slope) + np.float32(intercept)).astype(np.float32)


def _affine(case: PublicCase, facts: dict[str, str], spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """RAS affine from DICOM position and orientation; axes of the file are columns, rows, slices."""
    orientation = _numbers(facts.get("ImageOrientationPatient", ""), 6) or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    position = _numbers(facts.get("ImagePositionPatient", ""), 3) or (0.0, 0.0, 0.0)
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(row, column)
    if abs(np.linalg.norm(normal) - 1) > 0.05:
        raise _refuse(case, Reason.BLANK_HEADER, "no usable orientation in the metadata", "orthonormal vectors")
    affine = np.eye(4)
    affine[:3] = np.stack([row * spacing_mm[0], column * spacing_mm[1], normal * spacing_mm[2], position], axis=1)
    return np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine, dtype=np.float64)


def _spacing(facts: dict[str, str]) -> tuple[float, float, float] | None:
    plane = _numbers(facts.get("XYSpacing", ""), 2)
    along = _numbers(f"[{facts.get('ZSpacing', '')}]", 1)
    if plane is None or along is None or min(*plane, *along) <= 0:
        return None
    return plane[0], plane[1], along[0]


def _numbers(text: str, length: int) -> tuple[float, ...] | None:
    try:
        values = tuple(float(value) for value in ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return values if len(values) == length and all(abs(value) < 1e6 for value in values) else None


def _report(row: Row) -> str:
    findings, impression = row.get("Findings_EN"), row.get("Impressions_EN")
    parts = [f"Findings: {findings}" if findings else "", f"Impression: {impression}" if impression else ""]
    return "\n".join(part for part in parts if part)


def _volumes(base: Path, part: str) -> dict[str, Path]:
    """Volumes by name; of a volume that is there twice, the one with the mended header."""
    found: dict[str, Path] = {}
    for folder in (part, f"{part}_fixed"):
        for path in sorted((base / folder).glob("*/*/*.nii.gz")):
            found[_stem(path.name)] = path
    return found


def _reconstruction(name: str) -> int:
    return int(name.rsplit("_", 1)[1])


def _stem(name: str) -> str:
    return name.removesuffix(".nii.gz")


def _long(part: str) -> str:
    return "validation" if part == "valid" else part


def _refuse(case: PublicCase, reason: Reason, found: str, expected: str) -> CaseError:
    problem = Problem(f"case {case.case_id}: ct", found, expected, "Download the mended files and the metadata.")
    return CaseError.because(reason, [problem])
