"""Free text: reports, file names turned into words, and the texts of headers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from rsuper_bench.dataset_builder.phi.hit import Hit, merged
from rsuper_bench.dataset_builder.phi.names import scan_names
from rsuper_bench.dataset_builder.phi.patterns import scan_patterns
from rsuper_bench.dataset_builder.phi.plain import plain_text


def scan_text(text: str, known: Collection[str] = ()) -> list[Hit]:
    """Find protected information in text.

    Args:
        text: As it is; spans are of this text.
        known: Words in lower case that are no names.
    """
    plain = plain_text(text)
    hits = [*scan_patterns(plain.text), *scan_names(plain.text, known)]
    return merged([Hit(*plain.span(hit.start, hit.end), hit.kind) for hit in hits if hit.end > hit.start])


def lower_words(texts: Iterable[str]) -> set[str]:
    """Words that texts write in lower case: a capital at the head of a line does not make them names."""
    return {word for text in texts for word in re.findall(r"(?<![A-Za-z])[a-z]{3,}(?![A-Za-z])", text)}
