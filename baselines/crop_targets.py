"""What is known of each lesion channel, drawn on the voxels of one crop (METHOD 1, 3 and 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsuper_bench.baselines.losses import (
    AttenuationTarget,
    ReportedTumors,
    attenuation_target,
    attenuation_target_from_mask,
    grow,
    volume_bounds,
)
from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.baselines.targets import EXCLUDED_LESION, ChannelLabel, Known
from rsuper_bench.benchmark.records import Phase
from rsuper_bench.benchmark.tumor_types import TumorType


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets of one crop, or of a batch of them (then every tensor has a leading axis).

    Attributes:
        mask: ``(C, X, Y, Z)`` lesion mask, false where there is none.
        known: ``(C, X, Y, Z)`` voxels whose label is known: ``mask`` where it is true, background elsewhere.
        organ: ``(C, X, Y, Z)`` the organ the channel's tumors grow in.
        organ_known: ``(C,)`` whether the case shows where that organ is.
        region: ``(C, X, Y, Z)`` grown regions in which a report states the tumor volume.
        penalised: ``(C, X, Y, Z)`` voxels the Ball Loss judges.
        volume_mm3: ``(C, 2)`` lower and upper bound of the volume inside ``region``.
        volume_known: ``(C,)`` whether a report states it.
        attenuation: ``(C,)`` `AttenuationTarget` of the tumors in the crop: of the report, or of the drawn lesions.
        tumors: `ReportedTumors` of each channel, None where no report places or excludes any: a tuple a crop.
    """

    mask: Tensor
    known: Tensor
    organ: Tensor
    organ_known: Tensor
    region: Tensor
    penalised: Tensor
    volume_mm3: Tensor
    volume_known: Tensor
    attenuation: Tensor
    tumors: Any

    def to(self, device: torch.device) -> Targets:
        """Move a batch of targets, reported regions included."""
        moved = {
            field.name: getattr(self, field.name).to(device, non_blocking=True)
            for field in fields(self)
            if field.name != "tumors"
        }
        tumors = tuple(
            tuple(
                item
                if item is None or item.regions is None
                else replace(item, regions=item.regions.to(device, non_blocking=True))
                for item in crop
            )
            for crop in self.tumors
        )
        return Targets(**moved, tumors=tumors)


def draw_targets(
    labels: Sequence[ChannelLabel],
    organs: NDArray[np.integer],
    lesions: NDArray[np.integer] | None,
    *,
    lesion_numbers: Mapping[TumorType, int],
    whole_voxels: Mapping[int, int],
    hu: NDArray[np.integer],
    phase: Phase,
    recipe: Recipe,
) -> Targets:
    """Draw the targets of a crop.

    Args:
        labels: One a channel, in the order of ``recipe.tumor_types``.
        organs: ``(X, Y, Z)`` organ labels of the crop.
        lesions: ``(X, Y, Z)`` lesion labels of the crop, None for a case without masks.
        lesion_numbers: Number of each type in ``lesions``.
        whole_voxels: Voxels of each organ label in the whole case: a region with fewer in the crop is cut by it.
        hu: ``(X, Y, Z)`` CT of the crop.
        phase: Contrast phase of the CT; attenuation is compared in the portal venous phase only (METHOD 5).
        recipe: Margins and grid.
    """
    drawn = []
    for label, kind in zip(labels, recipe.tumor_types, strict=True):
        if label.known is Known.MASK:
            if lesions is None:
                raise ValueError("a channel with a mask needs the lesion labels")
            drawn.append(_from_mask(label, organs, lesions, lesion_numbers[kind], hu, phase, recipe))
        else:
            drawn.append(_from_report(label, organs, whole_voxels, phase, recipe))
    return stack(drawn)


def stack(items: Sequence[Targets]) -> Targets:
    """Join channels into a crop, or crops into a batch."""
    joined = {
        field.name: torch.stack([getattr(item, field.name) for item in items])
        for field in fields(Targets)
        if field.name != "tumors"
    }
    return Targets(**joined, tumors=tuple(item.tumors for item in items))


def _inside(organs: NDArray[np.integer], numbers: Sequence[int]) -> Tensor:
    return torch.from_numpy(np.isin(organs, numbers))


def _channel(mask: Tensor, known: Tensor, organ: Tensor, organ_known: Tensor, **report: Any) -> Targets:
    """Targets of one channel, without report unless given."""
    nothing = torch.zeros_like(mask)
    values: dict[str, Any] = {
        "region": nothing,
        "penalised": nothing,
        "volume_mm3": torch.zeros(2),
        "volume_known": torch.tensor(False),
        "attenuation": torch.tensor(int(AttenuationTarget.NONE)),
        "tumors": None,
    } | report
    return Targets(mask=mask, known=known, organ=organ, organ_known=organ_known, **values)


