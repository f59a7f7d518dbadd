"""What ``rsuper-bench compare`` writes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rsuper_bench.benchmark.records import Fraction, Record
from rsuper_bench.benchmark.report import EvaluationReport


class Difference(Record):
    """One figure of two methods and their difference, first minus second. Undefined is null with a reason."""

    a: Fraction | None = None
    b: Fraction | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    method: str | None = None
    p: Annotated[float, Field(ge=0, le=1)] | None = None
    test: str | None = None
    p_holm: float | None = None  # adjusted for the tumor types tested with this metric; the mean is one test
    higher: Literal["a", "b"] | None = None  # where both the interval and the adjusted test say so
    reason: str | None = None


class Side(Record):
    """Whose report one side is."""

    team: str
    method: str
    submission_digest: str | None
    thresholds_digest: str | None
    imputed: int

    @classmethod
    def of(cls, report: EvaluationReport) -> Side:
        """Whom a report is of."""
        return cls(
            team=report.submission.team,
            method=report.submission.method,
            submission_digest=report.digests.get("submission"),
            thresholds_digest=report.digests.get("thresholds"),
            imputed=report.coverage.get("imputed", 0),
        )


class Comparison(Record):
    """Two reports of one fingerprint, case by case. Same reports and seed: same bytes."""

    schema_version: Literal[1] = 1
    task: str
    fingerprint: str
    confidence: float
    seed: int
    replicates: int
    n_cases: int
    n_patients: int
    a: Side
    b: Side
    statements: tuple[str, ...] = ()
    differences: dict[str, dict[str, Difference]]
