"""What every source yields: one CT with its report, before findings are extracted and a split is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.records import Finding, NotEvaluable, Phase, Split
from rsuper_bench.benchmark.tumor_types import Sex, TumorType
from rsuper_bench.dataset_builder.phi.dates import DateOrder


@dataclass(frozen=True)
class RawCase:
    """A CT-report pair with whatever masks the source has, all on one RAS grid.

    Attributes:
        organs: Label map with the numbers of :data:`rsuper_bench.dataset_builder.label_map.LABEL_MAP`, or None.
        lesions: Label map of lesions with the numbers of the same label map, or None.
        lesion_types: Types whose lesions are all drawn in ``lesions`` (an undrawn one is then a negative).
        planted_findings: What is truly in the image, where the source made it; for tests and agreement, never
            used as a label of the release, which reads the report like any other.
        study_date: Only to turn dates of the report into days from it (phi/redact.py); never carried.
        date_order: How the report writes dates in numbers.
    """

    case_id: str
    patient_id: str
    source: str
    licence: str
    redistributable: bool
    ct: Volume
    report: str
    pathology_report: str | None = None
    organs: Volume | None = None
    lesions: Volume | None = None
    lesion_types: tuple[TumorType, ...] = ()
    sex: Sex | None = None
    age: float | None = None
    phase: Phase = Phase.UNKNOWN
    scanner: str | None = None
    kvp: float | None = None
    split: Split | None = None
    synthetic: bool = False
    derived_from: str | None = None
    not_evaluable: dict[TumorType, NotEvaluable] = field(default_factory=dict)
    planted_findings: tuple[Finding, ...] = ()
    study_date: date | None = field(default=None, repr=False)
    date_order: DateOrder | None = None


@dataclass(frozen=True)
class CaseKey:
    """A case before it is made: enough to draw splits and shards without reading an image.

    Attributes:
        derived_from: The anatomy the case will come from, as in :class:`RawCase`; known before an image is read, so
            that a leak is refused before the work.
        input_digest: Changes when the input of this case changes (its row, the size and time of its files); an
            interrupted build makes such a case again.
    """

    case_id: str
    patient_id: str
    split: Split | None = None
    derived_from: str | None = None
    input_digest: str = ""


class Source(Protocol):
    """A place cases come from. One small file each."""

    def keys(self) -> Sequence[CaseKey]:
        """All cases, sorted by case id, without touching the images.

        Raises:
            DataError: When the source as a whole cannot be used (all problems at once).
        """
        ...

    def make(self, key: CaseKey) -> RawCase:
        """Read or generate one case; depends on nothing but the source's configuration and the key.

        Raises:
            DataError: When this case cannot be used; it then goes to ``rejected.csv``.
        """
        ...
