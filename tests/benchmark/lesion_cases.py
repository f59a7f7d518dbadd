"""A small release with lesion masks, and submissions of masks for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from conftest import THREE, make_record, write_release

from rsuper_bench.benchmark.nifti import Volume, nifti_bytes, write_nifti
from rsuper_bench.benchmark.records import Presence
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.tumor_types import TumorType

LIVER = TumorType.LIVER
SHAPE = (24, 20, 16)
AFFINE = np.diag([1.5, 1.5, 2.0, 1.0])
LIVER_LABEL = 1 + THREE.index(LIVER)
TASK = Task(name="liver-v1", description="", tumor_types=(LIVER,), bootstrap_replicates=100)


def balls(*places: tuple[tuple[int, int, int], float], value: float = 1.0, base: np.ndarray | None = None):
    """Balls of ``(centre, radius in mm)``."""
    data = np.zeros(SHAPE, np.float32) if base is None else base
    grid = np.stack(np.meshgrid(*[np.arange(size) for size in SHAPE], indexing="ij"), -1) * np.diag(AFFINE)[:3]
    for centre, radius_mm in places:
        data[np.linalg.norm(grid - np.array(centre) * np.diag(AFFINE)[:3], axis=-1) <= radius_mm] = value
    return data


def lesion_release(
    folder: Path, drawn: Mapping[str, np.ndarray | None], patients: Mapping[str, str] | None = None
) -> Release:
    """Cases with drawn liver lesions (an empty mask: drawn to be none); None: positive by the report alone."""
    records, images, masks = [], {}, {}
    for case_id, mask in drawn.items():
        positive = mask is None or mask.any()
        volume = {} if mask is None else {LIVER: float((mask > 0).sum() * 4.5)}
        state = Presence.PRESENT if positive else Presence.ABSENT
        record = make_record(case_id, {LIVER: state}, patient=(patients or {}).get(case_id), lesion_masks=volume)
        ct = record.ct.model_copy(update={"shape": SHAPE, "spacing_mm": (1.5, 1.5, 2.0)})
        records.append(record.model_copy(update={"ct": ct}))
        images[case_id] = nifti_bytes(Volume(np.zeros(SHAPE, np.int16), AFFINE))
        if mask is not None:
            masks[case_id] = nifti_bytes(Volume(((mask > 0) * LIVER_LABEL).astype(np.uint8), AFFINE))
    return write_release(folder, records, images, masks)


def mask_submission(folder: Path, predicted: Mapping[str, np.ndarray]) -> Path:
    """A submission of masks."""
    for case_id, data in predicted.items():
        write_nifti(folder / "masks" / case_id / "liver.nii.gz", Volume(data.astype(np.float32), AFFINE))
    (folder / "submission.yaml").write_text("team: t\nmethod: m\n")
    return folder
