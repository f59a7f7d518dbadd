"""The report as one self-contained HTML page: figures, tables and pictures inside it, nothing loaded from anywhere."""

from __future__ import annotations

import base64
import re
from collections import Counter
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rsuper_bench.benchmark.case_panels import UNPAIRED
from rsuper_bench.benchmark.case_picture import FIELD_MM, WINDOW_HU
from rsuper_bench.benchmark.lesion_markdown import lesion_tables
from rsuper_bench.benchmark.literature import detection_reader
from rsuper_bench.benchmark.markdown import NOT_DEFINED, TextTable, percent
from rsuper_bench.benchmark.methods_text import headline, methods_text
from rsuper_bench.benchmark.page_assets import content_policy, page_asset
from rsuper_bench.benchmark.reader_markdown import study_tables
from rsuper_bench.benchmark.report import EvaluationReport
from rsuper_bench.benchmark.report_charts import report_charts
from rsuper_bench.benchmark.report_markdown import literature_tables, summary_metrics, summary_notes, too_small
from rsuper_bench.benchmark.roc_curve import MAX_POINTS
from rsuper_bench.benchmark.scores import FEW
from rsuper_bench.benchmark.strata_panels import MAX_STRATA
from rsuper_bench.benchmark.worst_cases import PER_TYPE, WorstCases

_NUMBER = re.compile(r"(< )?-?[0-9]|–$|$")


def report_page(report: EvaluationReport, worst: WorstCases) -> str:
    """The page. Its size grows with the tumor types, not with the cases.

    Every name is escaped; and the page's content policy lets only its own style and script act.

    Args:
        report: What to show.
        worst: Misses and false alarms, with pictures where there may be any.
    """
    style = page_asset("page_style.css") + page_asset("page/report.css")
    script = page_asset("page_script.js") + page_asset("page/report.js")
    pictured = [
        (kind, [item for item in worst.cases if item.tumor_type is kind and item.jpeg]) for kind in report.counts
    ]
    literature = {
        kind: reader for kind in report.counts if (reader := detection_reader(report.readers.literature, kind))
    }
    tables = literature_tables(report)
    charts = report_charts(report)
    text = (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            data=report.data,
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            policy=content_policy(style, script),
            sections=_sections(report, sized=bool(charts["size"])),
            headline=headline(report),
            methods=methods_text(report),
            drawn=charts,
            level=f"{100 * report.task_definition.confidence:g} %",
            few=FEW,
            max_strata=MAX_STRATA,
            max_points=MAX_POINTS,
            metrics=summary_metrics(report),
            notes=summary_notes(report),
            small={str(kind) for kind, counts in report.counts.items() if too_small(counts)},
            literature=literature,
            literature_shown=[
                item for _, rows in tables for item in rows if literature.get(item[0].tumor_type) is item[0]
            ],
            literature_rows=[
                (title, more)
                for title, rows in tables
                if (more := [item for item in rows if literature.get(item[0].tumor_type) is not item[0]])
            ],
            unpaired=UNPAIRED + ("; orientation only" if report.data.synthetic else ""),
            lesion_tables=lesion_tables(report.lesions or {}),
            studies=study_tables(report.readers) if report.readers.study else [],
            flow=_flow(report),
            exclusions=_exclusions(report),
            worst=worst,
            pictured=[(kind, items) for kind, items in pictured if items],
            unpictured=_unpictured(worst),
            per_type=PER_TYPE,
            field=f"{FIELD_MM:g}",
            window=f"{WINDOW_HU[0]:g} to {WINDOW_HU[1]:g}".replace("-", "−"),
        )
    )
    return text if text.endswith("\n") else text + "\n"


def _sections(report: EvaluationReport, *, sized: bool) -> list[tuple[str, str]]:
    return [
        ("summary", "Summary"),
        ("roc", "ROC"),
        ("bars", "Sensitivity, specificity"),
        *([("size", "Size")] if sized else []),
        ("lesions", "Lesions"),
        *([("strata", "Strata")] if report.strata else []),
        *([("readers", "Readers")] if report.readers.study else []),
        ("literature", "Literature"),
        ("flow", "Flow of cases"),
        ("worst", "Worst cases"),
        ("methods-section", "Methods"),
        ("provenance", "Provenance"),
    ]


def _flow(report: EvaluationReport) -> dict[str, Any]:
    counts = report.counts.values()
    positive, negative = sum(item.positive for item in counts), sum(item.negative for item in counts)
    reasons = Counter(item.reason.replace("_", " ") for item in report.excluded)
    return {
        "pairs": positive + negative + len(report.excluded),
        "positive": positive,
        "negative": negative,
        "excluded": len(report.excluded),
        "reasons": sorted(reasons.items(), key=lambda item: (-item[1], item[0])),
        "calls": any(item.tp is not None for item in counts),
        "all_called": all(item.tp is not None for item in counts),
        **{name: sum(getattr(item, name) or 0 for item in counts) for name in ("tp", "fn", "tn", "fp")},
    }


def _exclusions(report: EvaluationReport) -> TextTable:
    reasons = sorted({item.reason for item in report.excluded})
    counted = Counter((item.tumor_type, item.reason) for item in report.excluded)
    rows = [
        [_words(kind), *(str(counted[kind, reason]) for reason in reasons), str(counts.excluded)]
        for kind, counts in report.counts.items()
    ]
    return TextTable("", ["tumor type", *(reason.replace("_", " ") for reason in reasons), "all"], rows, [])


def _unpictured(worst: WorstCases) -> TextTable:
    rows = [
        [
            item.case_id,
            _words(item.tumor_type),
            "missed" if item.missed else "false alarm",
            f"{item.score:.3f}",
            NOT_DEFINED if item.volume_mm3 is None else f"{item.volume_mm3:.0f}",
        ]
        for item in worst.cases
        if not item.jpeg
    ]
    return TextTable("", ["case", "tumor type", "what", "score", "predicted, mm³"], rows, [])


def _words(name: str) -> str:
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def _is_numeric(table: TextTable, column: int) -> bool:
    """Whether a column holds figures, which line up on the right and sort as numbers."""
    return column > 0 and all(_NUMBER.match(row[column]) for row in table.rows)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _figure(value: float, plain: bool) -> str:
    return f"{value:.3f}" if plain else percent(value)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rsuper_bench.benchmark", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        {
            "base64": lambda data: base64.b64encode(data).decode(),
            "count": _count,
            "figure": _figure,
            "is_numeric": _is_numeric,
            "percent": percent,
            "words": _words,
        }
    )
    return environment
