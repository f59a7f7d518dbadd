"""What the pathology report of a case adds: whether its lesions are malignant."""

from __future__ import annotations

from collections.abc import Sequence

from rsuper_bench.benchmark.records import Malignancy, MalignancySource
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft
from rsuper_bench.dataset_builder.extraction.rules.items import Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.negation import Polarity, polarity_of
from rsuper_bench.dataset_builder.extraction.rules.rows import row_of
from rsuper_bench.dataset_builder.extraction.rules.sections import SectionKind, read_sections
from rsuper_bench.dataset_builder.extraction.rules.sites import sites_of
from rsuper_bench.dataset_builder.extraction.rules.topics import topic_sites


def add_pathology(drafts: Sequence[Draft], pathology_report: str) -> None:
    """Set the malignancy of findings from the pathology report of the same case.

    The report's word on an organ holds for all findings of that organ; words of both kinds leave them as they are. A
    diagnosis without an organ counts only when all findings are of one organ. Spans would point into another text, so
    the values count as derived.
    """
    found_types = {draft.tumor_type for draft in drafts}
    natures: dict[TumorType, set[Malignancy]] = {}
    for sentence in read_sections(pathology_report):
        if sentence.section in (SectionKind.HISTORY, SectionKind.SKIP):
            continue
        row = row_of(sentence.text, sentence.start)
        topic = {site.tumor_type for site in topic_sites(sentence.topic) if site.tumor_type is not None}
        for index, item in enumerate(row.items):
            nature = item.entry.malignancy
            if nature is None or polarity_of(row, index) in (Polarity.DENIED, Polarity.DOUBTED):
                continue
            organs = _organs_of(row, index) or topic or (found_types if len(found_types) == 1 else set())
            for organ in organs:
                natures.setdefault(organ, set()).add(nature)
    for draft in drafts:
        known = natures.get(draft.tumor_type, set())
        if len(known) == 1:
            draft.malignancy = next(iter(known))
            draft.malignancy_source = MalignancySource.PATHOLOGY
            draft.spans.pop("malignancy", None)
            draft.spans.pop("malignancy_source", None)


def _organs_of(row: Row, index: int) -> set[TumorType]:
    """Organs a diagnosis is about: its own site, else the organs its sentence names."""
    if row.items[index].label is Label.LESION:
        own = {site.tumor_type for site in sites_of(row, index, False) if site.tumor_type is not None}
        if own:
            return own
    return {organ for position in row.indices(Label.ORGAN) for organ in row.items[position].entry.organs}
