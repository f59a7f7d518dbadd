"""A finding while it is being read, and the words around a lesion that describe it."""

from __future__ import annotations

from dataclasses import dataclass, field

from rsuper_bench.benchmark.records import (
    Attenuation,
    Certainty,
    Count,
    CountRelation,
    Finding,
    Kind,
    Malignancy,
    MalignancySource,
)
from rsuper_bench.benchmark.tumor_types import Side, TumorType
from rsuper_bench.dataset_builder.extraction.rules.items import NOUN_PHRASE, Row, one_of_many_after
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Entry, Label
from rsuper_bench.dataset_builder.extraction.rules.sections import SectionKind

Span = tuple[int, int]

_NUMBERED = frozenset({"segment", "segments", "seg", "segs", "grade", "stage", "phase", "level", "zone", "t", "g"})
_SAYS = frozenset({",", "is", "are"})
_MORE_THAN = ("more than", "greater than", ">", "over", "exceeding", "in excess of")
_AT_LEAST = ("> =", "≥", "at least", "upwards of", "minimum of", "no fewer than", "or more")


@dataclass(slots=True)
class Draft:
    """A finding being read. Spans are in report characters; a value without one is derived."""

    tumor_type: TumorType
    section: SectionKind
    paragraph: int
    kind: Kind = Kind.INDETERMINATE
    side: Side | None = None
    location: str | None = None
    diameters_mm: tuple[float, ...] = ()
    count: Count = field(default_factory=Count)
    attenuation: Attenuation = Attenuation.UNKNOWN
    malignancy: Malignancy = Malignancy.UNKNOWN
    malignancy_source: MalignancySource | None = None
    doubted: bool = False
    definite: bool = False
    diagnosis: bool = False  # its word is the name of a cancer, which says nothing of its form
    open_nature: bool = False
    series: int | None = None
    image: int | None = None
    repeats: int = 0
    bare: bool = False  # a plain plural: no word for its number
    listed: bool = False  # its sentence goes on as a list of places and sizes
    soft: bool = False  # a "soft tissue mass" without a place of its own
    title: bool = False  # a sentence of its own that only names it: "Duodenal lesion."
    pick: Draft | None = None  # the one lesion of a group whose size stands for it, until a second one is described
    family: object | None = None  # shared by the members of one group: they are lesions apart however alike
    parted: bool = False  # members of the group are findings of their own
    alternatives: list[tuple[Entry, Span]] = field(default_factory=list)
    spans: dict[str, Span] = field(default_factory=dict)

    def fill(self, other: Draft) -> None:
        """Take from another mention of the same lesion what this one does not say."""
        if not other.doubted:
            if self.kind is Kind.INDETERMINATE and other.kind is not Kind.INDETERMINATE:
                self._take(other, "kind")
            if self.malignancy is Malignancy.UNKNOWN and other.malignancy is not Malignancy.UNKNOWN:
                self._take(other, "malignancy", "malignancy_source")
        if self.attenuation is Attenuation.UNKNOWN and other.attenuation is not Attenuation.UNKNOWN:
            self._take(other, "attenuation")
        if not self.diameters_mm and other.diameters_mm:
            self._take(other, "diameters_mm")
        group = self.count.value != 1 and other.count.value == 1
        for name in ("series", "image") if group else ("side", "location", "series", "image"):
            if getattr(self, name) is None and getattr(other, name) is not None:
                self._take(other, name)
        if self.doubted and not other.doubted:
            self.doubted = False
            self.spans.pop("certainty", None)

    def fill_only(self, other: Draft, name: str) -> None:
        """Take one value from another mention, where this one leaves it open."""
        if name == "kind" and self.kind is Kind.INDETERMINATE:
            self._take(other, "kind")
        elif name == "malignancy" and self.malignancy is Malignancy.UNKNOWN:
            self._take(other, "malignancy", "malignancy_source")

    def _take(self, other: Draft, *names: str) -> None:
        for name in names:
            setattr(self, name, getattr(other, name))
            if name in other.spans:
                self.spans[name] = other.spans[name]
            else:
                self.spans.pop(name, None)

    def finding(self) -> Finding:
        """The record: every value with its span, or named as derived."""
        certainty = Certainty.UNCERTAIN if self.doubted else Certainty.CERTAIN
        stated = {
            "tumor_type": True,
            "kind": True,
            "location": self.location is not None,
            "side": self.side is not None,
            "diameters_mm": bool(self.diameters_mm),
            "count": True,
            "attenuation": self.attenuation is not Attenuation.UNKNOWN,
            "malignancy": self.malignancy is not Malignancy.UNKNOWN,
            "malignancy_source": self.malignancy_source is not None,
            "certainty": True,
            "series": self.series is not None,
            "image": self.image is not None,
        }
        return Finding(
            tumor_type=self.tumor_type,
            kind=self.kind,
            location=self.location,
            side=self.side,
            diameters_mm=self.diameters_mm,
            count=self.count,
            attenuation=self.attenuation,
            malignancy=self.malignancy,
            malignancy_source=self.malignancy_source,
            certainty=certainty,
            series=self.series,
            image=self.image,
            evidence={name: self.spans[name] for name, has in stated.items() if has and name in self.spans},
            derived=tuple(name for name, has in stated.items() if has and name not in self.spans),
        )


