"""Figures of a report: ROC curves with the radiologist's point, and sensitivity beside specificity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.files import atomic_path
from rsuper_bench.benchmark.literature import detection_reader
from rsuper_bench.benchmark.report import EvaluationReport, LiteratureReader, Outcome, Score
from rsuper_bench.benchmark.task import CallRule
from rsuper_bench.benchmark.tumor_types import TumorType

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which stay apart for colour-blind readers and in print.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "svg.hashsalt": "rsuper-bench",
    "svg.fonttype": "none",
    "figure.facecolor": "white",
}


def write_figures(report: EvaluationReport, folder: Path) -> None:
    """Write ``roc`` and ``sens_spec`` as PNG and SVG; the same report gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with mpl.rc_context(_STYLE):
        for name, figure in (("roc", roc_figure(report)), ("sens_spec", sens_spec_figure(report))):
            FigureCanvasAgg(figure)
            for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
                with atomic_path(folder / f"{name}.{suffix}") as path:
                    figure.savefig(path, format=suffix, dpi=150, metadata=metadata)


def roc_figure(report: EvaluationReport) -> Figure:
    """One ROC curve a tumor type, with the frozen threshold and the radiologist's point."""
    from matplotlib.figure import Figure

    kinds = list(report.counts)
    columns = min(len(kinds), 4)
    rows = -(-len(kinds) // columns)
    # Room for the caveat above and the legend below: panels keep their square shape, so they do not give way to them.
    figure = Figure(figsize=(2.75 * columns + 0.35, 2.75 * rows + 1.0), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for index, axis in enumerate(axes.flat):
        if index < len(kinds):
            _roc_panel(axis, report, kinds[index])
            axis.set_ylabel("sensitivity" if index % columns == 0 else "")
            axis.set_xlabel("1 - specificity" if index + columns >= len(kinds) else "")
        else:
            axis.axis("off")
    _legend(figure, report)
    _caveat(figure, report)
    return figure


def roc_points(report: EvaluationReport, kind: TumorType) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False positive rate and sensitivity of every threshold; empty when a class is missing."""
    outcomes = [item for item in report.outcomes if item.tumor_type is kind]
    by_volume = report.task_definition.call_rule is CallRule.VOLUME
    decision = np.array([_decision(item, by_volume=by_volume) for item in outcomes])
    positive = np.array([item.reference == 1 for item in outcomes], dtype=bool)
    if not positive.any() or positive.all():
        return np.empty(0), np.empty(0)
    order = np.argsort(-decision, kind="stable")
    ranked = decision[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    hits = np.cumsum(positive[order])[last]
    alarms = np.cumsum(~positive[order])[last]
    return np.append(0, alarms) / (~positive).sum(), np.append(0, hits) / positive.sum()


def _decision(outcome: Outcome, *, by_volume: bool) -> float:
    if outcome.imputed:  # beyond every prediction, on the wrong side
        return np.inf if outcome.score else -np.inf
    return (outcome.volume_mm3 or 0.0) if by_volume else outcome.score


def _roc_panel(axis: Axes, report: EvaluationReport, kind: TumorType) -> None:
    counts = report.counts[kind]
    axis.set_title(kind.replace("_", " "), loc="left")
    axis.plot([0, 1], [0, 1], color="#cccccc", linewidth=0.8, zorder=1)
    rate, sensitivity = roc_points(report, kind)
    if len(rate):
        axis.plot(rate, sensitivity, color=BLUE, linewidth=1.6, zorder=3)
    auroc = report.scores[kind]["auroc"]
    text = "AUROC undefined" if auroc.value is None else f"AUROC {auroc.value:.2f}"
    if auroc.low is not None and auroc.high is not None:
        text += f" [{auroc.low:.2f}, {auroc.high:.2f}]"
    axis.text(0.98, 0.03, f"{text}\n{counts.positive} positive, {counts.negative} negative", **_corner(axis))
    _threshold_point(axis, report, kind)
    reader = detection_reader(report.readers.literature, kind)
    if reader:
        _reader_point(axis, reader)
    axis.set_aspect("equal")
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.02, 1.02)
    axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axis.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])


def _corner(axis: Axes) -> dict[str, Any]:
    place = {"transform": axis.transAxes, "ha": "right", "va": "bottom", "zorder": 8}
    return place | {"fontsize": 7.5, "color": "#333333"} | _halo()


def _halo() -> dict[str, Any]:
    """A white rim, so that words over a curve can be read."""
    from matplotlib.patheffects import withStroke

    return {"path_effects": [withStroke(linewidth=2, foreground="white")]}


def _threshold_point(axis: Axes, report: EvaluationReport, kind: TumorType) -> None:
    sensitivity, specificity = report.scores[kind]["sensitivity"], report.scores[kind]["specificity"]
    if sensitivity.value is None or specificity.value is None:
        return
    axis.errorbar(
        1 - specificity.value,
        sensitivity.value,
        xerr=_arms(specificity)[::-1],
        yerr=_arms(sensitivity),
        fmt="o",
        color=ORANGE,
        markersize=5,
        elinewidth=1,
        zorder=5,
    )


def _arms(score: Score) -> NDArray[np.float64]:
    """Lengths of the error bar below and above a value, ``(2, 1)``."""
    value = score.value or 0.0
    low = value if score.low is None else min(score.low, value)
    high = value if score.high is None else max(score.high, value)
    return np.array([[value - low], [high - value]])


def _reader_point(axis: Axes, reader: LiteratureReader) -> None:
    words: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7.5, "color": GREEN, "zorder": 8} | _halo()
    if reader.sensitivity is not None and reader.specificity is not None:
        point = (1 - reader.specificity, reader.sensitivity)
        axis.plot(*point, marker="D", color=GREEN, markersize=5.5, markeredgecolor="white", linestyle="", zorder=7)
        axis.annotate(reader.grade, point, xytext=(6, -4), va="top", **words)
    elif reader.specificity is not None:
        axis.axvline(1 - reader.specificity, color=GREEN, linewidth=1, linestyle=":", zorder=2)
        axis.annotate(f"{reader.grade}, specificity only", (1 - reader.specificity, 0.24), xytext=(5, 0), **words)
    elif reader.sensitivity is not None:
        axis.axhline(reader.sensitivity, color=GREEN, linewidth=1, linestyle=":", zorder=2)
        axis.annotate(f"{reader.grade}, sensitivity only", (0.45, reader.sensitivity), xytext=(0, -9), **words)


def _legend(figure: Figure, report: EvaluationReport) -> None:
    from matplotlib.lines import Line2D

    level = f"{100 * report.task_definition.confidence:g} %"
    handles = [Line2D([], [], color=BLUE, label="method")]
    if report.thresholds is not None:
        handles.append(
            Line2D([], [], color=ORANGE, marker="o", linestyle="", label=f"frozen threshold, {level} intervals")
        )
    if any(detection_reader(report.readers.literature, kind) for kind in report.counts):
        label = "radiologists in the literature, with grade: other patients"
        if report.data.synthetic:
            label += "; orientation only"
        handles.append(Line2D([], [], color=GREEN, marker="D", linestyle="", label=label))
    one_row = len(report.counts) > 2
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles) if one_row else 1, fontsize=8)


def sens_spec_figure(report: EvaluationReport) -> Figure:
    """Sensitivity and specificity of each tumor type with intervals, and the literature beside them."""
    from matplotlib.figure import Figure

    kinds = list(report.counts)
    frozen = report.thresholds is not None
    names = ("sensitivity", "specificity") if frozen else _matched_names(report)
    figure = Figure(figsize=(8.4, 0.42 * len(kinds) + 1.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axis, name, side in ((left, names[0], "sensitivity"), (right, names[1], "specificity")):
        _bars(axis, report, kinds, name, side)
        axis.set_title(_title(name, frozen=frozen), loc="left")
    left.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds])
    left.set_ylim(len(kinds) - 0.4, -0.6)
    _bar_legend(figure, report)
    _caveat(figure, report)
    return figure


def _caveat(figure: Figure, report: EvaluationReport) -> None:
    """Say on the picture itself what it does not show, because pictures travel alone."""
    words = ["one anatomy in several splits: not evidence"] if report.data.smoke else []
    words += ["synthetic cases: phantoms are not patients"] if report.data.synthetic else []
    if words:
        figure.suptitle("; ".join(words).capitalize(), x=0.01, ha="left", fontsize=8.5, color=ORANGE)


def _matched_names(report: EvaluationReport) -> tuple[str, str]:
    names = list(next(iter(report.scores.values())))
    first = next(name for name in names if name.startswith("sensitivity_at_specificity"))
    second = next(name for name in names if name.startswith("specificity_at_sensitivity"))
    return first, second


def _title(name: str, *, frozen: bool) -> str:
    if frozen:
        return f"{name} at the frozen threshold"
    figure, _, point = name.partition("_at_")
    what, _, value = point.rpartition("_")
    return f"{figure} at {value} % {what}"


def _bars(axis: Axes, report: EvaluationReport, kinds: list[TumorType], name: str, side: str) -> None:
    for row, kind in enumerate(kinds):
        score = report.scores[kind][name]
        if score.value is None:
            axis.text(0.01, row, score.reason or "undefined", fontsize=7.5, color=GREY, va="center")
        else:
            axis.barh(row, score.value, height=0.55, color=BLUE, alpha=0.35, zorder=2)
            axis.errorbar(
                score.value, row, xerr=_arms(score), fmt="o", color=BLUE, markersize=3.5, elinewidth=1.2, zorder=4
            )
        figure = _literature_figure(report, kind, side)
        if figure is not None:  # below the interval, so that neither hides the other
            axis.plot(figure, row + 0.27, marker="D", color=GREEN, markersize=5, markeredgecolor="white", zorder=5)
    axis.set_xlim(0, 1.02)
    axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    axis.grid(axis="x", color="#eeeeee", zorder=0)
    axis.tick_params(axis="y", length=0)


def _literature_figure(report: EvaluationReport, kind: TumorType, side: str) -> float | None:
    """A radiologist's figure beside calls at a frozen threshold; it has no place beside another operating point."""
    reader = detection_reader(report.readers.literature, kind)
    if reader is None or report.thresholds is None:
        return None
    return reader.sensitivity if side == "sensitivity" else reader.specificity


def _bar_legend(figure: Figure, report: EvaluationReport) -> None:
    from matplotlib.lines import Line2D

    level = f"{100 * report.task_definition.confidence:g} %"
    handles = [Line2D([], [], color=BLUE, marker="o", label=f"method, {level} interval")]
    sides = ("sensitivity", "specificity")
    if any(_literature_figure(report, kind, side) is not None for kind in report.counts for side in sides):
        label = "radiologists in the literature: other patients, not the same cases"
        handles.append(Line2D([], [], color=GREEN, marker="D", linestyle="", label=label))
    figure.legend(handles=handles, loc="outside lower left", ncols=2, fontsize=8)
