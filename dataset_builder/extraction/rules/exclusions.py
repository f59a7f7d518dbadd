"""Lesion words that stand for no tumor: inflamed walls, primaries of metastases, counted things, explained ones."""

from __future__ import annotations

from rsuper_bench.benchmark.records import Kind
from rsuper_bench.dataset_builder.extraction.rules.items import Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label


def is_no_tumor(row: Row, lesion: int) -> bool:
    """Whether a lesion word stands for no tumor, for any of the reasons below."""
    return (
        is_inflamed(row, lesion)
        or _is_origin(row, lesion)
        or _is_made_of_thing(row, lesion)
        or is_explained(row, lesion)
    )


def is_inflamed(row: Row, lesion: int) -> bool:
    """Whether a thick wall is put down to inflammation or to an empty organ in the same sentence."""
    return row.items[lesion].entry.kind is Kind.WALL_THICKENING and (
        row.has(Label.INFLAMED)
        or any(item.text in ("diffuse", "diffusely", "mild") for item in row.items[max(0, lesion - 4) : lesion])
    )


def _is_origin(row: Row, lesion: int) -> bool:
    """Whether a lesion word names where metastases come from ("metastases from colon cancer")."""
    for position in range(lesion - 1, max(-1, lesion - 5), -1):
        item = row.items[position]
        if item.text in ("from", "from known", "from the known", "metastatic from"):
            return any(
                other.entry.kind is Kind.METASTASIS or other.text == "metastatic" for other in row.items[:position]
            )
        if item.label not in (Label.WORD, Label.ORGAN, Label.PLACE, Label.DEFINITE, Label.INDEFINITE, Label.NATURE):
            return False
    return False


def _is_made_of_thing(row: Row, lesion: int) -> bool:
    """Whether a lesion word only counts a thing: "focus of calcification", "area of scarring"."""
    after = row.items[lesion + 1 : lesion + 4]
    return (
        len(after) > 1
        and after[0].text == "of"
        and (
            after[1].label is Label.THING
            or (len(after) > 2 and after[1].label is not Label.ORGAN and after[2].label is Label.THING)
        )
    )


def is_explained(row: Row, lesion: int) -> bool:
    """Whether a sentence says that the lesion is a thing: "most consistent with focal fat"."""
    for position in range(lesion + 1, row.clause_end(lesion)):
        label = row.items[position].label
        if label is Label.LESION:
            return False
        if label is Label.LIKELY:
            following = row.items[position + 1 : position + 5]
            for item in following:
                if item.label is Label.THING:
                    return item.entry.explains
                if item.label not in (Label.WORD, Label.INDEFINITE, Label.NATURE, Label.ATTENUATION, Label.LIKELY):
                    return False
    return False
