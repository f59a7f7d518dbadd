"""Free text: reports, file names turned into words, and the texts of headers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable

from rsuper_bench.dataset_builder.phi.hit import Hit, merged
from rsuper_bench.dataset_builder.phi.names import scan_names
from rsuper_bench.dataset_builder.phi.patterns import scan_patterns
from rsuper_bench.dataset_builder.phi.plain import plain_text
from rsuper_bench.dataset_builder.phi.words import words

# Letters of scripts that no rule here can read, so that they do not pass; Greek (alpha, mu) and accents are read.
_SCRIPT = re.compile(
    r"[\u0400-\u1cff\u2c00-\ua6ff\ua720-\ud7ff\uf900-\ufaff\ufb1d-\ufdff\ufe70-\ufefe"
    r"\U00010000-\U0001efff\U00020000-\U0003ffff]+"
)


def scan_text(text: str, known: Collection[str] = ()) -> list[Hit]:
    """Find protected information in text.

    Args:
        text: As it is; spans are of this text.
        known: Words in lower case that are no names.
    """
    plain = plain_text(text)
    hits = [*scan_patterns(plain.text), *scan_names(plain.text, known)]
    spans = [Hit(*plain.span(hit.start, hit.end), hit.kind) for hit in hits if hit.end > hit.start]
    return merged([*spans, *(Hit(*match.span(), "script") for match in _SCRIPT.finditer(text))])


def lower_words(texts: Iterable[str]) -> set[str]:
    """Words that at least two texts write in lower case: a capital at the head of a line does not make them names.

    Known names are never among them, or one `john smith` in lower case would hide every John Smith.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(re.findall(r"(?<![A-Za-z])[a-z]{3,}(?![A-Za-z])", text)))
    return {word for word, n in counts.items() if n > 1} - words("given_names") - words("surnames")
