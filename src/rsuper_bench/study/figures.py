"""Figures of a study; the same results give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsuper_bench.benchmark.report import MEAN
from rsuper_bench.study.config import StudyConfig
from rsuper_bench.study.results import CellResult, DifferenceResult, Figure, StudyResults

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

# Okabe and Ito's colours, as in the reports of an evaluation.
COLOURS = {"mask_only": "#666666", "report_only": "#D55E00", "combined": "#0072B2"}
NAMES = {
    "sensitivity_at_specificity_90": "sensitivity at 90 % specificity",
    "specificity_at_sensitivity_90": "specificity at 90 % sensitivity",
    "auroc": "AUROC",
    "sensitivity": "sensitivity (threshold from validation)",
    "specificity": "specificity (threshold from validation)",
}
_WIDTH = 7.6  # inches: letters of 9 points stay readable where a page shows it
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "text.parse_math": False,  # a dollar sign in a name is one
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "legend.frameon": False,
    "svg.hashsalt": "rsuper-bench",
    "svg.fonttype": "none",
    "figure.facecolor": "white",
}


def write_figures(results: StudyResults, config: StudyConfig, folder: Path) -> list[str]:
    """Draw what there are results for, as PNG and SVG.

    Returns:
        Names of the figures, without suffix.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from rsuper_bench.benchmark.files import atomic_path

    made = []
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        for name, draw in (
            ("exchange", exchange_figure),
            ("types", types_figure),
            ("gain", gain_figure),
            ("ablation", ablation_figure),
            ("settings", settings_figure),
        ):
            picture = draw(results, config)
            if picture is None:
                continue
            FigureCanvasAgg(picture)
            for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
                with atomic_path(folder / f"{name}.{suffix}") as path:
                    picture.savefig(path, format=suffix, dpi=200, metadata=metadata)
            made.append(name)
    return made


def exchange_figure(results: StudyResults, config: StudyConfig) -> Picture | None:
    """Performance against number of masks; report_only, which uses none, as a band. One number makes no curve."""
    if len(mask_counts(results, config.mask_only)) < 2:
        return None
    ticks = sorted({*mask_counts(results, config.mask_only), *mask_counts(results, config.combined)})
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(_WIDTH, 3.5), layout="constrained")
    for axis, metric in zip(picture.subplots(1, 2), ("sensitivity_at_specificity_90", "auroc"), strict=True):
        for arm, aside in ((config.mask_only, 0.96), (config.combined, 1.04)):
            _line(axis, _curve(results, arm), metric, arm, config, aside)
        for cell in (cell for cell in results.cells if cell.arm == config.report_only):
            label = f"report only, {cell.cases.get('reports', 0)} reports"
            _band(axis, cell.scores[MEAN].get(metric), label, _colour(cell.arm, config))
        crossing = results.crossing_masks.get(metric)
        if crossing is not None:
            axis.axvline(crossing, color="#999999", linewidth=0.8, linestyle=":")
            axis.annotate(
                f"{crossing:.0f} masks", (crossing, axis.get_ylim()[0]), xytext=(3, 3), textcoords="offset points",
                fontsize=8, color="#555555",
            )  # fmt: skip
        _mask_axis(axis, ticks)
        axis.set_title(f"{NAMES[metric]}, mean of {len(results.tumor_types)} types")
    handles, labels = picture.axes[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside upper center", ncols=len(handles), fontsize=8)
    _caption(picture, results)
    return picture


def types_figure(results: StudyResults, config: StudyConfig) -> Picture | None:
    """Sensitivity and specificity of each tumor type, the baselines side by side at the fewest masks."""
    cells = [cell for cell in (_first(results, arm) for arm in _baselines(config)) if cell is not None]
    if len(cells) < 2:
        return None
    from matplotlib.figure import Figure as Picture

    rows = [*results.tumor_types, MEAN]
    picture = Picture(figsize=(_WIDTH, 1.3 + 0.2 * len(cells) * len(rows)), layout="constrained")
    axes = picture.subplots(1, 2, sharey=True)
    for axis, metric in zip(axes, ("sensitivity_at_specificity_90", "specificity_at_sensitivity_90"), strict=True):
        for index, cell in enumerate(cells):
            offset = (index - (len(cells) - 1) / 2) * 0.24
            for row, kind in enumerate(rows):
                _dot(axis, cell.scores[kind].get(metric), row + offset, _colour(cell.arm, config), filled=kind == MEAN)
        axis.set_xlim(-0.02, 1.02)
        axis.set_xlabel(NAMES[metric])
        axis.grid(axis="x", color="#eeeeee")
        axis.set_axisbelow(True)
    axes[0].set_yticks(range(len(rows)), [*results.tumor_types, "mean"])
    axes[0].invert_yaxis()
    handles = [
        axes[0].plot([], [], "o", color=_colour(cell.arm, config), label=_described(cell), markersize=5)[0]
        for cell in cells
    ]
    picture.legend(handles=handles, loc="outside upper center", ncols=len(cells), fontsize=8)
    _caption(picture, results)
    return picture


def gain_figure(results: StudyResults, config: StudyConfig) -> Picture | None:
    """What reports add to masks, against the number of masks. One number makes no curve."""
    found = [item for item in results.differences if item.arm == config.combined and item.base == config.mask_only]
    masks = [_masks_of(results, item) for item in found]
    if len(set(masks)) < 2:
        return None
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(_WIDTH, 3.2), layout="constrained")
    axes = picture.subplots(1, 2, sharey=True)
    for axis, metric in zip(axes, ("sensitivity_at_specificity_90", "specificity_at_sensitivity_90"), strict=True):
        axis.axhline(0, color="#999999", linewidth=0.8)
        for x, item in zip(masks, found, strict=True):
            _dot(axis, item.scores.get(metric), x, COLOURS["combined"], vertical=True, scale=100)
        _mask_axis(axis, sorted(set(masks)))
        axis.set_title(NAMES[metric])
    axes[0].set_ylabel("gain (points)")
    _caption(picture, results)
    return picture


