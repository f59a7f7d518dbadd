"""The objectives: from what the model says and a batch to named terms, computed when the loop weighs them.

Three baselines, and the comparison rows of the papers (docs/comparison-rows.md). A pre-training is a term like any
other: a recipe gives it the weight of the first stage and 0 after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor

from rsuper_bench.baselines.batch import Batch
from rsuper_bench.baselines.contrast import contrast_loss, finding_attributes
from rsuper_bench.baselines.distortion import Distortion, distorted
from rsuper_bench.baselines.losses import (
    attenuation_loss,
    attenuation_supervised,
    ball_loss,
    malignancy_loss,
    mean_over_batch,
    nothing,
    segmentation_loss,
    supervised_mean,
    total,
    volume_band_loss,
)
from rsuper_bench.baselines.losses.looking import on_device
from rsuper_bench.baselines.networks import Model, Outputs
from rsuper_bench.baselines.options import LossOptions
from rsuper_bench.baselines.presence import presence_loss

Terms = dict[str, Callable[[], Tensor]]
Objective = Callable[[Model, Batch, LossOptions], Terms]
Part = TypeVar("Part")


def mask_only(model: Model, batch: Batch, options: LossOptions) -> Terms:
    """Masks, and the background they rule out (METHOD 2)."""
    return _supervised(model(batch.image), batch, options)


def report_only(model: Model, batch: Batch, options: LossOptions) -> Terms:
    """What reports say of volume, number, size and brightness, and the background they rule out (METHOD 2-7)."""
    outputs = model(batch.image)
    terms = _supervised(outputs, batch, options) | {
        "volume": lambda: _volume(outputs, batch, options),
        "ball": lambda: _ball(outputs, batch, options),
        "attenuation": lambda: _attenuation(outputs, batch, options, model.attenuation),
    }
    stated = outputs.malignancy
    if stated is not None:
        terms["malignancy"] = lambda: _malignancy(outputs, stated, batch, options)
    return terms


def combined(model: Model, batch: Batch, options: LossOptions) -> Terms:
    """The terms of `report_only`; the batch also holds cases with masks, and segmentation is what they teach."""
    return report_only(model, batch, options)


def multi_task(model: Model, batch: Batch, options: LossOptions) -> Terms:
    """Masks for the segmentation, and what reports say of presence for a head on the encoder (presence.py)."""
    outputs = model(batch.image)
    return _supervised(outputs, _masks_alone(batch), options) | {
        "organs": lambda: _organs(outputs, batch),
        "presence": lambda: presence_loss(_there(outputs.presence), batch.targets),
    }


def clip_like(model: Model, batch: Batch, options: LossOptions) -> Terms:
    """Crops against the findings of their reports (contrast.py), then masks."""
    outputs = model(batch.image)
    return _supervised(outputs, _masks_alone(batch), options) | {
        "contrast": lambda: _contrast(outputs, model, batch, options)
    }


def models_genesis(model: Model, batch: Batch, options: LossOptions) -> Terms:
    """The CT from a distorted one (distortion.py), then masks."""
    outputs = cache(lambda: model(batch.image))  # not needed while it restores
    return {
        "segmentation": lambda: _segmentation(outputs(), _masks_alone(batch), options),
        "organs": lambda: _organs(outputs(), batch),
        "restoration": lambda: _restoration(model, batch),
    }


OBJECTIVES: dict[str, Objective] = {
    "mask_only": mask_only,
    "report_only": report_only,
    "combined": combined,
    "multi_task": multi_task,
    "clip_like": clip_like,
    "models_genesis": models_genesis,
    "pseudo_labels": mask_only,
}


def _supervised(outputs: Outputs, batch: Batch, options: LossOptions) -> Terms:
    return {
        "segmentation": lambda: _segmentation(outputs, batch, options),
        "organs": lambda: _organs(outputs, batch),
    }


def _segmentation(outputs: Outputs, batch: Batch, options: LossOptions) -> Tensor:
    chosen = options.segmentation
    mask, known = batch.targets.mask, batch.targets.known
    if chosen.background == "organ":
        known = known & (batch.targets.organ | mask)
    loss = segmentation_loss(outputs.final, mask, known, balance=chosen.balance, tversky_weight=chosen.tversky_weight)
    if outputs.auxiliary is outputs.final:
        return loss
    deep = segmentation_loss(
        outputs.auxiliary, mask, known, balance=chosen.balance, tversky_weight=chosen.tversky_weight
    )
    return 0.5 * loss + 0.5 * deep


def _organs(outputs: Outputs, batch: Batch) -> Tensor:
    """The organs lesions grow in, from the organ masks that every case of a release brings along."""
    organ = batch.targets.organ
    known = batch.targets.organ_known[..., None, None, None].expand_as(organ)
    if batch.inside is not None:
        known = known & batch.inside
    return segmentation_loss(outputs.organs, organ, known)


def _volume(outputs: Outputs, batch: Batch, options: LossOptions) -> Tensor:
    logits = outputs.auxiliary if options.volume.output == "auxiliary" else outputs.final
    chosen = batch.targets.volume_known
    if not bool(chosen.any()):
        return mean_over_batch(nothing(logits))  # other processes may have reports
    pair = _pairs(chosen, logits.device)
    low, high = batch.targets.volume_mm3[chosen].unbind(-1)
    x, y, z = batch.spacing_mm
    noise_aware = options.volume.target == "noise_aware"  # the bounds then hold what is tolerated
    loss = volume_band_loss(
        logits[pair][:, None].float().sigmoid(),
        batch.targets.region[pair][:, None],
        low,
        high,
        voxel_mm3=torch.full_like(low, x * y * z),
        tolerance=0.0 if noise_aware else options.volume.tolerance,
    )
    return mean_over_batch(loss)


def _ball(outputs: Outputs, batch: Batch, options: LossOptions) -> Tensor:
    penalised = batch.targets.penalised
    if options.ball.background == "region":
        penalised = penalised & batch.targets.region
    return ball_loss(
        outputs.final,
        penalised,
        batch.targets.tumors,
        spacing_mm=batch.spacing_mm,
        margin=options.ball.margin,
        balance=options.ball.balance,
        tversky_weight=options.ball.tversky_weight,
        soft=options.ball.soft,
    )


def _attenuation(outputs: Outputs, batch: Batch, options: LossOptions, classifier: torch.nn.Module | None) -> Tensor:
    targets = batch.targets
    chosen = attenuation_supervised(targets.attenuation, classifier)
    if classifier is None:
        chosen = chosen & ~targets.drawn  # nothing to learn from a mask without a learned part
    if not bool(chosen.any()):
        return mean_over_batch(nothing(outputs.final))
    pair = _pairs(chosen, outputs.final.device)
    probability = outputs.final[pair].float().sigmoid()
    # A case with masks teaches the classifier what the words mean: there the lesion mask stands for the prediction.
    drawn = on_device(targets.drawn[chosen], torch.bool, probability.device)
    shown = torch.where(drawn[:, None, None, None], targets.mask[pair].float(), probability)
    loss = attenuation_loss(
        shown[:, None],
        targets.organ[pair][:, None],
        batch.hu[pair[0]],
        targets.attenuation[chosen],
        classifier=classifier,
        margin=options.attenuation.margin,
    )
    return mean_over_batch(loss)


def _malignancy(outputs: Outputs, stated: Tensor, batch: Batch, options: LossOptions) -> Tensor:
    """Mean over the tumor types of which the batch knows anything."""
    targets = batch.targets
    lesion = outputs.final.sigmoid()
    terms = [
        malignancy_loss(
            stated[:, channel],
            targets.mask[:, channel : channel + 1],
            ~targets.known[:, channel : channel + 1],
            lesion[:, channel : channel + 1],
            [row[channel] for row in targets.malignancy],
            consistency_weight=options.malignancy.consistency,
            balance=options.malignancy.balance,
        )
        for channel in range(stated.shape[1])
    ]
    known = total(targets.known.flatten(2).any(2).any(0).float()) > 0
    return supervised_mean(torch.stack(terms), known, of_whole_batch=True)


def _pairs(chosen: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Sample and channel of what the host has chosen, on the device; it is not waited for."""
    samples, channels = (on_device(part, torch.long, device) for part in chosen.nonzero().unbind(1))
    return samples, channels


