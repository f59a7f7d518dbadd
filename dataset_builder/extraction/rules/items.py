"""A sentence as a row of items: words with their meaning, sizes, signs; and the walks the other rules take along it."""

from __future__ import annotations

from dataclasses import dataclass, field

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
CLAUSE_ENDS = frozenset({Label.BREAK, Label.EXCEPT})


@dataclass(frozen=True, slots=True)
class Item:
    """One word, phrase, size or sign.

    Attributes:
        entry: What the lexicon knows of it.
        text: Lower case.
        start: Offset in the report.
        end: Offset after it in the report.
        measurement: The size, for a measurement.
    """

    entry: Entry
    text: str
    start: int
    end: int
    measurement: Measurement | None = None

    @property
    def label(self) -> Label:
        """What the item does."""
        return self.entry.label

    @property
    def span(self) -> tuple[int, int]:
        """Offsets in the report."""
        return self.start, self.end


@dataclass(frozen=True, slots=True)
class Row:
    """The items of one sentence and the number of the clause each belongs to."""

    items: tuple[Item, ...]
    clauses: tuple[int, ...]
    text: str = field(repr=False)
    offset: int

    def indices(self, *labels: Label) -> list[int]:
        """Positions of the items with one of the labels."""
        return [index for index, item in enumerate(self.items) if item.label in labels]

    def has(self, *labels: Label) -> bool:
        """Whether any item has one of the labels."""
        return any(item.label in labels for item in self.items)

    def clause_start(self, index: int) -> int:
        """Position of the first item of the clause an item is in."""
        first = index
        while first > 0 and self.clauses[first - 1] == self.clauses[index]:
            first -= 1
        return first

    def clause_end(self, index: int) -> int:
        """Position after the last item of the clause an item is in."""
        last = index
        while last < len(self.items) and self.clauses[last] == self.clauses[index]:
            last += 1
        return last


def row_of(text: str, offset: int) -> Row:
    """Turn a sentence into items.

    Args:
        text: The sentence.
        offset: Where it begins in the report.
    """
    sizes = measurements_in(text, offset)
    words: list[str] = []
    spans: list[tuple[int, int]] = []
    sized: dict[int, Measurement] = {}
    next_size = 0
    for word, start, end in tokens_of(text):
        first, last = offset + start, offset + end
        while next_size < len(sizes) and first >= sizes[next_size].end:
            next_size += 1
        if next_size < len(sizes) and first >= sizes[next_size].start:
            if not sized or sized.get(len(words) - 1) is not sizes[next_size]:
                sized[len(words)] = sizes[next_size]
                words.append("")  # matches no phrase
                spans.append((sizes[next_size].start, sizes[next_size].end))
            continue
        words.append(word)
        spans.append((first, last))
    items: list[Item] = []
    clauses: list[int] = []
    clause = 0
    position = 0
    known = lexicon()
    while position < len(words):
        word = words[position]
        if position in sized:
            entry, length = MEASURED, 1
        elif (hit := known.match(words, position)) is not None:
            entry, length = hit
        else:
            entry, length = (PLAIN if word[0].isalnum() else PUNCTUATION), 1
        if entry.label in CLAUSE_ENDS or word == ";":
            clause += 1
        start, end = spans[position][0], spans[position + length - 1][1]
        items.append(
            Item(
                entry,
                word if length == 1 else " ".join(words[position : position + length]),
                start,
                end,
                sized.get(position),
            )
        )
        clauses.append(clause)
        position += length
    return Row(tuple(items), tuple(clauses), text, offset)
