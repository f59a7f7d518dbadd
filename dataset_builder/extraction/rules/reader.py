"""Reading a report sentence by sentence: lesions, what is denied, what refers back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from rsuper_bench.benchmark.records import Count, CountRelation, Kind, Malignancy, NotEvaluable
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft, apply_kind, apply_malignancy, describe
from rsuper_bench.dataset_builder.extraction.rules.items import NOUN_PHRASE, Row, one_of_many_after, row_of
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.measurements import Measurement
from rsuper_bench.dataset_builder.extraction.rules.negation import Polarity, polarity_of
from rsuper_bench.dataset_builder.extraction.rules.organs import organ_statements
from rsuper_bench.dataset_builder.extraction.rules.sections import Header, SectionKind, Sentence
from rsuper_bench.dataset_builder.extraction.rules.sites import (
    ELSEWHERE,
    Site,
    location_of,
    side_near,
    site_at,
    sites_of,
)
from rsuper_bench.dataset_builder.extraction.rules.sizes import Sizes, assign_sizes

_LARGER = frozenset(
    {
        "the largest",
        "the larger",
        "largest",
        "larger",
        "the biggest",
        "the dominant",
        "dominant",
        "biggest",
        "largest of which",
        "the largest of which",
        "largest of these",
    }
)
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


_COPULAS = frozenset({"is", "are", "was", "were"})


MAX_DRAFTS = 500  # more is no report; it bounds the time merging takes


@dataclass(slots=True)
class ReportReader:
    """Reads the sentences of one report in order.

    Attributes:
        drafts: Findings so far, in report order.
        denied: Types whose lesions are denied, or whose organ is called normal.
        plain: Types whose organ is plainly called unremarkable.
        described: Types whose organ is described without a word on lesions.
        gone: Organs that cannot be evaluated.
        flags: What a person should look at.
    """

    drafts: list[Draft] = field(default_factory=list)
    denied: set[TumorType] = field(default_factory=set)
    plain: set[TumorType] = field(default_factory=set)
    described: set[TumorType] = field(default_factory=set)
    gone: dict[TumorType, NotEvaluable] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    _paragraph: int = -1
    _context: tuple[Site, ...] = ()
    _last: list[Draft] = field(default_factory=list)

    def read(self, sentence: Sentence) -> None:
        """Take in one sentence."""
        if sentence.section is SectionKind.SKIP:
            return
        row = row_of(sentence.text, sentence.start)
        topic = topic_sites(sentence.topic)
        organs = tuple(site.tumor_type for site in topic if site.tumor_type is not None)
        said = organ_statements(row, organs, sentence.section is SectionKind.HISTORY)
        self.gone.update(
            {organ: why for organ, why in said.gone.items() if self.gone.get(organ) is not NotEvaluable.RESECTED}
        )
        if sentence.section is SectionKind.HISTORY:
            return
        if sentence.paragraph != self._paragraph:
            self._paragraph, self._context, self._last = sentence.paragraph, topic, []
        self.denied.update(said.normal)
        self.plain.update(said.plain)
        self.described.update((*said.described, *organs))
        sizes = assign_sizes(row)
        self.flags.update(sizes.flags)
        self._lesions(row, sentence, sizes, topic)
        self._loose_sizes(row, sizes)
        self._loose_nature(row)
        self._explained_after_all(row)
        self._remember_organs(row)

    def _lesions(self, row: Row, sentence: Sentence, sizes: Sizes, topic: tuple[Site, ...]) -> None:
        heads = row.indices(Label.LESION)
        drafts_of: dict[int, list[Draft]] = {}
        for order, lesion in enumerate(heads):
            entry = row.items[lesion].entry
            polarity = polarity_of(row, lesion)
            if polarity in (Polarity.NEUTRAL, Polarity.HISTORY) or _is_no_tumor(row, lesion):
                if _is_inflamed(row, lesion) or _is_explained(row, lesion):
                    self.described.update(site.tumor_type for site in sites_of(row, lesion, False) if site.tumor_type)
                continue
            earlier = heads[order - 1] if order else None
            if polarity is not Polarity.DENIED:
                target = self._described_draft(row, lesion, earlier, drafts_of)
                if target is not None:
                    self._characterise(row, lesion, target, sizes, polarity)
                    drafts_of[lesion] = target
                    continue
            denied = polarity is Polarity.DENIED
            many = denied or entry.is_plural or entry.group or entry.diffuse
            sites = sites_of(row, lesion, many) or self._shared_sites(row, heads, order, many)
            sites = [_with_side(site, (*topic, *self._context)) for site in sites]
            turn = one_of_many_after(row, lesion) if many else None
            if turn is not None:  # "multiple cysts, the largest in the left kidney": the group has no side
                sites = [
                    replace(site, side=None, side_span=None)
                    if site.span and site.span[0] > row.items[turn].start
                    else site
                    for site in sites
                ]
            if not denied and self._last and self._refers_to_last(row, lesion, sites):
                drafts_of[lesion] = self._refer_back(row, lesion, sizes)
                continue
            sites = sites or self._sites_around(row, lesion, topic)
            if denied:
                self.denied.update(site.tumor_type for site in sites if site.tumor_type is not None)
                continue
            if entry.vague or sites[:1] == [ELSEWHERE]:
                self._last = [] if not entry.vague else self._last
                continue
            if len(sites) > 1 and not many:
                self.flags.add("organ_guessed")
                sites = sites[:1]
            made = [
                self._draft(row, lesion, site.tumor_type, site, sentence, heads, order, polarity)
                for site in sites
                if site.tumor_type is not None
            ]
            made = [
                part
                for draft in made
                for part in _split_by_size(draft, sizes.of_lesion.get(lesion, []), "segments" in row.text.lower())
            ]
            if made:
                drafts_of[lesion] = made
                self._keep(made)
                self._last = made
                self._context = (sites[0],)

    def _keep(self, made: list[Draft]) -> None:
        if len(self.drafts) + len(made) > MAX_DRAFTS:
            self.flags.add("too_many_findings")
        else:
            self.drafts.extend(made)

    def _draft(
        self,
        row: Row,
        lesion: int,
        tumor_type: TumorType,
        site: Site,
        sentence: Sentence,
        heads: list[int],
        order: int,
        polarity: Polarity,
    ) -> Draft:
        draft = Draft(tumor_type=tumor_type, section=sentence.section, paragraph=sentence.paragraph)
        if site.span is not None:
            draft.spans["tumor_type"] = site.span
        if site.side is not None:
            draft.side = site.side
            if site.side_span is not None:
                draft.spans["side"] = site.side_span
        first = heads[order - 1] + 1 if order else 0
        last = heads[order + 1] if order + 1 < len(heads) else len(row.items)
        describe(draft, row, lesion, (max(first, row.clause_start(lesion)), min(last, row.clause_end(lesion))))
        if polarity is Polarity.DOUBTED:
            draft.doubted = True
            draft.spans["certainty"] = _hedge_span(row, lesion)
        draft.definite = _is_definite(row, lesion)
        _locate(draft, row, lesion, heads, order)
        return draft

    def _refers_to_last(self, row: Row, lesion: int, sites: list[Site]) -> bool:
        """Whether a lesion word means the last finding: "the lesion", "index lesion in segment 8" of many."""
        if not sites:
            return _refers_back(row, lesion)
        implied = any(item.entry.implied and item.span == sites[0].span for item in row.items)
        group = self._last[0].count.value != 1
        return group and implied and _is_singled_out(row, lesion) and sites[0].tumor_type is self._last[0].tumor_type

    def _sites_around(self, row: Row, lesion: int, topic: tuple[Site, ...]) -> list[Site]:
        """Sites of a lesion whose own words name none: those of the header or of the sentence before."""
        around = topic or self._context
        if (
            topic
            and self._context
            and {site.tumor_type for site in self._context} < {site.tumor_type for site in topic}
        ):
            around = self._context
        return [replace(site, **_own_side(row, lesion, site)) for site in around]

    def _shared_sites(self, row: Row, heads: list[int], order: int, many: bool) -> list[Site]:
        """Sites of a lesion word in a list whose later member names the organ: "no mass or cyst in the liver"."""
        if order + 1 < len(heads) and _link_before(row, heads[order + 1], heads[order]) is not None:
            return sites_of(row, heads[order + 1], many)  # "ring-enhancing lesions consistent with liver metastases"
        for later in range(order + 1, len(heads)):
            between = row.items[heads[later - 1] + 1 : heads[later]]
            if not all(item.label in NOUN_PHRASE or item.label is Label.AND or item.text == "," for item in between):
                return []
            if sites := sites_of(row, heads[later], many):
                return sites
        return []

    def _described_draft(
        self, row: Row, lesion: int, earlier: int | None, drafts_of: dict[int, list[Draft]]
    ) -> list[Draft] | None:
        """The finding that a lesion word only names or qualifies: "hypodensity, likely a cyst"; else None."""
        before = _link_before(row, lesion, earlier)
        if before is None:
            return self._last if self._last and self._is_doubted_name(row, lesion) else None
        if earlier is not None and earlier in drafts_of:
            return drafts_of[earlier]
        own = [index for index in row.indices(Label.ORGAN) if not row.items[index].entry.implied]
        if earlier is None and self._last and not own and _begins_by_reference(row, before):
            return self._last
        return None

    def _is_doubted_name(self, row: Row, lesion: int) -> bool:
        """Whether a sentence only doubts what the last finding is: "Renal cell carcinoma cannot be excluded"."""
        entry = row.items[lesion].entry
        plain = entry.malignancy is not None and entry.kind is not Kind.METASTASIS and not row.has(Label.MEASUREMENT)
        if not plain or polarity_of(row, lesion) is not Polarity.DOUBTED:
            return False
        organs = [row.items[index] for index in row.indices(Label.ORGAN)]
        if not all(item.entry.adjective for item in organs):  # "... in the left kidney" is a finding of its own
            return False
        named = {organ for item in organs for organ in item.entry.organs}
        return (named or set(entry.organs)) <= {self._last[0].tumor_type} and not row.has(Label.PLACE)

    def _characterise(self, row: Row, lesion: int, target: list[Draft], sizes: Sizes, polarity: Polarity) -> None:
        item = row.items[lesion]
        for draft in target:
            open_kind = draft.kind in (Kind.INDETERMINATE, Kind.MASS) and item.entry.kind is not Kind.INDETERMINATE
            if polarity is not Polarity.DOUBTED:
                if open_kind:
                    apply_kind(draft, item.entry, item.span)
                elif draft.malignancy is Malignancy.UNKNOWN:
                    apply_malignancy(draft, item.entry, item.span)
            sized = sizes.of_lesion.get(lesion, [])
            if sized and not draft.diameters_mm:
                _set_size(draft, sized[0])
            if draft.location is None and draft.count.value == 1:
                _locate(draft, row, lesion, [lesion], 0)

    def _refer_back(self, row: Row, lesion: int, sizes: Sizes) -> list[Draft]:
        sized = sizes.of_lesion.get(lesion, [])
        draft = self._last[0]
        item = row.items[lesion]
        if (
            draft.kind is Kind.INDETERMINATE
            and item.entry.kind is not None
            and item.entry.kind is not Kind.INDETERMINATE
        ):
            apply_kind(draft, item.entry, item.span)
        return self._size_last(row, sized, lesion)

    def _loose_sizes(self, row: Row, sizes: Sizes) -> None:
        if not sizes.loose or not self._last or row.has(Label.LESION, Label.THING):
            return
        own = {organ for index in row.indices(Label.ORGAN) for organ in row.items[index].entry.organs}
        if own and self._last[0].tumor_type not in own:
            return
        if (
            row.has(Label.COREF, Label.DEFINITE)
            or any(item.text in ("measuring", "measures", "measured") for item in row.items[:3])
            or not own
        ):
            self._size_last(row, [measurement for _, measurement in sizes.loose], sizes.loose[0][0])

    def _loose_nature(self, row: Row) -> None:
        """Take "This is a benign finding" as a word on the last finding."""
        natures = [index for index in row.indices(Label.NATURE) if row.items[index].entry.malignancy is not None]
        about = row.has(Label.COREF, Label.DEFINITE) or row.items[0].text in ("finding", "findings")
        if (
            not natures
            or not about
            or not self._last
            or row.has(Label.LESION, Label.ORGAN, Label.PLACE, Label.NEGATION)
        ):
            return
        if not row.has(Label.HEDGE):
            for draft in self._last:
                if draft.malignancy is Malignancy.UNKNOWN:
                    apply_malignancy(draft, row.items[natures[0]].entry, row.items[natures[0]].span)

    def _explained_after_all(self, row: Row) -> None:
        """Drop what the next sentence puts down to no tumor: "These findings are consistent with colitis"."""
        about = row.has(Label.DEFINITE, Label.COREF) or row.items[0].text in ("finding", "findings")
        if not about or not row.has(Label.LIKELY) or row.has(Label.LESION, Label.NEGATION, Label.HEDGE):
            return
        thing = any(row.items[index].entry.explains for index in row.indices(Label.THING))
        gone = [
            draft for draft in self._last if thing or (draft.kind is Kind.WALL_THICKENING and row.has(Label.INFLAMED))
        ]
        if gone:
            self.described.update(draft.tumor_type for draft in gone)
            self.drafts = [draft for draft in self.drafts if not any(draft is other for other in gone)]
            self._last = []

    def _size_last(self, row: Row, sized: list[Measurement], anchor: int) -> list[Draft]:
        """Give the sizes of a sentence that refers back to the finding it refers to."""
        words = {item.text for item in row.items if item.label is Label.COREF}
        draft = self._last[0]
        if words & _FURTHER and sized and draft.diameters_mm:
            further = _part_of(draft)
            _set_size(further, sized[0])
            _locate(further, row, anchor, [anchor], 0)
            self._keep([further])
            return [further]
        if sized and not draft.diameters_mm:
            _set_size(draft, _axes_joined(sized))
        if draft.location is None and draft.count.value == 1:
            _locate(draft, row, anchor, [anchor], 0)
        if draft.side is None:
            sides = row.indices(Label.SIDE)
            if sides and draft.tumor_type.anatomy.sided and draft.count.value == 1:
                draft.side = row.items[sides[0]].entry.side
                draft.spans["side"] = row.items[sides[0]].span
        return self._last

    def _remember_organs(self, row: Row) -> None:
        """The organ a sentence is about is where the next sentence's lesion is, if that names none."""
        organs = [index for index in row.indices(Label.ORGAN) if not row.items[index].entry.implied]
        places = [index for index in row.indices(Label.PLACE, Label.THING) if not row.items[index].entry.adjective]
        types = {organ for index in organs for organ in row.items[index].entry.organs}
        if len(types) == 1:
            self._context = tuple(site_at(row, organs[0]))
        elif types:
            self._context = ()
        elif places and not row.has(Label.LESION):
            self._context = () if row.has(Label.VERB) else self._context


