"""The findings read so far, and what later words say of the last of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from rsuper_bench.benchmark.records import Kind, Malignancy
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft, apply_kind, apply_malignancy
from rsuper_bench.dataset_builder.extraction.rules.grouping import axes_joined, part_of, set_size
from rsuper_bench.dataset_builder.extraction.rules.items import Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.measurements import Measurement
from rsuper_bench.dataset_builder.extraction.rules.negation import Polarity, polarity_of
from rsuper_bench.dataset_builder.extraction.rules.references import is_singled_out, refers_back
from rsuper_bench.dataset_builder.extraction.rules.segments import locate
from rsuper_bench.dataset_builder.extraction.rules.sites import Site
from rsuper_bench.dataset_builder.extraction.rules.sizes import PREDICATES, Sizes

MAX_DRAFTS = 500  # more is no report; it bounds the time merging takes
_FURTHER = frozenset(
    {
        "the smaller",
        "smaller one",
        "the smallest",
        "the other",
        "the second",
        "the third",
        "the latter",
        "the remaining",
    }
)


@dataclass(slots=True)
class Memory:
    """Findings in report order, and the last one of the paragraph.

    Attributes:
        drafts: All findings so far.
        last: What "it" and "the lesion" mean now; empty at the start of a paragraph.
        overflow: Whether findings were left out because there were too many.
    """

    drafts: list[Draft] = field(default_factory=list)
    last: list[Draft] = field(default_factory=list)
    overflow: bool = False

    def keep(self, made: list[Draft]) -> None:
        """Add findings."""
        if len(self.drafts) + len(made) > MAX_DRAFTS:
            self.overflow = True
        else:
            self.drafts.extend(made)

    def drop(self, gone: list[Draft]) -> None:
        """Take findings out again."""
        self.drafts = [draft for draft in self.drafts if not any(draft is other for other in gone)]
        self.last = [draft for draft in self.last if not any(draft is other for other in gone)]

    def is_meant(self, row: Row, lesion: int, sites: list[Site]) -> bool:
        """Whether a lesion word means the last finding: "the lesion", "index lesion in segment 8" of many."""
        if not self.last:
            return False
        if not sites:
            return refers_back(row, lesion)
        implied = any(item.entry.implied and item.span == sites[0].span for item in row.items)
        group = self.last[0].count.value != 1
        return group and implied and is_singled_out(row, lesion) and sites[0].tumor_type is self.last[0].tumor_type

    def only_doubts(self, row: Row, lesion: int) -> bool:
        """Whether a sentence only doubts what the last finding is: "Renal cell carcinoma cannot be excluded"."""
        entry = row.items[lesion].entry
        plain = entry.malignancy is not None and entry.kind is not Kind.METASTASIS and not row.has(Label.MEASUREMENT)
        if not self.last or not plain or polarity_of(row, lesion) is not Polarity.DOUBTED:
            return False
        organs = [row.items[index] for index in row.indices(Label.ORGAN)]
        if not all(item.entry.adjective for item in organs):  # "... in the left kidney" is a finding of its own
            return False
        named = {organ for item in organs for organ in item.entry.organs}
        return (named or set(entry.organs)) <= {self.last[0].tumor_type} and not row.has(Label.PLACE)

    def name(self, row: Row, lesion: int, sized: list[Measurement]) -> list[Draft]:
        """Take a lesion word that means the last finding: its kind and its size. Returns the finding it means."""
        item = row.items[lesion]
        if self.last[0].kind is Kind.INDETERMINATE and item.entry.kind not in (None, Kind.INDETERMINATE):
            apply_kind(self.last[0], item.entry, item.span)
        return self._size(row, sized, lesion)

    def listen(self, row: Row, sizes: Sizes) -> set[TumorType]:
        """Take what a sentence without a lesion word of its own says of the last finding.

        Returns:
            Types of findings that turned out to be no tumor; they are dropped.
        """
        if not self.last or row.has(Label.LESION):
            return set()
        self._loose_sizes(row, sizes)
        about = row.has(Label.COREF, Label.DEFINITE) or row.items[0].text in ("finding", "findings")
        if not about or row.has(Label.NEGATION, Label.HEDGE):
            return set()
        self._loose_nature(row)
        return self._drop_explained(row)

    def _loose_sizes(self, row: Row, sizes: Sizes) -> None:
        # "It measures 2 cm."
        own = {organ for index in row.indices(Label.ORGAN) for organ in row.items[index].entry.organs}
        if not sizes.loose or row.has(Label.THING) or (own and self.last[0].tumor_type not in own):
            return
        refers = row.has(Label.COREF, Label.DEFINITE) or any(item.text in PREDICATES for item in row.items[:3])
        if refers or not own:
            self._size(row, [measurement for _, measurement in sizes.loose], sizes.loose[0][0])

    def _loose_nature(self, row: Row) -> None:
        # "This is a benign finding."
        natures = [index for index in row.indices(Label.NATURE) if row.items[index].entry.malignancy is not None]
        if natures and not row.has(Label.ORGAN, Label.PLACE):
            for draft in self.last:
                if draft.malignancy is Malignancy.UNKNOWN:
                    apply_malignancy(draft, row.items[natures[0]].entry, row.items[natures[0]].span)

    def _drop_explained(self, row: Row) -> set[TumorType]:
        # "These findings are consistent with colitis."
        if not row.has(Label.LIKELY):
            return set()
        thing = any(row.items[index].entry.explains for index in row.indices(Label.THING))
        inflamed = row.has(Label.INFLAMED)
        gone = [draft for draft in self.last if thing or (inflamed and draft.kind is Kind.WALL_THICKENING)]
        if gone:
            self.drop(gone)
        return {draft.tumor_type for draft in gone}

    def _size(self, row: Row, sized: list[Measurement], anchor: int) -> list[Draft]:
        """Give sizes to the last finding, or to one more of its group ("the smaller measures ...")."""
        draft = self.last[0]
        words = {row.items[index].text for index in row.indices(Label.COREF)}
        if words & _FURTHER and sized and draft.diameters_mm:
            further = part_of(draft)
            set_size(further, sized[0])
            locate(further, row, anchor, [anchor], 0)
            self.keep([further])
            return [further]
        if sized and not draft.diameters_mm:
            set_size(draft, axes_joined(sized, row))
        if draft.count.value == 1:  # of a group, side and segment are not those of the one that is measured
            if draft.location is None:
                locate(draft, row, anchor, [anchor], 0)
            sides = row.indices(Label.SIDE)
            if draft.side is None and sides and draft.tumor_type.anatomy.sided:
                draft.side = row.items[sides[0]].entry.side
                draft.spans["side"] = row.items[sides[0]].span
        return self.last
