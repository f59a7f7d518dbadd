"""The predicted tumor volume should be the reported one (METHOD 3)."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import torch
from torch import Tensor

from rsuper_bench.baselines.losses.arguments import (
    check_not_negative,
    check_probability,
    check_same_shape,
    check_volume_batch,
    full_precision,
)
from rsuper_bench.baselines.losses.looking import may_look, on_device

SMALLEST_UNSIZED_MM3 = 66.0  # a ball of 5 mm
LARGEST_UNSIZED_MM3 = 905_000.0  # a ball of 120 mm
UNTOLERATED_MM3 = 100.0  # tumors up to this volume have no tolerance
COUNTED_FROM = 0.01  # lower probabilities do not count towards a lower bound
TOLERANCE = 0.1
REPORTED = (1.0, 1.0)  # a spread that takes a reported volume as it is
# Mask volume over the volume of the reported sphere: quartiles over 210 kidney tumors of KiTS19 (METHOD 11)
MEASURED_SPREAD = (0.70, 1.15)


def volume_loss(
    probability: Tensor,
    region: Tensor,
    reported_mm3: Tensor,
    *,
    voxel_mm3: Tensor,
    tolerance: float = TOLERANCE,
    softness_mm3: float = 500.0,
) -> Tensor:
    """Penalise a predicted tumor volume that leaves the reported one by more than a tolerance (METHOD 3).

    With l(v, V) = |v - V| / (v + V + softness) the loss is clamp(l(predicted, V) - l(tolerated, V), 0, 1) and the
    tolerated volume max((1 - tolerance) V, min(V, 100 mm^3)). The band of zero loss is not symmetric: for
    V = 1000 mm^3 it is [900, 1108.7] mm^3.

    Args:
        probability: ``(B, 1, X, Y, Z)`` tumor probability in [0, 1], not logits.
        region: ``(B, 1, X, Y, Z)`` 1 where the report places the tumors (already grown), else 0.
        reported_mm3: ``(B,)`` sum of the volumes the report implies there; 0 when it excludes a tumor.
        voxel_mm3: ``(B,)`` volume of one voxel.
        tolerance: Fraction of the reported volume that may be missing at no cost, in [0, 1).
        softness_mm3: Softens the loss of small tumors.

    Returns:
        ``(B,)`` loss in [0, 1); exactly 0 inside the tolerance band.

    Raises:
        ValueError: If the shapes differ, a volume is negative, or a probability is NaN or outside [0, 1].
    """
    check_volume_batch("probability", probability)
    reported_mm3 = _of_each_sample("reported_mm3", reported_mm3, probability)
    return volume_band_loss(
        probability,
        region,
        reported_mm3,
        reported_mm3,
        voxel_mm3=voxel_mm3,
        tolerance=tolerance,
        softness_mm3=softness_mm3,
    )


def volume_band_loss(
    probability: Tensor,
    region: Tensor,
    low_mm3: Tensor,
    high_mm3: Tensor,
    *,
    voxel_mm3: Tensor,
    tolerance: float = TOLERANCE,
    softness_mm3: float = 500.0,
    counted_from: float = COUNTED_FROM,
) -> Tensor:
    """Penalise a predicted volume outside a band; the nearer bound is then the target of `volume_loss`.

    For reports that bound a volume without stating it; `volume_bounds` gives the bounds. Where both bounds are equal
    this is `volume_loss`. *Ours*: towards a lower bound alone, voxels below ``counted_from`` do not count (else a whole
    organ at p = 0.001 satisfies it), though the gradient still raises them: without that an empty prediction would
    have no gradient to leave zero.

    Args:
        probability: ``(B, 1, X, Y, Z)`` tumor probability in [0, 1], not logits.
        region: ``(B, 1, X, Y, Z)`` 1 where the report places the tumors (already grown), else 0.
        low_mm3: ``(B,)`` smallest volume that agrees with the report; 0 for no lower bound.
        high_mm3: ``(B,)`` largest volume that agrees with the report; infinite for no upper bound.
        voxel_mm3: ``(B,)`` volume of one voxel.
        tolerance: As in `volume_loss`.
        softness_mm3: As in `volume_loss`.
        counted_from: Smallest probability that counts towards a lower bound.

    Returns:
        ``(B,)`` loss in [0, 1); exactly 0 inside the band.

    Raises:
        ValueError: If the shapes differ, a volume is negative, bounds are crossed, or a probability is NaN or outside
            [0, 1].
    """
    check_volume_batch("probability", probability)
    check_same_shape("probability", probability, "region", region)
    check_probability("probability", probability)
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance must be in [0, 1), got {tolerance}")
    if not softness_mm3 > 0:
        raise ValueError(f"softness_mm3 must be positive, got {softness_mm3}")
    probability = full_precision(probability)
    low, high, voxel = (
        _of_each_sample(name, volume, probability)
        for name, volume in (("low_mm3", low_mm3), ("high_mm3", high_mm3), ("voxel_mm3", voxel_mm3))
    )
    if may_look(probability) and bool((low > high).any()):
        raise ValueError("low_mm3 is above high_mm3")

    inside = (probability * region.to(probability.dtype)).flatten(1)
    total = inside.sum(1)
    faint = (inside.detach() * (inside.detach() < counted_from)).sum(1)
    exact = low == high
    counted = torch.where(exact, total, total - faint) * voxel
    total = total * voxel
    too_small = _beyond_tolerance(counted, low, tolerance, softness_mm3) * (counted < low)
    # An infinite bound never binds; a finite stand-in keeps inf - inf = NaN out of the gradient
    too_large = _beyond_tolerance(total, high.nan_to_num(posinf=0.0), tolerance, softness_mm3) * (total > high)
    return too_small + too_large


def volume_bounds(
    volumes_mm3: Sequence[float | None],
    *,
    complete: bool = True,
    cut: bool = False,
    spread: tuple[float, float] = REPORTED,
) -> tuple[float, float]:
    """Volume band of one lesion channel of one case, from what the report says (METHOD 3).

    Args:
        volumes_mm3: Volume of each reported tumor, None where the size is unknown. Empty: the report excludes tumors.
        complete: False when there may be more tumors than listed ("multiple", "innumerable").
        cut: Whether a region lies partly outside the crop, so that less than the reported volume may be visible.
        spread: What the true volume of a sized tumor may be, in parts of the reported one; `MEASURED_SPREAD` where a
            report is to be believed as far as reports were found to be right (*ours*).

    Returns:
        Lower and upper bound in mm^3; (0, inf) when nothing can be said.

    Raises:
        ValueError: If a volume is not positive, or the spread does not hold 1.
    """
    sized = [volume for volume in volumes_mm3 if volume is not None]
    if any(not 0 < volume < inf for volume in sized):
        raise ValueError(f"volumes_mm3 must be positive or None, got {list(volumes_mm3)}")
    if not 0 < spread[0] <= 1 <= spread[1] < inf:
        raise ValueError(f"spread must hold 1, got {spread}")
    unsized = len(volumes_mm3) - len(sized)
    low = spread[0] * sum(sized) + SMALLEST_UNSIZED_MM3 * unsized
    high = spread[1] * sum(sized)
    if unsized:
        high = max(LARGEST_UNSIZED_MM3, low)
    return (0.0 if cut else low, high if complete else inf)


def _of_each_sample(name: str, values: Tensor, like: Tensor) -> Tensor:
    batch = like.shape[0]
    values = on_device(values, like.dtype, like.device)
    if values.ndim == 0:
        values = values.expand(batch)
    if values.shape != (batch,):
        raise ValueError(f"{name} must be ({batch},), got shape {tuple(values.shape)}")
    check_not_negative(name, values)
    return values


def _beyond_tolerance(predicted: Tensor, target: Tensor, tolerance: float, softness: float) -> Tensor:
    def discrepancy(volume: Tensor) -> Tensor:
        return (volume - target).abs() / (volume + target + softness)

    tolerated = torch.maximum((1 - tolerance) * target, target.clamp(max=UNTOLERATED_MM3))
    return (discrepancy(predicted) - discrepancy(tolerated)).clamp(0, 1)
