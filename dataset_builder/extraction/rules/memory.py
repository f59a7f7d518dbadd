"""The findings read so far, and which of them later words mean."""

from __future__ import annotations

from dataclasses import dataclass, field

from rsuper_bench.benchmark.records import Kind
from rsuper_bench.benchmark.tumor_types import Side
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft
from rsuper_bench.dataset_builder.extraction.rules.items import Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.negation import Polarity, polarity_of
from rsuper_bench.dataset_builder.extraction.rules.references import is_alternative, is_singled_out, refers_back
from rsuper_bench.dataset_builder.extraction.rules.sites import Site

MAX_DRAFTS = 500  # more is no report; it bounds the time merging takes
MAX_MEANT = 12
_OPEN = (Kind.INDETERMINATE, Kind.MASS)
_ALL = frozenset({"these", "they", "all", "those", "each"})


@dataclass(slots=True)
class Memory:
    """Findings in report order, and the last one of the paragraph.

    Attributes:
        drafts: All findings so far.
        last: What "it" and "the lesion" mean now; empty at the start of a paragraph.
        emptied: The group whose members were all described, which is no finding of its own any more.
        overflow: Whether findings were left out because there were too many.
    """

    drafts: list[Draft] = field(default_factory=list)
    last: list[Draft] = field(default_factory=list)
    overflow: bool = False
    emptied: Draft | None = None

    def keep(self, made: list[Draft], before: Draft | None = None) -> None:
        """Add findings, at the end or before another one."""
        if len(self.drafts) + len(made) > MAX_DRAFTS:
            self.overflow = True
        elif before is None:
            self.drafts.extend(made)
        else:
            at = next((index for index, draft in enumerate(self.drafts) if draft is before), len(self.drafts))
            self.drafts[at:at] = made

    def drop(self, gone: list[Draft]) -> None:
        """Take findings out again."""
        self.drafts = [draft for draft in self.drafts if not any(draft is other for other in gone)]
        self.last = [draft for draft in self.last if not any(draft is other for other in gone)]

    def meant(self, row: Row, end: int | None = None) -> list[Draft]:
        """The findings that the words before a position point back to: the last one, "both", "these", "the former"."""
        if not self.last:
            return []
        if (own := self._of_side(row)) is not None:
            return [own]
        words = {word for item in row.items[: end if end is not None else 6] for word in item.text.split()}
        recent = [draft for draft in self.drafts[-MAX_MEANT:] if draft.paragraph == self.last[-1].paragraph]
        same = [draft for draft in recent if draft.tumor_type is self.last[-1].tumor_type]
        if "former" in words and len(recent) > 1:
            return recent[-2:-1]
        if "latter" in words:
            return self.last[-1:]
        if "both" in words and len(same) > 1 and self.last[-1].count.value != 2:
            return same[-2:]
        if words & {"each", "all"} and len(recent) > 1 and (len(self.last) == 1 or row.items[0].text == "all"):
            return recent
        if words & _ALL and len(same) > 1 and len(self.last) == 1:
            return same
        return self.last

    def sides(self, row: Row) -> list[Site]:
        """Where the lesions before lie, if a sentence counts from there ("in the contralateral lung"), in order."""
        if not any(item.text in ("contralateral", "ipsilateral") for item in row.items):
            return []
        near = self.drafts[-MAX_MEANT:]
        return [Site(draft.tumor_type, None, draft.side) for draft in near if draft.side in (Side.LEFT, Side.RIGHT)]

    def _of_side(self, row: Row) -> Draft | None:
        """The finding that a side alone means as the subject: "The left is an adenoma"."""
        labels = [item.label for item in row.items[:3]]
        if labels != [Label.DEFINITE, Label.SIDE, Label.VERB] or row.has(Label.MEASUREMENT) or not self.last:
            return None
        for draft in reversed(self.drafts[-MAX_MEANT:]):
            same = draft.tumor_type is self.last[0].tumor_type and draft.paragraph == self.last[0].paragraph
            if same and draft.side is row.items[1].entry.side:
                return draft
        return None

    def turn_to_side(self, row: Row, lesion: int) -> None:
        """Take "the right-sided mass" as the finding of that side, if it is not the last one."""
        phrase = row.items[row.phrase_start(lesion) : lesion]
        sides = [item.entry.side for item in phrase if item.label is Label.SIDE]
        if not self.last or len(sides) != 1 or not any(item.label is Label.DEFINITE for item in phrase):
            return
        for draft in reversed(self.drafts[-MAX_MEANT:]):
            if draft.side is sides[0] and draft.tumor_type is self.last[0].tumor_type:
                self.last = [draft]
                return

    def is_meant(self, row: Row, lesion: int, sites: list[Site]) -> bool:
        """Whether a lesion word means the last finding: "the lesion", "index lesion in segment 8" of many."""
        if not self.last:
            return False
        group = self.last[0].count.value != 1
        if not sites:
            return refers_back(row, lesion) or (group and is_singled_out(row, lesion))
        implied = any(item.entry.implied and item.span == sites[0].span for item in row.items)
        implied = implied or sites[0].span == row.items[lesion].span  # "index fibroid": the word says the organ
        implied = implied or row.items[lesion].entry.kind in (Kind.INDETERMINATE, self.last[0].kind)
        return group and implied and is_singled_out(row, lesion) and sites[0].tumor_type is self.last[0].tumor_type

    def is_one_of_two(self, row: Row, lesion: int) -> bool:
        """Whether a sentence only weighs what the last finding is: "Cholecystitis versus gallbladder carcinoma"."""
        if not self.last or not is_alternative(row, lesion) or row.has(Label.MEASUREMENT, Label.VERB, Label.PREP):
            return False
        organs = {organ for index in row.indices(Label.ORGAN) for organ in row.items[index].entry.organs}
        return (organs or set(row.items[lesion].entry.organs)) <= {self.last[0].tumor_type}

    def only_names(self, row: Row, lesion: int) -> bool:
        """Whether a sentence only says or doubts what the last finding is: "Carcinoma cannot be excluded"."""
        entry = row.items[lesion].entry
        if entry.kind is not Kind.INDETERMINATE and row.indices(Label.LESION) == [lesion]:
            own = self._of_side(row)
            if own is not None and not row.has(Label.PREP, Label.ORGAN):
                self.last = [own]
                return True
        until = any(item.text == "until" for item in row.items)  # "metastases until proven otherwise"
        open_kinds = all(draft.kind is Kind.INDETERMINATE for draft in self.last)
        spread = entry.kind is Kind.METASTASIS and not until and not (open_kinds and lesion == 0)
        if not self.last or spread or row.has(Label.MEASUREMENT, Label.PLACE):
            return False
        doubted = polarity_of(row, lesion) is Polarity.DOUBTED
        after = row.items[lesion + 1 : lesion + 3]  # "Neoplasm is suspected", "a urothelial tumor is favored"
        ends = all(item.label is Label.PUNCTUATION for item in row.items[lesion + 3 : lesion + 5])
        bare = ([item.label for item in after] == [Label.VERB, Label.LIKELY] and ends) or (
            lesion == 0 and any(index > lesion for index in row.indices(Label.LIKELY))
        )
        classic = (
            row.items[0].text in ("classic", "classical", "typical") and lesion <= 2 and entry.malignancy is not None
        )
        apposed = self.last[0].listed and _is_only_a_name(row, lesion)  # "... in the stomach, 8 cm; GIST."
        verdict = _is_verdict(row, lesion) and all(draft.kind in _OPEN for draft in self.last)
        if not (doubted and entry.malignancy is not None) and not (bare or classic or apposed or verdict):
            return False
        clause = range(row.clause_start(lesion), row.clause_end(lesion))
        organs = [row.items[index] for index in row.indices(Label.ORGAN) if index in clause]
        if not all(item.entry.adjective for item in organs):  # "... in the left kidney" is a finding of its own
            return False
        named = {organ for item in organs for organ in item.entry.organs}
        return (named or set(entry.organs)) <= {self.last[0].tumor_type}


def _is_verdict(row: Row, lesion: int) -> bool:
    """Whether a sentence ends in a name after a colon: "Absolute washout 70 %: lipid-poor adenoma."."""
    start = row.phrase_start(lesion)
    ends = all(item.label is Label.PUNCTUATION for item in row.items[lesion + 1 :])
    signed = start > 0 and row.items[start - 1].text in (":", "=", "→")
    return ends and signed and row.items[lesion].entry.kind is not Kind.INDETERMINATE and not row.has(Label.ORGAN)


def _is_only_a_name(row: Row, lesion: int) -> bool:
    """Whether a sentence holds nothing but one name: "urachal carcinoma."."""
    if row.items[lesion].entry.kind is Kind.INDETERMINATE or row.items[lesion].entry.is_plural:
        return False
    before = (Label.WORD, Label.INDEFINITE, Label.NATURE, Label.LIKELY)
    return all(item.label in before for item in row.items[:lesion]) and all(
        item.text in (".", ";") for item in row.items[lesion + 1 :]
    )
