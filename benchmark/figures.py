"""Figures of a report for papers, as PNG and SVG: the panels put together, with a legend and what they do not show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsuper_bench.benchmark.case_panels import (
    SMALL,
    UNPAIRED,
    bar_panel,
    flow_panel,
    radiologists,
    roc_panel,
    type_name,
)
from rsuper_bench.benchmark.files import atomic_path
from rsuper_bench.benchmark.inline_svg import figure_style
from rsuper_bench.benchmark.lesion_panels import froc_panel
from rsuper_bench.benchmark.literature import detection_reader
from rsuper_bench.benchmark.palette import CARD, INK, LINE, METHOD, METHOD_SOFT, READER, WARN
from rsuper_bench.benchmark.report import EvaluationReport
from rsuper_bench.benchmark.roc_curve import RocCurve, roc_curves
from rsuper_bench.benchmark.strata_panels import (
    forest_metrics,
    forest_panel,
    forest_rows,
    size_metric,
    size_panel,
    size_scores,
)
from rsuper_bench.benchmark.stratum import Axis
from rsuper_bench.benchmark.tumor_types import TumorType

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

MAX_FOREST_ROWS = 60  # of one picture, which then is a page high
_PANEL = 2.75  # inches, of panels that stand in a grid
_LEGEND = 5.8  # inches that the longest legend takes


def write_figures(report: EvaluationReport, folder: Path) -> None:
    """Write every figure the report has data for as PNG and SVG; the same report gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    draw: dict[str, Callable[[], Figure]] = {
        "roc": lambda: roc_figure(report, roc_curves(report)),
        "sens_spec": lambda: sens_spec_figure(report),
        "cases": lambda: flow_figure(report),
        "size": lambda: size_figure(report),
        "froc": lambda: froc_figure(report),
        **{f"forest_{axis}": lambda axis=axis: forest_figure(report, axis) for axis in report.strata},  # type: ignore[misc]
    }
    with figure_style():
        for name in figure_names(report):
            figure = draw[name]()
            FigureCanvasAgg(figure)
            for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
                with atomic_path(folder / f"{name}.{suffix}") as path:
                    figure.savefig(path, format=suffix, dpi=150, metadata=metadata)
                figure.set_layout_engine("none")  # its work is done: the second format keeps the places


def figure_names(report: EvaluationReport) -> list[str]:
    """Names of the files that :func:`write_figures` writes, without their suffix."""
    names = ["roc", "sens_spec", "cases"]
    if any(size_scores(report, kind) for kind in report.counts):
        names.append("size")
    if report.lesions and any(scores.froc.points for scores in report.lesions.values()):
        names.append("froc")
    metrics = {axis: forest_metrics(report, axis) for axis in report.strata}
    return names + [
        f"forest_{axis}" for axis, found in metrics.items() if any(forest_rows(report, axis, m) for m in found)
    ]


