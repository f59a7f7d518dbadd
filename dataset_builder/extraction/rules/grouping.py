"""Sizes of groups: which lesion of several a size is of, and when a group becomes findings of its own."""

from __future__ import annotations

import re

from rsuper_bench.benchmark.records import Count, CountRelation
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft
from rsuper_bench.dataset_builder.extraction.rules.items import Row
from rsuper_bench.dataset_builder.extraction.rules.measurements import Measurement

_AXES = re.compile(
    r"\b(?:ap|tr|cc|si|trv|trans|anteroposterior|antero-posterior|transverse|craniocaudal|cranio-caudal|longitudinal|axis|axes|"
    r"dimensions?|length|thickness|in length|in width|in height|long|wide|deep|tall|thick|high|short|plane)\b",
    re.IGNORECASE,
)


def set_size(draft: Draft, measurement: Measurement) -> None:
    """Give a finding its size."""
    draft.diameters_mm = measurement.diameters_mm
    draft.spans["diameters_mm"] = (measurement.start, measurement.end)


def axes_joined(sized: list[Measurement], row: Row) -> Measurement:
    """One size from axes stated one by one: "2.3 cm in AP, 2.1 cm in transverse dimension"."""
    single = len(sized) in (2, 3) and all(len(size.diameters_mm) == 1 and not size.others_mm for size in sized)
    if single and _AXES.search(row.text) is not None:
        axes = tuple(size.diameters_mm[0] for size in sized)
        return Measurement(sized[0].start, sized[-1].end, axes)
    return max(sized, key=lambda size: max(size.diameters_mm))


def part_of(draft: Draft, *, shrink: bool = True) -> Draft:
    """One more finding of the same group; the group stands for one fewer where its number is known."""
    draft.family = draft.family or object()
    part = Draft(
        family=draft.family,
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
