"""Show on one report what the rules extractor reads: ``python docs/make_report_figure.py``.

Draws ``docs/pictures/report-to-findings.svg`` and writes the tables between the markers of
``docs/report-to-findings.md``. Everything comes from the extractor as it is; the report is made up.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from written import with_part

from rsuper_bench.benchmark.records import Finding, Presence, ReportFindings
from rsuper_bench.dataset_builder.extraction import RulesExtractor

FOLDER = Path(__file__).parent
PAGE = FOLDER / "report-to-findings.md"
FIGURE = FOLDER / "pictures" / "report-to-findings.svg"
REPORT = """\
CT ABDOMEN AND PELVIS WITH CONTRAST

COMPARISON: CT of 14 months earlier.

FINDINGS:
Liver: Hypodense lesion in segment VII, 23 x 18 mm (series 4, image 52), previously
12 mm, consistent with a metastasis. No biliary dilatation.
Gallbladder: Status post cholecystectomy.
Pancreas: Unremarkable.
Kidneys: Three simple cysts in the left kidney, the largest 3.1 cm. 4 mm stone on the right.
Adrenals: Possible 9 mm nodule in the right adrenal gland.

IMPRESSION:
1. Growing metastasis in segment VII of the liver.
2. Questionable right adrenal nodule.
"""
COLOURS = ("#f4b6a6", "#a9cdf0", "#c3e0a4", "#e3c3f0", "#f5dd90", "#bfe3dd")
STYLE = {
    "font.family": "DejaVu Sans Mono",  # comes with matplotlib
    "svg.hashsalt": "report-to-findings",  # the same bytes each time
}
FONT_PT = 10.0
LINE_PT = 23.0  # leaves room for the name of a field above its words
LABEL_SCALE = 0.58
CHAR_EM = 0.602  # width of a character of DejaVu Sans Mono
MARGIN_PT = 14.0
HIDDEN = {"malignancy_source"}  # always the words of malignancy
SHORT = {"tumor_type": "type", "diameters_mm": "size"}


def labels_of_spans(finding: Finding) -> dict[tuple[int, int], str]:
    """Span -> the fields that were read from it."""
    spans: dict[tuple[int, int], list[str]] = {}
    for name, span in finding.evidence.items():
        if name not in HIDDEN:
            spans.setdefault(span, []).append(SHORT.get(name, name))
    return {span: ", ".join(names) for span, names in spans.items()}


@mpl.rc_context(STYLE)
def draw(read: ReportFindings, path: Path) -> None:
    """Draw the report with the words behind each finding in the finding's colour."""
    lines = REPORT.splitlines()
    summaries = [summary(finding) for finding in read.findings]
    char_pt = FONT_PT * CHAR_EM
    width_pt = 2 * MARGIN_PT + char_pt * max(map(len, [*lines, *summaries]))
    baselines = [MARGIN_PT + 0.75 * LINE_PT]
    for text in [*lines, "", *summaries]:
        baselines.append(baselines[-1] + LINE_PT * (1.0 if text else 0.45))
    height_pt = baselines[-1] - 0.4 * LINE_PT + MARGIN_PT
    figure = Figure(figsize=(width_pt / 72, height_pt / 72), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width_pt), ylim=(height_pt, 0))
    axes.axis("off")

    def box(column: int, number: int, n_chars: int, colour: str) -> None:
        corner = MARGIN_PT + char_pt * column, baselines[number] - 0.86 * FONT_PT
        style = "round,pad=0,rounding_size=2"
        axes.add_patch(FancyBboxPatch(corner, char_pt * n_chars, 1.12 * FONT_PT, boxstyle=style, fc=colour, ec="none"))

    def write(column: int, y: float, text: str, scale: float = 1.0, colour: str = "#111111") -> None:
        for word in re.finditer(r"\S+", text):  # each word in its own place: a renderer that rounds cannot drift
            x = MARGIN_PT + char_pt * (column + scale * word.start())
            axes.text(x, y, word.group(), size=FONT_PT * scale, color=colour, va="baseline")

    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    for finding, colour in zip(read.findings, COLOURS * 2, strict=False):
        for (start, end), label in labels_of_spans(finding).items():
            number = max(i for i, first in enumerate(starts) if first <= start)
            column = start - starts[number]
            box(column, number, end - start, colour)
            write(column, baselines[number] - 1.05 * FONT_PT, label, LABEL_SCALE, "#555555")
    for number, line in enumerate(lines):
        write(0, baselines[number], line)
    rule_y = baselines[len(lines)] - 0.4 * LINE_PT
    axes.plot([MARGIN_PT, width_pt - MARGIN_PT], [rule_y, rule_y], color="#bbbbbb", linewidth=0.8)
    for number, (text, colour) in enumerate(zip(summaries, COLOURS * 2, strict=False), start=len(lines) + 1):
        box(0, number, len(text), colour)
        write(0, baselines[number], text)
    path.parent.mkdir(exist_ok=True)
    metadata: dict[str, Any] = {"Date": None, "Creator": None} if path.suffix == ".svg" else {}
    figure.savefig(path, metadata=metadata)


