"""Report and masks -> what is known of each lesion channel of a case, in words (METHOD 1); crop_targets.py draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from rsuper_bench.baselines.losses import Band, band_box, malignancy_target, slice_band
from rsuper_bench.baselines.losses.sizes import UNSIZED_DIAMETER_MM
from rsuper_bench.baselines.recipe import NotStated, Recipe
from rsuper_bench.benchmark.records import (
    Attenuation,
    CaseRecord,
    Certainty,
    CountRelation,
    Finding,
    Malignancy,
    Presence,
)
from rsuper_bench.benchmark.release import LabelMap
from rsuper_bench.benchmark.task import stated_presence
from rsuper_bench.benchmark.tumor_types import Side, TumorType, region_labels

SMALLEST_VOXELS = 2.0  # a smaller tumor cannot be seen on the grid
EXCLUDED_LESION = 128  # added to the number of a drawn lesion that is too small for the grid

Box = tuple[tuple[int, int, int], tuple[int, int, int]]


class _Places(Protocol):
    """Numbers of the organ labels that show a place."""

    def __call__(self, side: Side | None = None, location: str | None = None) -> tuple[int, ...]: ...


class Known(StrEnum):
    """What supervises one lesion channel of one case."""

    MASK = "mask"
    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"
    NO_ORGAN = "no_organ"


@dataclass(frozen=True)
class Tumor:
    """One tumor a report places.

    Attributes:
        region: Numbers of the organ labels that show the place.
        diameter_mm: Largest diameter, if stated.
        volume_mm3: Volume, if a size is stated.
        attenuation: As stated.
        malignancy: As stated or found by pathology.
        band: Where along the slices it can be (losses/slice_band.py), None where the report gives no usable slice.
    """

    region: tuple[int, ...]
    diameter_mm: float | None
    volume_mm3: float | None
    attenuation: Attenuation
    malignancy: Malignancy = Malignancy.UNKNOWN
    band: Band | None = None


@dataclass(frozen=True)
class ChannelLabel:
    """What is known of one lesion channel of one case, in words.

    Attributes:
        known: What supervises it.
        organ: Numbers of the organ labels, both sides.
        unknown: Those among them whose voxels may or may not hold a tumor.
        tumors: Reported tumors, when ``known`` is ``present``.
        complete: False when there may be more tumors than listed.
        too_small: Reported tumors below two voxels of the grid: their region stays unknown.
        malignancy: What all tumors of the type share, else unknown.
    """

    known: Known
    organ: tuple[int, ...] = ()
    unknown: tuple[int, ...] = ()
    tumors: tuple[Tumor, ...] = ()
    complete: bool = True
    too_small: int = 0
    malignancy: Malignancy = Malignancy.UNKNOWN

    @property
    def confined(self) -> bool:
        """Whether the slices of the report say where every tumor is, so that the organ far from them holds none.

        *Ours*: only where the number and every size are known too; an unsized tumor may reach beyond any margin.
        """
        tumors = self.tumors
        return self.complete and bool(tumors) and all(t.band is not None and t.volume_mm3 is not None for t in tumors)

    @property
    def sized(self) -> bool:
        """Whether any reported tumor has a size."""
        return any(tumor.volume_mm3 is not None for tumor in self.tumors)


def channel_labels(record: CaseRecord, label_map: LabelMap, recipe: Recipe, *, use_masks: bool) -> list[ChannelLabel]:
    """What is known of every lesion channel of a case.

    Args:
        record: The case.
        label_map: Names of the numbers in its organ mask.
        recipe: Its tumor types, kinds, grid and meaning of silence.
        use_masks: Whether the case is drawn for its masks; its report is then not read at all.
    """
    return [channel_label(record, label_map, recipe, kind, use_masks=use_masks) for kind in recipe.tumor_types]


def channel_label(
    record: CaseRecord, label_map: LabelMap, recipe: Recipe, kind: TumorType, *, use_masks: bool
) -> ChannelLabel:
    """What is known of the lesion channel of one tumor type; the arguments are those of `channel_labels`."""
    numbers = {name: number for number, name in label_map.organs.items()}
    available = [name for name in record.organ_labels if name in numbers]

    def places(side: Side | None = None, location: str | None = None) -> tuple[int, ...]:
        return tuple(numbers[name] for name in region_labels(kind, available, side=side, location=location))

    organ = places()
    if use_masks and kind in record.lesion_masks:
        return ChannelLabel(Known.MASK, organ, malignancy=_malignancy(record, recipe, kind))
    if not organ:
        return ChannelLabel(Known.NO_ORGAN)
    if use_masks:
        return ChannelLabel(Known.UNKNOWN, organ, unknown=organ)
    presence = stated_presence(record, kind, recipe.positive_kinds)
    if presence is Presence.NOT_STATED and recipe.not_stated is NotStated.NEGATIVE:
        presence = Presence.ABSENT
    if presence is Presence.ABSENT:
        return ChannelLabel(Known.ABSENT, organ)
    if presence is not Presence.PRESENT:
        return ChannelLabel(Known.UNKNOWN, organ, unknown=organ)
    return _present(record, recipe, kind, organ, places)


def _present(
    record: CaseRecord, recipe: Recipe, kind: TumorType, organ: tuple[int, ...], places: _Places
) -> ChannelLabel:
    findings = [item for item in record.findings_of(kind) if item.kind in recipe.positive_kinds]
    tumors: list[Tumor] = []
    unknown: set[int] = set()
    complete = bool(findings)  # a tumor stated but not described: anywhere in the organ, any number
    unsized = recipe.losses.unsized
    too_small = 0
    for finding in findings:
        region = places(None if finding.side is Side.BILATERAL else finding.side, finding.location) or organ
        unknown |= set(region)
        if finding.certainty is Certainty.UNCERTAIN:
            complete = False
            continue
        volume = finding.volume_mm3
        if volume is not None and volume < SMALLEST_VOXELS * recipe.grid_mm**3:
            too_small += 1
            complete = False
            continue
        described = _tumors(finding, region, _band(record, recipe, finding))
        used = [tumor for tumor in described if unsized or tumor.volume_mm3 is not None]
        tumors += used
        complete &= finding.count.relation is CountRelation.EXACT and len(used) == len(described)
    if not findings:
        unknown |= set(organ)
        tumors += [Tumor(organ, None, None, Attenuation.UNKNOWN)] * unsized
    unknown |= _silent_side(record, recipe, kind, places, unknown)
    known = Known.PRESENT if tumors else Known.UNKNOWN
    malignancy = _malignancy(record, recipe, kind) if complete else Malignancy.UNKNOWN
    return ChannelLabel(known, organ, tuple(sorted(unknown)), tuple(tumors), complete, too_small, malignancy)


def _tumors(finding: Finding, region: tuple[int, ...], band: Band | None) -> list[Tumor]:
    """The largest of a group has the stated size and slice; the others are smaller, by how much is not known."""
    diameter = max(finding.diameters_mm, default=None)
    first = Tumor(region, diameter, finding.volume_mm3, finding.attenuation, finding.malignancy, band)
    others = (finding.count.value or 1) - 1
    return [first, *[Tumor(region, None, None, finding.attenuation, finding.malignancy)] * others]


def _malignancy(record: CaseRecord, recipe: Recipe, kind: TumorType) -> Malignancy:
    """Whether the tumors of a type are malignant, from pathology or the report; it says nothing of where they are."""
    return malignancy_target(
        [item.malignancy for item in record.findings_of(kind) if item.kind in recipe.positive_kinds]
    )


def _band(record: CaseRecord, recipe: Recipe, finding: Finding) -> Band | None:
    """Slices on which a finding can be; None where the report gives none, or may count those of another series.

    A case does not say which series its CT is: where the findings name more than one, no number can be trusted.
    """
    series = {item.series for item in record.findings if item.image is not None and item.series is not None}
    if not recipe.losses.slices.use or finding.image is None or len(series) > 1:
        return None
    along = next((axis for axis, letter in enumerate(record.ct.orientation) if letter in "SI"), None)
    if along is None:
        return None
    return slice_band(
        finding.image,
        max(finding.diameters_mm, default=UNSIZED_DIAMETER_MM),
        slices=record.ct.shape[along],
        slice_mm=record.ct.spacing_mm[along],
    )


def _silent_side(record: CaseRecord, recipe: Recipe, kind: TumorType, places: _Places, unknown: set[int]) -> set[int]:
    """Labels of the side of a paired organ on which the report is silent: never a negative by itself (METHOD 10)."""
    if not kind.anatomy.sided or recipe.not_stated is NotStated.NEGATIVE:
        return set()
    silent: set[int] = set()
    for side in (Side.LEFT, Side.RIGHT):
        labels = set(places(side))
        # A benign finding on that side means that the reader looked there and saw no tumor.
        described = any(item.side in (side, Side.BILATERAL) for item in record.findings_of(kind))
        if not labels & unknown and not described:
            silent |= labels
    return silent


def possible_box(tumor: Tumor, organ_boxes: Mapping[int, Box], grid_mm: float) -> Box | None:
    """Box of the whole case that holds every place where a reported tumor can be.

    Args:
        tumor: What the report says.
        organ_boxes: First and past-the-last voxel of each organ label.
        grid_mm: Voxel length.

    Returns:
        None when the case does not show the place, or the tumor's band misses it.
    """
    boxes = [organ_boxes[number] for number in tumor.region if number in organ_boxes]
    if not boxes:
        return None
    (x0, y0, z0), (x1, y1, z1) = (
        (pick(box[end][0] for box in boxes), pick(box[end][1] for box in boxes), pick(box[end][2] for box in boxes))
        for end, pick in ((0, min), (1, max))
    )
    if tumor.band is not None:
        left = band_box(tumor.band, z0, z1, grid_mm=grid_mm)
        if left is None:
            return None
        z0, z1 = left
    return (x0, y0, z0), (x1, y1, z1)


def without_missing_bands(label: ChannelLabel, organ_boxes: Mapping[int, Box], grid_mm: float) -> ChannelLabel:
    """The label without bands that miss their tumor's place: such a number counts the slices of another series."""
    if all(tumor.band is None or possible_box(tumor, organ_boxes, grid_mm) is not None for tumor in label.tumors):
        return label
    # One number that cannot be right casts doubt on the others of that organ
    return replace(label, tumors=tuple(replace(tumor, band=None) for tumor in label.tumors))
