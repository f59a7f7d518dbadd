"""How well a predicted mask covers a drawn one."""

from __future__ import annotations

from math import dist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.box import box_of, union

TOLERANCE_MM = 3.0
DIGITS = 6  # of figures in a report


class Overlap(NamedTuple):
    """Dice, surface Dice at 3 mm, and the 95th percentile of surface distances."""

    dice: float
    surface_dice_3mm: float
    hd95_mm: float


def measure_overlap(
    predicted: NDArray[np.bool_], drawn: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> Overlap | None:
    """Compare two masks.

    Surfaces are those of DeepMind's ``surface-distance`` (surface elements between voxels, weighted by their area).
    Where one mask is empty the overlap is 0 and the distance is the diagonal of the image: a lesion that was missed,
    or made up, can never be better than one that was drawn badly.

    Args:
        predicted: ``(X, Y, Z)``.
        drawn: The same grid.
        spacing_mm: Voxel size.

    Returns:
        None where both are empty.
    """
    import surface_distance

    boxes = box_of(predicted), box_of(drawn)
    box = union(*boxes)
    if box is None:
        return None
    if None in boxes:
        return Overlap(0.0, 0.0, round(_diagonal_mm(predicted.shape, spacing_mm), DIGITS))
    one, other = predicted[box], drawn[box]
    dice = 2 * int((one & other).sum()) / (int(one.sum()) + int(other.sum()))
    distances = surface_distance.compute_surface_distances(other, one, spacing_mm)
    return Overlap(
        round(dice, DIGITS),
        round(float(surface_distance.compute_surface_dice_at_tolerance(distances, TOLERANCE_MM)), DIGITS),
        round(float(surface_distance.compute_robust_hausdorff(distances, 95)), DIGITS),
    )


def _diagonal_mm(shape: tuple[int, ...], spacing_mm: tuple[float, float, float]) -> float:
    return dist((0, 0, 0), [size * spacing for size, spacing in zip(shape, spacing_mm, strict=True)])
