"""The lesions of one case: what a predicted map found, what it missed, and what it made up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.box import box_of
from rsuper_bench.benchmark.components import components
from rsuper_bench.benchmark.lesion_candidates import Candidates, find_candidates
from rsuper_bench.benchmark.lesion_diameter import largest_diameter_mm
from rsuper_bench.benchmark.lesion_matching import match_lesions, overlaps
from rsuper_bench.benchmark.lesion_overlap import DIGITS, measure_overlap
from rsuper_bench.benchmark.lesion_record import DrawnLesion, LesionOutcome
from rsuper_bench.benchmark.mask_prediction import THRESHOLD
from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.tumor_types import TumorType


def measure_lesions(
    predicted: Volume, drawn: NDArray[np.bool_] | None, *, case_id: str, patient: str, tumor_type: TumorType
) -> LesionOutcome:
    """Compare a predicted map with drawn lesions.

    Args:
        predicted: Probabilities in [0, 1].
        drawn: ``(X, Y, Z)`` voxels of all lesions of the type; None where they are not drawn.
        case_id: The case.
        patient: Its salted hash.
        tumor_type: Of the lesions.
    """
    candidates = find_candidates(predicted.data)
    confidence = candidates.confidence
    voxels = np.asarray(predicted.data >= THRESHOLD)
    outcome = LesionOutcome(
        case_id=case_id,
        patient=patient,
        tumor_type=tumor_type,
        lesions=None,
        top_confidence=float(confidence[0]) if len(confidence) else None,
        dropped=candidates.dropped,
        predicted_mm3=_rounded(int(voxels.sum()) * predicted.voxel_mm3),
    )
    if drawn is None:
        return outcome
    lesions, false_alarms, repeats = _match(predicted, candidates, drawn)
    overlap = measure_overlap(voxels, drawn, predicted.spacing_mm)
    found = {
        "lesions": lesions,
        "false_alarms": tuple(float(confidence[index]) for index in false_alarms),
        "repeats": tuple(float(confidence[index]) for index in repeats),
        "reference_mm3": _rounded(int(drawn.sum()) * predicted.voxel_mm3),
    }
    return outcome.model_copy(update=found if overlap is None else found | overlap._asdict())


def _match(
    predicted: Volume, candidates: Candidates, drawn: NDArray[np.bool_]
) -> tuple[tuple[DrawnLesion, ...], tuple[int, ...], tuple[int, ...]]:
    """Drawn lesions, the largest first; candidates that are false alarms; candidates that are repeats."""
    from scipy.ndimage import find_objects

    confidence = candidates.confidence
    box = box_of(drawn)
    if box is None:
        return (), tuple(range(len(confidence))), ()
    labels, n = components(drawn[box])
    shares: dict[tuple[int, int], float] = {}
    if candidates.box is not None:
        # Both inside the whole image: sizes must not be those of crops.
        whole = np.zeros(drawn.shape, dtype=labels.dtype)
        whole[box] = labels
        sizes = np.bincount(labels[labels > 0], minlength=n + 1)
        shares = overlaps(candidates.labels, whole[candidates.box], lesion_sizes=sizes)
    matches = match_lesions(shares, confidence, n)
    parts = find_objects(labels)
    lesions = []
    for index in range(n):
        part = parts[index]
        found = int(matches.candidate[index])
        voxels = labels[part] == index + 1
        lesions.append(
            DrawnLesion(
                diameter_mm=_rounded(largest_diameter_mm(voxels, predicted.affine)),
                volume_mm3=_rounded(int(voxels.sum()) * predicted.voxel_mm3),
                confidence=float(confidence[found]) if found >= 0 else None,
                overlap=_rounded(float(matches.overlap[index])) if found >= 0 else None,
            )
        )
    lesions.sort(key=lambda lesion: (-lesion.diameter_mm, -lesion.volume_mm3))
    return tuple(lesions), matches.false_alarms, matches.repeats


def _rounded(value: float) -> float:
    return round(float(value), DIGITS)
