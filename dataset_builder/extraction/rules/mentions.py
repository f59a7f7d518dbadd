"""Organ words in a sentence: the list one belongs to, and whether it is only a landmark."""

from __future__ import annotations

from rsuper_bench.dataset_builder.extraction.rules.items import Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label


def organ_list_at(row: Row, index: int) -> list[int]:
    """Positions of the organs of the list an organ belongs to: "the liver, spleen and both kidneys"."""
    found = [index]
    for step in (-1, 1):
        position = index + step
        joined = False
        while 0 <= position < len(row.items):
            item = row.items[position]
            if item.text in (",", "/") or item.label is Label.AND:
                joined = True
            elif item.label in (Label.ORGAN, Label.PLACE) or (item.label is Label.THING and joined):
                if not joined and item.label is not Label.ORGAN:
                    break
                if item.label is Label.ORGAN:
                    found.append(position)
                joined = False
            elif item.label not in (Label.DEFINITE, Label.SIDE, Label.WORD, Label.INDEFINITE, Label.NORMAL) or (
                item.label is Label.WORD and item.text in ("seen", "noted", "identified")
            ):
                break
            position += step
    return sorted(found)


def is_landmark(row: Row, organ: int) -> bool:
    """Whether an organ word only says what something is beside: "abutting the stomach"."""
    for position in range(organ - 1, max(-1, organ - 5), -1):
        item = row.items[position]
        if item.label is Label.FAR:
            return True
        if item.label not in (Label.DEFINITE, Label.SIDE, Label.WORD, Label.ORGAN) and item.text != "of":
            return False
    return False
