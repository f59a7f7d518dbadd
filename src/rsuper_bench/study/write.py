"""Results of a study as files: ``results.json``, ``results.md`` and ``figures/``."""

from __future__ import annotations

from pathlib import Path

from rsuper_bench.benchmark.files import pretty_json, write_text
from rsuper_bench.benchmark.report import MEAN
from rsuper_bench.study.config import StudyConfig
from rsuper_bench.study.figures import NAMES, mask_counts, write_figures
from rsuper_bench.study.results import METRICS, CellResult, DifferenceResult, Figure, StudyResults, collect

RESULTS_FILE = "results.json"
PAGE_FILE = "results.md"
_FIGURES = {
    "exchange": "Performance against the number of masks. The band is report only, which uses none.",
    "types": "Each tumor type at the fewest masks.",
    "gain": "What reports add to masks: combined less mask only at the same masks.",
    "ablation": "What a part of report supervision is worth: an arm with one part changed, less that arm itself.",
    "settings": "Settings that were varied, each on its own axis.",
}
_POINT = ["arm", "seeds"]
_DIFFERENCE = ["what less what", "seeds"]
_HEADS = {
    "sensitivity_at_specificity_90": "sens. at 90 % spec.",
    "specificity_at_sensitivity_90": "spec. at 90 % sens.",
    "auroc": "AUROC",
    "sensitivity": "sens., frozen threshold",
    "specificity": "spec., frozen threshold",
}


def write_results(config: StudyConfig, out: Path) -> StudyResults | None:
    """Collect what is there and write it; None before the first finished run."""
    results = collect(config, out)
    if results is None:
        return None
    figures = write_figures(results, config, out / "figures")
    write_text(out / RESULTS_FILE, pretty_json(results))
    pictures = {name: f"figures/{name}.png" for name in figures}
    write_text(out / PAGE_FILE, f"# {config.name}\n\n" + results_markdown(results, config, pictures, level=2))
    return results


def results_markdown(results: StudyResults, config: StudyConfig, pictures: dict[str, str], *, level: int) -> str:
    """What a study found, in words and tables, without a title.

    Args:
        results: From `collect`.
        config: The study.
        pictures: Name of each figure and where it is, seen from the page.
        level: Of the headings, 2 for ``##``.
    """
    mark = "#" * level
    lines = [results.description, ""]
    if results.synthetic:
        lines += [
            "**Synthetic phantoms.** They are not patients; no figure here says how a method does on patients.",
            "",
        ]
    if results.done < results.runs:
        lines += [f"**Unfinished:** {results.done} of {results.runs} runs.", ""]
    lines += [
        f"{results.n_cases} test cases of {results.n_patients} patients; {', '.join(results.tumor_types)}.",
        "Figures are means over seeds, and over types where none is named. Intervals (95 %) are percentiles of",
        "a bootstrap that draws patients and seeds together; differences are paired by both. Frozen thresholds come",
        "from the validation split.",
        *(["Where a point has one seed its interval is over patients alone."] if _one_seed(results) else []),
        "",
    ]
    for name, target in pictures.items():
        lines += [f"![{_FIGURES[name]}]({target})", "", f"*{_FIGURES[name]}*", ""]
    lines += [f"{mark} Points", "", *_table([_cell_row(cell) for cell in results.cells], _POINT), ""]
    if results.differences:
        lines += [f"{mark} Differences", "", "In points (hundredths). Bold: the interval excludes 0; intervals are"]
        lines += ["not corrected for the number of comparisons.", ""]
        lines += [*_table([_difference_row(item) for item in results.differences], _DIFFERENCE), ""]
    if len(mask_counts(results, config.mask_only)) > 1 and any(c.arm == config.report_only for c in results.cells):
        lines += [f"{mark} Where mask only reaches report only", ""]
        lines += [f"- {NAMES[metric]}: {_masks(results.crossing_masks.get(metric))}" for metric in METRICS]
        lines += [""]
    lines += [f"{mark} Made with", ""]
    lines += [f"- {name} {version}" for name, version in results.versions.items() if version]
    lines += [f"- {name} `{digest[:12]}`" for name, digest in results.digests.items()]
    return "\n".join(lines) + "\n"


def _one_seed(results: StudyResults) -> bool:
    return any(len(cell.seeds) == 1 for cell in results.cells)


def _masks(number: float | None) -> str:
    return "nowhere between the numbers of masks that were tried" if number is None else f"about {number:.0f} masks"


def _table(rows: list[list[str]], head: list[str]) -> list[str]:
    titles = [*head, *(_HEADS[metric] for metric in METRICS)]
    lines = [f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _cell_row(cell: CellResult) -> list[str]:
    numbers = ", ".join(f"{cell.cases.get(pool, 0)} {pool}" for pool in ("masks", "reports"))
    figures = (_text(cell.scores[MEAN].get(metric), 1, 3) for metric in METRICS)
    return [f"{cell.arm} ({numbers})", str(len(cell.seeds)), *figures]


def _difference_row(item: DifferenceResult) -> list[str]:
    def point(arm: str, masks: int | None, reports: int | None) -> str:
        shown = [f"{number} {pool}" for number, pool in ((masks, "masks"), (reports, "reports")) if number is not None]
        return f"{arm} ({', '.join(shown)})" if shown else arm

    one = point(item.arm, item.masks, item.reports)
    two = point(item.base, item.base_masks, item.base_reports)
    return [f"{one} less {two}", str(len(item.seeds)), *(_difference(item.scores.get(metric)) for metric in METRICS)]


def _difference(figure: Figure | None) -> str:
    text = _text(figure, 100, 1)
    low, high = (None, None) if figure is None else (figure.low, figure.high)
    return f"**{text}**" if low is not None and high is not None and low * high > 0 else text


def _text(figure: Figure | None, scale: float, digits: int) -> str:
    if figure is None or figure.value is None:
        return "undefined"
    value = f"{figure.value * scale:.{digits}f}"
    if figure.low is None or figure.high is None:
        return value
    return f"{value} [{figure.low * scale:.{digits}f}, {figure.high * scale:.{digits}f}]"
