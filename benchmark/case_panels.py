"""Drawing one panel of case-level figures: ROC curve, sensitivity or specificity by type, and where cases went.

A panel draws on a given axis and knows nothing of its neighbours; ``figures`` puts panels together for papers and
``report_charts`` for the page, so each is drawn in one way only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.literature import detection_reader, interval_ends
from rsuper_bench.benchmark.palette import CARD, INK, LINE, METHOD, METHOD_SOFT, READER, SOFT
from rsuper_bench.benchmark.report import EvaluationReport, LiteratureReader, Score
from rsuper_bench.benchmark.roc_curve import RocCurve
from rsuper_bench.benchmark.tumor_types import TumorType

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMALL = 7.5  # points
UNPAIRED = "radiologists in the literature: other patients, unpaired, no verdict"


def type_name(kind: TumorType | str) -> str:
    """Tumor type in words."""
    return kind.replace("_", " ")


def roc_panel(axis: Axes, report: EvaluationReport, kind: TumorType, curve: RocCurve | None) -> None:
    """ROC curve, frozen threshold and radiologists, each with intervals."""
    axis.plot([0, 1], [0, 1], color=LINE, linewidth=0.9, zorder=1)
    if curve is not None:
        axis.plot(curve.rate, curve.sensitivity, color=METHOD, linewidth=1.6, zorder=4)
    for reader in report.readers.study:
        if reader.tumor_type is kind:
            _cross(axis, reader.sensitivity, reader.specificity, color=READER, fmt="^", markersize=6, zorder=5)
    literature = detection_reader(report.readers.literature, kind)
    if literature:
        _literature_point(axis, literature)
    scores = report.scores[kind]
    _cross(axis, scores["sensitivity"], scores["specificity"], color=METHOD, fmt="o", markersize=5.5, zorder=8)
    axis.set_aspect("equal")
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.02, 1.02)
    axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axis.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])


def _cross(axis: Axes, sensitivity: Score, specificity: Score, **look: Any) -> None:
    """A point of the ROC plane with its two intervals."""
    if sensitivity.value is None or specificity.value is None:
        return
    axis.errorbar(
        1 - specificity.value,
        sensitivity.value,
        xerr=arms(specificity)[::-1],
        yerr=arms(sensitivity),
        elinewidth=0.9,
        markeredgecolor=CARD,
        markeredgewidth=0.7,
        **look,
    )


def arms(score: Score) -> NDArray[np.float64]:
    """Lengths of the error bar below and above a value, ``(2, 1)``."""
    value = score.value or 0.0
    low = value if score.low is None else min(score.low, value)
    high = value if score.high is None else max(score.high, value)
    return np.array([[value - low], [high - value]])


def published(value: float, interval: str) -> Score:
    """A published figure with its interval, where that is one (not a range of readers or of quartiles)."""
    low, high = interval_ends(interval) or (None, None)
    return Score(value=value, low=low, high=high)


def _literature_point(axis: Axes, reader: LiteratureReader) -> None:
    only = ""
    if reader.sensitivity is not None and reader.specificity is not None:
        sensitivity = published(reader.sensitivity, reader.sensitivity_interval)
        specificity = published(reader.specificity, reader.specificity_interval)
        bars: dict[str, Any] = {"xerr": arms(specificity)[::-1], "yerr": arms(sensitivity), "elinewidth": 1}
        point = (1 - reader.specificity, reader.sensitivity)
        axis.errorbar(*point, fmt="D", color=READER, markerfacecolor=CARD, markersize=5, zorder=7, **bars)
    elif reader.specificity is not None:
        axis.axvline(1 - reader.specificity, color=READER, linewidth=1, linestyle=":", zorder=2)
        only = ", specificity only"
    elif reader.sensitivity is not None:
        axis.axhline(reader.sensitivity, color=READER, linewidth=1, linestyle=":", zorder=2)
        only = ", sensitivity only"
    # In the corner where no curve goes: beside the point the words would cover what is measured.
    words = f"literature: {short(reader.grade, 16)}{only}"
    axis.text(0.98, 0.21, words, transform=axis.transAxes, ha="right", fontsize=SMALL, color=READER, zorder=3)


def bar_panel(axis: Axes, report: EvaluationReport, name: str, side: str) -> None:
    """A figure of every tumor type with its interval, and below each the radiologists'.

    Args:
        axis: Where to draw.
        report: With the figures.
        name: Metric.
        side: ``sensitivity`` or ``specificity``: which of the radiologists' figures stands beside it.
    """
    kinds = list(report.counts)
    for row, kind in enumerate(kinds):
        score = report.scores[kind][name]
        if score.value is None:
            axis.text(0.01, row - 0.1, short(score.reason or "undefined", 44), fontsize=SMALL, color=SOFT, va="center")
        else:
            axis.barh(row - 0.1, score.value, height=0.42, color=METHOD_SOFT, zorder=2)
            axis.errorbar(score.value, row - 0.1, xerr=arms(score), fmt="o", color=METHOD, markersize=4, zorder=4)
        for reader in radiologists(report, kind, side):
            look: dict[str, Any] = {
                "markerfacecolor": CARD if reader.published else READER,
                "markersize": 4.5,
                "elinewidth": 0.9,
            }
            axis.errorbar(
                reader.score.value or 0.0,
                row + 0.27,
                xerr=arms(reader.score),
                fmt="D" if reader.published else "^",
                color=READER,
                zorder=5,
                **look,
            )
    axis.set_xlim(0, 1.02)
    axis.set_ylim(len(kinds) - 0.4, -0.6)
    percent_axis(axis)
    axis.set_yticks(range(len(kinds)), [type_name(kind) for kind in kinds])
    axis.tick_params(axis="y", length=0)


def percent_axis(axis: Axes) -> None:
    """Shares on the horizontal axis, in per cent."""
    axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    axis.grid(axis="x", color=LINE, linewidth=0.7, zorder=0)
    axis.set_axisbelow(True)


class Beside(NamedTuple):
    """A radiologist's figure that may stand beside the method's."""

    score: Score
    published: bool  # of other patients


def radiologists(report: EvaluationReport, kind: TumorType, side: str) -> Iterator[Beside]:
    """Figures beside calls at a frozen threshold; they have no place beside another operating point."""
    if report.thresholds is None:
        return
    for item in report.readers.study:
        score: Score = getattr(item, side)
        if item.tumor_type is kind and score.value is not None:
            yield Beside(score, published=False)
    reader = detection_reader(report.readers.literature, kind)
    value: float | None = None if reader is None else getattr(reader, side)
    if reader is not None and value is not None:
        yield Beside(published(value, getattr(reader, f"{side}_interval")), published=True)


def flow_panel(axis: Axes, report: EvaluationReport) -> None:
    """Positive, negative and excluded cases of every tumor type."""
    kinds = list(report.counts)
    total = max(report.data.n_cases, 1)
    for row, kind in enumerate(kinds):
        counts = report.counts[kind]
        left = 0
        parts = ((counts.positive, METHOD, CARD), (counts.negative, METHOD_SOFT, INK), (counts.excluded, LINE, INK))
        for number, colour, words in parts:
            axis.barh(row, number, left=left, height=0.62, color=colour, edgecolor=CARD, linewidth=0.8, zorder=2)
            if number > 0.045 * total:
                style: dict[str, Any] = {
                    "ha": "center",
                    "va": "center_baseline",
                    "fontsize": SMALL,
                    "color": words,
                    "zorder": 3,
                }
                axis.text(left + number / 2, row, f"{number}", **style)
            left += number
    axis.set_xlim(0, total)
    axis.set_ylim(len(kinds) - 0.4, -0.6)
    axis.set_yticks(range(len(kinds)), [type_name(kind) for kind in kinds])
    axis.tick_params(axis="y", length=0)


def short(text: str, length: int) -> str:
    """One line of printable text that is not longer than a panel has room for."""
    clean = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return clean if len(clean) <= length else clean[: length - 1] + "…"
