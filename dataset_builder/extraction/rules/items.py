"""A sentence as a row of items: words with their meaning, sizes, signs; and the walks the other rules take along it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from rsuper_bench.dataset_builder.extraction.rules.asides import Aside
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Entry, Label
from rsuper_bench.dataset_builder.extraction.rules.measurements import Measurement

# What may stand between a noun and the words that qualify it.
NOUN_PHRASE = frozenset(
    {Label.WORD, Label.ATTENUATION, Label.NATURE, Label.COUNT, Label.SIDE, Label.MEASUREMENT, Label.LIKELY, Label.HEDGE}
)
# Words that pick one lesion of several.
_PICKS = frozenset(
    ["largest", "larger", "biggest", "dominant", "predominant", "index", "representative", "target", "reference",
     "smaller", "smallest", "example", "instance", "other", "others", "remaining", "such", "some", "one", "conspicuous",
     "prominent", "suspicious"]
)  # fmt: skip


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


def is_pick(item: Item) -> bool:
    """Whether a word picks one lesion of several: "the largest"."""
    return not _PICKS.isdisjoint(item.text.split())


def one_of_many_after(row: Row, lesion: int) -> int | None:
    """Position of the words that turn from a group to one of it ("..., the largest in segment 8"), or None.

    What stands after them is true of that one only, so the group's side and segment are not read there.
    """
    for index in row.indices(Label.COREF):
        if index > lesion and is_pick(row.items[index]):
            return index
    return None
