"""Drawing figures of lesions: the FROC curve, and sensitivity by size of the drawn lesion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rsuper_bench.benchmark.case_panels import arms
from rsuper_bench.benchmark.lesion_record import LesionScores
from rsuper_bench.benchmark.palette import CARD, METHOD
from rsuper_bench.benchmark.scores import FEW
from rsuper_bench.benchmark.strata_panels import shares_axis, size_axis, size_curve
from rsuper_bench.benchmark.stratum import SIZES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TICKS = (0.125, 0.25, 0.5, 1, 2, 4, 8)


def froc_panel(axis: Axes, scores: LesionScores) -> None:
    """Share of lesions found against false alarms a case, with the intervals at seven numbers of false alarms."""
    points = [point for point in scores.froc.points if point.fp_per_case <= _TICKS[-1] * 1.05]
    if points:
        rates = [max(point.fp_per_case, _TICKS[0] / 2) for point in points]
        found = [point.sensitivity for point in points]
        rates, found = [_TICKS[0] / 2, *rates, _TICKS[-1] * 1.15], [0.0, *found, found[-1]]
        axis.plot(rates, found, drawstyle="steps-post", color=METHOD, linewidth=1.6, zorder=3)
    for rate, score in scores.froc.at_rates.items():
        if score.value is not None:
            axis.errorbar(float(rate), score.value, yerr=arms(score), fmt="o", color=METHOD, markersize=4, elinewidth=1)
    axis.set_xscale("log", base=2)
    axis.set_xlim(_TICKS[0] / 2, _TICKS[-1] * 1.15)
    axis.set_xticks(_TICKS, ["⅛", "¼", "½", "1", "2", "4", "8"])
    axis.minorticks_off()
    shares_axis(axis)


def lesion_size_panel(axis: Axes, scores: LesionScores) -> None:
    """Share of lesions found by the largest diameter of the drawn lesion; open where there are fewer than 10."""
    sizes = [(index, scores.by_size[size]) for index, size in enumerate(SIZES) if size in scores.by_size]
    enough = {index: score for index, score in sizes if score.value is not None and (score.n or 0) >= FEW}
    if enough:
        size_curve(axis, enough)
    for index, score in sizes:
        if score.value is not None and index not in enough:
            look: dict[str, Any] = {"fmt": "o", "color": METHOD, "markerfacecolor": CARD, "markersize": 4.5}
            axis.errorbar(index, score.value, yerr=arms(score), elinewidth=0.8, zorder=4, **look)
    numbers = dict(sizes)
    size_axis(axis, [(numbers[index].n or 0) if index in numbers else 0 for index in range(len(SIZES))])
