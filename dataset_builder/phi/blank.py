"""Dates and ages above 89 in reports: blanked in place, whatever the source did."""

from __future__ import annotations

from rsuper_bench.dataset_builder.phi.text import scan_text

_WORDS = {"date": "date", "age_over_89": "90+"}


def blank_dates_and_ages(text: str) -> str:
    """Put ``[date]`` and ``[90+]`` over dates and over ages above 89.

    Nothing moves: what is blanked keeps its length, so that character spans into the text stay true, and there is no
    secret to keep (shifted dates need one for each patient, and who joins an overlay with a download has none). All
    else that a PHI scanner finds stays, and stops the release from being published.
    """
    for hit in scan_text(text):
        if hit.kind in _WORDS:
            text = text[: hit.start] + _filled(_WORDS[hit.kind], text[hit.start : hit.end]) + text[hit.end :]
    return text


def _filled(word: str, old: str) -> str:
    lines = old.splitlines(keepends=True)
    return "".join(_line(word, line.rstrip("\r\n")) + line[len(line.rstrip("\r\n")) :] for line in lines)


def _line(word: str, old: str) -> str:
    room = len(old) - len(word) - 2
    return f"[{word}{'_' * room}]" if room >= 0 else "_" * len(old)
