"""What a case and its report say: frozen records, strict about what is not known.

Words used for one thing only: *case* (one CT), *patient*, *finding* (in a report), *lesion* (in a reference mask),
*candidate* (in a prediction), *reader* (a radiologist).
"""

from __future__ import annotations

from enum import StrEnum
from math import pi, prod
from statistics import fmean
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, StringConstraints, model_validator

from rsuper_bench.benchmark.tumor_types import Sex, Side, TumorType

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
Identifier = Annotated[str, StringConstraints(pattern=ID_PATTERN, strict=True)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Whole = Annotated[int, Field(ge=0, le=10**12)]  # a number of things; a float holds it exactly
Span = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]

MAX_REPORTED_AGE = 90  # HIPAA Safe Harbor: ages from 90 are one group


class Record(BaseModel):
    """Frozen; unknown keys, NaN and infinity refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Presence(StrEnum):
    """What a report says of focal lesions in one organ, cysts and benign ones included."""

    PRESENT = "present"
    ABSENT = "absent"
    UNCERTAIN = "uncertain"
    NOT_STATED = "not_stated"  # a silent report is neither present nor absent


class Kind(StrEnum):
    """What the report calls the lesion."""

    CYST = "cyst"
    MASS = "mass"
    METASTASIS = "metastasis"
    WALL_THICKENING = "wall_thickening"
    INDETERMINATE = "indeterminate"


class Attenuation(StrEnum):
    """Brightness relative to the organ around it."""

    HYPO = "hypo"
    ISO = "iso"
    HYPER = "hyper"
    MIXED = "mixed"
    UNKNOWN = "unknown"


class Malignancy(StrEnum):
    """What is known of the nature of the lesion."""

    MALIGNANT = "malignant"
    BENIGN = "benign"
    UNKNOWN = "unknown"


class MalignancySource(StrEnum):
    """Where the malignancy is known from."""

    REPORT = "report"
    PATHOLOGY = "pathology"


class Certainty(StrEnum):
    """How sure the report is of the finding."""

    CERTAIN = "certain"
    UNCERTAIN = "uncertain"


class CountRelation(StrEnum):
    """How the number of tumors is meant."""

    EXACT = "exact"
    AT_LEAST = "at_least"
    INNUMERABLE = "innumerable"


class Split(StrEnum):
    """Part of a release; a patient is in one only."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Phase(StrEnum):
    """Contrast phase of the CT."""

    NON_CONTRAST = "non_contrast"
    ARTERIAL = "arterial"
    PORTAL_VENOUS = "portal_venous"
    DELAYED = "delayed"
    UNKNOWN = "unknown"


class NotEvaluable(StrEnum):
    """Why an organ of a case can be neither positive nor negative."""

    ABSENT_BY_SEX = "absent_by_sex"
    RESECTED = "resected"
    OUT_OF_VIEW = "out_of_view"


class Count(Record):
    """Number of tumors a finding stands for."""

    value: Annotated[int, Field(ge=1, le=1000)] | None = 1
    relation: CountRelation = CountRelation.EXACT

    @model_validator(mode="after")
    def _value_fits_relation(self) -> Count:
        if self.value is None and self.relation is CountRelation.EXACT:
            raise ValueError("an exact count needs a value")
        return self


class Finding(Record):
    """One tumor, or one group of tumors, as a report describes it.

    ``evidence`` maps a field to the character span of the report its value was read from; a field in ``derived``
    follows from other fields or from a default instead. ``diameters_mm`` are those of the largest tumor of a group.
    """

    tumor_type: TumorType
    kind: Kind = Kind.INDETERMINATE
    location: str | None = None
    side: Side | None = None
    diameters_mm: Annotated[tuple[PositiveFloat, ...], Field(max_length=3)] = ()
    count: Count = Count()
    attenuation: Attenuation = Attenuation.UNKNOWN
    malignancy: Malignancy = Malignancy.UNKNOWN
    malignancy_source: MalignancySource | None = None
    certainty: Certainty = Certainty.CERTAIN
    series: Annotated[int, Field(ge=0)] | None = None
    image: Annotated[int, Field(ge=0)] | None = None
    evidence: dict[str, Span] = {}
    derived: tuple[str, ...] = ()

    @property
    def volume_mm3(self) -> float | None:
        """Ellipsoid volume (METHOD 1): an axis the report omits is the mean of those it gives; not rounded."""
        if not self.diameters_mm:
            return None
        axes_mm = [*self.diameters_mm, *[fmean(self.diameters_mm)] * (3 - len(self.diameters_mm))]
        return pi / 6 * prod(axes_mm)

    @model_validator(mode="after")
    def _location_is_of_the_organ(self) -> Finding:
        names = [segment.name for segment in self.tumor_type.anatomy.segments]
        if self.location is not None and self.location not in names:
            raise ValueError(f"{self.tumor_type} has no segment '{self.location}'; known: {', '.join(names) or 'none'}")
        return self

    @model_validator(mode="after")
    def _spans_are_of_fields(self) -> Finding:
        fields = set(Finding.model_fields) - {"evidence", "derived"}
        for name, span in self.evidence.items():
            if name not in fields:
                raise ValueError(f"evidence names no field: '{name}'")
            if span[1] <= span[0]:
                raise ValueError(f"evidence of '{name}' is an empty span")
        unknown = set(self.derived) - fields
        if unknown:
            raise ValueError(f"derived names no field: {', '.join(sorted(unknown))}")
        return self


