"""What later words add to a finding: its size, its kind, one more lesion of its group, or that it is no tumor."""

from __future__ import annotations

from rsuper_bench.benchmark.records import Attenuation, Count, CountRelation, Kind, Malignancy
from rsuper_bench.benchmark.tumor_types import Side, TumorType
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft, apply_kind, apply_malignancy, refer
from rsuper_bench.dataset_builder.extraction.rules.grouping import axes_joined, part_of, set_size
from rsuper_bench.dataset_builder.extraction.rules.items import Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.measurements import Measurement
from rsuper_bench.dataset_builder.extraction.rules.members import Member, members_of, split_group
from rsuper_bench.dataset_builder.extraction.rules.memory import Memory
from rsuper_bench.dataset_builder.extraction.rules.mentions import is_landmark
from rsuper_bench.dataset_builder.extraction.rules.segments import locate
from rsuper_bench.dataset_builder.extraction.rules.sides import sides_in
from rsuper_bench.dataset_builder.extraction.rules.sizes import PREDICATES, Sizes, is_governed

_LEFT = frozenset({"only", "remain", "remains", "persist", "persists"})
_FEW = 5  # items
_FURTHER = frozenset(
    {"smaller", "smallest", "other", "second", "third", "fourth", "latter", "another", "additional", "next"}
)
_INDEX = frozenset({"index", "target", "reference", "representative"})
_MORE = frozenset({"another", "second", "third", "fourth", "additional", "further"})
_REST = frozenset({"remaining", "others", "rest"})
_SPEAKS = frozenset(
    {"finding", "findings", "appearance", "appearances", "features", "both", "all", "stable", "unchanged"}
)


def name_last(memory: Memory, row: Row, lesion: int, sized: list[Measurement]) -> list[Draft]:
    """Take a lesion word that means the last finding: its kind and its size. Returns the finding it means."""
    item = row.items[lesion]
    words = {word for other in row.items[:lesion] for word in other.text.split()}
    if words & _REST and item.entry.is_plural and memory.emptied is not None:
        memory.keep([memory.emptied])  # "The remaining lesions are too small to measure"
        memory.emptied = None
        return memory.last
    if memory.last[0].kind is Kind.INDETERMINATE and item.entry.kind not in (None, Kind.INDETERMINATE):
        apply_kind(memory.last[0], item.entry, item.span)
    for other in row.items[lesion + 1 :]:
        if other.label is Label.ATTENUATION and memory.last[0].attenuation is Attenuation.UNKNOWN:
            memory.last[0].attenuation = other.entry.attenuation or Attenuation.UNKNOWN
            memory.last[0].spans["attenuation"] = other.span
    return _size(memory, row, sized, lesion)


def split_named(memory: Memory, named: list[Draft], row: Row, lesion: int, sized: list[Measurement]) -> list[Draft]:
    """Split a group with sizes after its name: "lesions, metastases, the largest 4 cm and another 2 cm"."""
    if (
        len(sized) < 2
        or len(named) != 1
        or named[0].count.value == 1
        or not any(one is named[0] for one in memory.last)
    ):
        return named
    if named[0].diameters_mm not in [size.diameters_mm for size in sized]:
        return named
    end = row.items[row.clause_end(lesion) - 1].end
    parts = split_group(named[0], row, sized, row.items[lesion].end, end)
    if len(parts) < 2:
        return named
    if any(part is named[0] for part in parts):  # the unnamed rest has no size
        named[0].diameters_mm = ()
        named[0].spans.pop("diameters_mm", None)
    memory.drop(named)
    memory.keep(parts)
    memory.last = parts
    return parts


def take_member(memory: Memory, row: Row, sized: list[Measurement], anchor: int) -> list[Draft]:
    """Take the size of one of the last group, whatever the sentence calls it. Returns the group."""
    return _size(memory, row, sized, anchor)