def _with_side(site: Site, around: tuple[Site, ...]) -> Site:
    """Take the side from the header or sentence before, where a lesion's own words give none."""
    if site.tumor_type is None or site.side is not None:
        return site
    same = next((other for other in around if other.tumor_type is site.tumor_type and other.side is not None), None)
    return site if same is None else Site(site.tumor_type, site.span, same.side, same.side_span)


def topic_sites(header: Header | None) -> tuple[Site, ...]:
    """The organs a header names; anatomy of no supported type is told apart from no header."""
    if header is None:
        return ()
    row = row_of(header.text, header.start)
    if header.parent is not None:
        sides = row.indices(Label.SIDE)
        side, span = (row.items[sides[0]].entry.side, row.items[sides[0]].span) if sides else (None, None)
        return tuple(replace(site, side=side, side_span=span) for site in topic_sites(header.parent))
    organs = [site for index in row.indices(Label.ORGAN) for site in site_at(row, index)]
    return tuple(organs) or (ELSEWHERE,)


def _is_no_tumor(row: Row, lesion: int) -> bool:
    return (
        _is_inflamed(row, lesion)
        or _is_origin(row, lesion)
        or _is_made_of_thing(row, lesion)
        or _is_explained(row, lesion)
    )


def _is_explained(row: Row, lesion: int) -> bool:
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


