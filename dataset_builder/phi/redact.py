"""Dates and ages above 89 in reports: written over in place, whatever the source did."""

from __future__ import annotations

from datetime import date

from rsuper_bench.dataset_builder.phi.dates import DateOrder, days_from
from rsuper_bench.dataset_builder.phi.text import scan_text


def redact_dates_and_ages(text: str, study: date | None = None, order: DateOrder | None = None) -> str:
    """Put days from the study over dates, and ``[90+]`` over ages above 89.

    ``2021-03-04`` becomes ``[day -57_]`` where the date of the study is known and the date can be read, else
    ``[date____]``. Nothing moves: what is written over keeps its length, so that character spans into the text stay
    true. All else that a PHI scanner finds stays, and stops the release from being published.

    Args:
        text: A report.
        study: The date of the examination; it is not carried itself.
        order: How the hospital writes dates in numbers.
    """
    for hit in scan_text(text):
        old = text[hit.start : hit.end]
        if hit.kind == "date":
            days = None if study is None else days_from(old, study, order)
            words = ("date",) if days is None else (f"day {days}", str(days), "date")
        elif hit.kind == "age_over_89":
            words = ("90+",)
        else:
            continue
        text = text[: hit.start] + _filled(words, old) + text[hit.end :]
    return text


def _filled(words: tuple[str, ...], old: str) -> str:
    lines = old.splitlines(keepends=True)
    return "".join(_line(words, line.rstrip("\r\n")) + line[len(line.rstrip("\r\n")) :] for line in lines)


def _line(words: tuple[str, ...], old: str) -> str:
    for word in words:
        room = len(old) - len(word) - 2
        if room >= 0:
            return f"[{word}{'_' * room}]"
    return "_" * len(old)
