"""What the pathology report of a case adds: whether its lesions are malignant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rsuper_bench.benchmark.records import Kind, Malignancy, MalignancySource
from rsuper_bench.benchmark.tumor_types import Side, TumorType
from rsuper_bench.dataset_builder.extraction.pathology_match import Diagnosis, natures_of
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft
from rsuper_bench.dataset_builder.extraction.rules.items import Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.negation import Polarity, polarity_of
from rsuper_bench.dataset_builder.extraction.rules.rows import row_of
from rsuper_bench.dataset_builder.extraction.rules.sections import SectionKind, Sentence, read_sections
from rsuper_bench.dataset_builder.extraction.rules.segments import places_in
from rsuper_bench.dataset_builder.extraction.rules.sites import Site, site_at, sites_of
from rsuper_bench.dataset_builder.extraction.rules.topics import header_places, topic_sites


def add_pathology(drafts: Sequence[Draft], pathology_report: str) -> None:
    """Set the malignancy of findings from the pathology report of the same case.

    A diagnosis holds for the findings of its organ, side and place, and spares those the report calls benign (see
    :mod:`..pathology_match`); two natures for one finding leave it as it is. A diagnosis without an organ counts only
    when all findings are of one organ. Spans would point into another text, so the values count as derived.
    """
    found_types = {draft.tumor_type for draft in drafts}
    only = next(iter(found_types)) if len(found_types) == 1 else None
    diagnoses = [
        diagnosis
        for sentence in read_sections(pathology_report)
        if sentence.section not in (SectionKind.HISTORY, SectionKind.SKIP)
        for diagnosis in _diagnoses(sentence, only)
    ]
    for draft, natures in zip(drafts, natures_of(drafts, diagnoses), strict=True):
        if len(natures) == 1:
            draft.malignancy = next(iter(natures))
            draft.malignancy_source = MalignancySource.PATHOLOGY
            draft.spans.pop("malignancy", None)
            draft.spans.pop("malignancy_source", None)


def _diagnoses(sentence: Sentence, only: TumorType | None) -> Iterator[Diagnosis]:
    row = row_of(sentence.text, sentence.start)
    for index, item in enumerate(row.items):
        nature = item.entry.malignancy
        if nature in (None, Malignancy.UNKNOWN) or polarity_of(row, index) in (Polarity.DENIED, Polarity.DOUBTED):
            continue
        sites = _sites_of(row, index) or [site for site in topic_sites(sentence.topic) if site.tumor_type is not None]
        if not sites and only is not None:
            sites = [Site(only)]
        for site in sites:
            organ = site.tumor_type
            if organ is not None and nature is not None:
                places = _places(row, sentence, organ)
                yield Diagnosis(organ, nature, _side(row, sentence, site), places, item.entry.kind is Kind.CYST)


def _sites_of(row: Row, index: int) -> list[Site]:
    """The organs a diagnosis is about: its own site, else the organs its sentence names."""
    if row.items[index].label is Label.LESION:
        own = [site for site in sites_of(row, index, False) if site.tumor_type is not None]
        if own:
            return own
    named = [site for position in row.indices(Label.ORGAN) for site in site_at(row, position)]
    return list({site.tumor_type: replace(site, span=None, side_span=None) for site in named}.values())


def _side(row: Row, sentence: Sentence, site: Site) -> Side | None:
    """The side of the tissue: that of the organ word, else the only one the sentence names, else that of the header."""
    if site.side is not None or site.tumor_type is None or not site.tumor_type.anatomy.sided:
        return site.side
    sides = {row.items[index].entry.side for index in row.indices(Label.SIDE)}
    if not sides:
        sides = {other.side for other in topic_sites(sentence.topic) if other.tumor_type is site.tumor_type}
    return sides.pop() if len(sides) == 1 else None


def _places(row: Row, sentence: Sentence, organ: TumorType) -> frozenset[str]:
    """Sub-segments that the sentence or its header names."""
    named = places_in(row, organ, (row.offset, row.offset + len(row.text)))
    if not named and sentence.topic is not None:
        named = header_places(sentence.topic, organ)
    return frozenset(name for name, _ in named)
