"""Where a quote stands in a report."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from unicodedata import normalize

from rsuper_bench.benchmark.records import Span

# What models replace when they copy: typographic dashes, quotation marks and the sign of multiplication.
_TYPOGRAPHIC = str.maketrans("‐‑‒–—−‘’‚“”„×", "------'''\"\"\"x")
_BLANKS = re.compile(r"\s{2,}|[^\S ]")  # all white space but single blanks, which may stay
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?|[.,]\d+")
# After a quote that ends before its unit: further diameters may stand between ("2.1" of "2.1 x 1.8 cm").
_ONE_UNIT = r"(?P<length>mm|cm|millimet|centimet)(?P<power>\^?[23²³])?|(?:cc|ml|hu)\b"
_UNIT_AFTER = re.compile(rf"(?:[\s\d.,x×*-]|by|to){{0,24}}?(?:{_ONE_UNIT})", re.IGNORECASE)
_UNIT = re.compile(rf"(?<![a-z])(?:{_ONE_UNIT})", re.IGNORECASE)
_POINT = re.compile(r"\d[.,]\d")
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

    def states_sizes(self, span: Span, tenths_mm: Sequence[int]) -> bool:
        """Whether the quoted words hold lengths: each a number of its own, in its unit; in either where none is near.

        The unit of a number is the next one after it, or the last one before it: "5 mm and 2 cm" holds no 5 cm. A
        number of another unit (a volume, an attenuation) is no length.
        """
        text = self.report[slice(*span)]
        units = [(unit.start(), _tenths_of(unit)) for unit in _UNIT.finditer(text)]
        if after := _UNIT_AFTER.match(self.report, span[1]):
            units.append((len(text), _tenths_of(after)))
        lengths = []
        for number in _NUMBER.finditer(text):
            following = [factors for place, factors in units if place >= number.end()]
            factors = (following[:1] or [factors for _, factors in units[-1:]] or [(10, 100)])[0]
            lengths.append([_value(number[0]) * factor for factor in factors])
        for wanted in tenths_mm:
            stated = [options for options in lengths if any(abs(length - wanted) < 0.51 for length in options)]
            if not stated:
                return False
            lengths.remove(stated[0])
        return True

    def states_number(self, span: Span, value: int) -> bool:
        """Whether the quoted words hold a whole number."""
        return any(_value(number) == value for number in _NUMBER.findall(self.report[slice(*span)]))

    def _is_whole(self, start: int, end: int) -> bool:
        text = self._text
        before, after = text[max(0, start - 2) : start], text[end : end + 2]
        if before and before[-1].isalnum() and text[start].isalnum():
            return False
        if after and after[0].isalnum() and text[end - 1].isalnum():
            return False
        return not (_cuts_number(text, start) or _cuts_number(text, end))


def _cuts_number(text: str, place: int) -> bool:
    """Whether the number ``2.1`` has a place before or after its point."""
    return any(_POINT.match(text, start) is not None for start in (place - 2, place - 1) if start >= 0)


def _tenths_of(unit: re.Match[str]) -> tuple[int, ...]:
    """Tenths of a millimetre in a unit; nothing for one that is no length."""
    if unit["length"] is None or unit["power"] is not None:
        return ()
    return (10,) if unit["length"][0].lower() == "m" else (100,)


def _value(number: str) -> float:
    return float(number.replace(",", "."))


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