def ablation_figure(results: StudyResults, config: StudyConfig) -> Picture | None:
    """What a part of report supervision is worth: an arm with one part changed, less that arm itself."""
    names = [arm.name for arm in config.arms if arm.part == "ablation"]
    found = [item for item in results.differences if item.arm in names]
    if not found:
        return None
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(_WIDTH, 1.3 + 0.36 * len(found)), layout="constrained")
    axes = picture.subplots(1, 2, sharey=True)
    for axis, metric in zip(axes, ("sensitivity_at_specificity_90", "auroc"), strict=True):
        axis.axvline(0, color="#999999", linewidth=0.8)
        for row, item in enumerate(found):
            _dot(axis, item.scores.get(metric), row, COLOURS["combined"], scale=100)
        axis.set_title(NAMES[metric])
        axis.set_xlabel("change (points)")
    axes[0].set_yticks(range(len(found)), [f"{_words(item.arm)} (of {_words(item.base)})" for item in found])
    axes[0].set_ylim(-0.6, len(found) - 0.4)
    axes[0].invert_yaxis()
    _caption(picture, results)
    return picture


def settings_figure(results: StudyResults, config: StudyConfig) -> Picture | None:
    """What is varied, an axis each: the arms at their values, and the arm they are compared with at its own."""
    found = {name: points for name in config.axes if len(points := _settings(results, config, name)) > 1}
    if not found:
        return None
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(max(_WIDTH / 2 * len(found), 4.5), 3.4), layout="constrained")
    axes = picture.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axis, (name, points) in zip(axes, found.items(), strict=True):
        places = _places([at for at, _ in points])
        for at, cell in points:
            _dot(
                axis,
                cell.scores[MEAN].get("auroc"),
                places[at],
                COLOURS["combined"],
                vertical=True,
                filled=at != config.axes[name].base,
            )
        axis.set_xticks(list(places.values()), [at if isinstance(at, str) else f"{at:g}" for at in places])
        axis.margins(x=0.15)
        base = config.settings(name)[0].of or ""
        axis.set_xlabel(f"{config.axes[name].label}\nopen: {_words(base)}, which the others change")
    axes[0].set_ylabel(f"AUROC, mean of {len(results.tumor_types)} types")
    _caption(picture, results)
    return picture


def _settings(results: StudyResults, config: StudyConfig, name: str) -> list[tuple[float | str, CellResult]]:
    """The points of an axis: each setting with results, and the arm they are compared with at the same numbers."""
    settings = {arm.name: arm.at for arm in config.settings(name)}
    points = [(at, cell) for cell in results.cells if (at := settings.get(cell.arm)) is not None]
    numbers = {(cell.masks, cell.reports) for _, cell in points}
    base = config.settings(name)[0].of
    others = [cell for cell in results.cells if cell.arm == base and (cell.masks, cell.reports) in numbers]
    return [*((config.axes[name].base, cell) for cell in others), *points]


def _places(values: Sequence[float | str]) -> dict[float | str, float]:
    """Where values stand on an axis: numbers where they are, words beyond the largest one, evenly spaced."""
    numbers = sorted({value for value in values if not isinstance(value, str)})
    words = list(dict.fromkeys(value for value in values if isinstance(value, str)))
    step = (numbers[-1] - numbers[0]) / max(len(numbers) - 1, 1) if len(numbers) > 1 else 1.0
    start = numbers[-1] if numbers else 0.0
    return {number: number for number in numbers} | {word: start + step * n for n, word in enumerate(words, start=1)}


