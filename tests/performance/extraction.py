"""Time the rules extractor: ``python tests/performance/extraction.py [REPORTS.csv]``.

One process, one thread, processor time, best of five rounds, so that other work on the machine moves the figure little.
Without a file it reads 200 reports the grammar writes (about 1 200 characters each); with one, the reports of the file.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import fmean

import numpy as np

from rsuper_bench.benchmark.records import Attenuation, Finding, Kind
from rsuper_bench.benchmark.tumor_types import Sex, TumorType
from rsuper_bench.dataset_builder.extraction import RulesExtractor
from rsuper_bench.dataset_builder.extraction.reports_file import read_reports
from rsuper_bench.dataset_builder.report_grammar import Scene, write_report

N_REPORTS = 200
ROUNDS = 5


def grammar_reports() -> list[str]:
    organs = tuple(kind for kind in TumorType if kind is not TumorType.PROSTATE)
    reports = []
    for seed in range(N_REPORTS):
        rng = np.random.default_rng(seed)
        findings = tuple(
            Finding(tumor_type=kind, kind=Kind.MASS, diameters_mm=(30.0, 20.0, 10.0), attenuation=Attenuation.HYPO)
            for kind in organs
            if rng.random() < 0.5 and not kind.anatomy.sided
        )
        reports.append(write_report(Scene(findings, organs, sex=Sex.FEMALE, age=60.0), rng).text)
    return reports


def reports_per_second(reports: list[str]) -> float:
    reader = RulesExtractor()
    reader.extract("warm-up", reports[0])  # reads the lexicon
    best = 0.0
    for _ in range(ROUNDS):
        start = time.process_time()
        for report in reports:
            reader.extract("case", report)
        best = max(best, len(reports) / (time.process_time() - start))
    return best


if __name__ == "__main__":
    texts = [row.report for row in read_reports(Path(sys.argv[1]))] if len(sys.argv) > 1 else grammar_reports()
    print(f"{reports_per_second(texts):.0f} reports/s, {len(texts)} reports of {fmean(map(len, texts)):.0f} characters")
