"""Groups whose members are described one by one: "two cysts, 3 cm in the upper pole and 1 cm in the lower pole"."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise

from rsuper_bench.benchmark.records import Count, CountRelation, Kind
from rsuper_bench.benchmark.tumor_types import Side
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft, refer
from rsuper_bench.dataset_builder.extraction.rules.grouping import axes_joined, part_of, set_size
from rsuper_bench.dataset_builder.extraction.rules.items import Row, one_of_many_after
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.measurements import Measurement
from rsuper_bench.dataset_builder.extraction.rules.segments import Place, places_in
from rsuper_bench.dataset_builder.extraction.rules.sides import sides_in
from rsuper_bench.dataset_builder.extraction.rules.sizes import is_elliptical

Span = tuple[int, int]
MAX_MEMBERS = 20
_ONLY_JOINS = re.compile(r"[\s,&]{0,6}(?:and)?\s{0,3}")


@dataclass(frozen=True, slots=True)
class Member:
    """One lesion of a group: its size, and what stands beside the size."""

    size: Measurement
    reach: Span
    place: Place | None
    side: tuple[Side, Span] | None


def split_group(draft: Draft, row: Row, sized: list[Measurement], start: int, end: int) -> list[Draft]:
    """Give a finding its size; a group whose members have sizes of their own becomes one finding for each.

    Args:
        draft: The finding a lesion word stands for.
        row: The sentence.
        sized: Today's sizes of it.
        start: Where the words after the lesion word begin, in report characters.
        end: Where they end: at the next lesion word, or with the clause.
    """
    if not sized:
        return [draft]
    if draft.bare and len(sized) == 1 and row.text.rstrip().endswith(";"):
        first = members_at(draft, row, sized, start, end)
        if first[0].place is not None or first[0].side is not None:  # "Lesions: segment 2, 1.2 cm; segment 7, ..."
            return _split(draft, row, first)
    if draft.count.relation is CountRelation.EXACT and draft.count.value == 1:
        bracketed = members_of(draft, row, sized, start, end)  # "HCC in segment 6 (3.1 cm) and segment 8 (1.2 cm)"
        places = {member.place[0] for member in bracketed if member.place is not None}
        sides = {member.side[0] for member in bracketed if member.side is not None}
        apart = all(row.text[one.start - row.offset - 1] == "(" for one in sized) or _is_elliptical(row, sized)
        if len(places) == len(bracketed) > 1 and apart:
            return _parts(draft, row, bracketed)
        if sides == {Side.LEFT, Side.RIGHT} and len(bracketed) == 2:
            return _parts(
                draft, row, bracketed
            )  # "a metastasis in each adrenal, 26 mm on the right and 19 mm on the left"
        two = len(sized) == 2 and all(len(size.diameters_mm) == 1 and not size.others_mm for size in sized)
        if draft.kind is Kind.WALL_THICKENING and two:  # "thickening of 12 mm extends over 3.4 cm"
            axes = (sized[0].diameters_mm[0], sized[1].diameters_mm[0])
            set_size(draft, Measurement(sized[0].start, sized[1].end, axes))
        else:
            set_size(draft, axes_joined(sized, row))
        return [draft]
    if len(sized) == 1 and draft.count.value == 2 and any(item.text == "each" for item in row.items):
        named = places_in(row, draft.tumor_type, (row.items[0].start, end))
        if len(named) > 1:  # "cysts in II and III, each 7 mm"
            return _parts(draft, row, [Member(sized[0], (start, start), place, None) for place in named])
    single = [Measurement(size.start, size.end, (value,)) for size in sized for value in size.others_mm]
    everything = [*sized, *single]
    members = _members(draft, row, sized, start, end) if not single else []
    before = all(size.start < start for size in everything)  # "1.0 and 0.7 cm nodules in segments 4 and 5"
    opening = min(size.start for size in everything)  # "metastases in segments 6 and 7 now measure 15 and 11 mm"
    before = before or len(places_in(row, draft.tumor_type, (row.items[0].start, opening))) == len(everything)
    turned = _in_turn(draft, row, everything, start, end) if before and len(everything) > 1 else []
    if turned and all(member.place is not None for member in turned):
        members = turned
    elif "respectively" in row.text.lower() or not any(member.place or member.side for member in members):
        members = _in_turn(draft, row, everything, start, end)
    if len(everything) > 1 and _are_members(draft, row, members, everything):
        return _split(draft, row, members)
    largest = max(everything, key=lambda size: max(size.diameters_mm))
    set_size(draft, largest)
    turn = one_of_many_after(row, 0)
    if turn is not None and len(everything) == 1:  # "..., the largest in segment 6": known if more are described later
        reach = min(row.items[turn].start, largest.start), max(end, largest.end)
        (draft.pick,) = _parts(draft, row, [_member(draft, row, largest, reach)])
    return [draft]


def _is_elliptical(row: Row, sized: list[Measurement]) -> bool:
    """Whether each size after the first one has a place: "13 mm lesion in segment 6 and 8 mm in segment 2"."""
    later = {size.start for size in sized[1:]}
    return all(is_elliptical(row, index) for index, item in enumerate(row.items) if item.start in later)


def members_of(draft: Draft, row: Row, sized: list[Measurement], start: int, end: int) -> list[Member]:
    """The sizes of a stretch of a sentence with the places beside them; see :func:`split_group`."""
    if len(sized) < 2 or any(size.others_mm for size in sized):
        return []
    return _members(draft, row, sized, start, end)


def members_at(draft: Draft, row: Row, sized: list[Measurement], start: int, end: int) -> list[Member]:
    """One size with the place beside it, before or after."""
    return [_member(draft, row, size, (min(start, size.start), max(end, size.end))) for size in sized]


def _are_members(draft: Draft, row: Row, members: list[Member], everything: list[Measurement]) -> bool:
    """Whether sizes are of one lesion each, not of a group."""
    if len(members) > MAX_MEMBERS or draft.count.relation is CountRelation.INNUMERABLE:
        return False
    placed = all(member.place is not None or member.side is not None for member in members)
    if _listed_after_colon(draft, row, everything):
        return True
    if draft.count.relation is CountRelation.EXACT:
        return draft.count.value == len(everything) or (placed and len(everything) < (draft.count.value or 0))
    return placed or (draft.count.value == len(everything) and one_of_many_after(row, 0) is None)


def _listed_after_colon(draft: Draft, row: Row, everything: list[Measurement]) -> bool:
    """Whether a plural is followed by a list of its members: "Fibroids: fundal 5 cm, anterior 3 cm and a 2 cm one"."""
    noun = next((index for index, item in enumerate(row.items) if item.span == draft.spans.get("kind")), None)
    if noun is None or noun + 1 >= len(row.items) or row.items[noun + 1].text != ":":
        return False
    return draft.count.value == 2 and len(everything) > 1 and one_of_many_after(row, noun) is None


def _members(draft: Draft, row: Row, sized: list[Measurement], start: int, end: int) -> list[Member]:
    """Sizes with their places: the words after each size, or those before it, whichever name more places."""
    sized = sorted(sized, key=lambda size: size.start)
    if sized[-1].start > end:  # the list goes on beyond a semicolon in brackets
        end = row.offset + len(row.text)
    after_cuts = [size.start for size in sized] + [max(end, sized[-1].end)]
    after_cuts[1:-1] = [_cut(row, one.end, other.start, last=True) for one, other in pairwise(sized)]
    before_cuts = [min(start, sized[0].start)]
    before_cuts += [_cut(row, one.end, other.start, last=False) for one, other in pairwise(sized)]
    before_cuts.append(max(end, sized[-1].end))
    options = [
        [_member(draft, row, size, (cuts[index], cuts[index + 1])) for index, size in enumerate(sized)]
        for cuts in (after_cuts, before_cuts)
    ]
    return max(options, key=lambda members: sum((one.place is not None) + (one.side is not None) for one in members))


def _cut(row: Row, start: int, end: int, *, last: bool) -> int:
    """Where what belongs to one size ends and what belongs to the next begins: at a semicolon, comma or "and"."""
    between = []
    depth = lowest = 0
    for item in (item for item in row.items if start <= item.start < end):
        depth += int(item.text in ("(", "[")) - int(item.text in (")", "]"))
        lowest = min(lowest, depth)
        between.append((depth, item))
    between = [(depth, item) for depth, item in between if depth == lowest]  # not the comma in "(2.2 cm, image 30)"
    for signs in ((";",), ("and", "while", "whereas"), (",",)):
        at = [item.start for _, item in between if item.text in signs]
        if at:
            return at[-1] if last else at[0]
    return end if last else start


def _member(draft: Draft, row: Row, size: Measurement, reach: Span) -> Member:
    places = places_in(row, draft.tumor_type, reach)
    sides = sides_in(row, draft.tumor_type, reach)
    return Member(size, reach, places[0] if places else None, sides[0] if sides else None)


def _in_turn(draft: Draft, row: Row, everything: list[Measurement], start: int, end: int) -> list[Member]:
    """Members of "12 mm and 9 mm in segments 4 and 6": as many places as sizes, in the same order."""
    clause = (row.items[0].start, end)
    places = places_in(row, draft.tumor_type, clause)
    sides = [one for one in sides_in(row, draft.tumor_type, clause) if one[0] is not Side.BILATERAL]
    for index in row.indices(Label.SIDE):
        names = [word for word in row.items[index].text.split() if word in ("left", "right")]
        if len(names) == 2 and not sides:  # "left and right renal cysts measuring 3.1 and 2.2 cm, respectively"
            sides = [(Side(name), row.items[index].span) for name in names]
    everything = sorted(everything, key=lambda size: size.start)
    one_breath = [size for size in everything if size.others_mm]
    if one_breath:  # the sizes of one breath share a span; the first comes first
        everything = [*one_breath, *[size for size in everything if not size.others_mm]]
    mapped = "respectively" in row.text.lower() or len(places) == len(everything)
    return [
        Member(
            size,
            (start, start),
            places[index] if mapped and len(places) == len(everything) else None,
            sides[index] if len(sides) == len(everything) else None,
        )
        for index, size in enumerate(everything)
    ]


def _split(draft: Draft, row: Row, members: list[Member]) -> list[Draft]:
    rest = (draft.count.value or 0) - len(members) if draft.count.relation is CountRelation.EXACT else 0
    open_count = draft.count.relation is CountRelation.AT_LEAST and "count" in draft.spans and not _is_bare(draft, row)
    parts = _parts(draft, row, members)
    if rest > 0 or (open_count and one_of_many_after(row, 0) is not None):
        draft.count = Count(value=rest) if rest > 0 else draft.count
        draft.location = None
        draft.spans.pop("location", None)
        draft.definite = True
        parts.append(draft)
    return parts


def _parts(draft: Draft, row: Row, members: list[Member]) -> list[Draft]:
    """A finding for each described member of a group."""
    parts = []
    members = _shared_place(row, members)
    before = row.text[: min(one.size.start for one in members) - row.offset]
    sides = [member.side[0] for member in members if member.side is not None]
    upper = draft.count.relation is CountRelation.AT_LEAST and before.lower().endswith("up to ") and len(sides) > 1
    for member in members:
        part = part_of(draft, shrink=False)
        part.count = draft.count if upper else Count()
        if len({one.place for one in members if one.place}) > 0 or _has_several(draft, row):
            part.location = None
            part.spans.pop("location", None)
        if part.side is Side.BILATERAL:
            part.side = None
            part.spans.pop("side", None)
        set_size(part, Measurement(member.size.start, member.size.end, member.size.diameters_mm))
        if member.place is not None:
            part.location, part.spans["location"] = member.place
        if member.side is not None:
            part.side, part.spans["side"] = member.side
        refer(part, row, *member.reach, member.size.start)
        parts.append(part)
    return parts


def _shared_place(row: Row, members: list[Member]) -> list[Member]:
    """Give all of "5 mm and 3 mm nodules in the right lower lobe" the one place that is named."""
    places = [member.place for member in members if member.place is not None]
    if len(members) < 2 or len(places) != 1:
        return members
    for one, other in pairwise(sorted(members, key=lambda member: member.size.start)):
        between = row.text[one.size.end - row.offset : max(one.size.end, other.size.start) - row.offset]
        if _ONLY_JOINS.fullmatch(between) is None:
            return members
    return [replace(member, place=places[0]) for member in members]


def _is_bare(draft: Draft, row: Row) -> bool:
    """Whether a group has no word for its number but its plural."""
    span = draft.spans["count"]
    return any(item.span == span and item.label is Label.LESION for item in row.items)


def _has_several(draft: Draft, row: Row) -> bool:
    whole = (row.items[0].start, row.items[-1].end)
    return len({name for name, _ in places_in(row, draft.tumor_type, whole)}) > 1
