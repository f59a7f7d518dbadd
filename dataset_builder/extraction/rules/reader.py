"""Reading a report sentence by sentence: what lesions it affirms, denies or doubts, and what it says of organs."""

from __future__ import annotations

from dataclasses import dataclass, field

from rsuper_bench.benchmark.records import Kind, Malignancy, NotEvaluable
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft, apply_kind, apply_malignancy, describe
from rsuper_bench.dataset_builder.extraction.rules.exclusions import is_explained, is_inflamed, is_no_tumor
from rsuper_bench.dataset_builder.extraction.rules.grouping import set_size, split_by_size
from rsuper_bench.dataset_builder.extraction.rules.items import Row, row_of
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.measurements import Measurement
from rsuper_bench.dataset_builder.extraction.rules.memory import Memory
from rsuper_bench.dataset_builder.extraction.rules.negation import Polarity, polarity_of
from rsuper_bench.dataset_builder.extraction.rules.organs import organ_statements
from rsuper_bench.dataset_builder.extraction.rules.references import begins_by_reference, is_definite, link_before
from rsuper_bench.dataset_builder.extraction.rules.sections import SectionKind, Sentence
from rsuper_bench.dataset_builder.extraction.rules.segments import locate
from rsuper_bench.dataset_builder.extraction.rules.sites import ELSEWHERE, Site, sites_of
from rsuper_bench.dataset_builder.extraction.rules.sizes import Sizes, assign_sizes
from rsuper_bench.dataset_builder.extraction.rules.topics import named_sites, next_context, sites_around, topic_sites


