"""Supervision by masks, and by every voxel whose label is known without one (METHOD 2)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from rsuper_bench.baselines.losses.arguments import (
    Balance,
    check_balance,
    check_finite,
    check_same_shape,
    check_volume_batch,
    full_precision,
)
from rsuper_bench.baselines.losses.averaging import supervised_mean
from rsuper_bench.baselines.losses.tversky import adaptive_tversky

SPACE = (2, 3, 4)


def segmentation_loss(
    logits: Tensor, target: Tensor, known: Tensor, *, balance: Balance = "crop", tversky_weight: float = 1.0
) -> Tensor:
    """Binary cross-entropy plus an adaptive Tversky term, both on known voxels only.

    Sigmoid channels may overlap; there is no softmax. Computed in float32 (float64 stays), inside autocast too.

    Args:
        logits: ``(B, C, X, Y, Z)`` network output before the sigmoid.
        target: Same shape, 1 on the structure, else 0, or soft. Unknown voxels may hold any finite value.
        known: Same shape, 1 where the target is known, else 0.
        balance: ``crop`` (paper): cross-entropy is averaged over all voxels of the crop. ``own`` (*ours*): foreground
            and background are each averaged over their own known voxels, so that small tumors keep a voice. A voxel
            with a soft target belongs to both by its share; its best answer is still that target.
        tversky_weight: Weight of the Tversky term beside the cross-entropy.

    Returns:
        A scalar: the mean over the samples and channels with known voxels. 0, with a graph, if there are none.

    Raises:
        ValueError: If the shapes differ, an argument holds NaN, or ``balance`` is unknown.
    """
    check_volume_batch("logits", logits)
    check_same_shape("logits", logits, "target", target)
    check_same_shape("logits", logits, "known", known)
    check_balance(balance)
    check_finite("logits", logits)
    check_finite("target", target)
    logits = full_precision(logits)
    target, known = target.to(logits.dtype), known.to(logits.dtype)

    foreground, background = target * known, (1 - target) * known
    positives, negatives = foreground.sum(SPACE), background.sum(SPACE)
    if balance == "crop":
        weighted = binary_cross_entropy_with_logits(logits, target, weight=known, reduction="none")
        cross_entropy = supervised_mean(weighted.mean(SPACE), positives + negatives > 0)
    else:
        entropy = binary_cross_entropy_with_logits(logits, target, reduction="none")
        on_structure = (entropy * foreground).sum(SPACE) / positives.clamp(min=1e-6)
        elsewhere = (entropy * background).sum(SPACE) / negatives.clamp(min=1e-6)
        cross_entropy = supervised_mean(on_structure, positives > 0) + supervised_mean(elsewhere, negatives > 0)

    probability = logits.sigmoid()
    overlap = (probability * foreground).sum((0, *SPACE))
    false_positive = (probability * background).sum((0, *SPACE))
    present = positives.sum(0)
    tversky = adaptive_tversky(overlap, false_positive, present - overlap, present > 0)
    return cross_entropy + tversky_weight * tversky
