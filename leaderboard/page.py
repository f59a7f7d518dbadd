"""The static site: one index page, one page an entry, one page a tumor type; each whole in itself.

Nothing is loaded from anywhere: a content security policy allows the page's own style and script, by digest, and
nothing else, so that even a name that slipped through the escaping could not run.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rsuper_bench.benchmark.literature import literature_readers, literature_statement
from rsuper_bench.benchmark.page_assets import content_policy, page_asset
from rsuper_bench.benchmark.report import MEAN
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.leaderboard import wording
from rsuper_bench.leaderboard.board import Board, Group, Row, score_of
from rsuper_bench.leaderboard.curves import roc_panel
from rsuper_bench.leaderboard.entry import Entry
from rsuper_bench.leaderboard.index_data import DETAILS, Detail, group_data, metrics_of
from rsuper_bench.leaderboard.training import MEANINGS, SYMBOLS, leaks, training_matrix

MAX_PAGE_BYTES = 950_000
MAX_RANK_BARS = 20  # the rank figure stays one screen
MAX_SERVED_ROWS = 100  # rows that stand in the page itself; the script shows the others, a hundred at a time
MAX_CURVES = 4  # of one small multiple
MAX_TYPE_ROWS = 300  # of one table on the page of a tumor type
MAX_TYPE_PANELS = 60
_PACKAGE = "rsuper_bench.leaderboard"


def index_page(board: Board) -> str:
    """The board itself, with as much detail as keeps the page below :data:`MAX_PAGE_BYTES`."""
    for detail in DETAILS:
        text = _index_page(board, detail)
        if len(text.encode()) <= MAX_PAGE_BYTES:
            break
    return text


def _index_page(board: Board, detail: Detail) -> str:
    kinds = _kinds(board)
    readers = [reader for reader in literature_readers() if reader.tumor_type in kinds or not kinds]
    return _render(
        "index.html.j2",
        scripts=("site/board.js", "site/compare.js") if board.groups else (),
        groups=[_group_view(group, detail) for group in board.groups[: detail.groups]],
        more_groups=max(len(board.groups) - detail.groups, 0),
        kinds=kinds,
        withdrawn=board.withdrawn,
        reported=board.reported,
        readers=readers,
        readers_statement=literature_statement(synthetic=any(group.synthetic for group in board.groups)),
    )


def entry_page(row: Row, group: Group) -> str:
    """Everything known about one entry: every figure with its interval, ROC curves, what it was trained on."""
    entry = row.entry
    kinds = group.task.tumor_types
    panels = [roc_panel(kind, [entry], most=1) for kind in kinds]
    return _render(
        "entry.html.j2",
        row=row,
        entry=entry,
        group=group,
        names=[*map(str, kinds), MEAN],
        metrics=_entry_metrics(entry, group),
        notes=_notes(entry, _entry_metrics(entry, group)),
        panels=[panel for panel in panels if panel is not None],
        counts={str(kind): counts for kind, counts in entry.counts.items()},
        matrix=training_matrix([entry]),
        readers_statement=literature_statement(synthetic=group.synthetic),
    )


def type_pages(board: Board) -> dict[str, str]:
    """One page for every tumor type of the board, by type: every method on it, and the radiologists."""
    return {str(kind): _type_page(kind, board) for kind in _kinds(board)}


def _type_page(kind: TumorType, board: Board) -> str:
    groups = [group for group in board.groups if kind in group.task.tumor_types]
    views = []
    for group in groups:
        rows = sorted(group.rows, key=lambda row: _by_figure(row, kind, group))[:MAX_TYPE_ROWS]
        panels = [roc_panel(kind, [row.entry], most=1) for row in rows[:MAX_TYPE_PANELS]]
        views.append(
            {
                "group": group,
                "rows": rows,
                "metrics": metrics_of(group),
                "panels": [panel for panel in panels if panel is not None],
                "more": len(group.rows) - len(rows),
            }
        )
    return _render(
        "type.html.j2",
        kind=kind,
        kinds=_kinds(board),
        views=views,
        readers=literature_readers((kind,)),
        readers_statement=literature_statement(synthetic=any(group.synthetic for group in groups)),
    )


def _by_figure(row: Row, kind: TumorType, group: Group) -> tuple[bool, float, str]:
    score = score_of(row.entry, kind, group.task.primary)
    value = None if score is None else score.value
    return value is None, -(value or 0.0), row.entry.path


def _kinds(board: Board) -> list[TumorType]:
    used = {kind for group in board.groups for kind in group.task.tumor_types}
    return [kind for kind in TumorType if kind in used]


def _entry_metrics(entry: Entry, group: Group) -> list[str]:
    primary = group.task.primary
    return [primary, *(name for name in wording.METRICS if name in entry.scores[MEAN] and name != primary)]


def _notes(entry: Entry, metrics: Iterable[str]) -> dict[str, list[str]]:
    """Why figures are undefined or uncertain, in words that need no pointer: reason to the figures it is of."""
    found: dict[str, list[str]] = {}
    for metric in metrics:
        for name, scores in entry.scores.items():
            reason = scores[metric].reason if metric in scores else None
            if reason:
                found.setdefault(reason, []).append(f"{wording.type_label(name)}, {wording.metric_label(metric)}")
    return found


def _group_view(group: Group, detail: Detail) -> dict[str, Any]:
    ranked = group.ranked
    bars = ranked[:MAX_RANK_BARS] if len(ranked) > 1 else ()
    shown = group.rows[: detail.rows]
    entries = [row.entry for row in shown]
    panels = [roc_panel(kind, entries, most=MAX_CURVES) for kind in group.task.tumor_types]
    return {
        "group": group,
        "names": [MEAN, *map(str, group.task.tumor_types)],
        "detail": detail,
        "rows": shown[:MAX_SERVED_ROWS],
        "shown": len(shown),
        "bars": bars,
        "places": max((row.rank.last for row in bars if row.rank is not None), default=0),  # where the axis ends
        "legend": sorted({mark for row in group.rows for mark in wording.badges(row.entry)}),
        "sizes": sorted({(row.entry.data.n_cases, row.entry.data.n_patients) for row in group.rows}),
        "panels": [panel for panel in panels if panel is not None],
        "matrix": training_matrix(entries) if detail.data else None,
        "data": group_data(group, detail),
    }


def _render(template: str, *, scripts: Iterable[str] = (), **values: Any) -> str:
    style = page_asset("page_style.css") + page_asset("site/board.css", _PACKAGE)
    script = page_asset("page_script.js") + "".join(page_asset(name, _PACKAGE) for name in scripts)
    text = (
        _environment()
        .get_template(template)
        .render(
            style=Markup(style),  # noqa: S704 - our own files
            script=Markup(script),  # noqa: S704 - our own files
            policy=content_policy(style, script),
            **values,
        )
    )
    return text if text.endswith("\n") else text + "\n"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE, "site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        {
            "MEAN": MEAN,
            "MEANINGS": MEANINGS,
            "SYMBOLS": SYMBOLS,
            "badges": wording.badges,
            "figure": wording.figure,
            "interval": wording.interval,
            "leaks": leaks,
            "metric_label": wording.metric_label,
            "metric_unit": wording.metric_unit,
            "rank_interval": wording.rank_interval,
            "reader_figure": wording.reader_figure,
            "score_of": score_of,
            "shares_text": wording.shares_text,
            "type_label": wording.type_label,
        }
    )
    return environment