def summary(finding: Finding) -> str:
    """A finding in a line."""
    count = finding.count.relation.replace("_", " ").replace("exact", "") + f" {finding.count.value or ''}"
    parts = [
        finding.certainty,
        finding.malignancy,
        finding.side,
        finding.location,
        "" if finding.count.value == 1 else f"count {count.strip()}",
        f"{' x '.join(f'{value:g}' for value in finding.diameters_mm)} mm" if finding.diameters_mm else "",
        finding.attenuation,
        "" if finding.series is None else f"series {finding.series}",
        "" if finding.image is None else f"image {finding.image}",
    ]
    said = [str(part) for part in parts if part and part != "unknown"]
    return f"{finding.tumor_type}: {', '.join([str(finding.kind).replace('_', ' '), *said])}"


def tables(read: ReportFindings) -> dict[str, str]:
    """Markdown of each marked part of the page."""
    rows = ["| finding | field | value | read from |", "|---|---|---|---|"]
    for number, finding in enumerate(read.findings, start=1):
        for name in Finding.model_fields:
            value = finding.model_dump(mode="json").get(name)
            if name in HIDDEN or name not in {*finding.evidence, *finding.derived}:
                continue
            span = finding.evidence.get(name)
            words = f"“{REPORT[slice(*span)]}” [{span[0]}, {span[1]}]" if span else "derived"
            rows.append(f"| {number} | `{name}` | {cell(value)} | {words} |")
    groups = [
        (presence, [str(kind) for kind, stated in read.presence.items() if stated is presence]) for presence in Presence
    ]
    presence_rows = ["| presence | types |", "|---|---|"]
    presence_rows += [f"| `{presence}` | {', '.join(kinds)} |" for presence, kinds in groups if kinds]
    presence_rows += [f"| not evaluable: `{why}` | {kind} |" for kind, why in read.not_evaluable.items()]
    return {"presence": "\n".join(presence_rows), "values": "\n".join(rows)}


def cell(value: Any) -> str:
    """A value as the table shows it."""
    if isinstance(value, dict):
        return f"{value['relation']} {value['value'] if value['value'] is not None else ''}".strip().replace("_", " ")
    return " x ".join(f"{part:g}" for part in value) if isinstance(value, list) else str(value)


def with_tables(page: str, parts: dict[str, str]) -> str:
    """The page with its marked parts written anew."""
    for name, table in parts.items():
        page = with_part(page, name, "make_report_figure.py", table)
    return page


def main() -> None:
    """Draw the figure and write the tables."""
    read = RulesExtractor().extract("example", REPORT)
    draw(read, FIGURE)
    PAGE.write_text(with_tables(PAGE.read_text("utf-8"), tables(read)), "utf-8")
    print(f"wrote {FIGURE}\nwrote {PAGE}")


if __name__ == "__main__":
    main()
