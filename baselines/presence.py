"""Presence labels for a classification head (comparison row ``multi_task``)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from rsuper_bench.baselines.crop_targets import Targets
from rsuper_bench.baselines.losses import supervised_mean
from rsuper_bench.baselines.losses.looking import on_device


def presence_labels(targets: Targets) -> tuple[Tensor, Tensor]:
    """What each crop shows of each tumor type.

    A mask says it of the crop. A report speaks of the whole case: its "present" is a label of a crop that holds the
    whole place of a tumor, its "absent" of every crop.

    Returns:
        Label and whether there is one, both ``(B, C)`` boolean.
    """
    device = targets.mask.device
    drawn = targets.mask.flatten(2).any(2)
    nothing_unknown = (targets.known | ~targets.organ).flatten(2).all(2)
    reported = [[0 if tumors is None else 1 + bool(tumors.diameters_mm) for tumors in crop] for crop in targets.tumors]
    stated = on_device(reported, torch.long, device)
    label = drawn | (stated == 2)
    seen = targets.organ.flatten(2).any(2)
    return label, seen & (label | (stated == 1) | ((stated == 0) & nothing_unknown))


def presence_loss(logits: Tensor, targets: Targets) -> Tensor:
    """Mean cross-entropy over the tumor types and crops that have a label.

    Positives and negatives are not weighed: the recipe's ``crops.positives`` says how often each is drawn.

    Args:
        logits: ``(B, C)``.
        targets: Of the same crops.
    """
    label, stated = presence_labels(targets)
    loss = binary_cross_entropy_with_logits(logits.float(), label.float(), reduction="none")
    return supervised_mean(loss, stated)