def _is_inflamed(row: Row, lesion: int) -> bool:
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


def _link_before(row: Row, lesion: int, earlier: int | None) -> int | None:
    """Position of the words that make a lesion word a description ("likely", "consistent with", "is a"), or None."""
    items = row.items
    first = earlier if earlier is not None else -1
    for position in range(lesion - 1, first, -1):
        item = items[position]
        if item.label in (Label.LIKELY, Label.HEDGE):
            joins = position > 0 and items[position - 1].label in (Label.AND, Label.WITH)  # "... and a probable cyst"
            return position if not joins and (earlier is not None or position <= 8) else None
        if item.label is Label.VERB:
            # "the lesion in the kidney is a simple cyst", not "the lesion is seen and a cyst"
            pronoun = position > 0 and items[position - 1].label in (Label.COREF, Label.DEFINITE)
            return position if item.text in _COPULAS and (earlier is not None or pronoun) else None
        if item.label in (
            Label.BREAK,
            Label.EXCEPT,
            Label.MEASUREMENT,
            Label.COUNT,
            Label.WITH,
            Label.PREP,
            Label.COMPARE,
        ):
            return None
        if item.label is Label.AND or item.text in (",", "/", "versus", "vs"):
            # "likely cysts or hemangiomas": the second alternative describes what the first does
            if earlier is not None and position == earlier + 1 and item.text in ("or", "versus", "vs", "/", "and or"):
                return _link_before(row, earlier, _previous_lesion(row, earlier))
            if item.label is Label.AND:
                return None
    return None


