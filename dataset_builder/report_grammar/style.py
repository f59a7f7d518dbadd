"""How the grammar writes: shares of every habit of radiologists that makes reports hard to read by machine."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from rsuper_bench.benchmark.records import Fraction, Record
from rsuper_bench.benchmark.tumor_types import TumorType

Weights3 = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]


class ReportStyle(Record):
    """Shares are chances per finding, per organ or per report, as the name says.

    Attributes:
        unsized: Findings without a size, for all organs or one by one (a missing type: none). In real reports it is
            22 % (pancreas) to 78 % (esophagus) of the positive scans.
        not_stated: Healthy organs that the report passes over.
        hedged: Findings whose existence the report calls uncertain.
        equivocal: Healthy organs with an uncertain finding.
        diameters: Weights of one, two and three diameters.
        millimetres: Sizes in mm instead of cm.
        grouped: Organs with several findings that are told in one sentence ("three lesions, the largest ...").
        vague_count: Groups whose number is told as "multiple", "innumerable" or "at least two".
        attenuation: Findings whose attenuation is told.
        location: Findings whose sub-segment is told.
        image: Findings with series and image number.
        prior: Findings with an earlier size.
        malignancy: Findings called malignant or benign.
        combined_negatives: Reports that name several healthy organs in one sentence.
        distractors: Chance of each sentence about nodes, ducts, vessels and bones.
        organ_headings: Reports with a heading per organ ("LIVER: ...").
        impression: Reports with an impression.
        resected: Healthy resectable organs that the report calls surgically absent.
    """

    unsized: Fraction | dict[TumorType, Fraction] = 0.25
    not_stated: Fraction = 0.15
    hedged: Fraction = 0.06
    equivocal: Fraction = 0.02
    diameters: Weights3 = (0.45, 0.45, 0.1)
    millimetres: Fraction = 0.3
    grouped: Fraction = 0.5
    vague_count: Fraction = 0.25
    attenuation: Fraction = 0.85
    location: Fraction = 0.8
    image: Fraction = 0.25
    prior: Fraction = 0.15
    malignancy: Fraction = 0.1
    combined_negatives: Fraction = 0.6
    distractors: Fraction = 0.4
    organ_headings: Fraction = 0.35
    impression: Fraction = 0.9
    resected: Fraction = 0.0

    def unsized_of(self, kind: TumorType) -> float:
        """Share of the findings of a type that have no size."""
        return self.unsized.get(kind, 0.0) if isinstance(self.unsized, dict) else self.unsized

    @field_validator("diameters")
    @classmethod
    def _some_weight(cls, value: Weights3) -> Weights3:
        if not sum(value) > 0:
            raise ValueError("one of the three weights is above 0")
        return value