def describe(draft: Draft, row: Row, lesion: int, reach: tuple[int, int]) -> None:
    """Set what the words around a lesion say: kind, attenuation, nature, count, certainty.

    Args:
        draft: The finding.
        row: The sentence.
        lesion: Position of the lesion word.
        reach: Positions between the lesion before and the lesion after, where its words may stand.
    """
    item = row.items[lesion]
    apply_kind(draft, item.entry, item.span)
    turn = one_of_many_after(row, lesion) if item.entry.is_plural else None
    if turn is not None:  # "some of which are hyperdense" is not said of all
        reach = reach[0], max(lesion + 1, min(reach[1], turn))
    draft.count, span = count_of(row, lesion)
    draft.spans["count"] = span
    draft.bare = item.entry.is_plural and span == item.span
    for index in sorted(range(*reach), key=lambda position: (abs(position - lesion), position)):
        entry = row.items[index].entry
        some = index > 0 and item.entry.is_plural and row.items[index - 1].text == "some"  # "cysts, some hyperdense"
        if entry.attenuation is not None and draft.attenuation is Attenuation.UNKNOWN and not some:
            draft.attenuation = entry.attenuation
            draft.spans["attenuation"] = row.items[index].span
        if entry.label is Label.NATURE and not _denied_near(row, index):
            if entry.malignancy is Malignancy.UNKNOWN:
                leave_open(draft)
            elif draft.malignancy is Malignancy.UNKNOWN:
                apply_malignancy(draft, entry, row.items[index].span)
            said = index > lesion and (row.items[index - 1].label is Label.LIKELY or row.items[index - 1].text in _SAYS)
            spread = entry.kind is Kind.METASTASIS and draft.kind is Kind.MASS and said  # "mass, likely metastatic"
            if entry.kind is not None and (draft.kind is Kind.INDETERMINATE or spread):
                draft.kind = entry.kind
                draft.spans["kind"] = row.items[index].span
    start = row.items[reach[0]].start if reach[0] else row.offset
    end = row.items[reach[1]].start if reach[1] < len(row.items) else row.offset + len(row.text)
    refer(draft, row, start, end, item.start)


def apply_kind(draft: Draft, entry: Entry, span: Span) -> None:
    """Take kind and malignancy from a lesion word."""
    if entry.kind is not None:
        draft.kind = entry.kind
        draft.spans["kind"] = span
    if entry.malignancy is not None:
        apply_malignancy(draft, entry, span)


def leave_open(draft: Draft) -> None:
    """Forget that a cyst is benign: "complex cyst", "Bosniak III cyst"."""
    draft.open_nature = True
    if draft.malignancy is Malignancy.BENIGN:
        draft.malignancy, draft.malignancy_source = Malignancy.UNKNOWN, None
        draft.spans.pop("malignancy", None)
        draft.spans.pop("malignancy_source", None)


def apply_malignancy(draft: Draft, entry: Entry, span: Span) -> None:
    """Take the malignancy a word states; cysts of the pancreas and complex ones are not benign by name."""
    by_name = entry.malignancy is Malignancy.BENIGN and entry.kind is Kind.CYST and entry.label is Label.LESION
    if by_name and (draft.open_nature or (draft.tumor_type is TumorType.PANCREAS and not entry.organs)):
        return
    if entry.malignancy in (Malignancy.BENIGN, Malignancy.MALIGNANT):
        draft.malignancy = entry.malignancy
        draft.malignancy_source = MalignancySource.REPORT
        draft.spans["malignancy"] = draft.spans["malignancy_source"] = span