def _previous_lesion(row: Row, lesion: int) -> int | None:
    return max((index for index in row.indices(Label.LESION) if index < lesion), default=None)


def _begins_by_reference(row: Row, link: int) -> bool:
    if row.items[link].label is Label.VERB:  # "... suggesting that they are hemorrhagic cysts"
        return True
    return all(
        item.label
        in (
            Label.COREF,
            Label.DEFINITE,
            Label.WORD,
            Label.VERB,
            Label.LIKELY,
            Label.HEDGE,
            Label.LINK,
            Label.INDEFINITE,
            Label.ATTENUATION,
            Label.COUNT,
            Label.PUNCTUATION,
            Label.NOT_NEGATION,
            Label.NATURE,
        )
        for item in row.items[:link]
    )


def _is_definite(row: Row, lesion: int) -> bool:
    for position in range(lesion - 1, max(-1, lesion - 8), -1):
        item = row.items[position]
        if item.label is Label.DEFINITE or (item.label is Label.COREF and item.text.startswith("the")):
            return True
        if item.label not in NOUN_PHRASE and item.label is not Label.ORGAN:
            return False
    return False


def _is_singled_out(row: Row, lesion: int) -> bool:
    """Whether a lesion word picks one of several ("the largest lesion", "index lesion")."""
    for position in range(lesion - 1, max(-1, lesion - 4), -1):
        item = row.items[position]
        if item.label is Label.COREF:
            return True
        if item.label not in NOUN_PHRASE:
            return False
    return False


