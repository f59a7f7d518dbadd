"""Results of a study as files: ``results.json``, ``results.md`` and ``figures/``."""

from __future__ import annotations

from pathlib import Path

from rsuper_bench.benchmark.files import pretty_json, write_text
from rsuper_bench.benchmark.report import MEAN
from rsuper_bench.study.config import StudyConfig
from rsuper_bench.study.figures import NAMES, write_figures
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


def write_results(config: StudyConfig, out: Path) -> StudyResults | None:
    """Collect what is there and write it; None before the first finished run."""
    results = collect(config, out)
    if results is None:
        return None
    figures = write_figures(results, config, out / "figures")
    write_text(out / RESULTS_FILE, pretty_json(results))
    write_text(out / PAGE_FILE, results_markdown(results, figures))
    return results


def results_markdown(results: StudyResults, figures: list[str]) -> str:
    """The page: figures, every point of the grid, and the differences."""
    lines = [f"# {results.name}", "", results.description, ""]
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
        "a bootstrap that draws patients and seeds together; differences are paired by both.",
        "",
    ]
    for name in figures:
        lines += [f"![{_FIGURES[name]}](figures/{name}.png)", "", f"*{_FIGURES[name]}*", ""]
    lines += [
        "## Points",
        "",
        *_table([_cell_row(cell) for cell in results.cells], ["arm", "masks", "reports", "seeds"]),
    ]
    lines += ["", "## Differences (points)", ""]
    lines += _table([_difference_row(item) for item in results.differences], ["what", "less", "seeds"])
    crossing = results.crossing_masks
    lines += ["", "## Where mask only reaches report only", ""]
    lines += [f"- {NAMES[metric]}: {_masks(crossing.get(metric))}" for metric in METRICS]
    lines += ["", "## Made with", ""]
    lines += [f"- {name} {version}" for name, version in results.versions.items() if version]
    lines += [f"- {name} `{digest[:12]}`" for name, digest in results.digests.items()]
    return "\n".join(lines) + "\n"


def _masks(number: float | None) -> str:
    return "nowhere between the numbers of masks that were tried" if number is None else f"about {number:.0f} masks"


def _table(rows: list[list[str]], head: list[str]) -> list[str]:
    titles = [*head, *(NAMES[metric] for metric in METRICS)]
    lines = [f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _cell_row(cell: CellResult) -> list[str]:
    numbers = [str(cell.cases.get(pool, 0)) for pool in ("masks", "reports")]
    return [
        cell.arm,
        *numbers,
        str(len(cell.seeds)),
        *(_text(cell.scores[MEAN].get(metric), 1, 3) for metric in METRICS),
    ]


def _difference_row(item: DifferenceResult) -> list[str]:
    def point(arm: str, masks: int | None, reports: int | None) -> str:
        shown = [f"{number} {pool}" for number, pool in ((masks, "masks"), (reports, "reports")) if number is not None]
        return f"{arm} ({', '.join(shown)})" if shown else arm

    one = point(item.arm, item.masks, item.reports)
    two = point(item.base, item.base_masks, item.base_reports)
    return [one, two, str(len(item.seeds)), *(_text(item.scores.get(metric), 100, 1) for metric in METRICS)]


def _text(figure: Figure | None, scale: float, digits: int) -> str:
    if figure is None or figure.value is None:
        return "undefined"
    value = f"{figure.value * scale:.{digits}f}"
    if figure.low is None or figure.high is None:
        return value
    return f"{value} [{figure.low * scale:.{digits}f}, {figure.high * scale:.{digits}f}]"
