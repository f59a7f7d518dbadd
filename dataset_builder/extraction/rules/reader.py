"""Reading a report sentence by sentence: what lesions it affirms, denies or doubts, and what it says of organs."""

from __future__ import annotations

from dataclasses import dataclass, field

from rsuper_bench.benchmark.records import Kind, Malignancy, NotEvaluable
from rsuper_bench.benchmark.tumor_types import Side, TumorType
from rsuper_bench.dataset_builder.extraction.rules.drafting import characterise, drafted
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft, apply_kind
from rsuper_bench.dataset_builder.extraction.rules.exclusions import (
    is_explained,
    is_inflamed,
    is_landmark_lesion,
    is_no_tumor,
    is_shadow,
)
from rsuper_bench.dataset_builder.extraction.rules.followup import listen, name_last, split_named, take_member
from rsuper_bench.dataset_builder.extraction.rules.items import Item, Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.measurements import Measurement
from rsuper_bench.dataset_builder.extraction.rules.members import split_group
from rsuper_bench.dataset_builder.extraction.rules.memory import Memory
from rsuper_bench.dataset_builder.extraction.rules.negation import Polarity, is_history, polarity_of
from rsuper_bench.dataset_builder.extraction.rules.organs import (
    is_only_empty,
    is_rest,
    organ_statements,
    says_of_region,
)
from rsuper_bench.dataset_builder.extraction.rules.references import (
    begins_by_reference,
    is_alternative,
    is_open_name,
    link_before,
)
from rsuper_bench.dataset_builder.extraction.rules.rows import row_of
from rsuper_bench.dataset_builder.extraction.rules.sections import (
    Header,
    SectionKind,
    Sentence,
    is_segment,
    region_types,
)
from rsuper_bench.dataset_builder.extraction.rules.segments import places_in
from rsuper_bench.dataset_builder.extraction.rules.sites import (
    ELSEWHERE,
    Site,
    own_organs,
    sites_of,
    stronger_sites,
)
from rsuper_bench.dataset_builder.extraction.rules.sizes import Sizes, assign_sizes
from rsuper_bench.dataset_builder.extraction.rules.tables import TargetTable
from rsuper_bench.dataset_builder.extraction.rules.topics import (
    named_sites,
    next_context,
    region_organs,
    sided,
    sites_around,
    spoken_of,
    topic_sites,
    with_own_side,
)
from rsuper_bench.dataset_builder.extraction.rules.wording import (
    grown_sites,
    heading_in,
    is_bare_diagnosis,
    is_bare_landmark,
    is_component,
    is_field,
    is_heading,
    is_made_of_soft_tissue,
    is_of_body_wall,
    is_of_group,
    is_open_group,
    is_similar,
    is_title,
    liken,
    one_of,
    only_site,
)

