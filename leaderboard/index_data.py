"""What the script of the page works with: the rows of a board as compact JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from markupsafe import Markup

from rsuper_bench.benchmark.report import MEAN
from rsuper_bench.leaderboard import wording
from rsuper_bench.leaderboard.board import Group, Row, score_of
from rsuper_bench.leaderboard.curves import drawn_points, reader_point
from rsuper_bench.leaderboard.entry import Entry


@dataclass(frozen=True)
class Detail:
    """How much of each entry stands on the index page; the entry pages always hold everything.

    Attributes:
        metrics: Offer every metric, not only the primary one and AUROC.
        intervals: Show intervals of every figure, not only of the mean.
        curves: ROC corners, for the comparison of two entries.
        pairs: Which entries are clearly better than which.
        data: Declared training data, and what trained on what.
        rows: Rows of a group; what is left out is counted on the page and stands in ``board.csv``.
        groups: Groups on the page; likewise.
    """

    metrics: bool = True
    intervals: bool = True
    curves: bool = True
    pairs: bool = True
    data: bool = True
    rows: int = 1_000_000
    groups: int = 1_000_000


_LEAST = Detail(metrics=False, intervals=False, curves=False, pairs=False, data=False)
DETAILS = (
    Detail(),
    Detail(curves=False),
    Detail(curves=False, intervals=False),
    replace(_LEAST, data=True),
    _LEAST,
    *(replace(_LEAST, rows=rows) for rows in (500, 250, 100, 50, 25, 10)),
    *(replace(_LEAST, rows=10, groups=groups) for groups in (100, 40, 15)),
)
"""From everything to little: a page takes the first that keeps it below its size."""


def metrics_of(group: Group, *, every: bool = True) -> list[str]:
    """The metrics any entry of the group has, the primary one first."""
    present = {metric for row in group.rows for metric in row.entry.scores[MEAN]}
    primary = group.task.primary
    found = [primary, *(metric for metric in wording.METRICS if metric in present and metric != primary)]
    return found if every else [metric for metric in found if metric in (primary, "auroc")]


def group_data(group: Group, detail: Detail) -> Markup:
    """One group as JSON: see ``board.js`` for how it is read. Figures are thousandths, as they are printed."""
    names = [MEAN, *map(str, group.task.tumor_types)]
    metrics = metrics_of(group, every=detail.metrics)
    shown = group.rows[: detail.rows]
    marks = sorted({mark for row in shown for mark in wording.badges(row.entry)})
    texts = sorted({text for row in shown for text in row.entry.training_data}) if detail.data else []
    number = {text: index for index, text in enumerate(texts)}
    value: dict[str, Any] = {
        "key": group.key,
        "names": [[name, wording.type_label(name)] for name in names],
        "metrics": [[metric, wording.metric_label(metric), wording.metric_unit(metric)] for metric in metrics],
        "task": group.task.name,
        "level": round(100 * group.task.confidence),
        "marks": marks,
        "data": texts,
        "rows": [_row(row, group, names, metrics, marks, number, detail) for row in shown],
    }
    if detail.pairs:
        value["better"] = base64.b64encode(np.packbits(group.better, axis=1).tobytes()).decode()
    if detail.curves:
        value["readers"] = {
            str(kind): [round(point.x, 1), round(point.y, 1)]
            for kind in group.task.tumor_types
            if (point := reader_point(kind)) is not None
        }
    return script_json(value)


def _row(
    row: Row,
    group: Group,
    names: Sequence[str],
    metrics: Sequence[str],
    marks: Sequence[tuple[str, str]],
    number: Mapping[str, int],
    detail: Detail,
) -> list[Any]:
    entry = row.entry
    primary = group.task.primary
    figures = []
    for metric in metrics:
        full = [detail.intervals or (name == MEAN and metric == primary) for name in names]
        figures.append([_figure(entry, name, metric, full=wide) for name, wide in zip(names, full, strict=True)])
    return [
        entry.key.removesuffix(f"__{group.task.name}"),
        entry.method,
        entry.team,
        0 if row.rank is None else [row.rank.rank, row.rank.last],
        [marks.index(mark) for mark in wording.badges(entry)],
        [number[text] for text in entry.training_data] if detail.data else [],
        figures,
        {str(kind): [n for point in drawn_points(points) for n in point] for kind, points in entry.roc.items()}
        if detail.curves
        else 0,
    ]


def _figure(entry: Entry, name: str, metric: str, *, full: bool) -> Any:
    """``[value, low, high]``, ``value``, or null: thousandths of the share."""
    score = score_of(entry, name, metric)
    if score is None or score.value is None:
        return None
    value = _thousandths(score.value, metric)
    if not full or score.low is None or score.high is None:
        return value
    return [value, _thousandths(score.low, metric), _thousandths(score.high, metric)]


def _thousandths(value: float, metric: str) -> int:
    """From the printed figure, so that both ways of showing it agree."""
    return int(wording.figure(value, metric).replace(".", ""))


def script_json(value: Mapping[str, Any]) -> Markup:
    """JSON that may stand in a ``<script>`` element: no character that could end it or a line of it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped above
