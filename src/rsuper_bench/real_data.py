"""Real CTs with tumor masks as input of the ``folder`` source: a lung nodule and two sarcomas (docs/real-data.md)."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import csv_text, pretty_json, write_text
from rsuper_bench.benchmark.nifti import read_nifti
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.lesions.shape import measure

ORIGIN = "This text was written from the reference mask, not by a radiologist."


@dataclass(frozen=True)
class _Scan:
    """A CT in the folder of real data. Paths are relative to its own folder."""

    name: str
    collection: str
    tumor_type: TumorType
    lesions: str
    sentence: str
    organs: str | None = None


SCANS = (
    _Scan(
        name="lidc_0314",
        collection="LIDC-IDRI",
        tumor_type=TumorType.LUNG,
        lesions="nodule_consensus_2of4.nii.gz",
        organs="lung_threshold_derived.nii.gz",
        sentence="There is a pulmonary nodule in the right lung measuring {size}.",
    ),
    *(
        _Scan(
            name=name,
            collection="Soft-tissue-Sarcoma",
            tumor_type=TumorType.SOFT_TISSUE,
            lesions="tumor_gtv.nii.gz",
            sentence="There is a soft tissue mass measuring {size}.",
        )
        for name in ("sts_001", "sts_002")
    ),
)


def write_folder_input(data_dir: Path, out: Path) -> Path:
    """Lay out the real CTs with tumor masks as ``cases.csv`` with files beside it.

    No reports of these scans are public: each gets a short text that says what its mask shows, and that it was
    written from the mask; the column ``source`` says so too.

    Args:
        data_dir: Folder of real data.
        out: Folder to write.

    Returns:
        ``out``, to be named as ``--input``.

    Raises:
        DataError: If files are missing (all of them listed).
    """
    needed = [data_dir / "ct" / scan.name / file for scan in SCANS for file in _files(scan)]
    missing = [path for path in needed if not path.is_file()]
    if missing:
        fix = "See docs/real-data.md for the layout of the folder."
        raise DataError.of([Problem(str(path), "no such file", "real data", fix) for path in missing])
    for scan in SCANS:
        (out / scan.name).mkdir(parents=True, exist_ok=True)
        for file in _files(scan):
            # With its time stamp: a second call is then seen to bring the same files, and its build goes on.
            shutil.copy2(data_dir / "ct" / scan.name / file, out / scan.name / file)
    rows = [_row(scan, out) for scan in SCANS]
    write_text(out / "cases.csv", csv_text(rows, list(rows[0])))
    # The only organ mask is binary; lesion masks are binary too, and `lesion_types` names their type.
    write_text(out / "label_map.json", pretty_json({"organs": {"1": "lung_right"}}))
    return out


def _files(scan: _Scan) -> list[str]:
    return ["ct.nii.gz", scan.lesions, *([scan.organs] if scan.organs else [])]


def _row(scan: _Scan, folder: Path) -> dict[str, str]:
    mask = read_nifti(folder / scan.name / scan.lesions)
    axes_mm = measure(mask.data != 0, mask.spacing_mm).diameters_mm
    size = " x ".join(f"{axis:.0f}" for axis in axes_mm) + " mm"
    return {
        "case_id": scan.name,
        "patient_id": scan.name,
        "report": f"{ORIGIN}\n\nFINDINGS:\n{scan.sentence.format(size=size)}",
        "ct": f"{scan.name}/ct.nii.gz",
        "organs": f"{scan.name}/{scan.organs}" if scan.organs else "",
        "lesions": f"{scan.name}/{scan.lesions}",
        "lesion_types": scan.tumor_type,
        "source": f"{scan.collection} (report text written from the mask)",
        "licence": "CC BY 3.0",
        "redistributable": "yes",
    }
