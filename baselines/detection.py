"""From probability maps to what a submission says of a case (METHOD 9)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.baselines.inputs import organ_masks
from rsuper_bench.baselines.prepare import PreparedCase
from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.benchmark.mask_prediction import denoised_volume_mm3, mask_score
from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.release import LabelMap
from rsuper_bench.benchmark.tumor_types import TumorType

Map = NDArray[np.float32]


def gate(lesions: Map, organs: Map, case: PreparedCase, label_map: LabelMap, recipe: Recipe) -> Map:
    """Remove what lies outside the organ (METHOD 9).

    Args:
        lesions: ``(C, X, Y, Z)`` tumor probabilities.
        organs: ``(C, X, Y, Z)`` organ probabilities of the same model.
        case: Its organ masks are used when the recipe gates with the release's.
        label_map: Names of their labels.
        recipe: ``organ_gate``.

    Returns:
        Tumor probabilities, 0 outside the organ. An organ that the mask does not show leaves nothing.
    """
    if recipe.organ_gate == "none":
        return lesions
    if recipe.organ_gate == "model":
        return np.where(organs >= 0.5, lesions, np.float32(0))
    inside = organ_masks(case.organs, case.index, label_map, recipe)
    return np.where(inside, lesions, np.float32(0))


def score_and_volume(probability: Map, case: PreparedCase) -> tuple[float, float]:
    """Case score (maximum probability) and predicted volume in mm^3 at 0.5 after denoising (METHOD 9)."""
    volume = Volume(probability, case.affine)
    return mask_score(volume), denoised_volume_mm3(volume)


def detections(lesions: Map, case: PreparedCase, recipe: Recipe) -> dict[TumorType, tuple[float, float]]:
    """Score and volume of every tumor type of a case."""
    return {
        kind: score_and_volume(probability, case) for kind, probability in zip(recipe.tumor_types, lesions, strict=True)
    }
