"""A source and an extractor small enough to follow by hand."""

import re
from dataclasses import dataclass, field

import numpy as np

from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.records import Extractor, Finding, Kind, Presence, ReportFindings
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.label_map import LESION_NUMBER, ORGAN_NUMBER
from rsuper_bench.dataset_builder.raw_case import CaseKey, RawCase
from rsuper_bench.dataset_builder.rejection import CaseError, Reason

LPS = np.array([[-2.0, 0, 0, 10], [0, -2.0, 0, 20], [0, 0, 4.0, 30], [0, 0, 0, 1]])
SHAPE = (6, 5, 4)


@dataclass(frozen=True)
class WordExtractor:
    """Reads ``liver 12 mm`` (a tumor), ``no liver`` and ``perhaps liver``."""

    version: str = "1"

    @property
    def info(self):
        return Extractor(name="words", version=self.version)

    def extract(self, case_id, report, pathology_report=None):
        presence, findings = {}, []
        for word in re.finditer(r"(no |perhaps )?(liver|spleen|lung)(?: (\d+) mm)?", report):
            kind = TumorType(word[2])
            presence[kind] = {"no ": Presence.ABSENT, "perhaps ": Presence.UNCERTAIN}.get(word[1], Presence.PRESENT)
            if presence[kind] is Presence.PRESENT:
                size = (float(word[3]),) if word[3] else ()
                evidence = {"diameters_mm": word.span(3)} if word[3] else {}
                findings.append(Finding(tumor_type=kind, kind=Kind.MASS, diameters_mm=size, evidence=evidence))
        presence.setdefault(TumorType.LUNG, Presence.NOT_STATED)
        return ReportFindings(case_id=case_id, presence=presence, findings=tuple(findings), extractor=self.info)


@dataclass(frozen=True)
class TinySource:
    """Cases ``case-000`` and on; every third has a liver tumor of eight voxels, 128 mm^3 (6.25 mm across)."""

    n: int = 9
    bad: tuple[str, ...] = ()
    cts_per_patient: int = 1
    anatomies: int | None = None
    changes: dict = field(default_factory=dict)  # fields of RawCase to replace, by case id

    def keys(self):
        return [
            CaseKey(f"case-{i:03d}", f"patient-{i // self.cts_per_patient:03d}", derived_from=self._anatomy(i))
            for i in range(self.n)
        ]

    def _anatomy(self, index):
        return None if self.anatomies is None else f"anatomy-{index % self.anatomies}"

    def make(self, key):
        if key.case_id in self.bad:
            raise CaseError.because(Reason.UNREADABLE_IMAGE, [])
        index = int(key.case_id[-3:])
        rng = np.random.default_rng(index)
        organs = np.zeros(SHAPE, np.uint8)
        organs[1:5, 1:4, 1:3] = ORGAN_NUMBER["liver"]
        lesions = np.zeros(SHAPE, np.uint8)
        tumor = index % 3 == 0
        if tumor:
            lesions[2:4, 1:3, 1:3] = LESION_NUMBER[TumorType.LIVER]
        fields = {
            "case_id": key.case_id,
            "patient_id": key.patient_id,
            "source": "tiny",
            "licence": "CC0-1.0",
            "redistributable": True,
            "ct": Volume(rng.integers(-1000, 1000, SHAPE).astype(np.int16), LPS),
            "report": "There is a liver 6 mm mass, no spleen." if tumor else "no liver, perhaps spleen",
            "organs": Volume(organs, LPS),
            "lesions": Volume(lesions, LPS),
            "lesion_types": (TumorType.LIVER,),
            "age": 50.0 + index,
            "synthetic": True,
            "derived_from": key.derived_from,
        }
        return RawCase(**(fields | self.changes.get(key.case_id, {})))
