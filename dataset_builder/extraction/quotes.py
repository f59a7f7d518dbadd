"""The words of a report behind a disagreement, for a reader who asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.dataset_builder.extraction.reports_file import ReportRow

CONTEXT = 30  # characters before and after a span
REPORTS_FIX = "Give the reports that the findings were read from."


def quoted_disagreements(disagreements: Sequence[dict[str, Any]], reports: Sequence[ReportRow]) -> list[str]:
    """One line for each disagreement, with the words it was read from between brackets.

    These lines hold report text: they are for the screen of someone who has the reports, never for a file or a log.

    Raises:
        DataError: When a report is missing or too short for a span; all at once, without any text.
    """
    texts = {row.case_id: row.report for row in reports}
    problems = []
    lines = []
    for item in disagreements:
        case_id, span = item["case_id"], item.get("span")
        if case_id not in texts:
            problems.append(Problem(f"case {case_id}", "not in the reports", "a report for each case", REPORTS_FIX))
            continue
        if span is not None and span[1] > len(texts[case_id]):
            problems.append(Problem(f"case {case_id}", "shorter than a span", "the text that was read", REPORTS_FIX))
            continue
        quote = "no words" if span is None else _quote(texts[case_id], *span)
        what = f"{case_id} {item['tumor_type']} {item['field']}: found {item['found']}, expected {item['expected']}"
        lines.append(f"{what}; read from: {quote}")
    if problems:
        raise DataError.of(list(dict.fromkeys(problems)))
    return lines


def _quote(text: str, start: int, end: int) -> str:
    before, after = text[max(start - CONTEXT, 0) : start], text[end : end + CONTEXT]
    words = " ".join(f"{before}[{text[start:end]}]{after}".split())
    return "".join(character if character.isprintable() else "?" for character in words)  # no terminal commands
