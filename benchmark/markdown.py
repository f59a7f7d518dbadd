"""Cells and tables of Markdown, safe against hostile text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rsuper_bench.benchmark.score import Score

_ESCAPED = str.maketrans(
    {char: f"\\{char}" for char in "\\`*_{}[]#|!"} | {"<": "&lt;", ">": "&gt;", "\n": " ", "\r": " "}
)
NOT_DEFINED = "–"


def escape(text: str) -> str:
    """Make hostile text harmless in Markdown, in the HTML made of it, and in a terminal."""
    return printable(text.replace("&", "&amp;").translate(_ESCAPED))


def printable(text: str) -> str:
    """Make hostile text harmless in a terminal: no control characters, one line."""
    return "".join(char if char.isprintable() else "?" for char in text)


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal."""
    return NOT_DEFINED if value is None else f"{100 * value:.1f}"


def p_value(p: float | None) -> str:
    """A p-value with four decimals."""
    return NOT_DEFINED if p is None else "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def score_cell(score: Score | None, *, as_percent: bool = True, counts: bool = True) -> str:
    """Value, interval and counts of a score in one table cell."""
    if score is None or score.value is None:
        return NOT_DEFINED

    def show(value: float) -> str:
        return percent(value) if as_percent else f"{value:.3f}"

    text = show(score.value)
    if score.low is not None and score.high is not None:
        text += f" [{show(score.low)}, {show(score.high)}]"
    if counts and score.k is not None and score.n is not None:
        text += f" ({score.k}/{score.n})"
    return text


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


class TextTable(NamedTuple):
    """A table of plain text, for Markdown and pages alike. Names in its first column are hostile: escape them."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str]
