"""The Dice-like term that weighs misses and false alarms by how many there are (METHOD 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from rsuper_bench.baselines.losses.averaging import total

MIN_WEIGHT, MAX_WEIGHT = 0.2, 0.8


def adaptive_tversky(overlap: Tensor, false_positive: Tensor, false_negative: Tensor, has_target: Tensor) -> Tensor:
    """Mean Tversky loss of the channels that have a target.

    alpha = FP / (FP + FN), detached, clamped to [0.2, 0.8]; beta = 1 - alpha; 1 - TP / (TP + alpha FP + beta FN).

    Args:
        overlap: ``(C,)`` soft true positives of each channel over the batch, or over the crops this process has of it.
        false_positive: ``(C,)`` probability on supervised background.
        false_negative: ``(C,)`` missing probability on supervised foreground.
        has_target: ``(C,)`` true where the channel has foreground; the others have no useful gradient and are left
            out of the mean (cross-entropy covers them).

    Returns:
        A scalar in [0, 1]; 0 when no channel has a target.
    """
    parts = torch.stack([overlap, false_positive, false_negative, has_target.to(overlap.dtype)])
    overlap, false_positive, false_negative, crops = total(parts).unbind()
    has_target = crops > 0
    wrong = (false_positive + false_negative).detach()
    alpha = torch.where(wrong > 0, false_positive.detach() / wrong.clamp(min=1e-12), 0.5).clamp(MIN_WEIGHT, MAX_WEIGHT)
    denominator = overlap + alpha * false_positive + (1 - alpha) * false_negative
    loss = 1 - overlap / torch.where(has_target, denominator, 1.0)
    return loss.masked_fill(~has_target, 0).sum() / has_target.sum().clamp(min=1)
