"""The extractor: a report in, what it says out."""

from __future__ import annotations

import re

from rsuper_bench.benchmark import records
from rsuper_bench.benchmark.records import (
    Kind,
    Malignancy,
    MalignancySource,
    NotEvaluable,
    Presence,
    ReportFindings,
)
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft, apply_malignancy
from rsuper_bench.dataset_builder.extraction.rules.merge import merge_drafts
from rsuper_bench.dataset_builder.extraction.rules.pathology import add_pathology
from rsuper_bench.dataset_builder.extraction.rules.readable import why_unreadable
from rsuper_bench.dataset_builder.extraction.rules.reader import ReportReader
from rsuper_bench.dataset_builder.extraction.rules.sections import read_sections

VERSION = "3"
MAX_CHARACTERS = 250_000  # no report is longer; what lies beyond is not read, and flagged
_MEASURED_PLACEHOLDER = re.compile(r"(?<!_)_{2,}+\s{0,3}(?:x\s{0,3}_{2,}+\s{0,3}){0,2}(?:cm|mm)\b", re.IGNORECASE)
_WITHOUT_UNIT = re.compile(
    r"(?<![\d.x×])\d{1,3}\.\d{1,2}(?:\s?[x×]\s?\d{1,3}\.\d{1,2}){1,2}(?!\d|\.\d)(?!\s{0,3}(?:[x×]|cm|mm|centi|milli|\())",
    re.IGNORECASE,
)


class RulesExtractor:
    """Reads findings with rules and a lexicon: deterministic, on a CPU, without any model.

    A type is ``present`` when at least one lesion of its organ is affirmed (cysts and benign ones included),
    ``uncertain`` when lesions are only hedged, ``absent`` when they are denied, the organ is called normal, or the
    organ is described without any lesion (then flagged ``described_without_lesion:<type>``), else ``not_stated``.
    A text that is no report in English states nothing and is flagged ``failed:<reason>``.
    """

    @property
    def info(self) -> records.Extractor:
        """Provenance."""
        return records.Extractor(name="rules", version=VERSION)

    def extract(self, case_id: str, report: str, pathology_report: str | None = None) -> ReportFindings:
        """Read one report; any text is read, however odd. See :class:`..extractor.Extractor`."""
        if (reason := why_unreadable(report)) is not None:
            nothing = dict.fromkeys(TumorType, Presence.NOT_STATED)
            return ReportFindings(case_id=case_id, presence=nothing, flags=(f"failed:{reason}",), extractor=self.info)
        reader = ReportReader()
        text = report[:MAX_CHARACTERS]
        if len(report) > MAX_CHARACTERS:
            reader.flags.add("truncated")
        if _MEASURED_PLACEHOLDER.search(text):
            reader.flags.add("blank_measurement")
        if _WITHOUT_UNIT.search(text):
            reader.flags.add("unitless_measurement")
        for sentence in read_sections(text):
            reader.read(sentence)
        if not reader.has_body:
            reader.flags.add("only_history")
        drafts, contradicted = merge_drafts(reader.memory.drafts)
        reader.flags.update(f"contradiction:{tumor_type}" for tumor_type in contradicted)
        if reader.memory.overflow:
            reader.flags.add("too_many_findings")
        _settle(drafts, reader)
        if pathology_report:
            add_pathology(drafts, pathology_report[:MAX_CHARACTERS])
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


def _settle(drafts: list[Draft], reader: ReportReader) -> None:
    """Set what only the whole report tells: names that agree ("cyst or hemangioma"), the known primary tumor."""
    for draft in drafts:
        natures = {entry.malignancy for entry, _ in draft.alternatives}
        kinds = {entry.kind for entry, _ in draft.alternatives}
        if len(draft.alternatives) < 2:
            continue
        if draft.malignancy is Malignancy.UNKNOWN and len(natures) == 1:
            apply_malignancy(draft, *draft.alternatives[0])
        if draft.kind is Kind.INDETERMINATE and len(kinds) == 1:
            draft.kind = kinds.pop() or Kind.INDETERMINATE
            draft.spans["kind"] = draft.alternatives[0][1]
    for tumor_type in reader.known:
        masses = [draft for draft in drafts if draft.tumor_type is tumor_type and draft.kind is Kind.MASS]
        if len(masses) == 1 and masses[0].malignancy is Malignancy.UNKNOWN and not masses[0].doubted:
            masses[0].malignancy, masses[0].malignancy_source = Malignancy.MALIGNANT, MalignancySource.REPORT


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
        if stated is Presence.PRESENT and tumor_type in reader.plain:
            flags.add(f"contradiction:{tumor_type}")
        if stated is Presence.PRESENT and reader.gone.get(tumor_type) is NotEvaluable.RESECTED:
            flags.add(f"lesion_in_resected_organ:{tumor_type}")
    return flags
