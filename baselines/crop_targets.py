"""What is known of each lesion channel, drawn on the voxels of one crop (METHOD 1, 3 and 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsuper_bench.baselines.losses import (
    MEASURED_SPREAD,
    AttenuationTarget,
    Band,
    ReportedTumors,
    attenuation_target,
    attenuation_target_from_mask,
    band_voxels,
    grow,
    volume_bounds,
    widened_band,
)
from rsuper_bench.baselines.losses.balls import bounding_box
from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.baselines.targets import EXCLUDED_LESION, Box, ChannelLabel, Known, Tumor, possible_box
from rsuper_bench.baselines.turning import Turn
from rsuper_bench.benchmark.records import Malignancy, Phase
from rsuper_bench.benchmark.tumor_types import TumorType

LISTS = ("tumors", "malignancy")
ON_HOST = ("volume_mm3", "volume_known", "drawn", "attenuation")


@dataclass(frozen=True)
class CropView:
    """Where a crop lies in its case, as far as targets depend on it.

    Attributes:
        organ_voxels: Voxels of each organ label in the whole case: a region with fewer in the crop is cut by it.
        organ_boxes: First and past-the-last voxel of each organ label in the whole case.
        origin: First voxel of the crop in the case; may be negative.
        size: Voxels of the crop.
        grid_mm: Voxel length.
        turn: How it will be rotated (augment.py); what that takes out of view is cut, too.
    """

    organ_voxels: Mapping[int, int]
    organ_boxes: Mapping[int, Box]
    origin: tuple[int, int, int]
    size: tuple[int, int, int]
    grid_mm: float
    turn: Turn | None = None

    def shows_all(self, place: Sequence[int], voxels: int) -> bool:
        """Whether a place of which so many voxels are in the crop lies wholly in it."""
        if voxels != sum(self.organ_voxels.get(number, 0) for number in place):
            return False
        return all(self.keeps(self.organ_boxes[number]) for number in place if number in self.organ_boxes)

    def keeps(self, box: Box) -> bool:
        """Whether a box of the case that lies in the crop is still in view when the crop is turned."""
        low, high = box
        inside = [(a - o, b - o) for a, b, o in zip(low, high, self.origin, strict=True)]
        return self.turn is None or self.turn.keeps(inside, self.size)

    def slices(self, band: Band | None, count: int) -> Tensor:
        """``(Z,)`` true on the slices of the crop in a band; all without one."""
        if band is None:
            return torch.ones(count, dtype=torch.bool)
        return band_voxels(band, count, first=self.origin[2], grid_mm=self.grid_mm)

    def holds(self, tumor: Tumor) -> bool:
        """Whether the crop holds all of a place that the tumor's band leaves; False without a band."""
        box = possible_box(tumor, self.organ_boxes, self.grid_mm)
        if tumor.band is None or box is None:
            return False
        inside = all(
            start <= low and high <= start + length
            for start, length, low, high in zip(self.origin, self.size, *box, strict=True)
        )
        return inside and self.keeps(box)


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
        drawn: ``(C,)`` whether ``mask`` holds a lesion.
        attenuation: ``(C,)`` `AttenuationTarget` of the tumors in the crop: of the report, or of the drawn lesions.
        tumors: `ReportedTumors` of each channel, None where no report places or excludes any: a tuple a crop.
        malignancy: What all tumors of each channel share, else unknown: a tuple a crop.
    """

    mask: Tensor
    known: Tensor
    organ: Tensor
    organ_known: Tensor
    region: Tensor
    penalised: Tensor
    volume_mm3: Tensor
    volume_known: Tensor
    drawn: Tensor
    attenuation: Tensor
    tumors: Any
    malignancy: Any

    def map(self, change: Callable[[Tensor], Tensor]) -> Targets:
        """Change the tensors of a batch, by a move to a device for example; reported regions follow.

        What the host decides by (`ON_HOST`) stays there, so that nothing has to wait for the device.
        """
        changed = {
            field.name: change(getattr(self, field.name))
            for field in fields(self)
            if field.name not in (*LISTS, *ON_HOST)
        }
        tumors = tuple(tuple(item if item is None else item.map(change) for item in crop) for crop in self.tumors)
        return replace(self, **changed, tumors=tumors)

    @classmethod
    def join(cls, batches: Sequence[Targets]) -> Targets:
        """One batch of several."""
        return _merged(batches, torch.cat, lambda lists: tuple(crop for item in lists for crop in item))


def draw_targets(
    labels: Sequence[ChannelLabel],
    organs: NDArray[np.integer],
    lesions: NDArray[np.integer] | None,
    *,
    lesion_numbers: Mapping[TumorType, int],
    view: CropView,
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
        view: Where the crop lies in its case.
        hu: ``(X, Y, Z)`` CT of the crop.
        phase: Contrast phase of the CT; attenuation is compared in the portal venous phase only (METHOD 5).
        recipe: Margins and grid.
    """
    drawn = []
    for label, kind in zip(labels, recipe.tumor_types, strict=True):
        if label.known is Known.MASK:
            if lesions is None:
                raise ValueError("a channel with a mask needs the lesion labels")
            drawn.append(_from_mask(label, organs, lesions, lesion_numbers[kind], view, hu, phase, recipe))
        else:
            drawn.append(_from_report(label, organs, view, phase, recipe))
    return stack(drawn)


