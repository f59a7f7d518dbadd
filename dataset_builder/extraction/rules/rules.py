"""The extractor: a report in, what it says out."""

from __future__ import annotations

import re

from rsuper_bench.benchmark import records
from rsuper_bench.benchmark.records import Malignancy, MalignancySource, NotEvaluable, Presence, ReportFindings
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft
from rsuper_bench.dataset_builder.extraction.rules.items import row_of
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.merge import merge_drafts
from rsuper_bench.dataset_builder.extraction.rules.negation import Polarity, polarity_of
from rsuper_bench.dataset_builder.extraction.rules.reader import ReportReader
from rsuper_bench.dataset_builder.extraction.rules.sections import read_sections
from rsuper_bench.dataset_builder.extraction.rules.sites import sites_of

VERSION = "1"
MAX_CHARACTERS = 1_000_000  # no report is longer; what lies beyond is not read, and flagged
MAX_FINDINGS = 500
_MEASURED_PLACEHOLDER = re.compile(r"_{2,}\s*(?:x\s*_{2,}\s*)*(?:cm|mm)\b", re.IGNORECASE)


class RulesExtractor:
    """Reads findings with rules and a lexicon: deterministic, on a CPU, without any model.

    A type is ``present`` when at least one lesion of its organ is affirmed (cysts and benign ones included),
    ``uncertain`` when lesions are only hedged, ``absent`` when they are denied, the organ is called normal, or the
    organ is described without any lesion (then flagged ``described_without_lesion:<type>``), else ``not_stated``.
    """

    @property
    def info(self) -> records.Extractor:
        """Provenance."""
        return records.Extractor(name="rules", version=VERSION)

    def extract(self, case_id: str, report: str, pathology_report: str | None = None) -> ReportFindings:
        """Read one report; any text is read, however odd. See :class:`..extractor.Extractor`."""
        reader = ReportReader()
        text = report[:MAX_CHARACTERS]
        if len(report) > MAX_CHARACTERS:
            reader.flags.add("truncated")
        if _MEASURED_PLACEHOLDER.search(text):
            reader.flags.add("blank_measurement")
        for sentence in read_sections(text):
            reader.read(sentence)
        drafts = merge_drafts(reader.drafts)
        if len(drafts) > MAX_FINDINGS:
            reader.flags.add("too_many_findings")
            drafts = drafts[:MAX_FINDINGS]
        if pathology_report:
            _add_pathology(drafts, pathology_report[:MAX_CHARACTERS])
        presence = {tumor_type: _presence(tumor_type, drafts, reader) for tumor_type in TumorType}
        gone = {
            organ: why
            for organ, why in reader.gone.items()
            if presence[organ] in (Presence.ABSENT, Presence.NOT_STATED)
        }
        for organ in gone:
            presence[organ] = Presence.NOT_STATED
        return ReportFindings(
            case_id=case_id,
            presence=presence,
            findings=tuple(draft.finding() for draft in drafts),
            not_evaluable=gone,
            flags=tuple(sorted(reader.flags | _presence_flags(presence, reader))),
            extractor=self.info,
        )


def _presence(tumor_type: TumorType, drafts: list[Draft], reader: ReportReader) -> Presence:
    own = [draft for draft in drafts if draft.tumor_type is tumor_type]
    if own:
        return Presence.UNCERTAIN if all(draft.doubted for draft in own) else Presence.PRESENT
    if tumor_type in reader.denied or tumor_type in reader.described:
        return Presence.ABSENT
    return Presence.NOT_STATED


def _presence_flags(presence: dict[TumorType, Presence], reader: ReportReader) -> set[str]:
    flags = set()
    for tumor_type, stated in presence.items():
        if stated is Presence.ABSENT and tumor_type not in reader.denied:
            flags.add(f"described_without_lesion:{tumor_type}")
        if stated is Presence.PRESENT and reader.gone.get(tumor_type) is NotEvaluable.RESECTED:
            flags.add(f"lesion_in_resected_organ:{tumor_type}")
    return flags


def _add_pathology(drafts: list[Draft], pathology_report: str) -> None:
    """Set the malignancy of findings from the pathology report of the same case.

    The report's word on an organ holds for all findings of that organ; words of both kinds leave it unknown.
    Spans would point into another text, so the values count as derived.
    """
    natures: dict[TumorType, set[Malignancy]] = {}
    for sentence in read_sections(pathology_report):
        row = row_of(sentence.text, sentence.start)
        organs = {organ for index in row.indices(Label.ORGAN) for organ in row.items[index].entry.organs}
        for index, item in enumerate(row.items):
            if item.entry.malignancy is None:
                continue
            polarity = polarity_of(row, index)
            if polarity in (Polarity.DENIED, Polarity.DOUBTED):
                continue
            named = (
                {site.tumor_type for site in sites_of(row, index, False) if site.tumor_type}
                if item.label is Label.LESION
                else set()
            )
            for organ in named or organs or {draft.tumor_type for draft in drafts}:
                natures.setdefault(organ, set()).add(item.entry.malignancy)
    for draft in drafts:
        known = natures.get(draft.tumor_type, set())
        if len(known) == 1:
            draft.malignancy = next(iter(known))
            draft.malignancy_source = MalignancySource.PATHOLOGY
            draft.spans.pop("malignancy", None)
            draft.spans.pop("malignancy_source", None)
