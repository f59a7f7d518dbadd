"""The report says brighter or darker than the organ: teach the tumor channel to look that way (METHOD 5)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Literal, get_args

import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from rsuper_bench.baselines.losses.arguments import (
    check_finite,
    check_probability,
    check_same_shape,
    check_volume_batch,
    full_precision,
)
from rsuper_bench.baselines.losses.looking import may_look
from rsuper_bench.benchmark.records import Attenuation

CENTRE_HU, SCALE_HU = 50.0, 100.0
FEATURES = 8
HIDDEN = 128
SAME_AS_ORGAN = 0.2  # organ standard deviations within which a lesion counts as neither bright nor dark
SMALLEST_WEIGHT = 1e-6  # of the summed weights: far below one voxel at p = 0.01

ClassifierKind = Literal["mlp", "linear", "sign"]


class AttenuationTarget(IntEnum):
    """Class index of the Attenuation Loss; NONE carries no supervision."""

    NONE = -1
    HYPO = 0
    HYPER = 1
    MIXED = 2


def attenuation_target(attenuations: Iterable[Attenuation]) -> AttenuationTarget:
    """Common target of all tumors of one organ in the crop (METHOD 5).

    Returns:
        NONE when there is no tumor, or any is isodense or of unknown attenuation; MIXED when the signs disagree.
    """
    stated = set(attenuations)
    if not stated or stated & {Attenuation.ISO, Attenuation.UNKNOWN}:
        return AttenuationTarget.NONE
    return AttenuationTarget[stated.pop().name] if len(stated) == 1 else AttenuationTarget.MIXED


def attenuation_target_from_mask(ct_hu: Tensor, lesion: Tensor, organ: Tensor) -> AttenuationTarget:
    """What the words of a report would be for lesions that are drawn in a mask.

    Each connected lesion is compared with the organ without lesions: those within 0.2 organ standard deviations of its
    mean are skipped; all others brighter is HYPER, all darker HYPO, else MIXED.

    Args:
        ct_hu: ``(X, Y, Z)`` CT in HU, before intensity augmentation.
        lesion: Same shape, true on lesions.
        organ: Same shape, true on the organ.

    Returns:
        NONE when there is nothing to compare or every lesion is skipped.

    Raises:
        ValueError: If the shapes differ.
    """
    check_same_shape("ct_hu", ct_hu, "lesion", lesion)
    check_same_shape("ct_hu", ct_hu, "organ", organ)
    lesion = lesion.bool()
    healthy = ct_hu[organ.bool() & ~lesion].double()
    if len(healthy) < 2 or not bool(lesion.any()):
        return AttenuationTarget.NONE
    labels, count = ndimage.label(lesion.cpu().numpy())
    means = torch.as_tensor(ndimage.mean(ct_hu.cpu().double().numpy(), labels, range(1, count + 1)))
    away = (means - healthy.mean().cpu()) / healthy.std().cpu().clamp(min=1e-6)
    brighter, darker = bool((away > SAME_AS_ORGAN).any()), bool((away < -SAME_AS_ORGAN).any())
    if brighter and darker:
        return AttenuationTarget.MIXED
    if brighter or darker:
        return AttenuationTarget.HYPER if brighter else AttenuationTarget.HYPO
    return AttenuationTarget.NONE


def attenuation_classifier(kind: ClassifierKind) -> nn.Module | None:
    """The learned part of `attenuation_loss`: 8 -> 128 -> ReLU -> 3, one linear layer, or None for ``sign``.

    Raises:
        ValueError: If the kind is unknown.
    """
    if kind == "mlp":
        return nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 3))
    if kind == "linear":
        return nn.Linear(FEATURES, 3)
    if kind == "sign":
        return None
    raise ValueError(f"kind must be one of {', '.join(get_args(ClassifierKind))}, got '{kind}'")


def attenuation_features(probability: Tensor, organ: Tensor, ct_hu: Tensor) -> Tensor:
    """Soft HU statistics of an organ and the tumor in it, differentiable in both.

    With o the organ, t the tumor inside it and HU entering as (HU - 50) / 100.

    Args:
        probability: ``(B, 1, X, Y, Z)`` tumor probability or mask, never passed through a sigmoid here.
        organ: Same shape, organ probability or mask.
        ct_hu: Same shape, CT in HU before intensity augmentation.

    Returns:
        ``(B, 8)``: mean and deviation of the organ (weights o (1 - t)), mean and deviation of the tumor (weights t),
        the differences tumor - organ of both, mean of o, mean of t.
    """
    organ = full_precision(organ)
    tumor = (full_precision(probability) * organ).flatten(1)
    organ = organ.flatten(1)
    hu = ((full_precision(ct_hu) - CENTRE_HU) / SCALE_HU).flatten(1)
    organ_mean, organ_deviation = _weighted_statistics(hu, organ - tumor)
    tumor_mean, tumor_deviation = _weighted_statistics(hu, tumor)
    columns = [organ_mean, organ_deviation, tumor_mean, tumor_deviation]
    columns += [tumor_mean - organ_mean, tumor_deviation - organ_deviation, organ.mean(1), tumor.mean(1)]
    return torch.stack(columns, 1)


def attenuation_loss(
    probability: Tensor,
    organ: Tensor,
    ct_hu: Tensor,
    target: Tensor,
    *,
    classifier: nn.Module | None = None,
    margin: float = 1.0,
) -> Tensor:
    """Penalise a tumor channel whose voxels are not as bright or dark as the report says (METHOD 5).

    With a classifier: cross-entropy of its answer from `attenuation_features`; its gradient trains classifier and
    network alike. Without (``sign``): max(0, margin - s (tumor mean - organ mean) / organ deviation), where s is 1 for
    hyper and -1 for hypo; mixed carries no supervision. The statistics of the tumor do not depend on how faint its
    probabilities are, so this also moves a network that predicts next to nothing.

    Args:
        probability: ``(B, 1, X, Y, Z)`` tumor probability in [0, 1]; for a case with masks the lesion mask itself.
        organ: Same shape, the organ's mask or probability.
        ct_hu: Same shape, CT in HU before intensity augmentation.
        target: ``(B,)`` integer `AttenuationTarget`; -1 where nothing supervises the sample.
        classifier: ``(N, 8) -> (N, 3)`` logits of hypo, hyper, mixed; None for the ``sign`` variant.
        margin: Demanded difference of means in organ standard deviations (``sign`` only).

    Returns:
        ``(B,)`` loss, 0 where unsupervised; see `attenuation_supervised` for the samples to average over.

    Raises:
        ValueError: If shapes differ, an argument holds NaN, or a target is no class.
    """
    check_volume_batch("probability", probability)
    check_same_shape("probability", probability, "organ", organ)
    check_same_shape("probability", probability, "ct_hu", ct_hu)
    check_probability("probability", probability)
    check_finite("ct_hu", ct_hu)
    target = torch.as_tensor(target).to(probability.device, non_blocking=True)
    if target.shape != probability.shape[:1] or target.is_floating_point():
        raise ValueError(f"target must be ({len(probability)},) integers, got {tuple(target.shape)} {target.dtype}")
    if may_look(target) and not bool(((target >= -1) & (target <= AttenuationTarget.MIXED)).all()):
        raise ValueError(f"target must hold classes -1 to 2, got {target.tolist()}")

    with torch.autocast(probability.device.type, enabled=False):
        features = attenuation_features(probability, organ, ct_hu)
        if classifier is None:
            side = (target == AttenuationTarget.HYPER).to(features) - (target == AttenuationTarget.HYPO).to(features)
            away = features[:, 4] / features[:, 1].detach().clamp(min=0.01)
            return (margin - side * away).clamp(min=0) * side.abs()
        answer = classifier(features)
        losses: Tensor = cross_entropy(answer, target.long(), ignore_index=AttenuationTarget.NONE, reduction="none")
        return losses


def attenuation_supervised(target: Tensor, classifier: nn.Module | None = None) -> Tensor:
    """``(B,)`` true where `attenuation_loss` supervises a sample: mixed only with a classifier."""
    return (target >= 0) if classifier is not None else (target == 0) | (target == 1)


def _weighted_statistics(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    total = weights.sum(1).clamp(min=SMALLEST_WEIGHT)
    mean = (values * weights).sum(1) / total
    variance = ((values - mean[:, None]).square() * weights).sum(1) / total
    return mean, (variance + 1e-6).sqrt()  # the gradient of a bare root is infinite at zero