class Extractor(Record):
    """Provenance of an extraction."""

    name: str
    version: str
    model: str | None = None
    prompt_digest: str | None = None


class ReportFindings(Record):
    """What one report says; one line of a findings file (F.jsonl). It never holds report text."""

    case_id: Identifier
    presence: dict[TumorType, Presence]
    findings: tuple[Finding, ...] = ()
    not_evaluable: dict[TumorType, NotEvaluable] = {}
    flags: tuple[str, ...] = ()
    extractor: Extractor

    @model_validator(mode="after")
    def _findings_agree_with_presence(self) -> ReportFindings:
        check_findings_agree(self.case_id, self.presence, self.findings)
        return self


class CtInfo(Record):
    """Facts about the CT of a case. ``file`` is relative to the release or to the source folder.

    ``fingerprint`` is of the picture and not of the bytes: it finds the same scan on another grid.
    """

    file: str
    sha256: Sha256
    shape: tuple[int, int, int]
    spacing_mm: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    orientation: Annotated[str, StringConstraints(pattern=r"^[LR][AP][IS]$|^[A-Z]{3}$")]
    phase: Phase = Phase.UNKNOWN
    scanner: str | None = None
    kvp: PositiveFloat | None = None
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")] | None = None


class CaseRecord(Record):
    """What one CT-report pair tells us.

    Attributes:
        presence: Missing types are ``not_stated``.
        lesion_masks: Lesion volume in mm^3 of each type whose lesions are all drawn in the lesion mask (0 = drawn,
            none there); a type that is missing here has no lesion mask.
        organ_labels: Labels that the organ mask shows.
        derived_from: The anatomy a planted or re-sampled case comes from.
    """

    case_id: Identifier
    patient_id: Identifier
    source: str
    licence: str
    redistributable: bool
    split: Split
    ct: CtInfo
    sex: Sex | None = None
    age: Annotated[float, Field(ge=0, le=MAX_REPORTED_AGE)] | None = None
    synthetic: bool = False
    derived_from: str | None = None
    organ_labels: tuple[str, ...] = ()
    lesion_masks: dict[TumorType, Annotated[float, Field(ge=0)]] = {}
    presence: dict[TumorType, Presence]
    findings: tuple[Finding, ...] = ()
    not_evaluable: dict[TumorType, NotEvaluable] = {}
    extractor: Extractor

    @model_validator(mode="after")
    def _findings_agree_with_presence(self) -> CaseRecord:
        check_findings_agree(self.case_id, self.presence, self.findings)
        return self

    def presence_of(self, tumor_type: TumorType) -> Presence:
        """Stated presence of lesions of a type; ``not_stated`` when the report is silent."""
        return self.presence.get(tumor_type, Presence.NOT_STATED)

    def findings_of(self, tumor_type: TumorType) -> tuple[Finding, ...]:
        """Findings of one type, in report order."""
        return tuple(finding for finding in self.findings if finding.tumor_type is tumor_type)


def check_findings_agree(case_id: str, presence: dict[TumorType, Presence], findings: tuple[Finding, ...]) -> None:
    """Refuse a finding of a type whose presence is not stated as present or uncertain."""
    for finding in findings:
        stated = presence.get(finding.tumor_type, Presence.NOT_STATED)
        if stated not in (Presence.PRESENT, Presence.UNCERTAIN):
            raise ValueError(f"case {case_id}: has a {finding.tumor_type} finding but presence says '{stated}'")