@dataclass(slots=True)
class ReportReader:
    """Reads the sentences of one report in order.

    Attributes:
        memory: Findings so far.
        denied: Types whose lesions are denied, or whose organ is called normal.
        plain: Types whose organ is plainly called unremarkable.
        described: Types whose organ is described without a word on lesions.
        gone: Organs that cannot be evaluated.
        flags: What a person should look at.
    """

    memory: Memory = field(default_factory=Memory)
    denied: set[TumorType] = field(default_factory=set)
    plain: set[TumorType] = field(default_factory=set)
    described: set[TumorType] = field(default_factory=set)
    gone: dict[TumorType, NotEvaluable] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    _paragraph: int = -1
    _context: tuple[Site, ...] = ()  # what a lesion is in when neither its words nor the header say

    def read(self, sentence: Sentence) -> None:
        """Take in one sentence."""
        if sentence.section is SectionKind.SKIP:
            return
        row = row_of(sentence.text, sentence.start)
        topic = topic_sites(sentence.topic)
        organs = tuple(site.tumor_type for site in topic if site.tumor_type is not None)
        said = organ_statements(row, organs, sentence.section is SectionKind.HISTORY)
        for organ, why in said.gone.items():
            if self.gone.get(organ) is not NotEvaluable.RESECTED:
                self.gone[organ] = why
        if sentence.section is SectionKind.HISTORY:
            return
        if sentence.paragraph != self._paragraph:
            self._paragraph, self._context, self.memory.last = sentence.paragraph, topic, []
        self.denied.update(said.normal)
        self.plain.update(said.plain)
        self.described.update((*said.described, *organs))
        sizes = assign_sizes(row)
        self.flags.update(sizes.flags)
        self._lesions(row, sentence, sizes, topic)
        self.described.update(self.memory.listen(row, sizes))
        self._context = next_context(row, self._context)

    def _lesions(self, row: Row, sentence: Sentence, sizes: Sizes, topic: tuple[Site, ...]) -> None:
        heads = row.indices(Label.LESION)
        drafts_of: dict[int, list[Draft]] = {}
        for order, lesion in enumerate(heads):
            polarity = polarity_of(row, lesion)
            if polarity in (Polarity.NEUTRAL, Polarity.HISTORY) or is_no_tumor(row, lesion):
                if is_inflamed(row, lesion) or is_explained(row, lesion):
                    self.described.update(_types(sites_of(row, lesion, False)))
                continue
            sized = sizes.of_lesion.get(lesion, [])
            denied = polarity is Polarity.DENIED
            named = None if denied else self._named_by(row, heads, order, drafts_of)
            if named is not None:
                _characterise(named, row, lesion, sized, polarity)
                drafts_of[lesion] = named
                continue
            entry = row.items[lesion].entry
            many = denied or entry.is_plural or entry.group or entry.diffuse
            sites = named_sites(row, heads, order, many, (*topic, *self._context))
            if not denied and self.memory.is_meant(row, lesion, sites):
                drafts_of[lesion] = self.memory.name(row, lesion, sized)
                continue
            sites = sites or sites_around(row, lesion, topic, self._context)
            if denied:
                self.denied.update(_types(sites))
            elif not entry.vague:
                drafts_of[lesion] = self._affirm(row, sentence, heads, order, sites, many, polarity, sized)

    def _named_by(
        self, row: Row, heads: list[int], order: int, drafts_of: dict[int, list[Draft]]
    ) -> list[Draft] | None:
        """The finding that a lesion word only names or qualifies: "hypodensity, likely a cyst"; else None."""
        lesion = heads[order]
        earlier = heads[order - 1] if order else None
        before = link_before(row, lesion, earlier)
        if before is None:
            return self.memory.last if self.memory.only_doubts(row, lesion) else None
        if earlier is not None:
            return drafts_of.get(earlier) or None
        own = any(not row.items[index].entry.implied for index in row.indices(Label.ORGAN))
        return self.memory.last or None if not own and begins_by_reference(row, before) else None

    def _affirm(
        self,
        row: Row,
        sentence: Sentence,
        heads: list[int],
        order: int,
        sites: list[Site],
        many: bool,
        polarity: Polarity,
        sized: list[Measurement],
    ) -> list[Draft]:
        """Keep the findings a lesion word affirms or doubts, one for each organ it is in."""
        if sites[:1] == [ELSEWHERE]:
            self.memory.last = []
            return []
        if len(sites) > 1 and not many:
            self.flags.add("organ_guessed")
            sites = sites[:1]
        several_places = "segments" in row.text.lower()
        made = [
            part
            for site in sites
            if site.tumor_type is not None
            for part in split_by_size(
                _drafted(row, heads, order, site.tumor_type, site, sentence, polarity), sized, several_places
            )
        ]
        if made:
            self.memory.keep(made)
            self.memory.last = made
            self._context = (sites[0],)
        return made


def _drafted(
    row: Row,
    heads: list[int],
    order: int,
    tumor_type: TumorType,
    site: Site,
    sentence: Sentence,
    polarity: Polarity,
) -> Draft:
    lesion = heads[order]
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
    draft.definite = is_definite(row, lesion)
    locate(draft, row, lesion, heads, order)
    return draft


def _characterise(named: list[Draft], row: Row, lesion: int, sized: list[Measurement], polarity: Polarity) -> None:
    """Take kind, nature, size and place from a word that names findings already read."""
    item = row.items[lesion]
    for draft in named:
        if polarity is not Polarity.DOUBTED:
            if draft.kind in (Kind.INDETERMINATE, Kind.MASS) and item.entry.kind is not Kind.INDETERMINATE:
                apply_kind(draft, item.entry, item.span)
            elif draft.malignancy is Malignancy.UNKNOWN:
                apply_malignancy(draft, item.entry, item.span)
        if sized and not draft.diameters_mm:
            set_size(draft, sized[0])
        if draft.location is None and draft.count.value == 1:
            locate(draft, row, lesion, [lesion], 0)


def _types(sites: list[Site]) -> set[TumorType]:
    return {site.tumor_type for site in sites if site.tumor_type is not None}


def _hedge_span(row: Row, lesion: int) -> tuple[int, int]:
    hedges = row.indices(Label.HEDGE)
    if not hedges:
        return row.items[lesion].span
    nearest = min(hedges, key=lambda index: (abs(index - lesion), index))
    return row.items[nearest].span
