"""Findings that were read before, as an extractor: how a release is built from what a language model read."""

from __future__ import annotations

from pathlib import Path

from rsuper_bench.benchmark import records
from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.records import ReportFindings
from rsuper_bench.dataset_builder.extraction.findings_file import read_findings, unread_problems


class StoredFindings:
    """Looks findings up by case id.

    Args:
        path: A findings file (F.jsonl).

    Raises:
        DataError: If it cannot be read, or holds reports that were never read (``failed:<reason>``).
    """

    def __init__(self, path: Path) -> None:
        self._name = str(path)
        self._records = read_findings(path)
        if problems := unread_problems(path, self._records):
            raise DataError.of(problems)

    @property
    def info(self) -> records.Extractor:
        """Provenance: that of the first line."""
        return next(iter(self._records.values())).extractor

    def extract(self, case_id: str, report: str, pathology_report: str | None = None) -> ReportFindings:  # noqa: ARG002
        """The findings of a case; see :class:`.extractor.Extractor`.

        Raises:
            DataError: If there are none, or their spans lie outside the report: they were read from another text.
        """
        record = self._records.get(case_id)
        where = f"{self._name}: {case_id}"
        fix = "Run dataset extract on the reports of this input."
        if record is None:
            raise DataError.of([Problem(where, "no line", "the findings of the case", fix)])
        ends = [span[1] for finding in record.findings for span in finding.evidence.values()]
        if max(ends, default=0) > len(report):
            found = "spans beyond the end of the report"
            raise DataError.of([Problem(where, found, "findings that were read from this report", fix)])
        return record
