"""What an extractor is, and how to get one by name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Protocol

from rsuper_bench.benchmark import records
from rsuper_bench.benchmark.errors import ConfigError, Problem

EXTRACTORS = ("rules",)


class Extractor(Protocol):
    """Reads one report at a time."""

    @property
    def info(self) -> records.Extractor:
        """Provenance: what stands beside every finding it makes."""
        ...

    def extract(self, case_id: str, report: str, pathology_report: str | None = None) -> records.ReportFindings:
        """Read the findings of one report.

        Args:
            case_id: Id of the case; it matches :data:`rsuper_bench.benchmark.records.ID_PATTERN`.
            report: The whole report. Evidence spans are character offsets into this text.
            pathology_report: Text of the pathology report of the same lesions, where there is one.

        Returns:
            What the report says. It holds no text of the report.
        """
        ...


def make_extractor(name: str) -> Extractor:
    """Make an extractor by name.

    Raises:
        ConfigError: For an unknown name ("did you mean" included).
    """
    if name == "rules":
        from rsuper_bench.dataset_builder.extraction.rules import RulesExtractor

        return RulesExtractor()
    if name == "llm":
        raise ConfigError.of(
            [
                Problem(
                    "--extractor",
                    "'llm' reads many reports at once, through a server",
                    f"one of: {', '.join(EXTRACTORS)}",
                    "Use rsuper-bench dataset extract --extractor llm --endpoint URL.",
                )
            ]
        )
    close = get_close_matches(name, EXTRACTORS, n=1)
    fix = f"Did you mean '{close[0]}'?" if close else "Choose one of them."
    raise ConfigError.of(
        [Problem("--extractor", f"unknown extractor {name[:40]!a}", f"one of: {', '.join(EXTRACTORS)}", fix)]
    )