def _from_mask(
    label: ChannelLabel,
    organs: NDArray[np.integer],
    lesions: NDArray[np.integer],
    number: int,
    hu: NDArray[np.integer],
    phase: Phase,
    recipe: Recipe,
) -> Targets:
    spacing = (recipe.grid_mm,) * 3
    too_small = torch.from_numpy(lesions == number + EXCLUDED_LESION)
    # A lesion that hardly fills a voxel has no sharp place: its neighbours are unknown too.
    known = ~grow(too_small, max(recipe.unknown_margin_mm, recipe.grid_mm), spacing)
    mask, organ = torch.from_numpy(lesions == number), _inside(organs, label.organ)
    attenuation = AttenuationTarget.NONE
    if phase is Phase.PORTAL_VENOUS and not too_small.any():
        attenuation = attenuation_target_from_mask(torch.from_numpy(hu.astype(np.float32)), mask, organ)
    return _channel(mask, known, organ, torch.tensor(bool(label.organ)), attenuation=torch.tensor(int(attenuation)))


def _from_report(
    label: ChannelLabel, organs: NDArray[np.integer], whole_voxels: Mapping[int, int], phase: Phase, recipe: Recipe
) -> Targets:
    spacing = (recipe.grid_mm,) * 3
    nothing = torch.zeros(organs.shape, dtype=torch.bool)
    shown = torch.tensor(bool(label.organ))
    if label.known is Known.NO_ORGAN:
        return _channel(nothing, nothing, nothing, shown)
    organ = _inside(organs, label.organ)
    known = ~grow(_inside(organs, label.unknown), recipe.unknown_margin_mm, spacing)
    if label.known is Known.UNKNOWN or not organ.any():
        return _channel(nothing, known, organ, shown)
    if label.known is Known.ABSENT:
        region = grow(organ, recipe.region_margin_mm, spacing)
        return _channel(
            nothing,
            known,
            organ,
            shown,
            region=region,
            penalised=known | region,
            volume_known=torch.tensor(True),
            tumors=ReportedTumors(),
        )
    return _channel(nothing, known, organ, shown, **_reported(label, organs, known, whole_voxels, phase, recipe))


def _reported(
    label: ChannelLabel,
    organs: NDArray[np.integer],
    known: Tensor,
    whole_voxels: Mapping[int, int],
    phase: Phase,
    recipe: Recipe,
) -> dict[str, Any]:
    spacing = (recipe.grid_mm,) * 3
    places = list(dict.fromkeys(tumor.region for tumor in label.tumors))
    masks = {place: _inside(organs, place) for place in places}
    whole = [place for place in places if int(masks[place].sum()) == sum(whole_voxels.get(n, 0) for n in place)]
    union = torch.stack(list(masks.values())).any(0)
    if not union.any():
        return {}
    grown = {place: grow(masks[place], recipe.region_margin_mm, spacing) for place in places}
    cut = len(whole) < len(places)
    bounds = volume_bounds([tumor.volume_mm3 for tumor in label.tumors], complete=label.complete, cut=cut)
    placeable = [tumor for tumor in label.tumors if tumor.region in whole]
    tumors, penalised = None, known
    if placeable:
        tumors = ReportedTumors(
            regions=torch.stack([grown[place] for place in whole]),
            diameters_mm=[tumor.diameter_mm for tumor in placeable],
            volumes_mm3=[tumor.volume_mm3 for tumor in placeable],
            region_of=[whole.index(tumor.region) for tumor in placeable],
            complete=label.complete,
        )
        judged = torch.stack([grown[place] for place in whole]).any(0)
        elsewhere = sorted(set(label.unknown) - {number for place in whole for number in place})
        penalised = known | (judged & ~grow(_inside(organs, elsewhere), recipe.unknown_margin_mm, spacing))
    attenuation = AttenuationTarget.NONE
    if phase is Phase.PORTAL_VENOUS and label.complete and not cut:
        attenuation = attenuation_target(tumor.attenuation for tumor in label.tumors)
    return {
        "region": torch.stack(list(grown.values())).any(0),
        "penalised": penalised,
        "volume_mm3": torch.tensor(bounds),
        "volume_known": torch.tensor(bounds != (0.0, float("inf"))),
        "attenuation": torch.tensor(int(attenuation)),
        "tumors": tumors,
    }