def _own_side(row: Row, lesion: int, site: Site) -> dict[str, Any]:
    """The side a lesion's own words give, which counts more than that of the header."""
    if site.tumor_type is None:
        return {}
    side, span = side_near(row, lesion, site.tumor_type)
    return {} if side is None else {"side": side, "side_span": span}


def _refers_back(row: Row, lesion: int) -> bool:
    for position in range(lesion - 1, max(-1, lesion - 6), -1):
        item = row.items[position]
        if item.label in (Label.DEFINITE, Label.COREF):
            return item.text not in ("known", "such")
        if item.label not in NOUN_PHRASE:
            return False
    return False


def _hedge_span(row: Row, lesion: int) -> tuple[int, int]:
    hedges = row.indices(Label.HEDGE)
    if not hedges:
        return row.items[lesion].span
    nearest = min(hedges, key=lambda index: (abs(index - lesion), index))
    return row.items[nearest].span


def _locate(draft: Draft, row: Row, lesion: int, heads: list[int], order: int) -> None:
    items = row.items
    first, last = row.clause_start(lesion), row.clause_end(lesion) - 1
    named = draft.spans.get("tumor_type", (0, 0))
    for index in row.indices(Label.ORGAN):  # "Within the upper pole of the left kidney, there is a cyst"
        if items[index].span == named and index < first:
            first = row.clause_start(index)
    if order + 1 < len(heads) and heads[order + 1] <= last:
        last = heads[order + 1] - 1
    if order and heads[order - 1] >= first:
        first = heads[order - 1]
    turn = one_of_many_after(row, lesion) if draft.count.value != 1 else None
    if turn is not None and turn <= last:
        last = turn - 1
    anchors = [items[lesion].span]
    organ = draft.spans.get("tumor_type")
    if organ is not None and items[first].start <= organ[0] <= items[last].end:
        anchors.append(organ)
    clause = (items[first].start, max(items[last].end, items[lesion].end))
    found = location_of(row, draft.tumor_type, anchors, clause)
    if found is not None:
        draft.location, draft.spans["location"] = found


