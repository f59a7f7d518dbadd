"""Score a reading of the gold set: ``python tests/gold/score.py [--half heldout2] [--findings F.jsonl]``.

Without ``--half`` the development half; ``--heldout`` is short for ``--half heldout``. The held-out ones print figures
only, never a case: who works on an extractor must not learn from them. Without ``--findings`` the rules extractor reads
the reports. ``--out A.json`` also writes the agreement. ``--write DIR`` writes ``reports.csv`` and ``labels.jsonl``
instead, for ``dataset extract`` with any other extractor.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gold_set import DEVELOPMENT, HALVES, HELDOUT, read_gold

from rsuper_bench.benchmark.files import csv_text, pretty_json, write_text
from rsuper_bench.benchmark.records import ReportFindings
from rsuper_bench.dataset_builder.extraction import RulesExtractor
from rsuper_bench.dataset_builder.extraction.agreement import agree
from rsuper_bench.dataset_builder.extraction.findings_file import read_findings, write_findings
from rsuper_bench.dataset_builder.extraction.reference_labels import labels_of


def score(half: str, findings: dict[str, ReportFindings] | None = None) -> dict[str, Any]:
    """Agreement of findings, by default those of the rules, with the labels of one half: the content of A.json."""
    reports = {report.findings.case_id: report for report in read_gold(half)}
    if findings is None:
        reader = RulesExtractor()
        findings = {case_id: reader.extract(case_id, report.text) for case_id, report in reports.items()}
    return agree(findings, labels_of({case_id: report.findings for case_id, report in reports.items()})).as_json()


def write_files(half: str, folder: Path) -> None:
    """Write the reports and the labels of one half as the commands read them."""
    reports = read_gold(half)
    folder.mkdir(parents=True, exist_ok=True)
    table = [{"case_id": report.findings.case_id, "report": report.text} for report in reports]
    write_text(folder / "reports.csv", csv_text(table, ("case_id", "report")))
    write_findings(folder / "labels.jsonl", [report.findings for report in reports])


def rows(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Field, count and share with its interval, in the order of a reader's interest."""
    micro = content["micro"]
    shares = [
        ("presence, sensitivity", micro["tp"], micro["tp"] + micro["fn"], micro["sensitivity"]),
        ("presence, precision", micro["tp"], micro["tp"] + micro["fp"], micro["precision"]),
        ("presence, specificity", micro["tn"], micro["tn"] + micro["fp"], micro["specificity"]),
        ("presence, four words", micro["presence"]["agree"], micro["presence"]["n"], micro["presence"]),
        ("largest size, exact", micro["size"]["exact"], micro["size"]["n"], micro["size_exact"]),
        ("largest size, within 1 mm", micro["size"]["within_1mm"], micro["size"]["n"], micro["size_within_1mm"]),
        *((name, field["agree"], field["n"], field) for name, field in content["fields"].items()),
        *(
            (f"{name}, where stated", field["where_stated"]["agree"], field["where_stated"]["n"], field["where_stated"])
            for name, field in content["fields"].items()
            if name not in ("certainty", "diameters_within_1mm")
        ),
    ]
    findings = micro["findings"]
    return [
        ("presence, F1", f"TP {micro['tp']} FP {micro['fp']} FN {micro['fn']}", interval(micro["f1"])),
        ("presence, F1 by report", "", interval(micro["f1_by_report"])),
        ("presence, macro F1", "", interval(content["macro"]["f1_by_report"])),
        (
            "findings, F1",
            f"{findings['found']} found, {findings['expected']} expected, {findings['paired']} paired",
            interval(findings["f1"]),
        ),
        *((name, f"{k}/{n}", interval(figure)) for name, k, n, figure in shares),
    ]


def interval(figure: dict[str, Any]) -> str:
    """A figure with its interval."""
    if figure["value"] is None:
        return "nothing to count"
    return f"{figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--half", choices=HALVES, default=DEVELOPMENT, help="which reports to score")
    which.add_argument("--heldout", dest="half", action="store_const", const=HELDOUT, help="score the held-out half")
    parser.add_argument("--out", type=Path, help="write A.json here (development half only)")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write reports.csv and labels.jsonl here; no scores")
    parser.add_argument("--findings", type=Path, metavar="F.jsonl", help="score these instead of the rules")
    options = parser.parse_args()
    half = options.half
    if half != DEVELOPMENT and options.out:
        parser.error("--out lists cases; a held-out half gives figures only")
    if options.write:
        write_files(half, options.write)
        return
    content = score(half, read_findings(options.findings) if options.findings else None)
    print(f"{half}: {len(read_gold(half))} synthetic reports, read by {options.findings or 'the rules'}\n")
    for name, tally in content["by_type"].items():
        counts = " ".join(f"{key.upper()} {tally[key]:3d}" for key in ("tp", "fp", "fn", "tn"))
        size = tally["size"]
        print(f"{name:12} {counts}  F1 {interval(tally['f1']):24} size {size['exact']}/{size['n']}")
    print()
    for name, count, share in rows(content):
        print(f"{name:30} {count:40} {share}")
    if options.out:
        write_text(options.out, pretty_json(content))


if __name__ == "__main__":
    main()
