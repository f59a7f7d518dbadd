"""One finding for one lesion: what findings and impression both say is counted once."""

from __future__ import annotations

from collections.abc import Iterable

from rsuper_bench.benchmark.records import Attenuation, Count, CountRelation, Kind, Malignancy
from rsuper_bench.benchmark.tumor_types import Side, TumorType
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft
from rsuper_bench.dataset_builder.extraction.rules.sections import SectionKind

# Impressions round: 3.2 cm becomes 3 cm.
ROUNDING_MM = 2.0
ROUNDING_FRACTION = 0.12
_SOLID = (Kind.MASS, Kind.METASTASIS, Kind.WALL_THICKENING)


def merge_drafts(drafts: Iterable[Draft]) -> tuple[list[Draft], set[TumorType]]:
    """Join mentions of the same lesion, keeping the first and adding what later ones say.

    A later mention is the same lesion when type, side, place, size and kind do not contradict, and it stands in the
    other section (the impression repeats the findings), refers back ("the cyst"), or is identical. A lesion of the
    impression that differs from the one of the findings in its side or size only is that one: the findings count.

    Returns:
        The findings, and the types whose impression contradicts them.
    """
    kept: list[Draft] = []
    contradicted: set[TumorType] = set()
    for draft in drafts:
        same = [other for other in _by_likeness(kept, draft) if _same_lesion(other, draft)]
        if not same and (named := _named(kept, draft)) is not None:
            wall = Kind.WALL_THICKENING in (named.kind, draft.kind)
            _join(named, draft)
            named.kind = Kind.WALL_THICKENING if wall else named.kind
            continue
        if not same:
            rival = _rival(kept, draft)
            if rival is None:
                kept.append(draft)
            else:
                contradicted.add(draft.tumor_type)
                rival.repeats += 1
                for name in ("kind", "malignancy"):
                    rival.fill_only(draft, name)
            continue
        _join(same[0], draft)
        if draft.count.value != 1 and not draft.diameters_mm and same[0].count.value == 1:
            number = draft.count.value if draft.count.relation is CountRelation.EXACT else None
            for other in same[1:number]:  # "Two liver lesions concerning for metastases"
                _join(other, draft)
    return kept, contradicted


def _named(kept: list[Draft], new: Draft) -> Draft | None:
    """The one lesion of an organ that a diagnosis without size or place means: "Prostate cancer, locally advanced"."""
    solid = (Kind.MASS, Kind.INDETERMINATE, Kind.WALL_THICKENING)
    old = [
        draft
        for draft in kept
        if draft.tumor_type is new.tumor_type and draft.kind in solid and draft.malignancy is not Malignancy.BENIGN
    ]
    masses = [draft for draft in old if draft.kind is Kind.MASS]
    if len(old) > 1 and len(masses) == 1 and new.count.value == 1:
        old = masses  # "Stage IVA lung cancer" means the mass, not the nodules beside it
    if len(old) != 1 or new.doubted or old[0].doubted or new.kind is Kind.METASTASIS:
        return None
    pair = (old[0], new)
    names = [draft for draft in pair if draft.malignancy is Malignancy.MALIGNANT and not draft.diameters_mm]
    things = [draft for draft in pair if draft.malignancy is Malignancy.UNKNOWN]
    if len(names) != 1 or len(things) != 1 or names[0].kind not in (Kind.MASS, Kind.INDETERMINATE):
        return None
    fits = (
        names[0].location in (None, things[0].location)
        and things[0].kind in (Kind.MASS, Kind.INDETERMINATE, Kind.WALL_THICKENING)
        and _sides_agree(old[0].side, new.side)
        and (names[0].count.value != 1 or things[0].count.value == 1)
    )
    return old[0] if fits else None


def _rival(kept: list[Draft], new: Draft) -> Draft | None:
    """The one lesion of the findings that a lesion of the impression means although side or size differ."""
    if new.section is not SectionKind.IMPRESSION or new.count.value != 1 or not new.diameters_mm or new.doubted:
        return None
    rivals = [
        old
        for old in kept
        if old.tumor_type is new.tumor_type
        and old.section is not SectionKind.IMPRESSION
        and old.count.value == 1
        and old.diameters_mm
        and _kinds_agree(old.kind, new.kind)
        and (old.location is None or new.location is None or old.location == new.location or _nested(old, new))
        and (
            (old.side is new.side and not _sizes_agree(old.diameters_mm, new.diameters_mm))
            or (not _sides_agree(old.side, new.side) and max(old.diameters_mm) == max(new.diameters_mm))
        )
    ]
    return rivals[0] if len(rivals) == 1 and rivals[0].repeats == 0 else None