def _set_size(draft: Draft, measurement: Measurement) -> None:
    draft.diameters_mm = measurement.diameters_mm
    draft.spans["diameters_mm"] = (measurement.start, measurement.end)


def _axes_joined(sized: list[Measurement]) -> Measurement:
    """One size from axes stated one by one: "2.3 cm in AP, 2.1 cm in transverse dimension"."""
    if len(sized) in (2, 3) and all(len(size.diameters_mm) == 1 and not size.others_mm for size in sized):
        axes = tuple(size.diameters_mm[0] for size in sized)
        return Measurement(sized[0].start, sized[-1].end, axes)
    return max(sized, key=lambda size: max(size.diameters_mm))


def _split_by_size(draft: Draft, sized: list[Measurement], several_places: bool) -> list[Draft]:
    """Give a finding its size; a counted group with a size for each becomes one finding each."""
    if not sized:
        return [draft]
    single = [Measurement(size.start, size.end, (value,)) for size in sized for value in size.others_mm]
    everything = [*sized, *single]
    if draft.count.relation is CountRelation.EXACT and draft.count.value == 1:
        _set_size(draft, _axes_joined(sized))
        return [draft]
    if draft.count.value == len(everything) and draft.count.relation is not CountRelation.INNUMERABLE:
        parts = []
        for size in everything:
            part = _part_of(draft, shrink=False)
            part.count = Count()
            if not draft.location or several_places:
                part.location = None  # "in segments 4 and 6": which is where is not read
                part.spans.pop("location", None)
            _set_size(part, Measurement(size.start, size.end, size.diameters_mm))
            parts.append(part)
        return parts
    _set_size(draft, max(everything, key=lambda size: max(size.diameters_mm)))
    return [draft]


def _part_of(draft: Draft, *, shrink: bool = True) -> Draft:
    """One more finding of the same group; the group stands for one fewer where its number is known."""
    part = Draft(
        tumor_type=draft.tumor_type,
        section=draft.section,
        paragraph=draft.paragraph,
        kind=draft.kind,
        side=draft.side,
        attenuation=draft.attenuation,
        malignancy=draft.malignancy,
        malignancy_source=draft.malignancy_source,
        doubted=draft.doubted,
        definite=True,
        location=None if shrink else draft.location,
        spans={
            name: span
            for name, span in draft.spans.items()
            if name not in ("diameters_mm", *(("location",) if shrink else ()))
        },
    )
    value = draft.count.value
    if shrink and value is not None and value > 1 and draft.count.relation is not CountRelation.INNUMERABLE:
        draft.count = Count(value=value - 1, relation=draft.count.relation)
    return part