def count_of(row: Row, lesion: int) -> tuple[Count, Span]:
    """How many lesions a word stands for, and the words that say so."""
    item = row.items[lesion]
    stated = _count_before(row, lesion)
    if item.entry.is_plural and (stated is None or stated[0].relation is CountRelation.AT_LEAST):
        stated = _count_after(row, lesion) or stated
    if lesion + 1 < len(row.items) and row.items[lesion + 1].text == "each":
        return Count(value=2), row.items[lesion + 1].span  # "kidneys with one cyst each"
    if stated is not None:
        return stated
    if item.entry.group:
        return Count(value=None, relation=CountRelation.INNUMERABLE), item.span
    if item.entry.is_plural:
        return Count(value=2, relation=CountRelation.AT_LEAST), item.span
    if item.entry.diffuse:
        return Count(value=2 if item.entry.kind is Kind.MASS else 1, relation=CountRelation.AT_LEAST), item.span
    return Count(), item.span


def _count_before(row: Row, lesion: int) -> tuple[Count, Span] | None:
    item = row.items[lesion]
    for position in range(lesion - 1, row.clause_start(lesion) - 1, -1):
        other = row.items[position]
        if other.label is Label.COUNT and other.entry.count is not None:
            one = other.entry.count.value == 1 and item.entry.is_plural
            open_ended = other.entry.count.relation is not CountRelation.EXACT
            single = not (item.entry.is_plural or item.entry.group or item.entry.diffuse)
            if open_ended and single and item.entry.kind is Kind.WALL_THICKENING:
                return None  # "diffuse wall thickening" is one
            if not one and not _is_number_of(row, position):
                return _bounded(row, position), other.span
        allowed = other.label in NOUN_PHRASE or other.label in (Label.ORGAN, Label.NORMAL, Label.INDEFINITE)
        allowed = allowed or other.text in ("(", ")")  # "multiple (more than ten) lesions"
        if not allowed and not (
            other.text in (",", "and") and position and row.items[position - 1].label in NOUN_PHRASE
        ):
            break
    return None


def _is_number_of(row: Row, position: int) -> bool:
    """Whether a number names a segment or the like: "segments 7/8, 9 mm lesion"."""
    if not row.items[position].text.isdigit():
        return False
    while position and row.items[position - 1].label is Label.COUNT:
        position -= 1
    return position > 0 and row.items[position - 1].text.rpartition(" ")[2] in _NUMBERED


def _count_after(row: Row, lesion: int) -> tuple[Count, Span] | None:
    """A number that follows its noun: "metastases: at least six, the largest ...", "lesions (3)"."""
    items = row.items
    for position in range(lesion + 1, min(lesion + 8, len(items))):
        item = items[position]
        if item.label is Label.COUNT:
            following = items[position + 1] if position + 1 < len(items) else None
            ends = following is None or following.label in (Label.PUNCTUATION, Label.COREF) or following.text == "in"
            return (_bounded(row, position), item.span) if ends and item.entry.count is not None else None
        passes = (Label.WORD, Label.NOW, Label.ATTENUATION, Label.NATURE, Label.SIDE, Label.ORGAN, Label.PREP)
        if item.text not in (",", ":", "(", "-", ">") and item.label not in passes:
            return None
    return None


def _bounded(row: Row, position: int) -> Count:
    """The number at a position, open upwards after "more than" and the like."""
    count = row.items[position].entry.count or Count()
    before = " ".join(item.text for item in row.items[max(0, position - 2) : position])
    if count.relation is CountRelation.EXACT and count.value is not None:
        if before.endswith(_AT_LEAST):
            return Count(value=count.value, relation=CountRelation.AT_LEAST)
        if before.endswith(_MORE_THAN):
            return Count(value=count.value + 1, relation=CountRelation.AT_LEAST)
    return count


def _denied_near(row: Row, index: int) -> bool:
    return any(
        item.label in (Label.NEGATION, Label.HEDGE, Label.NOT_NEGATION, Label.UNLIKELY) or item.text == "not"
        for item in row.items[max(row.clause_start(index), index - 3) : index]
    )


def refer(draft: Draft, row: Row, start: int, end: int, anchor: int) -> None:
    """Set the series and image number that stand between two places of the report.

    Args:
        draft: The finding.
        row: The sentence.
        start: Where the finding's words begin, in report characters.
        end: Where they end.
        anchor: Its lesion word or size; the nearest reference after it counts, else the nearest before it.
    """
    here = [aside for aside in row.asides if start <= row.offset + aside.span[0] < end]
    here.sort(key=lambda aside: (row.offset + aside.span[0] < anchor, abs(row.offset + aside.span[0] - anchor)))
    for name in ("series", "image"):
        if getattr(draft, name) is not None:
            continue
        for aside in here:
            stated = aside.series if name == "series" else aside.image
            if stated is not None:
                value, (first, last) = stated
                setattr(draft, name, value)
                draft.spans[name] = (row.offset + first, row.offset + last)
                break
