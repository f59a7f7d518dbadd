"""Contrastive pre-training of an encoder against what reports say (comparison row ``clip_like``).

The idea is CLIP's (Radford et al., 2021, arXiv 2103.00020): a crop and the report of its case belong together, the
other reports of the batch do not. What differs from the papers that pre-train on CT and reports is said in
docs/comparison-rows.md: here a report is its structured findings, not its words.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from rsuper_bench.baselines.crop_targets import Targets
from rsuper_bench.baselines.losses import AttenuationTarget, ReportedTumors, supervised_mean

SIZE_STEPS_MM = (10.0, 20.0, 40.0)  # below, between and above them
STATED = 2 + len(SIZE_STEPS_MM) + 1 + 2 + 3  # attributes a tumor type: absent, present; size; one, several; attenuation
ATTENUATIONS = (AttenuationTarget.HYPO, AttenuationTarget.HYPER, AttenuationTarget.MIXED)


def attribute_count(kinds: int) -> int:
    """Length of the vector of :func:`finding_attributes`."""
    return kinds * STATED


def finding_attributes(targets: Targets) -> Tensor:
    """``(B, A)`` what each crop's report says of the tumors that the whole crop shows: 1 for each attribute it states.

    Per tumor type: absent or present, the size class of the largest tumor, one or several, and how bright they are.
    A type of which the report says nothing, or whose place the crop cuts, has none.
    """
    rows = []
    for tumors, brightness in zip(targets.tumors, targets.attenuation.tolist(), strict=True):
        rows.append([value for pair in zip(tumors, brightness, strict=True) for value in _stated(*pair)])
    return torch.tensor(rows, dtype=torch.float32)


def _stated(tumors: ReportedTumors | None, brightness: int) -> list[float]:
    if tumors is None:
        return [0.0] * STATED
    count = len(tumors.diameters_mm)
    if not count:
        return [1.0] + [0.0] * (STATED - 1)
    sizes = [size for size in tumors.diameters_mm if size is not None]
    place = sum(max(sizes) >= step for step in SIZE_STEPS_MM) if sizes else None
    size = [float(place == number) for number in range(len(SIZE_STEPS_MM) + 1)]
    return [0.0, 1.0, *size, float(count == 1), float(count > 1), *[float(brightness == int(a)) for a in ATTENUATIONS]]


def contrast_loss(cosines: Tensor, attributes: Tensor, *, temperature: float) -> Tensor:
    """Cross-entropy of the right report among all of a batch, and of the right crop, averaged.

    Reports that say the same are equally right: in a batch of few cases two "nothing found" are not a contrast.
    Crops whose report says nothing of what they show take no part.

    Args:
        cosines: ``(B, B)``, crops along the first axis.
        attributes: ``(B, A)`` of each crop's report.
        temperature: Divides the cosines.

    Returns:
        A scalar; 0 for a batch in which all reports say the same.
    """
    speaks = attributes.any(1)
    same = (attributes[:, None] == attributes[None]).all(2) & speaks[:, None] & speaks[None]
    wanted = same.float() / same.sum(1, keepdim=True).clamp(min=1)
    scores = (cosines.float() / temperature).masked_fill(~speaks, -1e4)
    by_crop = -(wanted * log_softmax(scores, 1)).sum(1)
    scores = (cosines.T.float() / temperature).masked_fill(~speaks, -1e4)
    by_report = -(wanted * log_softmax(scores, 1)).sum(1)
    contrasted = speaks & (~same & speaks[None]).any(1)
    return supervised_mean((by_crop + by_report) / 2, contrasted)
