"""A sentence as a row of items: words with their meaning, sizes, signs; and the walks the other rules take along it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rsuper_bench.benchmark.records import Attenuation, Kind
from rsuper_bench.dataset_builder.extraction.rules.asides import Aside, asides_in
from rsuper_bench.dataset_builder.extraction.rules.lexicon import (
    MEASURED,
    PLAIN,
    PUNCTUATION,
    Entry,
    Label,
    lexicon,
    tokens_of,
)
from rsuper_bench.dataset_builder.extraction.rules.measurements import Measurement, measurements_in

# What may stand between a noun and the words that qualify it.
NOUN_PHRASE = frozenset(
    {Label.WORD, Label.ATTENUATION, Label.NATURE, Label.COUNT, Label.SIDE, Label.MEASUREMENT, Label.LIKELY, Label.HEDGE}
)
# Words that pick one lesion of several.
_PICKS = frozenset(
    {
        "largest",
        "larger",
        "biggest",
        "dominant",
        "predominant",
        "index",
        "representative",
        "target",
        "reference",
        "smaller",
        "smallest",
        "example",
        "instance",
        "other",
        "others",
        "remaining",
        "such",
        "some",
        "one",
    }
)
_DENSITY = {
    attenuation: Entry(Label.LESION, kind=Kind.INDETERMINATE, attenuation=attenuation)
    for attenuation in (Attenuation.HYPO, Attenuation.HYPER)
}
_TISSUE = Entry(Label.LESION, kind=Kind.INDETERMINATE)
_SHAPES = frozenset(
    ["spiculated", "enhancing", "polypoid", "nodular", "irregular", "lobulated", "infiltrative", "infiltrating",
     "focal", "intraluminal", "masslike", "rounded", "round"]
)  # fmt: skip
CLAUSE_ENDS = frozenset({Label.BREAK, Label.EXCEPT})


@dataclass(slots=True)
class Item:
    """One word, phrase, size or sign.

    Attributes:
        entry: What the lexicon knows of it.
        label: What it does.
        text: Lower case.
        start: Offset in the report.
        end: Offset after it in the report.
        measurement: The size, for a measurement.
    """

    entry: Entry
    label: Label
    text: str
    start: int
    end: int
    measurement: Measurement | None = None

    @property
    def span(self) -> tuple[int, int]:
        """Offsets in the report."""
        return self.start, self.end


class Row:
    """The items of one sentence.

    Attributes:
        items: In order.
        clauses: Number of the clause each item belongs to; it never falls.
        text: The sentence.
        offset: Where it begins in the report.
        asides: Dates, references to images and the like; each is one item too.
    """

    def __init__(
        self, items: list[Item], clauses: list[int], text: str, offset: int, asides: Sequence[Aside] = ()
    ) -> None:
        self.items = items
        self.clauses = clauses
        self.text = text
        self.offset = offset
        self.asides = asides
        self._by_label: dict[Label, list[int]] = {}
        for index, item in enumerate(items):
            self._by_label.setdefault(item.label, []).append(index)

    def indices(self, *labels: Label) -> list[int]:
        """Positions of the items with one of the labels, in order."""
        if len(labels) == 1:
            return self._by_label.get(labels[0], [])
        return sorted(index for label in labels for index in self._by_label.get(label, ()))

    def has(self, *labels: Label) -> bool:
        """Whether any item has one of the labels."""
        return any(label in self._by_label for label in labels)

    def clause_start(self, index: int) -> int:
        """Position of the first item of the clause an item is in."""
        return bisect_left(self.clauses, self.clauses[index])

    def phrase_start(self, index: int) -> int:
        """Position of the first item of the noun phrase that ends with an item."""
        position = index
        while position and (
            self.items[position - 1].label in NOUN_PHRASE
            or self.items[position - 1].label in (Label.ORGAN, Label.INDEFINITE, Label.DEFINITE, Label.NORMAL)
        ):
            position -= 1
            if self.items[position].label is Label.INDEFINITE:
                break
        return position

    def clause_end(self, index: int) -> int:
        """Position after the last item of the clause an item is in."""
        return bisect_right(self.clauses, self.clauses[index])


def one_of_many_after(row: Row, lesion: int) -> int | None:
    """Position of the words that turn from a group to one of it ("..., the largest in segment 8"), or None.

    What stands after them is true of that one only, so the group's side and segment are not read there.
    """
    for index in row.indices(Label.COREF):
        if index > lesion and not _PICKS.isdisjoint(row.items[index].text.split()):
            return index
    return None


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


def row_of(text: str, offset: int) -> Row:
    """Turn a sentence into items.

    Args:
        text: The sentence.
        offset: Where it begins in the report.
    """
    asides = asides_in(text)
    words, spans, sized = _sized_tokens(text, offset, asides)
    items: list[Item] = []
    clauses: list[int] = []
    clause = 0
    position = 0
    match, opens = lexicon().match, lexicon().first_words
    while position < len(words):
        word = words[position]
        start, end = spans[position]
        hit = match(words, position) if word in opens else None
        length = 1
        if hit is not None:
            entry, length = hit
            if length > 1:
                word, end = " ".join(words[position : position + length]), spans[position + length - 1][1]
        elif position in sized:
            entry = MEASURED
        else:
            entry = PLAIN if not word or word[0].isalnum() else PUNCTUATION
        label = entry.label
        if label in CLAUSE_ENDS or word == ";":
            clause += 1
        item = Item(entry, label, word, start, end, sized.get(position))
        if label is Label.LESION and (joined := _joined_lesions(items)):
            first = items[-joined]
            item = Item(_joined_entry(first, item), label, f"{first.text} {word}", first.start, end)
            del items[-joined:], clauses[-joined:]
        elif label is Label.PREP and word in ("in", "within") and _names_lesion(items):
            items[-1] = Item(
                _DENSITY[items[-1].entry.attenuation or Attenuation.HYPO],
                Label.LESION,
                items[-1].text,
                items[-1].start,
                items[-1].end,
            )
        elif label in (Label.PREP, Label.VERB) and (tissue := _tissue_before(items)):
            first = items[-tissue]
            items[-tissue:] = [Item(_TISSUE, Label.LESION, "soft tissue density", first.start, items[-1].end)]
            del clauses[len(items) :]
        items.append(item)
        clauses.append(clause)
        position += length
    return Row(items, clauses, text, offset, asides)


def _sized_tokens(
    text: str, offset: int, asides: Sequence[Aside]
) -> tuple[list[str], list[tuple[int, int]], dict[int, Measurement]]:
    """Tokens with each size and each aside as one of them: words, spans in the report, and position -> size."""
    sizes = [(size.start, size.end, size) for size in measurements_in(text, offset)]
    blocks: list[tuple[int, int, Measurement | None]] = [*sizes]
    for aside in asides:
        start, end = aside.span[0] + offset, aside.span[1] + offset
        if not any(begin < end and start < stop for begin, stop, _ in sizes):
            blocks.append((start, end, None))
    blocks.sort(key=lambda block: block[:2])
    words: list[str] = []
    spans: list[tuple[int, int]] = []
    sized: dict[int, Measurement] = {}
    next_block = 0
    inside = -1
    if not blocks:
        tokens = tokens_of(text)
        return [token[0] for token in tokens], [(offset + start, offset + end) for _, start, end in tokens], sized
    for word, start, end in tokens_of(text):
        first = offset + start
        while next_block < len(blocks) and first >= blocks[next_block][1]:
            next_block += 1
        if next_block < len(blocks) and first >= blocks[next_block][0]:
            begin, stop, size = blocks[next_block]
            if inside != next_block:
                inside = next_block
                if size is not None:
                    sized[len(words)] = size
                words.append("")  # matches no phrase
                spans.append((begin, stop))
            continue
        words.append(word)
        spans.append((first, offset + end))
    return words, spans, sized
