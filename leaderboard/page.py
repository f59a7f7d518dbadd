"""The static site: one self-contained page, and one page an entry.

Nothing is loaded from anywhere: a content security policy allows the page's own style and script, by digest, and
nothing else, so that even a name that slipped through the escaping could not run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rsuper_bench.benchmark.literature import detection_reader, literature_readers, literature_statement
from rsuper_bench.benchmark.report import MEAN
from rsuper_bench.leaderboard import wording
from rsuper_bench.leaderboard.board import Board, Group, Row, score_of
from rsuper_bench.leaderboard.entry import Entry

MAX_RANK_BARS = 20  # the rank figure stays one screen
MAX_FULL_CELLS = 3000  # above, intervals per tumor type and further metrics are left to the entry pages: size
_SWITCHABLE = tuple(metric for metric in wording.METRICS if not metric.endswith("_at_reader"))


def index_page(board: Board) -> str:
    """The board itself."""
    cells = sum(len(group.rows) * (1 + len(group.task.tumor_types)) for group in board.groups)
    full = cells <= MAX_FULL_CELLS
    kinds = {kind for group in board.groups for kind in group.task.tumor_types}
    readers = [reader for reader in literature_readers() if reader.tumor_type in kinds or not kinds]
    return _render(
        "index.html.j2",
        script=_asset("board.js"),
        groups=[_group_view(group, full=full) for group in board.groups],
        withdrawn=board.withdrawn,
        reported=board.reported,
        readers=readers,
        readers_statement=literature_statement(synthetic=any(group.synthetic for group in board.groups)),
    )


def entry_page(row: Row, group: Group) -> str:
    """Everything known about one entry: every figure with its interval, ROC curves, what it was trained on."""
    entry = row.entry
    kinds = [str(kind) for kind in group.task.tumor_types]
    return _render(
        "entry.html.j2",
        script="",
        row=row,
        entry=entry,
        group=group,
        names=[*kinds, MEAN],
        metrics=_metrics_of([entry], group.task.primary),
        curves=[_curve_view(entry, kind) for kind in group.task.tumor_types if kind in entry.roc],
        counts={str(kind): counts for kind, counts in entry.counts.items()},
        readers_statement=literature_statement(synthetic=group.synthetic),
    )


def _metrics_of(entries: Iterable[Entry], primary: str) -> list[str]:
    """The metrics any of the entries has, the primary one first."""
    present = {metric for entry in entries for metric in entry.scores[MEAN]}
    return [primary, *(metric for metric in wording.METRICS if metric in present and metric != primary)]


def _group_view(group: Group, *, full: bool) -> dict[str, Any]:
    names = [MEAN, *map(str, group.task.tumor_types)]
    primary = group.task.primary
    found = _metrics_of((row.entry for row in group.rows), primary)
    metrics = [metric for metric in found if metric in _SWITCHABLE or metric == primary]
    ranked = group.ranked
    bars = ranked[:MAX_RANK_BARS] if len(ranked) > 1 else ()
    return {
        "group": group,
        "names": names,
        "metrics": metrics,
        "full": full,
        "bars": bars,
        "places": max((row.rank.last for row in bars if row.rank is not None), default=0),  # where the axis ends
        "legend": sorted({mark for row in group.rows for mark in wording.badges(row.entry)}),
        "sizes": sorted({(row.entry.data.n_cases, row.entry.data.n_patients) for row in group.rows}),
        "figures": _figures_json(group, names, metrics) if full and len(metrics) > 1 else None,
    }


def _figures_json(group: Group, names: Iterable[str], metrics: Iterable[str]) -> Markup:
    """What the metric switch shows: per metric and row, ``[figure, interval]`` of each column, as they are printed."""
    names = tuple(names)
    table = {
        metric: [[_printed(row.entry, name, metric) for name in names] for row in group.rows] for metric in metrics
    }
    units = {metric: wording.metric_unit(metric) for metric in metrics}
    return script_json({"units": units, "figures": table})


def _printed(entry: Entry, name: str, metric: str) -> list[str]:
    score = score_of(entry, name, metric)
    if score is None:
        return [wording.NOTHING, ""]
    return [wording.figure(score.value, metric), wording.interval(score, metric)]


def _curve_view(entry: Entry, kind: Any) -> dict[str, Any]:
    """One ROC curve in a box of 100 by 100, with the radiologists' figure where the literature gives both numbers."""
    points = entry.roc[kind]
    negatives, positives = points[-1].fp, points[-1].tp
    reader = detection_reader(literature_readers((kind,)), kind)
    drawn = reader is not None and reader.sensitivity is not None and reader.specificity is not None
    return {
        "name": str(kind),
        "path": " ".join(
            f"{100 * point.fp / negatives:.1f},{100 - 100 * point.tp / positives:.1f}" for point in points
        ),
        "positives": positives,
        "negatives": negatives,
        "reader": reader if drawn else None,
    }


def script_json(value: Mapping[str, Any]) -> Markup:
    """JSON that may stand in a ``<script>`` element: no character that could end it."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704


def _render(template: str, *, script: str, **values: Any) -> str:
    style = _asset("board.css")
    text = (
        _environment()
        .get_template(template)
        .render(
            style=Markup(style),  # noqa: S704 - our own file
            style_digest=_csp_digest(style),
            script=Markup(script),  # noqa: S704 - our own file
            script_digest=_csp_digest(script) if script else None,
            **values,
        )
    )
    return text if text.endswith("\n") else text + "\n"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rsuper_bench.leaderboard", "site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        {
            "MEAN": MEAN,
            "badges": wording.badges,
            "figure": wording.figure,
            "interval": wording.interval,
            "metric_label": wording.metric_label,
            "metric_unit": wording.metric_unit,
            "rank_interval": wording.rank_interval,
            "rank_text": wording.rank_text,
            "reader_figure": wording.reader_figure,
            "score_of": score_of,
            "shares_text": wording.shares_text,
            "type_label": wording.type_label,
        }
    )
    return environment


@cache
def _asset(name: str) -> str:
    return (files("rsuper_bench.leaderboard") / "site" / name).read_text(encoding="utf-8")


@cache
def _csp_digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
