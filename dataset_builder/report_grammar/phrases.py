"""The phrase book and the small rules of English it needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import yaml

_ARTICLE = re.compile(r"\b([Aa])\(n\) (\S+)")
_VOWEL_SOUND = re.compile(r"^(?:[aeiou]|8|11\b|18\b)", re.IGNORECASE)


@cache
def phrases() -> dict[str, Any]:
    """The phrase book, read once."""
    text = (files("rsuper_bench.dataset_builder.report_grammar") / "phrases.yaml").read_text(encoding="utf-8")
    book: dict[str, Any] = yaml.safe_load(text)
    return book


def pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    """One of some phrases, each as likely as the others."""
    return options[int(rng.integers(len(options)))]


def chance(rng: np.random.Generator, share: float) -> bool:
    """True in a share of calls; draws the same number of random values either way."""
    return bool(rng.random() < share)


def sentence(template: str, **slots: str) -> str:
    """Fill the slots, choose the articles, tidy blanks, and begin with a capital."""
    text = _ARTICLE.sub(_article, template.format(**slots))
    text = re.sub(r" {2,}", " ", text).replace(" ,", ",").replace(" .", ".").strip()
    return text[:1].upper() + text[1:]


def _article(match: re.Match[str]) -> str:
    letter, word = match.groups()
    return f"{letter}{'n' if _VOWEL_SOUND.match(word) else ''} {word}"


def capital(text: str) -> str:
    """Upper-case first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


def joined(names: Sequence[str], last: str = "and") -> str:
    """``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
