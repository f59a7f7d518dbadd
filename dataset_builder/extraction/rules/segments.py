"""Sub-segments of organs: the words of ``TumorType.anatomy``, and the one nearest to a lesion."""

from __future__ import annotations

import re
from functools import cache

from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft
from rsuper_bench.dataset_builder.extraction.rules.items import Row, one_of_many_after
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label

Span = tuple[int, int]


NEAR = 60  # characters between an organ or lesion and a word for a part of the organ


def location_of(row: Row, tumor_type: TumorType, anchors: list[Span], clause: Span) -> tuple[str, Span] | None:
    """The sub-segment nearest to a lesion or its organ, and the words that name it.

    Args:
        row: The sentence.
        tumor_type: The organ.
        anchors: Spans of the lesion word and of the organ word, in report characters.
        clause: Span to look in, in report characters.
    """
    pattern = _segment_pattern(tumor_type)
    if pattern is None:
        return None
    begin, stop = clause[0] - row.offset, clause[1] - row.offset
    best: tuple[int, str, Span] | None = None
    for match in pattern.finditer(row.text, begin, stop):
        span = (row.offset + match.start(), row.offset + match.end())
        gap = min(max(span[0] - anchor[1], anchor[0] - span[1], 0) for anchor in anchors)
        name = _segment_names(tumor_type)[_squeezed(match["name"])]
        rank = gap + (0 if name.startswith("segment") else 30 if "lobe" in name else 0)
        if gap <= NEAR and (best is None or rank < best[0]):
            best = (rank, name, span)
    return None if best is None else (best[1], best[2])


@cache
def _segment_names(tumor_type: TumorType) -> dict[str, str]:
    names: dict[str, str] = {}
    for segment in tumor_type.anatomy.segments:
        for word in (segment.name.replace("_", " "), *segment.synonyms):
            names.setdefault(word, segment.name)
            for numeral in ("a", "b"):  # Couinaud 4a and 4b are parts of segment 4
                if segment.name.startswith("segment_"):
                    names.setdefault(f"{word}{numeral}", segment.name)
            if segment.name.startswith("segment_"):
                names.setdefault(f"segments {word.removeprefix('segment ')}", segment.name)
    return names


@cache
def _segment_pattern(tumor_type: TumorType) -> re.Pattern[str] | None:
    words = sorted(_segment_names(tumor_type), key=lambda word: (-len(word), word))
    if not words:
        return None
    body = "|".join(re.escape(word).replace(r"\ ", r"[\s-]+") for word in words)
    return re.compile(rf"\b(?P<name>{body})\b", re.IGNORECASE)


def _squeezed(name: str) -> str:
    return " ".join(name.lower().replace("-", " ").split())


def locate(draft: Draft, row: Row, lesion: int, heads: list[int], order: int) -> None:
    """Give a finding the sub-segment its sentence names, if any; ``heads[order]`` is the lesion word."""
    items = row.items
    first, last = row.clause_start(lesion), row.clause_end(lesion) - 1
    named = draft.spans.get("tumor_type", (0, 0))
    for index in row.indices(Label.ORGAN):  # "Within the upper pole of the left kidney, there is a cyst"
        if items[index].span == named and index < first:
            first = row.clause_start(index)
    if order + 1 < len(heads) and heads[order + 1] <= last:
        last = heads[order + 1] - 1
    if order and heads[order - 1] >= first:
        first = heads[order - 1]
    turn = one_of_many_after(row, lesion) if draft.count.value != 1 else None
    if turn is not None and turn <= last:
        last = turn - 1
    anchors = [items[lesion].span]
    organ = draft.spans.get("tumor_type")
    if organ is not None and items[first].start <= organ[0] <= items[last].end:
        anchors.append(organ)
    clause = (items[first].start, max(items[last].end, items[lesion].end))
    found = location_of(row, draft.tumor_type, anchors, clause)
    if found is not None:
        draft.location, draft.spans["location"] = found
