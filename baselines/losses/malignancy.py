"""Malignant or benign, as two more channels per tumor type (METHOD 7)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rsuper_bench.baselines.losses.arguments import (
    Balance,
    check_probability,
    check_same_shape,
    check_volume_batch,
    full_precision,
)
from rsuper_bench.baselines.losses.averaging import mean_over_batch
from rsuper_bench.baselines.losses.segmentation import segmentation_loss
from rsuper_bench.benchmark.records import Malignancy

CHANNEL = {Malignancy.MALIGNANT: 0, Malignancy.BENIGN: 1}


def malignancy_target(malignancies: Sequence[Malignancy]) -> Malignancy:
    """Common label of all tumors of one organ in the crop; UNKNOWN unless they share one."""
    stated = set(malignancies)
    return stated.pop() if len(stated) == 1 else Malignancy.UNKNOWN


def malignancy_loss(
    logits: Tensor,
    lesion: Tensor,
    unknown: Tensor,
    lesion_probability: Tensor,
    malignancy: Sequence[Malignancy],
    *,
    consistency_weight: float = 0.0,
    balance: Balance = "crop",
) -> Tensor:
    """Supervise the malignant and the benign channel of one tumor type (METHOD 7, also called Pathology Loss).

    Where no lesion can be, both channels are 0. A lesion mask of known malignancy is the target of its channel, and the
    other is 0. Voxels whose lesion label is unknown take the detached lesion probability as the target of the stated
    channel. With unknown malignancy neither the lesions nor the unknown voxels are penalised.

    Args:
        logits: ``(B, 2, X, Y, Z)`` malignant and benign channel before the sigmoid.
        lesion: ``(B, 1, X, Y, Z)`` true on lesions drawn in a mask; empty for a case that has only a report.
        unknown: ``(B, 1, X, Y, Z)`` true where neither mask nor report says whether there is a lesion.
        lesion_probability: ``(B, 1, X, Y, Z)`` predicted probability of the lesion channel; it gets a gradient from the
            consistency term only.
        malignancy: Label that all tumors of a sample share, UNKNOWN if they do not; see `malignancy_target`.
        consistency_weight: Weight of the mean |malignant + benign - lesion|; 0 leaves it out.
        balance: As in `segmentation_loss`.

    Returns:
        A scalar: the mean over the samples with supervised voxels.

    Raises:
        ValueError: If shapes differ, an argument holds NaN, or the number of labels is not the batch size.
    """
    check_volume_batch("logits", logits)
    if logits.shape[1] != 2:
        raise ValueError(f"logits must have two channels, malignant and benign, got {logits.shape[1]}")
    for name, tensor in (("lesion", lesion), ("unknown", unknown), ("lesion_probability", lesion_probability)):
        check_same_shape("logits of one channel", logits[:, :1], name, tensor)
    check_probability("lesion_probability", lesion_probability)
    if len(malignancy) != len(logits):
        raise ValueError(f"malignancy has {len(malignancy)} labels for a batch of {len(logits)}")
    logits, lesion_probability = full_precision(logits), full_precision(lesion_probability)

    unknown = unknown.bool()
    seen = torch.where(unknown, lesion_probability.detach(), lesion.to(logits.dtype))
    target = torch.zeros_like(logits)
    known = torch.ones_like(logits)
    for sample, label in enumerate(malignancy):
        if label in CHANNEL:
            target[sample, CHANNEL[label]] = seen[sample, 0]
        else:
            known[sample] = ~(unknown[sample] | lesion[sample].bool())
    loss = segmentation_loss(logits, target, known, balance=balance)
    if consistency_weight:
        apart = logits.sigmoid().sum(1, keepdim=True) - lesion_probability
        loss = loss + consistency_weight * mean_over_batch(apart.abs())
    return loss
