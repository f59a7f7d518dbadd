"""Report and masks -> what is known of each lesion channel of a case, in words (METHOD 1); crop_targets.py draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rsuper_bench.baselines.recipe import NotStated, Recipe
from rsuper_bench.benchmark.records import Attenuation, CaseRecord, Certainty, CountRelation, Finding, Presence
from rsuper_bench.benchmark.release import LabelMap
from rsuper_bench.benchmark.task import stated_presence
from rsuper_bench.benchmark.tumor_types import Side, TumorType, region_labels

SMALLEST_VOXELS = 2.0  # a smaller tumor cannot be seen on the grid
EXCLUDED_LESION = 128  # added to the number of a drawn lesion that is too small for the grid


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
    """One tumor a report places: the numbers of the organ labels that show the place, and its size if stated."""

    region: tuple[int, ...]
    diameter_mm: float | None
    volume_mm3: float | None
    attenuation: Attenuation


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
    """

    known: Known
    organ: tuple[int, ...] = ()
    unknown: tuple[int, ...] = ()
    tumors: tuple[Tumor, ...] = ()
    complete: bool = True
    too_small: int = 0

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
    numbers = {name: number for number, name in label_map.organs.items()}
    return [_label(record, numbers, recipe, kind, use_masks=use_masks) for kind in recipe.tumor_types]


def _label(
    record: CaseRecord, numbers: Mapping[str, int], recipe: Recipe, kind: TumorType, *, use_masks: bool
) -> ChannelLabel:
    available = [name for name in record.organ_labels if name in numbers]

    def places(side: Side | None = None, location: str | None = None) -> tuple[int, ...]:
        return tuple(numbers[name] for name in region_labels(kind, available, side=side, location=location))

    organ = places()
    if use_masks and kind in record.lesion_masks:
        return ChannelLabel(Known.MASK, organ)
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
        tumors += _tumors(finding, region)
        complete &= finding.count.relation is CountRelation.EXACT
    if not findings:
        unknown |= set(organ)
        tumors.append(Tumor(organ, None, None, Attenuation.UNKNOWN))
    unknown |= _silent_side(record, recipe, kind, places, unknown)
    known = Known.PRESENT if tumors else Known.UNKNOWN
    return ChannelLabel(known, organ, tuple(sorted(unknown)), tuple(tumors), complete, too_small)


def _tumors(finding: Finding, region: tuple[int, ...]) -> list[Tumor]:
    """The largest of a group has the stated size; the others are smaller, by how much is not known."""
    diameter = max(finding.diameters_mm, default=None)
    first = Tumor(region, diameter, finding.volume_mm3, finding.attenuation)
    others = (finding.count.value or 1) - 1
    return [first, *[Tumor(region, None, None, finding.attenuation)] * others]


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