_TYPICAL = frozenset({"typical", "classic", "classical", "characteristic", "likely", "probable", "probably"})
_POINTS = frozenset({"this", "it", "these", "they", "which"})


def listen(memory: Memory, row: Row, sizes: Sizes) -> set[TumorType]:
    """Take what a sentence without a lesion word of its own says of the last finding.

    Returns:
        Types of findings that turned out to be no tumor; they are dropped.
    """
    if not memory.last or row.has(Label.LESION):
        return set()
    if _adds_one(memory, row, sizes):
        return set()
    _recount(memory.last[0], row)
    _loose_sizes(memory, row, sizes)
    if not row.has(Label.ORGAN, Label.THING, Label.PLACE) and memory.last[0].count.value == 1:
        refer(memory.last[0], row, row.offset, row.offset + len(row.text), row.offset)
    about = row.has(Label.COREF, Label.DEFINITE) or row.items[0].text in _SPEAKS
    if row.items[0].text in _POINTS and not row.has(Label.ORGAN, Label.MEASUREMENT):
        gone = any(row.items[index].text.endswith("resolved") for index in row.indices(Label.NEGATION_AFTER))
        wall = row.has(Label.INFLAMED) and all(draft.kind is Kind.WALL_THICKENING for draft in memory.last)
        if (gone or wall) and not row.has(
            Label.NEGATION, Label.HEDGE
        ):  # "...; this has resolved", "this is inflammatory"
            types = {draft.tumor_type for draft in memory.last}
            memory.drop(memory.last)
            memory.last = []
            return types
    if row.has(Label.NEGATION_AFTER) and row.items[0].label is Label.COREF:
        _loose_nature(memory, row)  # "it is hyperdense and was not seen on the portal phase"
    typical = row.items[0].text in _TYPICAL and row.has(Label.THING) and not row.has(Label.ORGAN)
    if typical and row.items[row.indices(Label.THING)[-1]].entry.explains:  # "typical focal fatty infiltration."
        types = {draft.tumor_type for draft in memory.last}
        memory.drop(memory.last)
        memory.last = []
        return types
    alone = all(item.label in (Label.NATURE, Label.PUNCTUATION, Label.LIKELY, Label.WORD) for item in row.items)
    about = about or (alone and len(row.items) <= _FEW)  # "LI-RADS 5.", "Likely benign."
    if not about or row.has(Label.NEGATION, Label.HEDGE):
        return set()
    _loose_nature(memory, row)
    return _drop_explained(memory, row)


def _recount(group: Draft, row: Row) -> None:
    """Take the number of lesions left: "Previously 6 metastases; now only 2 are visible"."""
    if group.count.value == 1:
        return
    for index in row.indices(Label.COUNT):
        count = row.items[index].entry.count
        near = row.items[max(0, index - 2) : index] + row.items[index + 1 : index + 2]
        if count is not None and any(item.text in _LEFT for item in near):
            group.count, group.spans["count"] = count, row.items[index].span
            return


def _adds_one(memory: Memory, row: Row, sizes: Sizes) -> bool:
    """Keep one more lesion that a sentence names by "another", or by its place and size alone in a list."""
    if row.has(Label.THING, Label.NEGATION, Label.PLACE):
        return False
    last = memory.last[-1]
    own = {organ for index in row.indices(Label.ORGAN) for organ in row.items[index].entry.organs}
    if own and last.tumor_type not in own:
        return False
    first = [word for item in row.items[:2] for word in item.text.split()]
    more = not _MORE.isdisjoint(first) and not row.has(Label.PRIOR)
    listed = (
        bool(sizes.loose)
        and last.listed
        and not row.has(Label.VERB, Label.COREF, Label.DEFINITE)
        and (bool(own) or row.has(Label.SIDE))
    )
    if not (more and (own or sizes.loose or row.has(Label.SIDE))) and not listed:
        return False
    if last.count.value != 1 and last.diameters_mm:
        _size(
            memory, row, [size for _, size in sizes.loose] or [], sizes.loose[0][0] if sizes.loose else 0, further=True
        )
        return True
    part = _like(last, row, sizes.loose[0][0] if sizes.loose else 0)
    if sizes.loose:
        set_size(part, sizes.loose[0][1])
    memory.keep([part])
    memory.last = [part]
    part.listed = last.listed
    return True