def _masks_alone(batch: Batch) -> Batch:
    """The same batch in which crops of report cases teach the segmentation nothing, not even where no tumor is."""
    drawn_for_masks = [pool == "masks" for _, pool in batch.case_ids]
    chosen = on_device(drawn_for_masks, torch.bool, batch.targets.known.device)
    return replace(batch, targets=replace(batch.targets, known=batch.targets.known & chosen[:, None, None, None, None]))


def _contrast(outputs: Outputs, model: Model, batch: Batch, options: LossOptions) -> Tensor:
    features = _there(outputs.deepest)
    attributes = on_device(finding_attributes(batch.targets), torch.float32, features.device)
    cosines = _there(model.contrast)(features, attributes)
    return contrast_loss(cosines, attributes, temperature=options.contrast.temperature)


def _restoration(model: Model, batch: Batch) -> Tensor:
    """Mean squared error of the restored CT, which is z-scored, over all voxels."""
    seed = int(torch.randint(2**62, ()))  # torch's generator follows from the step
    image = distorted(batch.image, Distortion(), generator=torch.Generator().manual_seed(seed))
    error = (_there(model(image).restored) - batch.image[:, :1]).square().flatten(1).mean(1)
    return mean_over_batch(error)


def _there(part: Part | None) -> Part:
    """What the recipe's terms made the model have."""
    if part is None:
        raise ValueError("the model was built for a recipe without this term")
    return part
