"""Words that are a lesion only by what stands beside them: "22 mm thick", "the pancreatic primary", "focal area"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from rsuper_bench.benchmark.records import Attenuation, Kind
from rsuper_bench.dataset_builder.extraction.rules.items import Item
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Entry, Label

_DENSITY = {
    attenuation: Entry(Label.LESION, kind=Kind.INDETERMINATE, attenuation=attenuation)
    for attenuation in (Attenuation.HYPO, Attenuation.HYPER)
}
# Nouns that are a lesion only with an adjective of shape; opacities and densities have entries of their own.
_SHAPELESS = frozenset(
    ["area", "areas", "region", "spot", "structure", "process", "patch", "bulge", "protrusion", "projection"]
)
JOINING = frozenset({Label.LESION, Label.PREP, Label.VERB})  # what may join with the items before it
CONTEXTUAL = _SHAPELESS | {"thick", "thickness", "thickened", "primary", "wall"}
_PRIMARY = Entry(Label.LESION, kind=Kind.MASS)
_AFTER_NOUN = frozenset(
    [
        "is",
        "has",
        "was",
        "now",
        "measures",
        "measuring",
        "of",
        "in",
        "with",
        "at",
        "and",
        "shows",
        "unchanged",
        "stable",
    ]
)
_AFTER_THICK = frozenset(["in", "at", "with", "which", "and", "over", "for", "suspicious", "on"])
_ONE = Entry(Label.LESION, kind=Kind.INDETERMINATE)  # "no nodules except for one in the right lower lobe"
_THICK = Entry(Label.LESION, kind=Kind.WALL_THICKENING)
_TISSUE = Entry(Label.LESION, kind=Kind.INDETERMINATE)
_SHAPES = frozenset(
    ["spiculated", "enhancing", "polypoid", "nodular", "irregular", "lobulated", "infiltrative", "infiltrating",
     "focal", "intraluminal", "masslike", "rounded", "round"]
)  # fmt: skip


def add_item(
    items: list[Item], clauses: list[int], clause: int, item: Item, words: Sequence[str], position: int
) -> None:
    """Put the next item at the end of a sentence, joined with those before it that name the same lesion.

    Args:
        items: The items so far.
        clauses: Their clauses.
        clause: The clause of the next one.
        item: The next one.
        words: The words of the sentence.
        position: Where the item begins among them.
    """
    label, word = item.label, item.text
    if label is Label.LESION and (joined := _joined_lesions(items)):
        first = items[-joined]
        item = Item(_joined_entry(first, item), label, f"{first.text} {word}", first.start, item.end)
        del items[-joined:], clauses[-joined:]
    elif label is Label.PREP and word in ("in", "within") and _names_lesion(items):
        dense = items[-1]
        entry = _DENSITY[dense.entry.attenuation or Attenuation.HYPO]
        items[-1] = Item(entry, Label.LESION, dense.text, dense.start, dense.end)
    elif label in (Label.PREP, Label.VERB) and (tissue := _tissue_before(items)):
        first = items[-tissue]
        items[-tissue:] = [Item(_TISSUE, Label.LESION, "soft tissue density", first.start, items[-1].end)]
        del clauses[len(items) :]
    elif (meant := _contextual(items, item, words, position)) is not None:
        item = Item(meant, Label.LESION, word, item.start, item.end)
    items.append(item)
    clauses.append(clause)


def _contextual(items: list[Item], item: Item, words: Sequence[str], position: int) -> Entry | None:
    """What a word is that names a lesion only in its surroundings, or None."""
    if item.text in ("one", "two", "three") and items and items[-1].label is Label.EXCEPT:
        following = words[position + 1] if position + 1 < len(words) else ""
        return _ONE if following in ("in", "at", "of", "with", "measuring", "within", "") else None
    if item.text == "another":  # "a lesion in the right lobe and another in the left lobe"
        following = words[position + 1] if position + 1 < len(words) else ""
        lesions = [other for other in items if other.label is Label.LESION]
        single = len(lesions) == 1 and not lesions[0].entry.is_plural
        return _ONE if single and following in ("in", "at", "within", "of") else None
    if item.label not in (Label.WORD, Label.THING):
        return None
    if item.text in ("thick", "thickness"):
        return _THICK if _is_thick_wall(items, words, position) else None
    if item.text == "wall":  # "a stricture with 13 mm thick eccentric wall"
        thick = any(one.label is Label.MEASUREMENT and other.text == "thick" for one, other in pairwise(items[-4:]))
        return _THICK if thick else None
    if item.text == "thickened":
        return _THICK if _is_wall(items) else None
    if item.text == "primary":
        return _PRIMARY if _is_noun(items, words, position) else None
    return _shape_before(items) if item.text in _SHAPELESS else None


def _joined_lesions(items: list[Item]) -> int:
    """How many items before a lesion word name the same lesion: "carcinoma | mass", "area of | thickening"."""
    if items and items[-1].label is Label.LESION:
        return 1
    if len(items) > 1 and items[-1].text == "of" and items[-2].label is Label.LESION:
        return 2
    return 0


def _names_lesion(items: list[Item]) -> bool:
    """Whether "low density" is a noun: "a low density in the pancreatic head", not "is low density in ..."."""
    if (
        not items
        or items[-1].entry.attenuation not in _DENSITY
        or not items[-1].text.endswith(("density", "attenuation"))
    ):
        return False
    before = items[-2] if len(items) > 1 else None
    if before is None or before.label in (Label.INDEFINITE, Label.HEDGE, Label.COUNT, Label.MEASUREMENT):
        return True
    if before.label is not Label.WORD or before.text in (
        "diffuse",
        "diffusely",
        "of",
        "overall",
        "generalized",
        "decreased",
    ):
        return False
    return len(items) > 2 and items[-3].label in (
        Label.INDEFINITE,
        Label.HEDGE,
        Label.COUNT,
        Label.MEASUREMENT,
    )


def _is_wall(items: list[Item]) -> bool:
    """Whether "thickened" is said of a wall before it: "gastric wall asymmetrically thickened"."""
    near = [item for item in items[-4:] if item.label is not Label.LESION]
    return any(item.label is Label.ORGAN or "wall" in item.text.split() for item in near)


def _shape_before(items: list[Item]) -> Entry | None:
    """What a word like "area" or "structure" is when its adjectives tell of a lesion: "focal enhancing area"."""
    shape, attenuation = False, None
    for item in reversed(items[-5:]):
        words = item.text.split()
        if item.label is Label.ATTENUATION:
            attenuation = attenuation or item.entry.attenuation
        elif item.label is Label.NATURE:
            return (
                Entry(Label.LESION, kind=item.entry.kind or Kind.INDETERMINATE, attenuation=attenuation)
                if shape
                else None
            )
        elif item.label not in (Label.WORD, Label.MEASUREMENT, Label.SIDE, Label.ORGAN) and item.text != ",":
            break
        shape = shape or not _SHAPES.isdisjoint(words)
    return Entry(Label.LESION, kind=Kind.INDETERMINATE, attenuation=attenuation) if shape else None


def _is_noun(items: list[Item], words: Sequence[str], position: int) -> bool:
    """Whether "primary" is the tumor itself: "the left upper lobe primary measures", not "primary sclerosing"."""
    following = words[position + 1] if position + 1 < len(words) else "."
    ends = not following or not following[0].isalpha() or following in _AFTER_NOUN
    return ends and (not items or items[-1].label is Label.ORGAN)


def _is_thick_wall(items: list[Item], words: Sequence[str], position: int) -> bool:
    """Whether "thick" says of a wall how thick it is: "endometrium 22 mm thick", not "a thick septum"."""
    following = words[position + 1] if position + 1 < len(words) else "."
    if following.isalpha() and following not in _AFTER_THICK:
        return False
    sized = bool(items) and items[-1].label is Label.MEASUREMENT
    organ = any(item.label is Label.ORGAN for item in items)
    return sized and organ and not any(item.label is Label.LESION for item in items)


def _tissue_before(items: list[Item]) -> int:
    """How many items before a preposition name a tissue that a word gives a shape: "spiculated soft tissue density"."""
    length = 2 if items and items[-1].text == "density" else 1
    if len(items) <= length or items[-length].text != "soft tissue":
        return 0
    return length if items[-length - 1].text in _SHAPES else 0


def _joined_entry(first: Item, head: Item) -> Entry:
    kinds = [entry.kind for entry in (head.entry, first.entry) if entry.kind is not None]
    specific = [kind for kind in kinds if kind not in (Kind.INDETERMINATE, Kind.MASS)] or kinds
    return replace(
        head.entry,
        kind=specific[0] if specific else None,
        organs=head.entry.organs or first.entry.organs,
        malignancy=head.entry.malignancy or first.entry.malignancy,
        attenuation=head.entry.attenuation or first.entry.attenuation,
        is_plural=head.entry.is_plural or first.entry.is_plural,
        vague=head.entry.vague and first.entry.vague,
    )