def stack(items: Sequence[Targets]) -> Targets:
    """Join channels into a crop, or crops into a batch."""
    return _merged(items, _stacked, tuple)


def _merged(
    items: Sequence[Targets], join: Callable[[list[Tensor]], Tensor], join_lists: Callable[[list[Any]], Any]
) -> Targets:
    columns = {field.name: [getattr(item, field.name) for item in items] for field in fields(Targets)}
    merged: dict[str, Any] = {
        name: join_lists(column) if name in LISTS else join(column) for name, column in columns.items()
    }
    return Targets(**merged)


def _stacked(tensors: list[Tensor]) -> Tensor:
    """One copy less where there is only one."""
    return tensors[0][None] if len(tensors) == 1 else torch.stack(tensors)


def _any(mask: Tensor) -> bool:
    return bool(mask.numpy().any())  # vectorised, and stops at the first; torch's is neither


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
        "malignancy": Malignancy.UNKNOWN,
    } | report
    drawn = torch.tensor(_any(mask))
    return Targets(mask=mask, known=known, organ=organ, organ_known=organ_known, drawn=drawn, **values)


def _from_mask(
    label: ChannelLabel,
    organs: NDArray[np.integer],
    lesions: NDArray[np.integer],
    number: int,
    view: CropView,
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
    if phase is Phase.PORTAL_VENOUS and _any(mask) and not _any(too_small) and _stays(mask, view):
        attenuation = attenuation_target_from_mask(torch.from_numpy(hu.astype(np.float32)), mask, organ)
    stated = {"attenuation": torch.tensor(int(attenuation)), "malignancy": label.malignancy}
    return _channel(mask, known, organ, torch.tensor(bool(label.organ)), **stated)


def _stays(mask: Tensor, view: CropView) -> bool:
    """Whether all of a mask of the crop is still in view when the crop is turned."""
    box = None if view.turn is None else bounding_box(mask)
    return box is None or view.turn is None or view.turn.keeps([(p.start, p.stop) for p in box], view.size)


def _from_report(
    label: ChannelLabel, organs: NDArray[np.integer], view: CropView, phase: Phase, recipe: Recipe
) -> Targets:
    spacing = (recipe.grid_mm,) * 3
    nothing = torch.zeros(organs.shape, dtype=torch.bool)
    shown = torch.tensor(bool(label.organ))
    if label.known is Known.NO_ORGAN:
        return _channel(nothing, nothing, nothing, shown)
    organ = _inside(organs, label.organ)
    known = ~grow(_unknown(label, organs, view, recipe), recipe.unknown_margin_mm, spacing)
    if label.known is Known.UNKNOWN or not _any(organ):
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
    reported = _reported(label, organs, known, view, phase, recipe)
    return _channel(nothing, known, organ, shown, malignancy=label.malignancy, **reported)


def _reported(
    label: ChannelLabel, organs: NDArray[np.integer], known: Tensor, view: CropView, phase: Phase, recipe: Recipe
) -> dict[str, Any]:
    spacing = (recipe.grid_mm,) * 3
    by_place: dict[tuple[int, ...], list[Tumor]] = {}
    for tumor in label.tumors:
        by_place.setdefault(tumor.region, []).append(tumor)
    masks = {place: _inside(organs, place) for place in by_place}
    if not any(_any(mask) for mask in masks.values()):
        return {}
    grown = {place: grow(mask, recipe.region_margin_mm, spacing) for place, mask in masks.items()}
    bands = {
        place: [view.slices(tumor.band, organs.shape[2]) for tumor in inside] for place, inside in by_place.items()
    }
    # Where the tumors of a place can be: all of it, or the slices that the report gives for every one of them
    possible = {place: grown[place] & torch.stack(bands[place]).any(0) for place in by_place}
    entire = {place: view.shows_all(place, int(masks[place].sum())) for place in by_place}
    whole = [place for place in by_place if entire[place] or all(view.holds(tumor) for tumor in by_place[place])]
    cut = len(whole) < len(by_place)
    noise_aware = recipe.losses.volume.target == "noise_aware"
    bounds = volume_bounds(
        [tumor.volume_mm3 for tumor in label.tumors],
        complete=label.complete,
        cut=cut,
        spread=MEASURED_SPREAD if noise_aware else (1.0, 1.0),
    )
    tumors, penalised = None, known
    if whole:
        tumors = _placeable({place: by_place[place] for place in whole}, grown, bands, complete=label.complete)
        judged = torch.stack([grown[place] if entire[place] else possible[place] for place in whole]).any(0)
        elsewhere = sorted(set(label.unknown) - {number for place in whole for number in place})
        penalised = known | (judged & ~grow(_inside(organs, elsewhere), recipe.unknown_margin_mm, spacing))
    attenuation = AttenuationTarget.NONE
    if phase is Phase.PORTAL_VENOUS and label.complete and not cut:
        attenuation = attenuation_target(tumor.attenuation for tumor in label.tumors)
    return {
        "region": torch.stack(list(possible.values())).any(0),
        "penalised": penalised,
        "volume_mm3": torch.tensor(bounds),
        "volume_known": torch.tensor(bounds != (0.0, float("inf"))),
        "attenuation": torch.tensor(int(attenuation)),
        "tumors": tumors,
    }


def _placeable(
    by_place: Mapping[tuple[int, ...], list[Tumor]],
    grown: Mapping[tuple[int, ...], Tensor],
    bands: Mapping[tuple[int, ...], list[Tensor]],
    *,
    complete: bool,
) -> ReportedTumors:
    """The tumors of some places, as the Ball Loss takes them."""
    listed = [(number, tumor) for number, place in enumerate(by_place) for tumor in by_place[place]]
    regions = torch.stack([grown[place] for place in by_place])
    band = None
    if any(tumor.band is not None for _, tumor in listed):
        slices = torch.stack([row for place in by_place for row in bands[place]])
        band = slices[:, None, None, :].expand(-1, *regions.shape[1:])
    return ReportedTumors(
        regions=regions,
        diameters_mm=[tumor.diameter_mm for _, tumor in listed],
        volumes_mm3=[tumor.volume_mm3 for _, tumor in listed],
        region_of=[number for number, _ in listed],
        band=band,
        complete=complete,
    )


def _unknown(label: ChannelLabel, organs: NDArray[np.integer], view: CropView, recipe: Recipe) -> Tensor:
    """Voxels that may or may not hold a tumor: the places of METHOD 1, less what slices rule out (METHOD 6)."""
    if not (label.confined and recipe.losses.slices.negative):
        return _inside(organs, label.unknown)
    silent = set(label.unknown) - {number for tumor in label.tumors for number in tumor.region}
    unknown = _inside(organs, sorted(silent))
    for tumor in label.tumors:
        near = widened_band(tumor.band or (), recipe.losses.slices.margin_mm)
        unknown |= _inside(organs, tumor.region) & view.slices(near, organs.shape[2])
    return unknown
