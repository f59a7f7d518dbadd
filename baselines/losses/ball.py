"""Train on the balls a report implies (METHOD 4)."""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1, log1p

import torch
from torch import Tensor
from torch.nn.functional import softplus

from rsuper_bench.baselines.losses.arguments import (
    Balance,
    check_balance,
    check_finite,
    check_same_shape,
    check_volume_batch,
    full_precision,
    spacings_of,
)
from rsuper_bench.baselines.losses.averaging import no_loss, supervised_mean
from rsuper_bench.baselines.losses.balls import grow
from rsuper_bench.baselines.losses.pseudo_mask import SIGMA_RADII, place_tumors
from rsuper_bench.baselines.losses.reported_tumors import ReportedTumors
from rsuper_bench.baselines.losses.tversky import adaptive_tversky

RIM_MM = 3.0


def ball_loss(
    logits: Tensor,
    penalised: Tensor,
    tumors: Sequence[Sequence[ReportedTumors | None]],
    *,
    spacing_mm: Sequence[float] | Sequence[Sequence[float]] | Tensor,
    margin: float = 0.25,
    concentration: float = 0.5,
    rim_mm: float = RIM_MM,
    sigma_radii: float = SIGMA_RADII,
    balance: Balance = "crop",
    tversky_weight: float = 1.0,
) -> Tensor:
    """Cross-entropy and Tversky loss on the pseudo-masks of `place_tumors`.

    Positive: the cores of the placed tumors; a foreground voxel weighs more the more probable it is
    (`rank_pooling_weights`). Ignored: their halos, widened by ``rim_mm``, and regions that a report leaves open.
    Negative: every other voxel of ``penalised``. No gradient flows through the choice of the pseudo-mask.

    Args:
        logits: ``(B, C, X, Y, Z)`` network output of the lesion channels before the sigmoid.
        penalised: Same shape, true on the grown regions and the known voxels, false on voxels that stay unknown, such
            as a region cut by the crop.
        tumors: For each sample and each channel what the report says, or None where no report supervises it.
        spacing_mm: Voxel lengths along X, Y and Z: one triple for the batch or one a sample.
        margin: Relative uncertainty of the reported size.
        concentration: c of the rank pooling in [0, 1): the least probable foreground voxel weighs about 1 - c times the
            most probable one.
        rim_mm: Width of the ignored rim around each halo.
        sigma_radii: Standard deviation of the Gaussian inside the searched ball, in radii.
        balance: ``crop`` (paper): foreground and background are sums over the crop's voxels. ``own`` (*ours*): each is
            averaged over its own voxels, so that a small tumor outweighs the empty space around it.
        tversky_weight: Weight of the Tversky term beside the cross-entropy.

    Returns:
        A scalar: the mean over the supervised samples and channels. 0, with a graph, if there are none.

    Raises:
        ValueError: If shapes differ, the lists do not match the batch, an argument holds NaN or is out of range.
    """
    check_volume_batch("logits", logits)
    check_same_shape("logits", logits, "penalised", penalised)
    check_finite("logits", logits)
    check_balance(balance)
    batch, channels = logits.shape[:2]
    if len(tumors) != batch or any(len(row) != channels for row in tumors):
        raise ValueError(f"tumors must hold {batch} samples of {channels} channels, got {[len(row) for row in tumors]}")
    if not 0 <= concentration < 1:
        raise ValueError(f"concentration must be in [0, 1), got {concentration}")
    if not rim_mm >= 0:
        raise ValueError(f"rim_mm must not be negative, got {rim_mm}")
    spacings = spacings_of(spacing_mm, batch)
    logits = full_precision(logits)

    pairs = [(b, c, reported) for b, row in enumerate(tumors) for c, reported in enumerate(row) if reported is not None]
    if not pairs:
        return no_loss(logits)
    samples = torch.as_tensor([b for b, _, _ in pairs], device=logits.device)
    channel = torch.as_tensor([c for _, c, _ in pairs], device=logits.device)
    supervised = logits[samples, channel]
    probability = supervised.sigmoid()
    negative = penalised[samples, channel].bool()
    core = torch.zeros_like(negative)
    for pair, (sample, _, reported) in enumerate(pairs):
        spacing = spacings[sample]
        placed = place_tumors(
            probability[pair].detach(), reported, spacing_mm=spacing, margin=margin, sigma_radii=sigma_radii
        )
        core[pair] = placed.core
        if reported.diameters_mm or not reported.complete:
            negative[pair] &= ~(grow(placed.halo, rim_mm, spacing) | placed.ignored)

    space = (1, 2, 3)
    positives, negatives = core.sum(space), negative.sum(space)
    foreground = torch.stack(
        [_rank_pooled(crop[mask], concentration) for crop, mask in zip(supervised, core, strict=True)]
    )
    background = (softplus(supervised) * negative).sum(space)
    if balance == "crop":
        cross_entropy = ((foreground + background) / supervised[0].numel()).mean()
    else:
        cross_entropy = supervised_mean(foreground / positives.clamp(min=1), positives > 0) + supervised_mean(
            background / negatives.clamp(min=1), negatives > 0
        )

    def of_channels(values: Tensor) -> Tensor:
        return values.new_zeros(channels).index_add(0, channel, values)

    overlap = of_channels((probability * core).sum(space))
    present = of_channels(positives.to(logits.dtype))
    false_positive = of_channels((probability * negative).sum(space))
    tversky = adaptive_tversky(overlap, false_positive, present - overlap, present > 0)
    return cross_entropy + tversky_weight * tversky


def rank_pooling_weights(count: int, concentration: float = 0.5) -> Tensor:
    """Weights of voxels sorted by falling probability, summing to their number (METHOD 4).

    w_i = n q^i (1 - q) / (1 - q^n) with q = (1 - c)^(1 / n), so that q^n = 1 - c whatever n.

    Args:
        count: Number n of voxels.
        concentration: c in [0, 1); 0 gives equal weights.

    Returns:
        ``(count,)`` float64.
    """
    if count == 0 or concentration == 0:
        return torch.ones(count, dtype=torch.float64)
    log_q = log1p(-concentration) / count
    return count * torch.exp(torch.arange(count, dtype=torch.float64) * log_q) * -expm1(log_q) / concentration


def _rank_pooled(logits: Tensor, concentration: float) -> Tensor:
    """Weighted sum of the cross-entropy of foreground voxels; 0 for none."""
    ranked = logits.sort(descending=True).values
    return (softplus(-ranked) * rank_pooling_weights(len(ranked), concentration).to(ranked)).sum()
