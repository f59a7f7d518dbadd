"""Making a finding of a lesion word, and adding what a name says of it."""

from __future__ import annotations

from rsuper_bench.benchmark.records import Attenuation, Kind, Malignancy
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft, apply_kind, apply_malignancy, describe
from rsuper_bench.dataset_builder.extraction.rules.exclusions import is_open_wall
from rsuper_bench.dataset_builder.extraction.rules.grouping import set_size
from rsuper_bench.dataset_builder.extraction.rules.items import Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.measurements import Measurement
from rsuper_bench.dataset_builder.extraction.rules.negation import Polarity
from rsuper_bench.dataset_builder.extraction.rules.references import is_alternative, is_definite
from rsuper_bench.dataset_builder.extraction.rules.sections import Sentence
from rsuper_bench.dataset_builder.extraction.rules.segments import locate
from rsuper_bench.dataset_builder.extraction.rules.sites import Site
from rsuper_bench.dataset_builder.extraction.rules.topics import header_places, topic_sites

_CONTENTS = frozenset(
    ["stool", "retained stool", "fecal material", "debris", "mucus", "mucus plug", "clot", "blood clot",
     "blood product", "food", "ingested material", "sludge", "fold", "mucosal fold", "stone", "gastric fold",
     "rugal fold"]
)  # fmt: skip


def drafted(
    row: Row,
    heads: list[int],
    order: int,
    site: Site,
    sentence: Sentence,
    polarity: Polarity,
) -> Draft:
    """Make the finding a lesion word stands for, with all its words say.

    Args:
        row: The sentence.
        heads: Positions of its lesion words.
        order: Which of them.
        site: The organ it is in.
        sentence: Where the sentence stands.
        polarity: Affirmed or doubted.
    """
    lesion = heads[order]
    draft = Draft(
        tumor_type=site.tumor_type or TumorType.SOFT_TISSUE, section=sentence.section, paragraph=sentence.paragraph
    )
    _set_site(draft, site)
    first = heads[order - 1] + 1 if order else 0
    last = max(lesion + 1, row.phrase_start(heads[order + 1])) if order + 1 < len(heads) else len(row.items)
    describe(draft, row, lesion, (max(first, row.clause_start(lesion)), min(last, row.clause_end(lesion))))
    if polarity is Polarity.DOUBTED or is_open_wall(row, lesion):
        draft.doubted = True
        draft.spans["certainty"] = _hedge_span(row, lesion)
    draft.definite = is_definite(row, lesion)
    draft.diagnosis = row.items[lesion].entry.malignancy is Malignancy.MALIGNANT
    locate(draft, row, lesion, heads, order)
    _locate_by_header(draft, sentence)
    return draft


def place_in(draft: Draft, site: Site, row: Row, sentence: Sentence, anchor: int) -> None:
    """Give a finding without a lesion word its organ, side and sub-segment."""
    _set_site(draft, site)
    locate(draft, row, anchor, [anchor], 0)
    _locate_by_header(draft, sentence)


def _set_site(draft: Draft, site: Site) -> None:
    if site.span is not None:
        draft.spans["tumor_type"] = site.span
    if site.side is not None:
        draft.side = site.side
        if site.side_span is not None:
            draft.spans["side"] = site.side_span


def _locate_by_header(draft: Draft, sentence: Sentence) -> None:
    named_types = {site.tumor_type for site in topic_sites(sentence.topic)}
    if draft.location is None and sentence.topic is not None and draft.tumor_type in named_types:
        named = header_places(sentence.topic, draft.tumor_type)
        apart = draft.count.value != 1 and len({name for name, _ in named}) > 1
        if named and not apart:  # "PANCREATIC TAIL: 2 cm cyst"
            draft.location, draft.spans["location"] = named[0]


def characterise(named: list[Draft], row: Row, lesion: int, sized: list[Measurement], polarity: Polarity) -> None:
    """Take kind, nature, size and place from a word that names findings already read."""
    item = row.items[lesion]
    alternative = is_alternative(row, lesion)
    for draft in named:
        if alternative:
            if _is_perhaps_nothing(row, lesion):  # "filling defect, polyp versus stool"
                draft.doubted = True
                draft.spans["certainty"] = item.span
                draft.kind = item.entry.kind if draft.kind is Kind.INDETERMINATE and item.entry.kind else draft.kind
            elif polarity is not Polarity.DOUBTED:
                draft.alternatives.append((item.entry, item.span))
        elif polarity is not Polarity.DOUBTED:
            open_kind = draft.kind in (Kind.INDETERMINATE, Kind.MASS)
            open_kind = open_kind or (draft.kind is Kind.CYST and draft.malignancy is not Malignancy.BENIGN)
            if open_kind and item.entry.kind is not Kind.INDETERMINATE:
                apply_kind(draft, item.entry, item.span)
            elif draft.malignancy is Malignancy.UNKNOWN:
                apply_malignancy(draft, item.entry, item.span)
        if draft.attenuation is Attenuation.UNKNOWN:
            _brighten(draft, row, lesion)
        if sized and not draft.diameters_mm:
            set_size(draft, sized[0])
        if draft.location is None and draft.count.value == 1:
            locate(draft, row, lesion, [lesion], 0)


def _is_perhaps_nothing(row: Row, lesion: int) -> bool:
    """Whether the other name is that of what a hollow organ holds: "polyp versus adherent stool"."""
    for step in (1, -1):
        near = row.items[lesion + 1 : lesion + 5] if step == 1 else row.items[max(0, lesion - 4) : lesion][::-1]
        if near and near[0].text in ("versus", "vs", "or"):
            for item in near[1:]:
                if item.label is Label.THING:
                    return item.text in _CONTENTS
                if item.label not in (Label.WORD, Label.PUNCTUATION, Label.INDEFINITE, Label.ATTENUATION):
                    break
    return False


def _brighten(draft: Draft, row: Row, lesion: int) -> None:
    """Take the attenuation said before a name: "It is hypodense, likely a cyst"."""
    for other in row.items[row.clause_start(lesion) : lesion]:
        if other.label is Label.ATTENUATION and other.entry.attenuation is not None:
            draft.attenuation, draft.spans["attenuation"] = other.entry.attenuation, other.span
            return


def _hedge_span(row: Row, lesion: int) -> tuple[int, int]:
    hedges = row.indices(Label.HEDGE)
    if not hedges:
        return row.items[lesion].span
    nearest = min(hedges, key=lambda index: (abs(index - lesion), index))
    return row.items[nearest].span
