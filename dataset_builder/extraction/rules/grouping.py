"""Sizes of groups: which lesion of several a size is of, and when a group becomes findings of its own."""

from __future__ import annotations

from rsuper_bench.benchmark.records import Count, CountRelation
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft
from rsuper_bench.dataset_builder.extraction.rules.measurements import Measurement


def set_size(draft: Draft, measurement: Measurement) -> None:
    """Give a finding its size."""
    draft.diameters_mm = measurement.diameters_mm
    draft.spans["diameters_mm"] = (measurement.start, measurement.end)


def axes_joined(sized: list[Measurement]) -> Measurement:
    """One size from axes stated one by one: "2.3 cm in AP, 2.1 cm in transverse dimension"."""
    if len(sized) in (2, 3) and all(len(size.diameters_mm) == 1 and not size.others_mm for size in sized):
        axes = tuple(size.diameters_mm[0] for size in sized)
        return Measurement(sized[0].start, sized[-1].end, axes)
    return max(sized, key=lambda size: max(size.diameters_mm))


def split_by_size(draft: Draft, sized: list[Measurement], several_places: bool) -> list[Draft]:
    """Give a finding its size; a counted group with a size for each becomes one finding each."""
    if not sized:
        return [draft]
    single = [Measurement(size.start, size.end, (value,)) for size in sized for value in size.others_mm]
    everything = [*sized, *single]
    if draft.count.relation is CountRelation.EXACT and draft.count.value == 1:
        set_size(draft, axes_joined(sized))
        return [draft]
    if draft.count.value == len(everything) and draft.count.relation is not CountRelation.INNUMERABLE:
        parts = []
        for size in everything:
            part = part_of(draft, shrink=False)
            part.count = Count()
            if not draft.location or several_places:
                part.location = None  # "in segments 4 and 6": which is where is not read
                part.spans.pop("location", None)
            set_size(part, Measurement(size.start, size.end, size.diameters_mm))
            parts.append(part)
        return parts
    set_size(draft, max(everything, key=lambda size: max(size.diameters_mm)))
    return [draft]


def part_of(draft: Draft, *, shrink: bool = True) -> Draft:
    """One more finding of the same group; the group stands for one fewer where its number is known."""
    part = Draft(
        tumor_type=draft.tumor_type,
        section=draft.section,
        paragraph=draft.paragraph,
        kind=draft.kind,
        side=draft.side,
        attenuation=draft.attenuation,
        malignancy=draft.malignancy,
        malignancy_source=draft.malignancy_source,
        doubted=draft.doubted,
        definite=True,
        location=None if shrink else draft.location,
        spans={
            name: span
            for name, span in draft.spans.items()
            if name not in ("diameters_mm", *(("location",) if shrink else ()))
        },
    )
    value = draft.count.value
    if shrink and value is not None and value > 1 and draft.count.relation is not CountRelation.INNUMERABLE:
        draft.count = Count(value=value - 1, relation=draft.count.relation)
    return part
