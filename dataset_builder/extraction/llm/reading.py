"""What is kept of an answer: verified values and spans, never text. It is also what the cache holds."""

from __future__ import annotations

from rsuper_bench.benchmark.records import Finding, Malignancy, NotEvaluable, Presence, Record
from rsuper_bench.benchmark.tumor_types import TumorType

NO_QUOTE = "no_quote"  # the quote is not in the report
MISFIT = "misfit"  # the quote is, but the value cannot be what it says: another number, a place of another organ

REPEATED = "repeated"  # a finding with the values and the words of an earlier one; weak models go round in circles


class Reading(Record):
    """One radiology report, read and verified.

    Attributes:
        dropped: ``<why>:<field>`` to the number of values left out, why being ``no_quote``, ``misfit`` or ``repeated``.
    """

    presence: dict[TumorType, Presence]  # no default: an empty object in the cache is no reading
    findings: tuple[Finding, ...] = ()
    not_evaluable: dict[TumorType, NotEvaluable] = {}
    flags: tuple[str, ...] = ()
    dropped: dict[str, int] = {}


class PathologyReading(Record):
    """One pathology report, read and verified: the natures it states for each organ."""

    natures: dict[TumorType, tuple[Malignancy, ...]]
    dropped: dict[str, int] = {}


class Drops:
    """Counts the values of one answer that were left out."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, why: str, field: str) -> None:
        """Count one value."""
        self._counts[f"{why}:{field}"] = self._counts.get(f"{why}:{field}", 0) + 1

    def counts(self) -> dict[str, int]:
        """Counts in the order of their names."""
        return dict(sorted(self._counts.items()))
