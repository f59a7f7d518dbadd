"""One figure of a report."""

from __future__ import annotations

from pydantic import model_validator

from rsuper_bench.benchmark.records import Record, Whole


class Score(Record):
    """One figure. Undefined is a null value with a reason, never NaN."""

    value: float | None
    low: float | None = None
    high: float | None = None
    k: Whole | None = None
    n: Whole | None = None
    method: str | None = None
    reason: str | None = None
    higher_is_better: bool = True

    @model_validator(mode="after")
    def _undefined_has_a_reason(self) -> Score:
        if self.value is None and not self.reason:
            raise ValueError("a score without a value needs a reason")
        return self
