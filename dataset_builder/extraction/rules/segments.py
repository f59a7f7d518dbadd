"""Sub-segments of organs: the words of ``TumorType.anatomy``, and the one a lesion is in."""

from __future__ import annotations

import re
from functools import cache

from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft
from rsuper_bench.dataset_builder.extraction.rules.items import Row, one_of_many_after
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label, location_words

Span = tuple[int, int]
Place = tuple[str, Span]

NEAR = 60  # characters between an organ or lesion and a word for a part of the organ
_NUMERAL = r"(?:viii|vii|vi|iv|v|iii|ii|i|[1-8])[ab]?"
_COUINAUD = re.compile(
    rf"\b(?P<word>segments?|segs?\.?|s(?=\s?\d)|couinaud(?:\ssegments?)?)\s{{0,2}}(?P<first>{_NUMERAL})\b(?P<more>(?:(?:\s?\([^()]{{0,25}}\))?\s{{0,2}}(?:,\sand|,|/|&|-|–|and|or|to)\s{{0,2}}{_NUMERAL}\b(?!\s?(?:x|cm|mm|\.\d)))*)",
    re.IGNORECASE,
)
# "nodule in VII; cysts in II and III": capitals only, so that no "in i" or "in v" counts.
_ALONE = re.compile(
    r"(?:(?<=\bin )|(?<=\bI and )|(?<=\bII and )|(?<=\bV and )|(?<=\bVI and )|(?<=\bVII and ))"
    r"(?:VIII|VII|VI|IV[ab]?|III|II|V)\b"
)
_BRACKET = re.compile(r"\([^()]*\)")
_JOINED = re.compile(r"\s{0,3}(?:,|and|&|/|-|–|to)\s{0,3}(?:the\s)?(?:pancreatic\s|hepatic\s)?", re.IGNORECASE)
_FOLLOW = re.compile(r"follow[\s-]*up|\bup to", re.IGNORECASE)
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8}


def places_in(row: Row, tumor_type: TumorType, span: Span) -> list[Place]:
    """Every sub-segment named in a stretch of a sentence, in order; "segments 4 and 6" are two.

    Args:
        row: The sentence.
        tumor_type: The organ.
        span: Where to look, in report characters.
    """
    begin, stop = span[0] - row.offset, span[1] - row.offset
    found: list[Place] = []
    if tumor_type is TumorType.LIVER:
        for match in _COUINAUD.finditer(row.text):
            first = match["first"].lower().rstrip("ab")
            if begin <= match.start() and match.end("first") <= stop:
                found.append((_numbered(first), _shift(match.start(), match.end("first"), row.offset)))
            more = _BRACKET.sub(lambda bracket: " " * len(bracket[0]), match["more"])
            for numeral in re.finditer(rf"\b{_NUMERAL}\b", more, re.IGNORECASE):
                start = match.start("more") + numeral.start()
                end = start + len(numeral[0])
                if begin <= start and end <= stop:
                    found.append((_numbered(numeral[0].lower().rstrip("ab")), _shift(start, end, row.offset)))
        for match in _ALONE.finditer(row.text, begin, stop):
            here = _shift(match.start(), match.end(), row.offset)
            if not any(start < here[1] and here[0] < end for _, (start, end) in found):
                found.append((_numbered(match[0].lower().rstrip("ab")), here))
    pattern = _word_pattern(tumor_type)
    if pattern is not None:
        words = location_words(tumor_type)
        for match in pattern.finditer(row.text, begin, stop):
            here = _shift(match.start(), match.end(), row.offset)
            if len(match[0]) == 2 and (
                not match[0].isupper() or _FOLLOW.search(row.text, max(0, match.start() - 8), match.end() + 4)
            ):
                continue  # "LP" is the lower pole; "follow up" and "UP TO" are no pole
            if not any(start < here[1] and here[0] < end for _, (start, end) in found):
                found.append((words[_squeezed(match["name"])], here))
    return sorted(found, key=lambda place: place[1])


def location_of(row: Row, tumor_type: TumorType, anchors: list[Span], clause: Span) -> Place | None:
    """The sub-segment nearest to a lesion or its organ, the smallest first, and the words that name it.

    Args:
        row: The sentence.
        tumor_type: The organ.
        anchors: Spans of the lesion word and of the organ word, in report characters.
        clause: Span to look in, in report characters.
    """
    best: tuple[int, int] | None = None
    places = places_in(row, tumor_type, clause)
    for index, (name, span) in enumerate(places):
        gap = min(max(span[0] - anchor[1], anchor[0] - span[1], 0) for anchor in anchors)
        rank = gap + (30 if "lobe" in name else 20 if name == "dome" and tumor_type is TumorType.LIVER else 0)
        if gap <= NEAR and (best is None or rank < best[0]):
            best = rank, index
    if best is None:
        return None
    chosen = best[1]
    while chosen and _JOINED.fullmatch(
        row.text, places[chosen - 1][1][1] - row.offset, places[chosen][1][0] - row.offset
    ):
        chosen -= 1  # "the lateral wall and dome of the bladder": the first of them
    return places[chosen]


def _shift(start: int, end: int, offset: int) -> Span:
    return start + offset, end + offset


def _numbered(numeral: str) -> str:
    return f"segment_{_ROMAN.get(numeral) or numeral}"


@cache
def _word_pattern(tumor_type: TumorType) -> re.Pattern[str] | None:
    words = sorted(location_words(tumor_type), key=lambda word: (-len(word), word))
    if not words:
        return None
    body = "|".join(re.escape(word).replace(r"\ ", r"[\s-]{1,4}") for word in words)
    return re.compile(rf"\b(?P<name>{body})\b", re.IGNORECASE)


def _squeezed(name: str) -> str:
    return " ".join(name.lower().replace("-", " ").split())


def locate(draft: Draft, row: Row, lesion: int, heads: list[int], order: int) -> None:
    """Give a finding the sub-segment its sentence names, if any; ``heads[order]`` is the lesion word."""
    items = row.items
    first, last = row.clause_start(lesion), row.clause_end(lesion) - 1
    named = draft.spans.get("tumor_type", (0, 0))
    if any(items[index].span == named for index in row.indices(Label.PLACE)):
        return  # a mass at the root of a lung is in no lobe
    for index in row.indices(Label.ORGAN):  # "Within the upper pole of the left kidney, there is a cyst"
        if items[index].span == named and index < first:
            first = row.clause_start(index)
    if order + 1 < len(heads) and heads[order + 1] <= last:
        last = row.phrase_start(heads[order + 1]) - 1
    if order and heads[order - 1] >= first:
        first = max(heads[order - 1], row.phrase_start(lesion))  # what stands before is said of the lesion before
    several = draft.count.value != 1
    turn = one_of_many_after(row, lesion) if several else None
    if turn is not None and turn <= last:
        last = turn - 1
    last = max(last, lesion)
    anchors = [items[lesion].span]
    organ = draft.spans.get("tumor_type")
    if organ is not None and items[first].start <= organ[0] <= items[last].end:
        anchors.append(organ)
    clause = (items[first].start, max(items[last].end, items[lesion].end))
    if several and len({name for name, _ in places_in(row, draft.tumor_type, clause)}) > 1:
        return  # "lesions in segments 4 and 6": the group has no one place
    found = location_of(row, draft.tumor_type, anchors, clause)
    if found is not None:
        draft.location, draft.spans["location"] = found