def _by_likeness(kept: list[Draft], draft: Draft) -> list[Draft]:
    """Candidates of the same type, the ones that agree on most first."""

    def agreement(other: Draft) -> int:
        score = 0
        score += 4 * int(bool(draft.diameters_mm) and draft.diameters_mm == other.diameters_mm)
        score += 2 * int(draft.location is not None and draft.location == other.location)
        score += 2 * int(draft.side is not None and draft.side is other.side)
        score += 2 * int(draft.attenuation is other.attenuation)
        score += int(other.repeats == 0) + int(draft.location is other.location)
        score += 2 * int(draft.malignancy is not Malignancy.UNKNOWN and draft.malignancy is other.malignancy)
        score += 2 * int((draft.count.value == 1) == (other.count.value == 1))
        return score + int(draft.kind is other.kind)

    return sorted((other for other in kept if other.tumor_type is draft.tumor_type), key=agreement, reverse=True)


def _same_lesion(old: Draft, new: Draft) -> bool:
    repeats = (
        (new.section is not old.section and SectionKind.IMPRESSION in (new.section, old.section))
        or new.definite
        or _identical(old, new)
        or _endless(old, new)
        or (old.title and old.section is new.section and old.paragraph == new.paragraph and old.kind is not Kind.CYST)
    )
    return (
        repeats
        and (old.family is None or old.family is not new.family)
        and _sides_agree(old.side, new.side)
        and (old.location is None or new.location is None or old.location == new.location or _nested(old, new))
        and _sizes_agree(old.diameters_mm, new.diameters_mm)
        and _kinds_agree(old.kind, new.kind)
        and (Attenuation.UNKNOWN in (old.attenuation, new.attenuation) or old.attenuation is new.attenuation)
        and (Malignancy.UNKNOWN in (old.malignancy, new.malignancy) or old.malignancy is new.malignancy)
        and (new.section is not old.section or new.definite or old.doubted == new.doubted)
    )


def _identical(old: Draft, new: Draft) -> bool:
    if old.paragraph == new.paragraph and not new.diameters_mm:
        return False
    return (
        old.diameters_mm == new.diameters_mm
        and bool(new.diameters_mm)
        and (old.side, old.location, old.kind) == (new.side, new.location, new.kind)
    )


def _endless(old: Draft, new: Draft) -> bool:
    """Two mentions of all lesions of an organ: "polycystic kidneys ... innumerable cysts"."""
    return (
        old.count.relation is new.count.relation is CountRelation.INNUMERABLE
        and old.kind is new.kind
        and old.location == new.location
        and not (old.diameters_mm and new.diameters_mm)
    )


def _sides_agree(old: Side | None, new: Side | None) -> bool:
    return old is None or new is None or old is new or Side.BILATERAL in (old, new)


def _nested(old: Draft, new: Draft) -> bool:
    """A segment and the lobe that holds it do not contradict."""
    names = {old.location or "", new.location or ""}
    return any(name.startswith("segment") for name in names) and any(name.endswith("lobe") for name in names)


def _sizes_agree(old: tuple[float, ...], new: tuple[float, ...]) -> bool:
    if not old or not new:
        return True
    difference = abs(max(old) - max(new))
    return difference <= max(ROUNDING_MM, ROUNDING_FRACTION * max(*old, *new))


def _kinds_agree(old: Kind, new: Kind) -> bool:
    return old is new or Kind.INDETERMINATE in (old, new) or (old in _SOLID and new in _SOLID)


def _join(old: Draft, new: Draft) -> None:
    diagnosis = new.diagnosis and not new.diameters_mm  # "Impression: carcinoma of the gallbladder"
    more_specific = (old.kind is Kind.MASS and new.kind is Kind.METASTASIS) or (
        old.kind is Kind.WALL_THICKENING and new.kind is Kind.MASS and not diagnosis
    )
    if more_specific and not new.doubted:
        old.kind = new.kind
        old.spans["kind"] = new.spans.get("kind", old.spans.get("kind", (0, 1)))
    old.fill(new)
    old.repeats += 1
    if new.count.value != 1 and old.count == Count() and not new.definite:
        return  # a group's number is not that of one of its lesions
    old.count, taken = _fuller_count(old.count, new.count)
    if taken and "count" in new.spans:
        old.spans["count"] = new.spans["count"]


def _fuller_count(old: Count, new: Count) -> tuple[Count, bool]:
    """The count that says more, and whether it is the new one."""
    if CountRelation.INNUMERABLE in (old.relation, new.relation):
        return (old, False) if old.relation is CountRelation.INNUMERABLE else (new, True)
    if (
        new.relation is CountRelation.EXACT
        and old.relation is CountRelation.AT_LEAST
        and (new.value or 1) >= (old.value or 1)
    ):
        return new, True
    return old, False
