"""Where a lesion is when its own words do not say: the header, the sentence before, a list, a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from rsuper_bench.benchmark.tumor_types import Side, TumorType
from rsuper_bench.dataset_builder.extraction.rules.items import NOUN_PHRASE, Row, one_of_many_after
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.references import link_before
from rsuper_bench.dataset_builder.extraction.rules.rows import row_of
from rsuper_bench.dataset_builder.extraction.rules.sections import Header
from rsuper_bench.dataset_builder.extraction.rules.segments import Place, places_in
from rsuper_bench.dataset_builder.extraction.rules.sides import side_near, side_of
from rsuper_bench.dataset_builder.extraction.rules.sites import ELSEWHERE, Site, site_at, sites_of

_SPREADS = frozenset({"involving", "involves", "spanning", "spans"})
_PORTABLE = ("aml", "angiomyolip", "pseudocyst", "pheo", "phaeo", "neuroblastoma")  # they grow in other organs too
_WALLED = frozenset({TumorType.ESOPHAGUS, TumorType.STOMACH, TumorType.DUODENUM, TumorType.COLON, TumorType.BLADDER})


@lru_cache(maxsize=256)
def topic_sites(header: Header | None) -> tuple[Site, ...]:
    """The organs a header names; anatomy of no supported type is told apart from no header."""
    if header is None:
        return ()
    row = row_of(header.text, header.start)
    if header.parent is not None:
        sides = row.indices(Label.SIDE)
        side, span = (row.items[sides[0]].entry.side, row.items[sides[0]].span) if sides else (None, None)
        return tuple(replace(site, side=side, side_span=span) for site in topic_sites(header.parent))
    organs = [site for index in row.indices(Label.ORGAN) for site in site_at(row, index)]
    return tuple(organs) or (ELSEWHERE,)


def sided(header: Header, tumor_type: TumorType) -> list[Site]:
    """The side of an organ that a header names by its side alone: "Right:"."""
    items = row_of(header.text, header.start).items
    if len(items) != 1 or items[0].label is not Label.SIDE or not tumor_type.anatomy.sided:
        return []
    return [Site(tumor_type, None, items[0].entry.side, items[0].span)]


@lru_cache(maxsize=256)
def spoken_of(header: Header | None) -> tuple[TumorType, ...]:
    """Types a header says something of by itself: its organs, and those of "Bowel:"."""
    if header is None:
        return ()
    row = row_of(header.text, header.start)
    places = [row.items[index].entry for index in row.indices(Label.PLACE)]
    own = [site.tumor_type for site in topic_sites(header) if site.tumor_type is not None]
    return (*own, *(organ for entry in places if not entry.region for organ in entry.organs))


@lru_cache(maxsize=256)
def header_places(header: Header, tumor_type: TumorType) -> list[Place]:
    """The sub-segments a header names: "PANCREATIC TAIL:"."""
    row = row_of(header.text, header.start)
    return places_in(row, tumor_type, (row.offset, row.offset + len(row.text)))


def region_organs(row: Row, lesion: int) -> tuple[TumorType, ...]:
    """Types of the regions a denied lesion word names: "no metastases in the abdomen or pelvis"."""
    places = [row.items[index].entry for index in row.indices(Label.PLACE) if row.clauses[index] == row.clauses[lesion]]
    return tuple(organ for entry in places for organ in entry.organs)


def named_sites(row: Row, heads: list[int], order: int, many: bool, around: tuple[Site, ...]) -> list[Site]:
    """The sites a sentence names for one of its lesion words, with the side of what is around where it gives none.

    Args:
        row: The sentence.
        heads: Positions of its lesion words.
        order: Which of them.
        many: The word is denied or stands for several.
        around: Sites of the header and of the sentence before.
    """
    lesion = heads[order]
    sites = sites_of(row, lesion, many) or _shared_sites(row, heads, order, many)
    known = {site.tumor_type for site in around if site.tumor_type is not None}
    own = row.items[lesion]
    if known == {TumorType.SPLEEN} and sites and all(_is_pole(row, site) for site in sites):
        sites = []  # "SPLEEN: hypervascular focus, upper pole"
    if known == {TumorType.PROSTATE} and sites and all(_is_lobe(row, site) for site in sites):
        sites = []  # "PROSTATE: focus in the left lobe"
    if sites == [ELSEWHERE] and known and any(item.text in _SPREADS for item in row.items[lesion + 1 :]):
        sites = []  # "CERVIX: tumour involving the upper vagina"
    portable = own.text.startswith(_PORTABLE) and known and not known & set(own.entry.organs)
    if (portable or (own.text.startswith("leiomyoma") and known & _WALLED)) and all(
        site.span == own.span for site in sites
    ):
        sites = []  # "STOMACH: submucosal leiomyoma"
    name = row.items[heads[order + 1]].span if order + 1 < len(heads) else None
    if (
        known
        and name is not None
        and sites
        and all(site.span == name and site.tumor_type not in known for site in sites)
    ):
        sites = []  # "DUODENUM: nodule, possible gastrinoma": the name's usual organ is not named
    turn = one_of_many_after(row, lesion) if many else None
    named = []
    for site in sites:
        if turn is not None and site.span is not None and site.span[0] > row.items[turn].start:
            # "multiple cysts, the largest in the left kidney": that is not the side of the group
            named.append(_with_side(_with_group_side(row, lesion, site), around if site.side is None else ()))
        else:
            told = _elided_side(row, lesion, site) or _opposite(row, lesion, site, around)
            named.append(told or _with_side(_with_row_side(row, lesion, site), around))
    return named


def _elided_side(row: Row, lesion: int, site: Site) -> Site | None:
    """The side that stands for the organ of the clause before: "... and the left a 23 mm nodule"."""
    first = row.clause_start(lesion)
    head = row.items[first : first + 3]
    if not first or [item.label for item in head] != [Label.DEFINITE, Label.SIDE, Label.INDEFINITE]:
        return None
    sided = site.tumor_type is not None and site.tumor_type.anatomy.sided
    return replace(site, side=head[1].entry.side, side_span=head[1].span) if sided else None


def _opposite(row: Row, lesion: int, site: Site, around: tuple[Site, ...]) -> Site | None:
    """The side said by that of the lesion before: "nodules in the contralateral kidney"."""
    other = {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT}
    if site.tumor_type is None or not site.tumor_type.anatomy.sided:
        return None
    clause = row.items[row.clause_start(lesion) : row.clause_end(lesion)]
    near = next((item for item in clause if item.text in ("contralateral", "ipsilateral")), None)
    if near is None:
        return None
    sides = [one.side for one in around[::-1] if one.tumor_type is site.tumor_type and one.side in other]
    if not sides or sides[0] is None:
        return None
    side = other[sides[0]] if near.text == "contralateral" else sides[0]
    return replace(site, side=side, side_span=near.span)


def _with_group_side(row: Row, lesion: int, site: Site) -> Site:
    """The side of a group whose largest member is placed later: "The left kidney holds cysts, the larger at ..."."""
    if site.tumor_type is None:
        return site
    side, span = side_near(row, lesion, site.tumor_type)
    for index in row.indices(Label.ORGAN):
        if side is None and index < lesion and site.tumor_type in row.items[index].entry.organs:
            side, span = side_of(row, index, site.tumor_type)
    return replace(site, side=side, side_span=span)


def _is_pole(row: Row, site: Site) -> bool:
    return any(item.span == site.span and item.entry.implied and "pole" in item.text for item in row.items)


def _is_lobe(row: Row, site: Site) -> bool:
    liver = site.tumor_type is TumorType.LIVER
    return liver and any(item.span == site.span and item.text.endswith(("lobe", "lobes")) for item in row.items)


def _with_row_side(row: Row, lesion: int, site: Site) -> Site:
    """Take the side of the organ a sentence opened with: "In the left lung there is a nodule in the upper lobe"."""
    if site.tumor_type is None or site.side is not None or not site.tumor_type.anatomy.sided:
        return site
    for index in row.indices(Label.ORGAN):
        if (
            index < lesion
            and site.tumor_type in row.items[index].entry.organs
            and row.clauses[index] < row.clauses[lesion]
        ):
            side, span = side_of(row, index, site.tumor_type)
            if side in (Side.LEFT, Side.RIGHT):
                return replace(site, side=side, side_span=span)
    return site


def sites_around(row: Row, lesion: int, topic: tuple[Site, ...], context: tuple[Site, ...]) -> list[Site]:
    """Sites of a lesion whose sentence names none: those of the header, narrowed by the sentence before."""
    narrower = {site.tumor_type for site in context} < {site.tumor_type for site in topic}
    around = context if context and (narrower or not topic) else topic
    return with_own_side(row, lesion, around)


def with_own_side(row: Row, lesion: int, sites: Sequence[Site]) -> list[Site]:
    """The sites with the side a lesion's own words give."""
    return [_with_own_side(row, lesion, site) for site in sites]


