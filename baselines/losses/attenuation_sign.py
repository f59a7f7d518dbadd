"""The report says bright or dark: the tumor should be so, relative to its organ (METHOD 5, variant ``sign``)."""

from __future__ import annotations

import torch
from torch import Tensor

from rsuper_bench.baselines.losses.arguments import check_same_shape, check_volume_batch, full_precision
from rsuper_bench.baselines.losses.averaging import supervised_mean

SPACE = (2, 3, 4)
SCALE_HU = 100.0


def attenuation_sign_loss(
    probability: Tensor, organ: Tensor, ct_hu: Tensor, brightness: Tensor, *, margin_hu: float = 10.0
) -> Tensor:
    """Hinge on the difference between the mean HU of the predicted tumor and of the rest of the organ.

    The means are weighted by the probability, so the loss does not care how much tumor is predicted, only where: its
    gradient does not fade when all probabilities become small, unlike that of a volume.

    Args:
        probability: ``(B, C, X, Y, Z)`` tumor probability in [0, 1].
        organ: Same shape, true inside the organ of the channel.
        ct_hu: ``(B, 1, X, Y, Z)`` CT in HU, before augmentation of intensity.
        brightness: ``(B, C)`` +1 where the report says brighter than the organ, -1 darker, 0 for no statement.
        margin_hu: Difference from which on there is no loss.

    Returns:
        A scalar, in units of 100 HU: the mean over the stated channels; 0 with a graph when there are none.

    Raises:
        ValueError: If the shapes differ.
    """
    check_volume_batch("probability", probability)
    check_same_shape("probability", probability, "organ", organ)
    check_same_shape("brightness", brightness, "probability of each channel", probability[..., 0, 0, 0])
    probability = full_precision(probability)
    inside = organ.to(probability.dtype)
    tumor = probability * inside
    rest = inside - tumor
    hu = ct_hu.to(probability.dtype)
    tiny = torch.finfo(torch.float32).tiny
    tumor_hu = (tumor * hu).sum(SPACE) / tumor.sum(SPACE).clamp(min=tiny)
    rest_hu = (rest * hu).sum(SPACE) / rest.sum(SPACE).clamp(min=tiny)
    shortfall = (margin_hu - brightness * (tumor_hu - rest_hu)).clamp(min=0) / SCALE_HU
    return supervised_mean(shortfall, (brightness != 0) & organ.any(4).any(3).any(2))
