"""What a radiologist saw, and what the report then says."""

from __future__ import annotations

from dataclasses import dataclass, field

from rsuper_bench.benchmark.records import Extractor, Finding, NotEvaluable, Phase, Presence, ReportFindings
from rsuper_bench.benchmark.tumor_types import Sex, Side, TumorType

GRAMMAR = Extractor(name="grammar", version="1")


@dataclass(frozen=True)
class Stone:
    """A stone: no finding, but it has an organ and a size in the text."""

    organ: TumorType
    side: Side | None = None
    size_mm: float = 4.0


@dataclass(frozen=True)
class Scene:
    """What is to be reported.

    Attributes:
        findings: All lesions, cysts included, each with the three diameters the radiologist would measure.
        organs: Organs in view that the report is about, healthy ones included, in any order.
        stones: Stones to mention.
        sex: Decides which pelvic organs are written about.
        age: Age in years, for the indication.
        phase: Contrast phase, for the technique.
    """

    findings: tuple[Finding, ...]
    organs: tuple[TumorType, ...]
    stones: tuple[Stone, ...] = ()
    sex: Sex | None = None
    age: float | None = None
    phase: Phase = Phase.PORTAL_VENOUS


@dataclass(frozen=True)
class WrittenReport:
    """A report and what it says, in the words of a perfect reader: not what is true, but what is written."""

    text: str
    presence: dict[TumorType, Presence]
    findings: tuple[Finding, ...]
    not_evaluable: dict[TumorType, NotEvaluable] = field(default_factory=dict)

    def expected(self, case_id: str) -> ReportFindings:
        """What a perfect extractor returns."""
        return ReportFindings(
            case_id=case_id,
            presence=self.presence,
            findings=self.findings,
            not_evaluable=self.not_evaluable,
            extractor=GRAMMAR,
        )
