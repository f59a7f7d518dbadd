"""Read the gold set: report texts with their labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from rsuper_bench.benchmark.records import Extractor, ReportFindings

FOLDER = Path(__file__).parent
DEVELOPMENT, HELDOUT, HELDOUT2 = "development", "heldout", "heldout2"
HALVES = (DEVELOPMENT, HELDOUT, HELDOUT2)
LABELLER = Extractor(name="gold", version="1")


class GoldReport(NamedTuple):
    """A report and what it says."""

    text: str
    findings: ReportFindings


def read_gold(half: str) -> list[GoldReport]:
    """Reports of one of ``HALVES``, in file order; pydantic refuses a label that breaks the format."""
    reports = []
    for line in (FOLDER / f"{half}.jsonl").read_text("utf-8").splitlines():
        content = json.loads(line)
        text = content.pop("report")
        reports.append(GoldReport(text, ReportFindings.model_validate({**content, "extractor": LABELLER})))
    return reports