def next_context(row: Row, context: tuple[Site, ...]) -> tuple[Site, ...]:
    """What the next sentence is about if it names no organ: the one organ of this sentence."""
    organs = [index for index in row.indices(Label.ORGAN) if not row.items[index].entry.implied]
    types = {organ for index in organs for organ in row.items[index].entry.organs}
    if types:
        return tuple(site_at(row, organs[0])) if len(types) == 1 else ()
    elsewhere = any(not row.items[index].entry.adjective for index in row.indices(Label.PLACE, Label.THING))
    return () if elsewhere and row.has(Label.VERB) and not row.has(Label.LESION) else context


def _shared_sites(row: Row, heads: list[int], order: int, many: bool) -> list[Site]:
    """Sites of a lesion word in a list whose later member names the organ: "no mass or cyst in the liver"."""
    if order + 1 < len(heads) and link_before(row, heads[order + 1], heads[order]) is not None:
        return sites_of(row, heads[order + 1], many)  # "ring-enhancing lesions consistent with liver metastases"
    for later in range(order + 1, len(heads)):
        between = row.items[heads[later - 1] + 1 : heads[later]]
        if not all(item.label in NOUN_PHRASE or item.label is Label.AND or item.text == "," for item in between):
            return []
        if sites := sites_of(row, heads[later], many):
            return sites
    return []


def _with_side(site: Site, around: tuple[Site, ...]) -> Site:
    """Take the side from the header or sentence before, where a lesion's own words give none."""
    if site.tumor_type is None or site.side is not None:
        return site
    same = next((other for other in around if other.tumor_type is site.tumor_type and other.side is not None), None)
    return site if same is None else Site(site.tumor_type, site.span, same.side, same.side_span)


def _with_own_side(row: Row, lesion: int, site: Site) -> Site:
    """Take the side a lesion's own words give, which counts more than that of the header."""
    if site.tumor_type is None:
        return site
    side, span = side_near(row, lesion, site.tumor_type)
    if side is None and site.tumor_type.anatomy.sided:
        sides = [row.items[index] for index in row.indices(Label.SIDE)]
        if len(sides) == 1 and row.clauses[row.indices(Label.SIDE)[0]] == row.clauses[lesion]:
            side, span = sides[0].entry.side, sides[0].span  # "Left mid, 3.1 cm, 41 HU, solid, RCC suspected"
    return site if side is None else replace(site, side=side, side_span=span)
