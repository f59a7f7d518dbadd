"""The side of the body a lesion or organ word is on."""

from __future__ import annotations

from rsuper_bench.benchmark.tumor_types import Side, TumorType
from rsuper_bench.dataset_builder.extraction.rules.items import Item, Row, one_of_many_after
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label

Span = tuple[int, int]


SIDE_REACH = 8  # items between a lesion and the word for its side


def side_of(row: Row, organ: int, tumor_type: TumorType) -> tuple[Side | None, Span | None]:
    """The side of an organ word, and the words that say so."""
    if not tumor_type.anatomy.sided:
        return None, None
    items = row.items
    if items[organ].entry.side is not None:  # the lingula is in the left lung
        return items[organ].entry.side, items[organ].span
    for position in range(organ - 1, max(-1, organ - 6), -1):
        item = items[position]
        if item.label is Label.SIDE:
            return item.entry.side, item.span
        if item.label not in (Label.WORD, Label.DEFINITE, Label.ORGAN) and item.text not in ("of", "'"):
            break
    inside = _side_inside(items[organ])
    if inside is not None:
        return inside, items[organ].span
    for item in items[organ + 1 : organ + 3]:
        if item.label is Label.SIDE:
            return item.entry.side, item.span
        if item.text not in ("on", "the", "(", "gland", "glands"):
            break
    return None, None


def side_near(row: Row, lesion: int, tumor_type: TumorType) -> tuple[Side | None, Span | None]:
    """The side nearest to a lesion word that belongs to nothing else, and the words that say so."""
    if not tumor_type.anatomy.sided:
        return None, None
    first, last = row.clause_start(lesion), row.clause_end(lesion)
    turn = one_of_many_after(row, lesion) if row.items[lesion].entry.is_plural else None
    reach = range(max(first, lesion - SIDE_REACH), min(last, lesion + SIDE_REACH, turn or last))
    found: list[tuple[int, Side | None, Span]] = []
    for index in reach:
        item = row.items[index]
        if item.label is Label.SIDE and not _side_is_of_other(row, index):
            found.append((abs(index - lesion), item.entry.side, item.span))
        elif item.label is Label.ORGAN and tumor_type in item.entry.organs:  # "right middle lobe", "lingula"
            found.append((abs(index - lesion), item.entry.side or _side_inside(item), item.span))
    stated = [one for one in found if one[1] is not None]
    if not stated:
        opening = row.items[first - 1] if first else None  # "On the left there is a nodule"
        lone = opening is not None and opening.label is Label.SIDE and row.items[first].label is Label.BREAK
        return (opening.entry.side, opening.span) if lone and opening is not None else (None, None)
    _, side, span = min(stated, key=lambda one: (one[0], one[2]))
    return side, span


def _side_is_of_other(row: Row, index: int) -> bool:
    """Whether a side belongs to something that is no lesion ("bilateral pleural fluid")."""
    for item in row.items[index + 1 : index + 4]:
        if item.label in (Label.THING, Label.PLACE):
            return True
        if item.label not in (Label.WORD, Label.ATTENUATION, Label.NATURE):
            return False
    return False


def _side_inside(item: Item) -> Side | None:
    words = item.text.split()
    return Side.LEFT if "left" in words else Side.RIGHT if "right" in words else None


def sides_in(row: Row, tumor_type: TumorType, span: Span) -> list[tuple[Side, Span]]:
    """Every side named in a stretch of a sentence, in order, and the words that say so; none for unpaired organs."""
    if not tumor_type.anatomy.sided:
        return []
    found: list[tuple[Side, Span]] = []
    for item in row.items:
        if span[0] <= item.start < span[1] and item.label in (Label.SIDE, Label.ORGAN):
            if item.label is Label.ORGAN and tumor_type not in item.entry.organs:
                continue
            side = item.entry.side or _side_inside(item)
            if side is not None:
                found.append((side, item.span))
    return found