_EMPTY_UNSEEN = {
    TumorType.BLADDER,
    TumorType.STOMACH,
    TumorType.GALLBLADDER,
    TumorType.COLON,
}  # an empty one cannot be judged
_SUMS_UP = frozenset({"findings", "finding", "appearances", "appearance", "features", "these", "this", "constellation"})


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
        has_body: Whether anything but history, technique and the like was read.
        known: Types with a malignant tumor that the reason of the scan names.
    """

    memory: Memory = field(default_factory=Memory)
    denied: set[TumorType] = field(default_factory=set)
    plain: set[TumorType] = field(default_factory=set)
    described: set[TumorType] = field(default_factory=set)
    gone: dict[TumorType, NotEvaluable] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    known: set[TumorType] = field(default_factory=set)
    has_body: bool = False
    _sentences: int = 0
    _paragraph: int = -1
    _region: Header | None = None  # the last header that named a region
    _list_name: Item | None = None  # "Metastases:", until the list ends
    _group: Draft | None = None  # the heading above: "Hepatic metastases:", and a line for each
    _heads_table: bool = False  # the sentence before was "Kidney lesions:"
    _table: TargetTable = field(default_factory=TargetTable)
    _context: tuple[Site, ...] = ()  # what a lesion is in when neither its words nor the header say

    def read(self, sentence: Sentence) -> None:
        """Take in one sentence."""
        if sentence.section in (SectionKind.FINDINGS, SectionKind.IMPRESSION):
            self.has_body = True
        if sentence.section is SectionKind.SKIP:
            return
        row = row_of(sentence.text, sentence.start, self._table.bare_sizes(sentence))
        topic = topic_sites(sentence.topic)
        if self._group is not None and topic == (ELSEWHERE,) and sentence.topic is not None:
            topic = tuple(sided(sentence.topic, self._group.tumor_type)) or topic  # "Renal lesions:", "Right: ..."
        organs = tuple(site.tumor_type for site in topic if site.tumor_type is not None)
        said = organ_statements(row, organs, sentence.section is SectionKind.HISTORY)
        one_side = {site.tumor_type for site in topic if site.side in (Side.LEFT, Side.RIGHT)}
        for organ, why in said.gone.items():
            if organ in one_side:
                continue  # "Left kidney: absent": the other one decides
            if self.gone.get(organ) is not NotEvaluable.RESECTED:
                self.gone[organ] = why
        if sentence.section is SectionKind.HISTORY:
            return
        self._sentences += 1
        if sentence.paragraph != self._paragraph:
            self._paragraph, self._context, self.memory.last = sentence.paragraph, topic, []
        self.denied.update(said.normal)
        if sentence.region is not None:
            if (sentence.region is not self._region or is_rest(row)) and says_of_region(row):
                types = set(region_types(sentence.region.text))
                self.described.update(types - {TumorType.ESOPHAGUS} if row.has(Label.LESION) else types)
            self._region = sentence.region
        self.plain.update(said.plain)
        limited = row.has(Label.LIMITED, Label.OUT_OF_VIEW, Label.REMOVED)
        described = {*said.described, *(() if limited else spoken_of(sentence.topic))}
        self.described.update(described - _EMPTY_UNSEEN if is_only_empty(row) else described)
        sizes = self._table.today(assign_sizes(row), sentence)
        self.flags.update(sizes.flags)
        headings = self.memory.last if self._heads_table else []
        self._heads_table = (
            row.text.endswith(":") and row.has(Label.LESION) and not row.has(Label.MEASUREMENT, Label.VERB)
        )
        before = len(self.memory.drafts)
        targets = self._targets(row, sentence, sizes, topic)
        self._lesions(row, sentence, sizes, topic)
        if (
            headings
            and len(self.memory.drafts) > before
            and headings[0].tumor_type is self.memory.drafts[-1].tumor_type
        ):
            self.memory.drop([draft for draft in headings if draft.bare])  # "Kidney lesions:" and a line for each
        if self._heads_table:
            listed = any(item.text in ("list", "table", "summary") for item in row.items)
            self._group = next((draft for draft in self.memory.last if listed or draft.count.value != 1), None)
        elif not targets:
            self._group = None
            self.described.update(listen(self.memory, row, sizes))
        self._context = next_context(row, self._context)

    def _targets(self, row: Row, sentence: Sentence, sizes: Sizes, topic: tuple[Site, ...]) -> list[Draft]:
        """Keep the lesions a sentence names by place and size alone."""
        if not sizes.loose:
            return []
        last = self.memory.last[0] if self.memory.last else None
        listed = self._group is not None or self._table.is_line(sentence)
        if not listed and (row.has(Label.COREF) or row.items[0].label is Label.DEFINITE):
            return []
        own = {organ for index in row.indices(Label.ORGAN) for organ in row.items[index].entry.organs}
        if last is not None and places_in(row, last.tumor_type, (row.offset, row.offset + len(row.text))):
            own.add(last.tumor_type)
        if not listed and last is not None and (not own or last.tumor_type in own):
            open_size = last.count.value != 1 or not last.diameters_mm or not own
            if open_size or last.listed:
                return []  # the size is that of the lesion before
        if listed and self._group is None and last is not None and last.count.value != 1 and not last.diameters_mm:
            self._group = last  # "Multifocal HCC. Target 1: segment 8, 45 x 38"
        if self._group is None and sentence.topic is not None and is_segment(sentence.topic.text):
            self._group = next((draft for draft in self.memory.drafts[-2:] if is_open_group(draft)), None)
        targets = self._table.targets(row, sentence, sizes, topic, self._group)
        if targets:
            if self._group is not None and self._group.tumor_type is targets[0].tumor_type and is_heading(self._group):
                self.memory.drop([self._group])
            self.memory.keep(targets)
            self.memory.last = targets
        return targets

    def _lesions(self, row: Row, sentence: Sentence, sizes: Sizes, topic: tuple[Site, ...]) -> None:
        heads = row.indices(Label.LESION)
        drafts_of: dict[int, list[Draft]] = {}
        before: list[Site] = []  # sites of the lesion word before
        for order, lesion in enumerate(heads):
            polarity = polarity_of(row, lesion)
            if polarity is Polarity.HISTORY:
                self._known(row, lesion)
                continue
            opens = self._sentences == 1 and sentence.topic is None and sentence.section is SectionKind.FINDINGS
            if opens and lesion not in sizes.of_lesion and is_bare_diagnosis(row, lesion):
                self._known(row, lesion)
                continue
            if (is_landmark_lesion(row, lesion) or is_bare_landmark(row, lesion)) and self.memory.drafts:
                continue  # "the adrenal is not separable from the mass"
            if polarity is Polarity.NEUTRAL or is_no_tumor(row, lesion):
                if is_inflamed(row, lesion) or is_explained(row, lesion) or is_shadow(row, lesion):
                    around = sites_of(row, lesion, False) or sites_around(row, lesion, topic, self._context)
                    self.described.update(_types(around) - {TumorType.SOFT_TISSUE})
                continue
            sized = sizes.of_lesion.get(lesion, [])
            denied = polarity is Polarity.DENIED
            after_denial = bool(before) and order - 1 not in drafts_of and not drafts_of
            named = None if denied or after_denial else self._named_by(row, heads, order, drafts_of)
            if named is not None:
                characterise(named, row, lesion, sized, polarity)
                drafts_of[lesion] = split_named(self.memory, named, row, lesion, sized)
                continue
            if not denied and is_of_group(row, lesion, self.memory.last):
                drafts_of[lesion] = take_member(self.memory, row, sized or [size for _, size in sizes.loose], lesion)
                continue
            entry = row.items[lesion].entry
            many = denied or entry.is_plural or entry.group or entry.diffuse
            sites = named_sites(row, heads, order, many, (*self.memory.sides(row), *topic, *self._context))
            if not denied and sites == [ELSEWHERE] and is_of_body_wall(row, lesion):
                sites = with_own_side(row, lesion, [Site(TumorType.SOFT_TISSUE, row.items[lesion].span)])
            soft = False
            if is_made_of_soft_tissue(row, lesion, sites):
                stronger = stronger_sites(row, lesion, many) or with_own_side(row, lesion, topic)
                sites, soft = stronger or sites, not stronger
            if not denied and not sites:
                self.memory.turn_to_side(row, lesion)
            if not denied and (
                self.memory.is_meant(row, lesion, sites) or (self.memory.last and is_field(row, lesion))
            ):
                drafts_of[lesion] = name_last(self.memory, row, lesion, sized)
                for draft in self.memory.last:
                    draft.listed = row.text.rstrip().endswith(";")
                continue
            if after_denial:
                sites = sites or with_own_side(
                    row, lesion, before
                )  # "no mass, although a carcinoma cannot be excluded"
            sites = (
                sites
                or sites_around(row, lesion, topic, self._context)
                or only_site(self._types_so_far(), row, denied, sized)
            )
            before = sites
            if denied:
                self.denied.update(_types(sites))
                if not _types(sites):
                    self.described.update(region_organs(row, lesion))
            elif not entry.vague:
                drafts_of[lesion] = self._affirm(row, sentence, heads, order, sites, many, polarity, sized)
                for draft in drafts_of[lesion]:
                    draft.soft = soft
                    draft.definite = draft.definite or row.items[0].text in _SUMS_UP
                    draft.title = is_title(row)
        group = heading_in(row, heads, drafts_of)
        if group is not None:
            self.memory.drop([group])
        self._call_metastases(row, heads, drafts_of)

    def _types_so_far(self) -> set[TumorType]:
        return {draft.tumor_type for draft in self.memory.drafts} or self.known

    def _known(self, row: Row, lesion: int) -> None:
        """Note a diagnosis that a sentence names as the reason of the scan: "Rectal cancer, baseline"."""
        entry = row.items[lesion].entry
        if entry.malignancy is Malignancy.MALIGNANT and entry.kind is not Kind.METASTASIS:
            self.known.update(_types(sites_of(row, lesion, False)))

    def _call_metastases(self, row: Row, heads: list[int], drafts_of: dict[int, list[Draft]]) -> None:
        """Name what a list holds by its heading: "Metastases: right lower lobe nodule 11 mm; left adrenal mass"."""
        if self._list_name is None and heads:
            first = row.items[heads[0]]
            opens = heads[0] <= 1 and row.items[heads[0] + 1 : heads[0] + 2]
            if first.entry.kind is Kind.METASTASIS and opens and opens[0].text == ":":
                self._list_name = first
        if self._list_name is None:
            return
        for draft in (draft for made in drafts_of.values() for draft in made):
            if draft.kind in (Kind.INDETERMINATE, Kind.MASS) and draft.malignancy is not Malignancy.BENIGN:
                apply_kind(draft, self._list_name.entry, self._list_name.span)
        if not row.text.rstrip().endswith(";"):
            self._list_name = None

    def _named_by(
        self, row: Row, heads: list[int], order: int, drafts_of: dict[int, list[Draft]]
    ) -> list[Draft] | None:
        """The finding that a lesion word only names or qualifies: "hypodensity, likely a cyst"; else None."""
        lesion = heads[order]
        earlier = heads[order - 1] if order else None
        before = link_before(row, lesion, earlier)
        if earlier is not None and earlier in drafts_of and is_component(row, earlier, lesion):
            return drafts_of[earlier] or None
        picked = one_of(row, lesion, heads[0], drafts_of.get(heads[0])) if order else None
        apart = before is None or row.items[lesion - 1].text == "("
        if apart and picked and picked != drafts_of[heads[0]]:
            return picked  # "..., the latter a cyst"
        if before is None and earlier is not None and drafts_of.get(earlier) and is_open_name(row, lesion):
            return drafts_of[earlier]
        if before is None:
            names = self.memory.only_names(row, lesion) or self.memory.is_one_of_two(row, lesion)
            return self.memory.last if names else None
        if earlier is not None:
            named = one_of(row, lesion, earlier, drafts_of.get(earlier)) or None
            other = [] if is_alternative(row, lesion) else own_organs(row, lesion)
            grown = {site.tumor_type for site in other}
            if named is not None and grown and named[0].tumor_type not in grown:
                return None  # "thickening, likely due to infiltration by a prostatic mass"
            return named
        last = {draft.tumor_type for draft in self.memory.last}
        following = heads[order + 1] if order + 1 < len(heads) else None
        stop = row.phrase_start(following) if following is not None else len(row.items)
        own = any(
            not row.items[index].entry.implied
            and not last & set(row.items[index].entry.organs)
            and not is_history(row, index)
            for index in row.indices(Label.ORGAN)
            if index < max(stop, lesion)
        )
        if own or not begins_by_reference(row, before):
            return None
        meant = self.memory.meant(row, lesion)
        grows_in = row.items[lesion].entry.organs
        return None if not meant or (grows_in and meant[0].tumor_type not in grows_in) else meant

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
            if len({site.tumor_type for site in sites}) > 1:
                self.flags.add("organ_guessed")
            sites = sites[:1]
        lesion = heads[order]
        grown = grown_sites(row, lesion, sites)
        self.described.update(_types(sites) - _types(grown) - {TumorType.SOFT_TISSUE})  # a thick adrenal limb
        last = row.clause_end(lesion)
        if order + 1 < len(heads) and heads[order + 1] < last:
            last = max(lesion + 1, row.phrase_start(heads[order + 1]))
        stop = row.items[last - 1].end
        like = self.memory.last[0] if self.memory.last and is_similar(row, lesion) else None
        made = [
            part
            for site in grown
            for part in split_group(
                drafted(row, heads, order, site, sentence, polarity),
                row,
                sized,
                row.items[lesion].end,
                stop,
            )
        ]
        if made:
            liken(made[0], like)
            self.memory.keep(made)
            self.memory.last = made
            self._context = (sites[0],)
            listed = row.text.rstrip().endswith(";")  # "segment 2, 1.2 cm; segment 7, 2.3 cm"
            for draft in made:
                draft.listed = listed
        return made


def _types(sites: list[Site]) -> set[TumorType]:
    return {site.tumor_type for site in sites if site.tumor_type is not None}
