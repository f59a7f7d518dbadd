"""Which pathology report belongs to which report: that of the same case, if need be within a number of days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rsuper_bench.benchmark.records import ReportFindings
from rsuper_bench.dataset_builder.extraction.reports_file import ReportRow

OUT_OF_WINDOW = "pathology_out_of_window"
DATE_UNKNOWN = "pathology_date_unknown"


@dataclass(frozen=True)
class LinkedRows:
    """Rows whose far-away pathology reports were put aside, and the flags that say so."""

    rows: list[ReportRow]
    flags: dict[str, str]

    def flagged(self, record: ReportFindings) -> ReportFindings:
        """The record with the flag of its case."""
        flag = self.flags.get(record.case_id)
        return record if flag is None else with_flag(record, flag)


def with_flag(record: ReportFindings, flag: str) -> ReportFindings:
    """The record with a flag more."""
    return record.model_copy(update={"flags": tuple(sorted({*record.flags, flag}))})


def link_pathology(rows: Sequence[ReportRow], days: int | None) -> LinkedRows:
    """Keep the pathology reports that are near enough.

    Args:
        rows: Reports with the pathology report of their case.
        days: Most days between the two, before or after. None: the case alone counts.

    Returns:
        The rows. With ``days``, one whose dates lie further apart loses its pathology report
        (``pathology_out_of_window``); one that lacks a date keeps it (``pathology_date_unknown``).
    """
    if days is None:
        return LinkedRows(list(rows), {})
    linked, flags = [], {}
    for row in rows:
        if row.pathology_report is not None:
            if row.report_date is None or row.pathology_date is None:
                flags[row.case_id] = DATE_UNKNOWN
            elif abs((row.pathology_date - row.report_date).days) > days:
                flags[row.case_id] = OUT_OF_WINDOW
                row = replace(row, pathology_report=None)
        linked.append(row)
    return LinkedRows(linked, flags)