def _words(arm: str) -> str:
    return arm.replace("_", " ")


def _baselines(config: StudyConfig) -> tuple[str, str, str]:
    return config.mask_only, config.report_only, config.combined


def _colour(arm: str, config: StudyConfig) -> str:
    return dict(zip(_baselines(config), COLOURS.values(), strict=True)).get(arm, "#009E73")


def mask_counts(results: StudyResults, arm: str) -> list[int]:
    """Numbers of masks at which an arm was trained."""
    return sorted({cell.cases["masks"] for cell in _curve(results, arm)})


def _mask_axis(axis: Axes, ticks: Sequence[int]) -> None:
    axis.set_xscale("log")
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel("training cases with lesion masks")


def _curve(results: StudyResults, arm: str) -> list[CellResult]:
    cells = [cell for cell in results.cells if cell.arm == arm and cell.cases.get("masks")]
    return sorted(cells, key=lambda cell: cell.cases["masks"])


def _first(results: StudyResults, arm: str) -> CellResult | None:
    """The point of an arm with the fewest masks."""
    cells = [cell for cell in results.cells if cell.arm == arm]
    return min(cells, key=lambda cell: cell.cases.get("masks", 0)) if cells else None


def _masks_of(results: StudyResults, item: DifferenceResult) -> int:
    return next(
        cell.cases.get("masks", 0)
        for cell in results.cells
        if (cell.arm, cell.masks, cell.reports) == (item.arm, item.masks, item.reports)
    )


def _described(cell: CellResult) -> str:
    parts = [f"{number} {pool}" for pool, number in sorted(cell.cases.items()) if number]
    return f"{_words(cell.arm)} ({', '.join(parts)})"


def _line(axis: Axes, cells: Sequence[CellResult], metric: str, arm: str, config: StudyConfig, aside: float) -> None:
    """A curve; ``aside`` moves it by a factor, so that intervals at one number of masks stand side by side."""
    points = [(cell.cases["masks"] * aside, cell.scores[MEAN].get(metric)) for cell in cells]
    drawn = [(x, figure.value) for x, figure in points if figure is not None and figure.value is not None]
    colour = _colour(arm, config)
    axis.plot([x for x, _ in drawn], [value for _, value in drawn], "-", color=colour, linewidth=1.2)
    for x, figure in points:
        _dot(axis, figure, x, colour, vertical=True)
    axis.plot([], [], "o-", color=colour, label=_arm_label(arm, cells), markersize=5)


def _arm_label(arm: str, cells: Sequence[CellResult]) -> str:
    reports = sorted({cell.cases.get("reports", 0) for cell in cells})
    extra = f", with {reports[0]}-{reports[-1]} reports" if reports and reports[-1] else ""
    return _words(arm) + (extra.replace(f"{reports[0]}-{reports[0]} ", f"{reports[0]} ") if extra else "")


def _band(axis: Axes, figure: Figure | None, label: str, colour: str) -> None:
    if figure is None or figure.value is None:
        return
    if figure.low is not None and figure.high is not None:
        axis.axhspan(figure.low, figure.high, color=colour, alpha=0.12, linewidth=0)
    axis.axhline(figure.value, color=colour, linewidth=1.2, label=label)


def _dot(
    axis: Axes,
    figure: Figure | None,
    at: float,
    colour: str,
    *,
    vertical: bool = False,
    scale: float = 1,
    filled: bool = True,
) -> None:
    """A figure with its interval, ``at`` a place on the other axis."""
    if figure is None or figure.value is None:
        return
    value = figure.value * scale
    low = value if figure.low is None else figure.low * scale
    high = value if figure.high is None else figure.high * scale
    style: dict[str, Any] = {
        "fmt": "o",
        "color": colour,
        "markersize": 5,
        "linewidth": 1.2,
        "markerfacecolor": colour if filled else "white",
    }
    error = [[value - low], [high - value]]
    if vertical:
        axis.errorbar([at], [value], yerr=error, **style)
    else:
        axis.errorbar([value], [at], xerr=error, **style)


def _caption(picture: Picture, results: StudyResults) -> None:
    kind = "synthetic phantoms, which are not patients" if results.synthetic else "cases"
    seeds = max(len(cell.seeds) for cell in results.cells)
    picture.supxlabel(
        f"{results.n_cases} test cases ({kind}); 95 % intervals over patients and {seeds} seed{'s' * (seeds > 1)}",
        fontsize=8,
        color="#555555",
    )
