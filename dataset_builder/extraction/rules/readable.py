"""Whether a text is a report in English at all; the rules read nothing else."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from rsuper_bench.dataset_builder.extraction.rules.lexicon import english_words

LOOKED_AT = 20_000  # characters; more tell no more
MOST_SIGNS = 0.05  # share of characters that no text holds
FEWEST_WORDS = 6
SMALLEST_SHARE = 0.4  # of words that are English; other languages share fewer (normal, segment, ...)
_LETTER = re.compile(r"[^\W_]")
_WORD = re.compile(r"[^\W\d_]{3,}")
_ODD = re.compile(r"[^\x20-\x7e\n\r\t]")
_BLANKS = "\n\r\t\f\v"


def why_unreadable(report: str) -> str | None:
    """Say why a text cannot be read, or None.

    Returns:
        ``empty``: no letter or number; ``not_text``: binary data; ``not_english``.
    """
    text = report[:LOOKED_AT]
    if _LETTER.search(report) is None:
        return "empty"
    signs = sum(_is_no_text(letter) for letter in _ODD.findall(text))
    if signs > MOST_SIGNS * len(text):
        return "not_text"
    words = [word.lower() for word in _WORD.findall(text)]
    if len(words) < FEWEST_WORDS:
        return None
    known = english_words()
    return "not_english" if sum(word in known for word in words) < SMALLEST_SHARE * len(words) else None


@cache
def _is_no_text(letter: str) -> bool:
    return letter not in _BLANKS and (unicodedata.category(letter) in ("Cc", "Co", "Cn", "Cs") or letter == "\ufffd")