def _like(draft: Draft, row: Row, anchor: int) -> Draft:
    """One more lesion of the kind of another, in the place the sentence gives."""
    part = part_of(draft, shrink=False)
    part.count, part.definite, part.listed = Count(), False, False
    part.location, part.series, part.image = None, None, None
    for name in ("location", "count", "diameters_mm"):
        part.spans.pop(name, None)
    if part.side is Side.BILATERAL:
        part.side = None
        part.spans.pop("side", None)
    locate(part, row, anchor, [anchor], 0)
    _take_side(part, row, (row.offset, row.offset + len(row.text)))
    refer(part, row, row.offset, row.offset + len(row.text), row.items[anchor].start)
    return part


def _take_side(draft: Draft, row: Row, span: tuple[int, int]) -> None:
    sides = sides_in(row, draft.tumor_type, span)
    if sides:
        draft.side, draft.spans["side"] = sides[0]


def _loose_sizes(memory: Memory, row: Row, sizes: Sizes) -> None:
    # "It measures 2 cm."
    own = {organ for index in row.indices(Label.ORGAN) for organ in row.items[index].entry.organs}
    if memory.last[0].soft:
        _resite(memory.last[0], row)
    if row.has(Label.THING) or (own and memory.last[0].tumor_type not in own):
        return
    if not sizes.loose:
        _place_only(memory, row)
        return
    own = {
        organ
        for index in row.indices(Label.ORGAN)
        if not row.items[index].entry.implied
        for organ in row.items[index].entry.organs
    }
    refers = row.has(Label.COREF, Label.DEFINITE) or any(item.text in PREDICATES for item in row.items[:3])
    if refers or not own:
        _size(memory, row, [measurement for _, measurement in sizes.loose], sizes.loose[0][0])


def _place_only(memory: Memory, row: Row) -> None:
    """Take the place of the last finding from "It is located in the upper pole", if it has none."""
    draft = memory.last[0]
    starts = row.items[0].text in ("it", "this", "which", "located", "arising", "centered", "centred", "lies")
    if (
        draft.count.value != 1
        or draft.location is not None
        or not starts
        or row.has(Label.PLACE, Label.FAR, Label.NEGATION)
    ):
        return
    if row.has(Label.ORGAN):
        locate(draft, row, 0, [0], 0)


def _resite(draft: Draft, row: Row) -> None:
    """Give a soft tissue mass the organ a later sentence places it in: "It arises from the body of the pancreas"."""
    for index in row.indices(Label.ORGAN):
        item = row.items[index]
        if (
            len(item.entry.organs) == 1
            and is_governed(row, index)
            and not is_landmark(row, index)
            and not item.entry.implied
        ):
            draft.tumor_type, draft.spans["tumor_type"], draft.soft = item.entry.organs[0], item.span, False
            return


def _loose_nature(memory: Memory, row: Row) -> None:
    # "This is a benign finding." "Both are hypoattenuating."
    organs = [row.items[index].entry for index in row.indices(Label.ORGAN)]
    own = memory.last[0].tumor_type
    if row.has(Label.PLACE) or any(
        not entry.adjective and not entry.implied and own not in entry.organs for entry in organs
    ):
        return
    for draft in memory.meant(row):
        for item in row.items:
            if item.label is Label.NATURE and draft.malignancy is Malignancy.UNKNOWN:
                apply_malignancy(draft, item.entry, item.span)
                if item.entry.kind is Kind.METASTASIS and draft.kind in (Kind.INDETERMINATE, Kind.MASS):
                    draft.kind, draft.spans["kind"] = Kind.METASTASIS, item.span
            if item.label is Label.ATTENUATION and draft.attenuation is Attenuation.UNKNOWN:
                draft.attenuation = item.entry.attenuation or Attenuation.UNKNOWN
                draft.spans["attenuation"] = item.span


