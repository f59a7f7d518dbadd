"""Draw how the parts hang together: ``python docs/pictures/make_chain.py`` writes chain.svg."""

from __future__ import annotations

from pathlib import Path

HEIGHT, BOX = 232, (92, 44)
INK, LINE, FILES, PART = "#22262b", "#5b666d", "#e4efee", "#0a5a62"

# What lies in files, left to right, and the verb that leads from one to the next.
STEPS = [
    ("reports", "+ CTs", "dataset build", "dataset_builder"),
    ("release", "", "train", "baselines"),
    ("run", "", "predict", "baselines"),
    ("submission", "", "evaluate", "benchmark"),
    ("report", "", "leaderboard", "leaderboard"),
    ("board", "", "", ""),
]
TOP, GAP = 92, 62


def _left(index: int) -> int:
    return 12 + index * (BOX[0] + GAP)


def _text(x: float, y: float, text: str, *, size: int = 12, fill: str = INK, weight: str = "normal") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{fill}" font-weight="{weight}" '
        f'text-anchor="middle">{text}</text>'
    )


def _arrow(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.5" marker-end="url(#head)"/>'


def draw() -> str:
    """The picture as SVG text."""
    width = _left(len(STEPS) - 1) + BOX[0] + 12
    parts = []
    for index, (first, second, verb, part) in enumerate(STEPS):
        x, middle = _left(index), _left(index) + BOX[0] / 2
        parts.append(
            f'<rect x="{x}" y="{TOP}" width="{BOX[0]}" height="{BOX[1]}" rx="6" fill="{FILES}" stroke="{LINE}"/>'
        )
        lines = [line for line in (first, second) if line]
        for row, line in enumerate(lines):
            parts.append(_text(middle, TOP + 27 + (row - (len(lines) - 1) / 2) * 16, line, size=13, weight="bold"))
        if verb:
            start, gap = x + BOX[0], x + BOX[0] + GAP / 2
            parts.append(_arrow(f"M{start + 3} {TOP + 22} H{start + GAP - 5}"))
            parts.append(_text(gap, TOP - 14, verb, fill=PART, weight="bold"))
            parts.append(_text(gap, TOP - 32, part, size=10, fill=LINE))
            parts.append(f'<path d="M{gap:g} {TOP - 9} V{TOP + 14}" stroke="{LINE}" stroke-dasharray="2 3"/>')
    train, submission = _left(1) + BOX[0] / 2, _left(3) + BOX[0] / 2
    low = TOP + BOX[1] + 44
    parts.append(_arrow(f"M{train:g} {TOP + BOX[1] + 3} V{low} H{_left(2) + BOX[0] / 2 - 66:g}"))
    parts.append(_text(_left(2) + BOX[0] / 2, low - 2, "calibrate", fill=PART, weight="bold"))
    parts.append(_text(_left(2) + BOX[0] / 2, low + 15, "on the validation split", size=10, fill=LINE))
    evaluate = _left(3) + BOX[0] + GAP / 2
    parts.append(_arrow(f"M{_left(2) + BOX[0] / 2 + 66:g} {low} H{evaluate:g} V{TOP + 32}"))
    parts.append(_arrow(f"M{submission:g} {TOP + BOX[1] + 3} V{low + 26} H{_left(2) + BOX[0] / 2:g} V{low + 22}"))
    parts.append(_text(evaluate + 42, low - 2, "thresholds", size=11))
    head = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 L8 4 L0 8 z" fill="{LINE}"/></marker></defs>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 32 {width} {HEIGHT - 42}" width="{width}" '
        f'font-family="system-ui, DejaVu Sans, sans-serif" role="img">'
        f"<title>Reports and CTs become a release, a run, a submission, a report and a board</title>{head}"
        + "\n".join(parts)
        + "</svg>\n"
    )


if __name__ == "__main__":
    Path(__file__).with_name("chain.svg").write_text(draw(), encoding="utf-8")
