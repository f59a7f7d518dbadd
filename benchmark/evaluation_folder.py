"""Writing an evaluation: report, tables, figures, and what was run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rsuper_bench.benchmark.evaluation import Protocol
from rsuper_bench.benchmark.evaluation_work import evaluating
from rsuper_bench.benchmark.figures import write_figures
from rsuper_bench.benchmark.files import atomic_path, canonical_json, check_out_folder, pretty_json, write_text
from rsuper_bench.benchmark.report import REPORT_FILE, EvaluationReport
from rsuper_bench.benchmark.report_markdown import report_markdown
from rsuper_bench.benchmark.report_page import report_page
from rsuper_bench.benchmark.rsuper_protocol import PROTOCOL_FILE, report_protocol_table
from rsuper_bench.benchmark.worst_cases import WorstCases, worst_cases

PAGE_FILE = "report.html"
# In the order in which they take their place.
WRITTEN = ("figures", "report.md", PAGE_FILE, PROTOCOL_FILE, "run.json", REPORT_FILE)


def write_evaluation(
    report: EvaluationReport,
    folder: Path,
    *,
    protocol: Protocol | None = None,
    run: dict[str, Any] | None = None,
    worst: WorstCases | None = None,
) -> None:
    """Write ``report.json``, ``.md``, ``.html``, ``figures/`` and ``run.json``; ``metrics.csv`` for a protocol.

    Everything is made in a folder inside ``folder`` first; ``report.json`` arrives last, so a folder that holds one is
    complete.

    Args:
        report: What to write.
        folder: Where to; files of an earlier evaluation are replaced.
        protocol: ``rsuper`` adds the published table of volume thresholds.
        run: Time and command, kept outside every digest.
        worst: Misses and false alarms with their pictures; without pictures when None.

    Raises:
        ConfigError: If files of something else would be replaced.
        DataError: If another evaluation is at work in the folder.
    """
    with evaluating(folder):
        check_out_folder(folder, REPORT_FILE, WRITTEN)
        _write(report, folder, protocol, run, worst or worst_cases(report))


def _write(
    report: EvaluationReport, folder: Path, protocol: Protocol | None, run: dict[str, Any] | None, worst: WorstCases
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # In it, not beside it: a link or a mounted folder may lie on another disk, to which nothing can be moved.
    partial = Path(tempfile.mkdtemp(prefix=".", suffix=".partial", dir=folder))
    try:
        write_text(partial / "report.md", report_markdown(report))
        write_text(partial / PAGE_FILE, report_page(report, worst))
        write_figures(report, partial / "figures")
        if protocol == "rsuper":
            write_text(partial / PROTOCOL_FILE, report_protocol_table(report))
        if run is not None:
            write_text(partial / "run.json", pretty_json(run))
        with atomic_path(partial / REPORT_FILE) as path, path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(report_pieces(report))
        (folder / REPORT_FILE).unlink(missing_ok=True)
        (folder / PROTOCOL_FILE).unlink(missing_ok=True)  # an earlier evaluation's may not stay beside this one
        shutil.rmtree(folder / "figures", ignore_errors=True)
        for name in WRITTEN:
            if (partial / name).exists():
                (partial / name).replace(folder / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def report_json(report: EvaluationReport) -> str:
    """What ``report.json`` holds."""
    return "".join(report_pieces(report))


def report_pieces(report: EvaluationReport) -> Iterator[str]:
    """Indented JSON in which long lists of small things (outcomes, exclusions, replicates) take one line an item.

    In pieces, so that a report of 25 000 cases never stands in memory as text.
    """
    lists = {"excluded": report.excluded, "outcomes": report.outcomes, "lesion_outcomes": report.lesion_outcomes}
    text = pretty_json(report.model_dump(mode="json", exclude={*lists, "replicates"}))
    yield text.rstrip().removesuffix("}").rstrip()
    for name, items in lists.items():
        yield f',\n "{name}": ['
        for index, item in enumerate(items):
            yield f"{',' if index else ''}\n  {item.model_dump_json()}"
        yield "\n ]" if items else "]"
    yield f',\n "replicates": {canonical_json(report.replicates)}\n}}\n'