def _drop_explained(memory: Memory, row: Row) -> set[TumorType]:
    # "These findings are consistent with colitis."
    if not row.has(Label.LIKELY):
        return set()
    thing = any(row.items[index].entry.explains for index in row.indices(Label.THING))
    inflamed = row.has(Label.INFLAMED)
    gone = [draft for draft in memory.last if thing or (inflamed and draft.kind is Kind.WALL_THICKENING)]
    if gone:
        memory.drop(gone)
    return {draft.tumor_type for draft in gone}


def _size(memory: Memory, row: Row, sized: list[Measurement], anchor: int, *, further: bool = False) -> list[Draft]:
    """Give sizes to the last finding, or to members of its group ("the larger ...", "the smaller measures ...")."""
    draft = memory.last[0]
    words = {word for index in row.indices(Label.COREF, Label.INDEFINITE) for word in row.items[index].text.split()}
    words |= {word for item in row.items[:3] for word in item.text.split()}
    again = draft.pick is not None and (
        bool(words & _INDEX)  # "index ... lesion 12 mm, index ... lesion 7 mm"
        or {draft.pick.side, _like(draft, row, anchor).side} == {Side.LEFT, Side.RIGHT}  # "the largest on the left"
    )
    further = (further or again or bool(words & _FURTHER)) and bool(draft.diameters_mm or draft.pick is not None)
    if draft.count.value == 1:
        if further and sized:
            part = _like(draft, row, anchor)
            set_size(part, axes_joined(sized, row))
            memory.keep([part])
            return [part]
        if sized and not draft.diameters_mm:
            set_size(draft, axes_joined(sized, row))
        if draft.location is None:
            locate(draft, row, anchor, [anchor], 0)
        if draft.side is None:
            _take_side(draft, row, (row.offset, row.offset + len(row.text)))
        refer(draft, row, row.offset, row.offset + len(row.text), row.items[anchor].start)
        return memory.last
    described = members_of(draft, row, sized, row.offset, row.offset + len(row.text))
    if len(described) > 1 and all(member.place or member.side for member in described):
        for member in described:
            _member(memory, draft, _placed(draft, row, member))
        return memory.last
    if sized or further:
        part = _like(draft, row, anchor)
        if sized:
            set_size(part, max(sized, key=lambda size: max(size.diameters_mm)))
        if further:
            _member(memory, draft, part)
        elif not draft.diameters_mm and not draft.parted:
            draft.pick = part
            set_size(draft, max(sized, key=lambda size: max(size.diameters_mm)))
    return memory.last


def _placed(draft: Draft, row: Row, member: Member) -> Draft:
    part = _like(draft, row, 0)
    part.location, part.side = None, None if part.side is not draft.side else part.side
    set_size(part, member.size)
    if member.place is not None:
        part.location, part.spans["location"] = member.place
    if member.side is not None:
        part.side, part.spans["side"] = member.side
    return part


def _member(memory: Memory, group: Draft, part: Draft) -> None:
    """Keep a member of a group as a finding of its own; the group then stands for the rest."""
    parts = [part]
    if group.pick is not None:
        parts = [group.pick, part]
        group.pick = None
        group.diameters_mm = ()
        group.spans.pop("diameters_mm", None)
    group.parted = True
    memory.keep(parts, before=group)
    value = group.count.value
    if group.count.relation is CountRelation.EXACT and value is not None:
        if value > len(parts):
            group.count = Count(value=value - len(parts))
        else:
            memory.drop([group])
            memory.last = [part]
    elif group.bare and any(draft is group for draft in memory.drafts):
        memory.drop([group])
        memory.emptied = group
        part.listed = True
        memory.last = [part]
