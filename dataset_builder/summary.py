"""Counts of a release, for its card."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rsuper_bench.benchmark.records import CaseRecord, Extractor, Presence, Split
from rsuper_bench.benchmark.tumor_types import TumorType


@dataclass
class Summary:
    """Counts over the cases added so far. Holds no case.

    Attributes:
        anatomies: Anatomy that cases are derived from -> a case of it in each split.
    """

    cases: Counter[Split] = field(default_factory=Counter)
    patients: dict[Split, set[str]] = field(default_factory=dict)
    presence: Counter[tuple[Split, TumorType, Presence]] = field(default_factory=Counter)
    masks: Counter[TumorType] = field(default_factory=Counter)
    findings: Counter[TumorType] = field(default_factory=Counter)
    sized: Counter[TumorType] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    extractors: set[Extractor] = field(default_factory=set)
    anatomies: dict[str, dict[Split, str]] = field(default_factory=dict)
    n_synthetic: int = 0
    n_with_organs: int = 0
    n_redistributable: int = 0

    def add(self, record: CaseRecord) -> None:
        """Count one case."""
        self.cases[record.split] += 1
        self.patients.setdefault(record.split, set()).add(record.patient_id)
        self.presence.update((record.split, kind, record.presence_of(kind)) for kind in TumorType)
        self.masks.update(record.lesion_masks.keys())
        self.findings.update(finding.tumor_type for finding in record.findings)
        self.sized.update(finding.tumor_type for finding in record.findings if finding.diameters_mm)
        self.licences[record.licence] += 1
        self.sources[record.source] += 1
        self.extractors.add(record.extractor)
        if record.derived_from is not None:
            self.anatomies.setdefault(record.derived_from, {}).setdefault(record.split, record.case_id)
        self.n_synthetic += record.synthetic
        self.n_with_organs += bool(record.organ_labels)
        self.n_redistributable += record.redistributable

    @property
    def n_cases(self) -> int:
        """All cases."""
        return sum(self.cases.values())

    @property
    def stated_types(self) -> list[TumorType]:
        """Types of which any report or mask says anything."""
        return [
            kind
            for kind in TumorType
            if self.masks[kind] or any(self._n(kind, presence) for presence in Presence if presence != "not_stated")
        ]

    def type_row(self, kind: TumorType) -> dict[str, int]:
        """Cases of one type by what the report says, and with a mask; findings, and findings with a size."""
        counts = {str(presence): self._n(kind, presence) for presence in Presence}
        return counts | {"masks": self.masks[kind], "findings": self.findings[kind], "sized": self.sized[kind]}

    def _n(self, kind: TumorType, presence: Presence) -> int:
        return sum(self.presence[split, kind, presence] for split in Split)
