"""Drawing parts of the cases: sensitivity by size of the tumor, and a forest plot of the strata of one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rsuper_bench.benchmark.case_panels import SMALL, arms, percent_axis, short, type_name
from rsuper_bench.benchmark.palette import INK, LINE, METHOD, SOFT
from rsuper_bench.benchmark.report import EvaluationReport, Score, StratumScores
from rsuper_bench.benchmark.stratum import SIZES, UNKNOWN, Axis
from rsuper_bench.benchmark.tumor_types import TumorType

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_STRATA = 8  # of an axis that a forest plot shows; a release may name hundreds of scanners
_LABEL = 22


class ForestRow(NamedTuple):
    """One line of a forest plot: all cases of a type, or one stratum of them; too few cases have no value."""

    label: str
    score: Score
    n: int
    everyone: bool = False


def size_metric(report: EvaluationReport) -> str:
    """What is drawn by size: sensitivity needs calls, the AUROC does not."""
    return "sensitivity" if report.thresholds is not None else "auroc"


def size_scores(report: EvaluationReport, kind: TumorType) -> dict[str, StratumScores]:
    """Scores of each size of one tumor type, in order; sizes without a case are missing."""
    found = report.strata.get(Axis.SIZE, {})
    return {size: found[size][kind] for size in SIZES if kind in found.get(size, {})}


def size_panel(axis: Axes, report: EvaluationReport, kind: TumorType) -> None:
    """Sensitivity (or AUROC) by the largest reported diameter; a size with fewer than 10 cases has its number only."""
    metric = size_metric(report)
    scores = size_scores(report, kind)
    figures = {index: _figure(scores[size], metric) for index, size in enumerate(SIZES) if size in scores}
    drawn = {index: score for index, score in figures.items() if score.value is not None}
    if drawn:
        size_curve(axis, drawn)
    else:
        none = "no size with 10 cases" if scores else "no size is known"
        axis.text(0.5, 0.5, none, transform=axis.transAxes, ha="center", fontsize=SMALL, color=SOFT)
    size_axis(axis, [scores[size].positive if size in scores else 0 for size in SIZES])


def size_curve(axis: Axes, drawn: Mapping[int, Score]) -> None:
    """Shares with intervals by the place of their size; neighbours are joined, across a gap nothing is said."""
    values = [drawn[index].value or 0.0 if index in drawn else np.nan for index in range(len(SIZES))]
    axis.plot(range(len(SIZES)), values, color=METHOD, linewidth=1.2, zorder=3)
    for index, score in drawn.items():
        value = score.value or 0.0
        axis.errorbar(index, value, yerr=arms(score), fmt="o", color=METHOD, markersize=4.5, elinewidth=1.1, zorder=4)


def size_axis(axis: Axes, numbers: Sequence[int]) -> None:
    """Shares by size: a tick a size, with the number of cases or lesions below it."""
    axis.set_xticks(range(len(SIZES)), [size.removesuffix(" mm") for size in SIZES])
    for index, number in enumerate(numbers):
        style: dict[str, Any] = {
            "ha": "center",
            "va": "top",
            "fontsize": SMALL,
            "color": SOFT,
            "textcoords": "offset points",
        }
        axis.annotate(f"n = {number}", (index, 0), (0, -16), xycoords=axis.get_xaxis_transform(), **style)
    axis.xaxis.labelpad = 13
    axis.set_xlim(-0.45, len(SIZES) - 0.55)
    shares_axis(axis)


def shares_axis(axis: Axes) -> None:
    """Shares on the vertical axis."""
    axis.set_ylim(-0.02, 1.04)
    axis.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axis.grid(axis="y", color=LINE, linewidth=0.7, zorder=0)
    axis.set_axisbelow(True)


def _figure(scores: StratumScores, metric: str) -> Score:
    score: Score = getattr(scores, metric)
    return score


def forest_metrics(report: EvaluationReport, axis: Axis) -> tuple[str, ...]:
    """Figures that have a forest plot: negatives have no size."""
    if report.thresholds is None:
        return ("auroc",)
    return ("sensitivity",) if axis is Axis.SIZE else ("sensitivity", "specificity")


def forest_rows(report: EvaluationReport, axis: Axis, metric: str) -> list[ForestRow]:
    """Lines of one forest plot: all cases, then each stratum, type by type; types without any figure are left out."""
    found = report.strata.get(axis, {})
    shown = shown_strata(report, axis)
    rows = []
    for kind, counts in report.counts.items():
        lines = []
        for stratum in shown:
            scores = found[stratum].get(kind)
            if scores is not None:
                lines.append(ForestRow(short(type_name(stratum), _LABEL), _figure(scores, metric), _n(scores, metric)))
        if any(line.score.value is not None for line in lines):
            n = {"sensitivity": counts.positive, "specificity": counts.negative}.get(
                metric, counts.positive + counts.negative
            )
            rows += [ForestRow(type_name(kind), report.scores[kind][metric], n, everyone=True), *lines]
    return rows


def shown_strata(report: EvaluationReport, axis: Axis) -> list[str]:
    """Strata in their order, those with most cases where there are too many; none where all cases are in one."""
    found = report.strata.get(axis, {})
    if set(found) <= {UNKNOWN} or (len(found) == 1 and axis is not Axis.SIZE):
        return []
    cases = {name: sum(item.positive + item.negative for item in kinds.values()) for name, kinds in found.items()}
    kept = sorted(cases, key=lambda name: (-cases[name], name))[:MAX_STRATA]
    return [name for name in found if name in kept]


def _n(scores: StratumScores, metric: str) -> int:
    return {"sensitivity": scores.positive, "specificity": scores.negative}.get(
        metric, scores.positive + scores.negative
    )


def forest_panel(axis: Axes, rows: Sequence[ForestRow], *, metric: str) -> None:
    """A line each: interval, figure and number of cases; all cases of a type in bold above its strata."""
    for everyone, look in ((True, ("s", 5.5, 1.4)), (False, ("o", 4.0, 1.0))):
        drawn = [(row, item.score) for row, item in enumerate(rows) if item.everyone is everyone]
        drawn = [(row, score) for row, score in drawn if score.value is not None]
        if drawn:
            axis.errorbar(
                [score.value or 0.0 for _, score in drawn],
                [row for row, _ in drawn],
                xerr=np.concatenate([arms(score) for _, score in drawn], axis=1),
                fmt=look[0],
                color=METHOD,
                markersize=look[1],
                elinewidth=look[2],
                zorder=4,
            )
    axis.hlines([row - 0.5 for row, item in enumerate(rows) if item.everyone and row], 0, 1.02, LINE, linewidth=0.7)
    for row, item in enumerate(rows):
        words: dict[str, Any] = {"fontsize": SMALL, "va": "center_baseline"}
        if item.score.value is None:
            few = "fewer than" in (item.score.reason or "")
            axis.text(0.02, row, "fewer than 10 cases" if few else "undefined", color=SOFT, **words)
        words |= {"transform": axis.get_yaxis_transform(), "color": INK if item.everyone else SOFT}
        axis.text(1.04, row, f"{_value(item.score, metric)} (n = {item.n})".lstrip(), **words)
    axis.set_xlim(0, 1.02)
    axis.set_ylim(len(rows) - 0.4, -0.7)
    percent_axis(axis)
    if metric == "auroc":
        axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axis.set_yticks(range(len(rows)), [item.label for item in rows])
    for label, item in zip(axis.get_yticklabels(), rows, strict=True):
        label.set_fontsize(SMALL + 0.5)
        if item.everyone:
            label.set_fontweight("bold")
        else:
            label.set_color(SOFT)
    axis.tick_params(axis="y", length=0)


def _value(score: Score, metric: str) -> str:
    if score.value is None:
        return ""

    def shown(value: float) -> str:
        return f"{value:.2f}" if metric == "auroc" else f"{100 * value:.0f}"

    text = shown(score.value)
    if score.low is not None and score.high is not None:
        text += f" [{shown(score.low)}, {shown(score.high)}]"
    return text