def _grid(report: EvaluationReport, x: str, y: str) -> tuple[Figure, list[tuple[Axes, TumorType]]]:
    """A square panel a tumor type, at most four in a row."""
    from matplotlib.figure import Figure

    kinds = list(report.counts)
    columns = min(len(kinds), 4)
    rows = -(-len(kinds) // columns)
    # Room for the caveat above and the legend below: panels keep their square shape, so they do not give way to them.
    width = max(_PANEL * columns + 0.35, _LEGEND)
    figure = Figure(figsize=(width, _PANEL * rows + 1.0), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for index, axis in enumerate(axes[: len(kinds)]):
        axis.set_title(type_name(kinds[index]), loc="left")
        axis.set_ylabel(y if index % columns == 0 else "")
        axis.set_xlabel(x if index + columns >= len(kinds) else "")
    for axis in axes[len(kinds) :]:
        axis.axis("off")
    _caveat(figure, report)
    return figure, list(zip(axes, kinds, strict=False))


def roc_figure(report: EvaluationReport, curves: dict[TumorType, RocCurve]) -> Figure:
    """One ROC curve a tumor type, with the frozen threshold and the radiologists."""
    figure, panels = _grid(report, "1 - specificity", "sensitivity")
    for axis, kind in panels:
        roc_panel(axis, report, kind, curves.get(kind))
        counts, auroc = report.counts[kind], report.scores[kind]["auroc"]
        text = "AUROC undefined" if auroc.value is None else f"AUROC {auroc.value:.2f}"
        if auroc.low is not None and auroc.high is not None:
            text += f" [{auroc.low:.2f}, {auroc.high:.2f}]"
        style: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": SMALL, "color": INK, "zorder": 9}
        box: dict[str, Any] = {"facecolor": CARD, "edgecolor": "none", "pad": 0.6}
        words = f"{text}\n{counts.positive} positive, {counts.negative} negative"
        axis.text(0.98, 0.03, words, transform=axis.transAxes, bbox=box, **style)
    handles = [_handle(METHOD, "", "-", "method")]
    if report.thresholds is not None:
        handles.append(_handle(METHOD, "o", "", f"frozen threshold, {_level(report)} intervals"))
    literature = any(detection_reader(report.readers.literature, kind) for kind in report.counts)
    _legend(figure, report, handles, literature=literature, study=bool(report.readers.study))
    return figure


def sens_spec_figure(report: EvaluationReport) -> Figure:
    """Sensitivity and specificity of each tumor type with intervals, and radiologists beside them."""
    from matplotlib.figure import Figure

    kinds = list(report.counts)
    figure = Figure(figsize=(8.4, 0.46 * len(kinds) + 1.5), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (name, side) in zip(axes, bar_metrics(report), strict=True):
        bar_panel(axis, report, name, side)
        axis.set_title(metric_title(name), loc="left")
    beside = [item for kind in kinds for _, side in bar_metrics(report) for item in radiologists(report, kind, side)]
    handles = [_handle(METHOD, "o", "-", f"method, {_level(report)} interval")]
    published = any(item.published for item in beside)
    _legend(figure, report, handles, literature=published, study=any(not item.published for item in beside))
    _caveat(figure, report)
    return figure


def bar_metrics(report: EvaluationReport) -> list[tuple[str, str]]:
    """Both figures of the bars, and the side each is of: at the frozen thresholds, or at matched operating points."""
    if report.thresholds is not None:
        return [("sensitivity", "sensitivity"), ("specificity", "specificity")]
    names = list(next(iter(report.scores.values())))
    matched = ("sensitivity_at_specificity", "specificity_at_sensitivity")
    found = [next(name for name in names if name.startswith(start)) for start in matched]
    return list(zip(found, ("sensitivity", "specificity"), strict=True))


def metric_title(name: str) -> str:
    """``sensitivity_at_specificity_90`` in words."""
    figure, at, point = name.partition("_at_")
    if not at:
        return f"{figure} at the frozen threshold"
    what, _, value = point.rpartition("_")
    return f"{figure} at {value} % {what}"


def flow_figure(report: EvaluationReport) -> Figure:
    """How many cases of each type are positive, negative and excluded."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 0.3 * len(report.counts) + 1.5), layout="constrained")
    axis = figure.subplots()
    flow_panel(axis, report)
    axis.set_xlabel("cases")
    parts = ((METHOD, "positive"), (METHOD_SOFT, "negative"), (LINE, "excluded"))
    figure.legend(
        handles=[_handle(c, "s", "", words) for c, words in parts], loc="outside lower left", ncols=3, fontsize=8
    )
    _caveat(figure, report)
    return figure


def size_figure(report: EvaluationReport) -> Figure:
    """Sensitivity of each tumor type by size of the tumor."""
    figure, panels = _grid(report, "largest reported diameter, mm", size_metric(report).replace("auroc", "AUROC"))
    for axis, kind in panels:
        size_panel(axis, report, kind)
    _legend(
        figure, report, [_handle(METHOD, "o", "-", f"method, {_level(report)} interval; sizes of at least 10 cases")]
    )
    return figure


def forest_figure(report: EvaluationReport, axis: Axis) -> Figure:
    """Figures of every stratum of one axis; the first 60 lines of each where there are more."""
    from matplotlib.figure import Figure

    metrics = forest_metrics(report, axis)
    rows = {metric: found[:MAX_FOREST_ROWS] for metric in metrics if (found := forest_rows(report, axis, metric))}
    longest = max(map(len, rows.values()))
    figure = Figure(figsize=(4.9 * len(rows), 0.19 * longest + 1.1), layout="constrained")
    for panel, metric in zip(figure.subplots(1, len(rows), squeeze=False)[0], rows, strict=True):
        forest_panel(panel, rows[metric], metric=metric)
        panel.set_title(f"{metric.replace('auroc', 'AUROC')} by {axis}", loc="left", pad=14)
    _caveat(figure, report)
    return figure


def froc_figure(report: EvaluationReport) -> Figure:
    """Share of lesions found against false alarms a case, one curve a tumor type."""
    figure, panels = _grid(report, "false alarms a case", "lesions found")
    for axis, kind in panels:
        scores = (report.lesions or {}).get(kind)
        if scores is None:
            axis.axis("off")
        else:
            froc_panel(axis, scores)
            axis.text(0.98, 0.03, f"{scores.n_lesions} lesions", transform=axis.transAxes, ha="right", fontsize=SMALL)
    _legend(figure, report, [_handle(METHOD, "o", "-", f"method, {_level(report)} intervals")])
    return figure


def _level(report: EvaluationReport) -> str:
    return f"{100 * report.task_definition.confidence:g} %"


def _handle(color: str, marker: str, line: Any, label: str, *, hollow: bool = False) -> Line2D:
    from matplotlib.lines import Line2D

    face = CARD if hollow else color
    return Line2D([], [], color=color, marker=marker or None, markerfacecolor=face, linestyle=line, label=label)


def _legend(
    figure: Figure, report: EvaluationReport, handles: list[Line2D], *, literature: bool = False, study: bool = False
) -> None:
    if study:
        handles.append(_handle(READER, "^", "", "radiologists who read these cases"))
    if literature:
        label = UNPAIRED + ("; orientation only" if report.data.synthetic else "")
        handles.append(_handle(READER, "D", "", label, hollow=True))
    wide = figure.get_figwidth() > 2.2 * sum(len(str(handle.get_label())) + 6 for handle in handles) / 32
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles) if wide else 1, fontsize=8)


def _caveat(figure: Figure, report: EvaluationReport) -> None:
    """Say on the picture itself what it does not show, because pictures travel alone."""
    words = ["one anatomy in several splits: not evidence"] if report.data.smoke else []
    words += ["synthetic cases: phantoms are not patients"] if report.data.synthetic else []
    if words:
        figure.suptitle("; ".join(words).capitalize(), x=0.01, ha="left", fontsize=8.5, color=WARN)
