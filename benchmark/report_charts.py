"""The charts of the page: each panel of the figures on its own, as inline SVG, so that a phone can stack them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rsuper_bench.benchmark.case_panels import bar_panel, flow_panel, roc_panel, type_name
from rsuper_bench.benchmark.figures import bar_metrics, metric_title
from rsuper_bench.benchmark.inline_svg import figure_style, inline_svg
from rsuper_bench.benchmark.lesion_panels import froc_panel, lesion_size_panel
from rsuper_bench.benchmark.markdown import score_cell
from rsuper_bench.benchmark.report import EvaluationReport
from rsuper_bench.benchmark.roc_curve import roc_curves
from rsuper_bench.benchmark.strata_panels import (
    forest_metrics,
    forest_panel,
    forest_rows,
    size_metric,
    size_panel,
    size_scores,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Chart:
    """One picture: title, a line below it, and the SVG."""

    title: str
    note: str
    svg: Markup


def report_charts(report: EvaluationReport) -> dict[str, list[Chart]]:
    """Charts of each section of the page; a section without data has none."""
    with figure_style():
        return {
            "roc": list(_roc(report)),
            "bars": list(_bars(report)),
            "flow": [_flow(report)],
            "size": list(_size(report)),
            "froc": list(_froc(report)),
            "lesion_size": list(_lesion_size(report)),
            **{f"forest_{axis}": list(_forest(report, axis)) for axis in report.strata},
        }


def _chart(
    title: str,
    note: str,
    label: str,
    draw: Callable[[Axes], None],
    *,
    size: tuple[float, float],
    margins: tuple[float, float, float, float],
    words: tuple[str, str] = ("", ""),
) -> Chart:
    """Draw one panel; ``size`` in inches, ``margins`` left, right, below and above, ``words`` of both axes."""
    from matplotlib.figure import Figure

    width, height = size
    left, right, below, above = margins
    figure = Figure(figsize=size)
    axis = figure.add_axes(
        (left / width, below / height, (width - left - right) / width, (height - below - above) / height)
    )
    axis.set_xlabel(words[0], fontsize=8)
    axis.set_ylabel(words[1], fontsize=8)
    axis.tick_params(labelsize=8)
    draw(axis)
    return Chart(title, note, inline_svg(figure, label))


_SQUARE: dict[str, Any] = {"size": (2.6, 2.5), "margins": (0.46, 0.1, 0.42, 0.08)}
_LOW: dict[str, Any] = {"size": (2.6, 2.1), "margins": (0.46, 0.1, 0.62, 0.08)}


def _roc(report: EvaluationReport) -> Iterator[Chart]:
    curves = roc_curves(report)
    for kind, counts in report.counts.items():
        auroc = score_cell(report.scores[kind]["auroc"], as_percent=False)
        note = f"AUROC {auroc}\n{counts.positive} positive, {counts.negative} negative"
        yield _chart(
            type_name(kind),
            note,
            f"ROC curve of {type_name(kind)}. {note}".replace("\n", "; "),
            lambda axis, kind=kind: roc_panel(axis, report, kind, curves.get(kind)),  # type: ignore[misc]
            words=("1 - specificity", "sensitivity"),
            **_SQUARE,
        )


def _bars(report: EvaluationReport) -> Iterator[Chart]:
    height = 0.34 * len(report.counts) + 0.5
    for name, side in bar_metrics(report):
        title = metric_title(name)
        yield _chart(
            title[0].upper() + title[1:],
            "",
            f"{title} of every tumor type with intervals; the table above has the figures",
            lambda axis, name=name, side=side: bar_panel(axis, report, name, side),  # type: ignore[misc]
            size=(3.7, height),
            margins=(0.85, 0.28, 0.26, 0.04),
        )


def _flow(report: EvaluationReport) -> Chart:
    return _chart(
        "",
        "",
        "positive, negative and excluded cases of every tumor type; the table below has the numbers",
        lambda axis: flow_panel(axis, report),
        size=(4.2, 0.25 * len(report.counts) + 0.45),
        margins=(0.85, 0.15, 0.4, 0.04),
        words=("cases", ""),
    )


def _size(report: EvaluationReport) -> Iterator[Chart]:
    metric = size_metric(report).replace("auroc", "AUROC")
    for kind in report.counts:
        if size_scores(report, kind):
            yield _chart(
                type_name(kind),
                "",
                f"{metric} of {type_name(kind)} by size of the tumor",
                lambda axis, kind=kind: size_panel(axis, report, kind),  # type: ignore[misc]
                words=("largest reported diameter, mm", metric),
                **_LOW,
            )


def _froc(report: EvaluationReport) -> Iterator[Chart]:
    for kind, scores in (report.lesions or {}).items():
        note = f"{scores.n_lesions} lesions in {scores.n_cases} cases"
        if scores.froc.points:
            yield _chart(
                type_name(kind),
                note,
                f"FROC curve of {type_name(kind)}: {note}",
                lambda axis, scores=scores: froc_panel(axis, scores),  # type: ignore[misc]
                words=("false alarms a case", "lesions found"),
                **_SQUARE,
            )


def _lesion_size(report: EvaluationReport) -> Iterator[Chart]:
    for kind, scores in (report.lesions or {}).items():
        if any(score.value is not None for score in scores.by_size.values()):
            yield _chart(
                type_name(kind),
                "",
                f"share of {type_name(kind)} lesions found, by their size",
                lambda axis, scores=scores: lesion_size_panel(axis, scores),  # type: ignore[misc]
                words=("largest diameter of the lesion, mm", "lesions found"),
                **_LOW,
            )


def _forest(report: EvaluationReport, axis: Any) -> Iterator[Chart]:
    for metric in forest_metrics(report, axis):
        rows = forest_rows(report, axis, metric)
        if rows:
            title = metric.replace("auroc", "AUROC")
            yield _chart(
                title[0].upper() + title[1:],
                "",
                f"{title} by {axis}, with intervals and numbers of cases",
                lambda panel, rows=rows, metric=metric: forest_panel(panel, rows, metric=metric),  # type: ignore[misc]
                size=(3.9, 0.17 * len(rows) + 0.36),
                margins=(1.12, 1.3, 0.26, 0.04),
            )
