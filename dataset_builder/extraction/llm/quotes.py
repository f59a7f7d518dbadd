"""Where a quote stands in a report."""

from __future__ import annotations

import re
from bisect import bisect_left
from unicodedata import normalize

from rsuper_bench.benchmark.records import Span

# What models replace when they copy: typographic dashes, quotation marks and the sign of multiplication.
_TYPOGRAPHIC = str.maketrans("‐‑‒–—−‘’‚“”„×", "------'''\"\"\"x")
_BLANKS = re.compile(r"\s{2,}|[^\S ]")  # all white space but single blanks, which may stay
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?|[.,]\d+")
_UNIT_AFTER = re.compile(r"[\s-]{0,4}(mm|cm|millimet|centimet)", re.IGNORECASE)
_UNIT = re.compile(r"(?<![a-z])(mm|cm|millimet|centimet)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.;!?]\s|\n\s*\n")
_OTHER_SENTENCE = 1000  # characters that the end of a sentence counts for
_MOST_TRIES = 5000  # places that are parts of words; only a text made to be slow has more


class QuoteFinder:
    """Finds quotes in one report; case, runs of white space and typographic signs make no difference.

    Args:
        report: The text. Spans are offsets into it.
    """

    def __init__(self, report: str) -> None:
        self.report = report
        self._text, self._offsets = _normalised(report)

    def find(self, quote: str, near: Span | None = None) -> Span | None:
        """Span of a quote, or None where the report does not hold it.

        A quote counts only in whole words and whole numbers: ``1 cm`` is not found in ``2.1 cm``.

        Args:
            quote: The words.
            near: Of several places, the one nearest to this span is taken, in its sentence if there is one; without it
                the first.
        """
        wanted = _normalised(quote)[0].strip()
        if not any(character.isalnum() for character in wanted):
            return None
        if near is None:
            return self._next(wanted, 0)
        # Further away on the same side is never nearer: one place on each side is enough.
        middle = bisect_left(self._offsets, near[0])
        places = (self._next(wanted, max(0, middle - len(wanted) + 1)), self._previous(wanted, middle))
        return min((place for place in places if place), key=lambda place: self._distance(place, near), default=None)

    def _next(self, wanted: str, start: int) -> Span | None:
        for _ in range(_MOST_TRIES):
            start = self._text.find(wanted, start)
            if start < 0 or self._is_whole(start, start + len(wanted)):
                return None if start < 0 else self._span(start, len(wanted))
            start += 1
        return None

    def _previous(self, wanted: str, end: int) -> Span | None:
        for _ in range(_MOST_TRIES):
            start = self._text.rfind(wanted, 0, end)
            if start < 0 or self._is_whole(start, start + len(wanted)):
                return None if start < 0 else self._span(start, len(wanted))
            end = start + len(wanted) - 1
        return None

    def _span(self, start: int, length: int) -> Span:
        return self._offsets[start], self._offsets[start + length - 1] + 1

    def _distance(self, span: Span, near: Span) -> int:
        between = self.report[min(span[1], near[1]) : max(span[0], near[0])]
        return len(between) + _OTHER_SENTENCE * len(_SENTENCE_END.findall(between))

    def states_size(self, span: Span, tenths_mm: int) -> bool:
        """Whether the quoted words hold a length: a number in its unit, or in either where no unit stands near."""
        text = self.report[slice(*span)]
        units = {unit[0].lower() for unit in _UNIT.findall(text)}
        if not units and (after := _UNIT_AFTER.match(self.report, span[1])):
            units = {after[1][0].lower()}
        factors = [10 * scale for unit, scale in (("m", 1), ("c", 10)) if unit in units or not units]
        return any(abs(number * factor - tenths_mm) < 0.51 for number in _numbers(text) for factor in factors)

    def states_number(self, span: Span, value: int) -> bool:
        """Whether the quoted words hold a whole number."""
        return any(number == value for number in _numbers(self.report[slice(*span)]))

    def _is_whole(self, start: int, end: int) -> bool:
        text = self._text
        before, after = text[max(0, start - 2) : start], text[end : end + 2]
        if before and before[-1].isalnum() and text[start].isalnum():
            return False
        if after and after[0].isalnum() and text[end - 1].isalnum():
            return False
        cuts_front = len(before) == 2 and before[0].isdigit() and before[1] in ".," and text[start].isdigit()
        cuts_back = len(after) == 2 and after[1].isdigit() and after[0] in ".," and text[end - 1].isdigit()
        return not (cuts_front or cuts_back)


def _numbers(text: str) -> list[float]:
    return [float(number.replace(",", ".")) for number in _NUMBER.findall(text)]


def _normalised(text: str) -> tuple[str, list[int]]:
    """The text in lower case with single blanks, and where in the original each of its characters stands."""
    parts: list[str] = []
    offsets: list[int] = []
    done = 0
    for start, end in [*(match.span() for match in _BLANKS.finditer(text)), (len(text), len(text))]:
        piece = text[done:start]
        parts.append(piece.lower() if piece.isascii() else "".join(map(_plain, piece)))
        offsets.extend(range(done, start))
        if end > start:
            parts.append(" ")
            offsets.append(start)
        done = end
    return "".join(parts), offsets


def _plain(character: str) -> str:
    """One character for one: the plain, lower-case form where that is a single character too."""
    plain = normalize("NFKC", character).lower().translate(_TYPOGRAPHIC)
    return plain if len(plain) == 1 and not plain.isspace() else character
