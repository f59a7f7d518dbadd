"""Numbers that are neither sizes nor counts: dates, Hounsfield units, scores, and the series and image shown."""

from __future__ import annotations

import re
from dataclasses import dataclass

Span = tuple[int, int]

# White space is bounded everywhere, so that no run of blanks makes a pattern slow.
_NUMBERED = r"\.?\s{0,3}(?:#|no\.?|number|:)?\s{0,3}:?\s{0,3}"
_SERIES = rf"\b(?:series|sequence|ser|se){_NUMBERED}(?P<NAME>\d{{1,4}})"
_IMAGE = rf"\b(?:images?|imgs?|im|slices?|i){_NUMBERED}(?P<NAME>\d{{1,5}})"
_MORE = r"(?:\s{0,2}(?:-|–|to|and|&|,)\s{0,2}\d{1,5}(?!\s{0,2}[.\d]{0,6}\s{0,2}(?:mm|cm|x|×)))?"
_OF = r"\s{0,2}(?:of|in|on|,|;|/)?\s{0,2}(?:the\s)?"
_JOIN = r"[\s,;/:&-]{0,4}(?:and\s)?(?:on\s)?"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_DATE = re.compile(
    rf"\b(?:\d{{1,2}}[/.-]\d{{1,2}}[/.-](?:\d{{4}}|\d{{2}})|(?:19|20)\d\d[/.-]\d{{1,2}}[/.-]\d{{1,2}}|\d{{1,2}}[/-](?:19|20)\d\d"
    rf"|{_MONTH}\s{{1,2}}\d{{1,2}}(?:st|nd|rd|th)?,?\s{{1,2}}(?:19|20)\d\d|{_MONTH},?\s{{1,2}}(?:19|20)\d\d"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?[\s-]{{1,2}}{_MONTH}[\s-]{{1,2}}(?:19|20)\d\d)\b(?![/.-]?\d)",
    re.IGNORECASE,
)
_UNITS = re.compile(
    # the number of a list item
    r"\A\s{0,4}(?:[-*•·–]\s{0,4})?(?:\(\d{1,2}\)|\d{1,2}[.)](?!\d))(?=\s)|\A\s{0,4}(?:[TN]|TL|NT|NTL|L)\s?\d{1,2}\b|\A\s{0,4}#\d{1,2}\b|"
    r"(?<![\w.])[-–+]?\d{1,4}(?:\.\d)?\s{0,2}(?:(?:to|-|–)\s{0,2}[-–]?\d{1,4}\s{0,2})?(?:hu|h\.u\.|hounsfield(?:\s{1,2}units?)?)\b"
    r"|\b\d(?:st|nd|rd|th)\b"
    # an age in words
    r"|\b(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)[\s-]{1,2}"
    r"(?:one|two|three|four|five|six|seven|eight|nine)(?=[\s-]{1,2}year)"
    r"|(?:(?<=lesion )|(?<=nodule )|(?<=mass )|(?<=target ))\d{1,2}(?=\s{0,2}(?:[:)]|[-–]\s))",
    re.IGNORECASE,
)
_SHOWN = re.compile(
    "|".join(
        (
            rf"{_SERIES.replace('NAME', 's1')}{_JOIN}{_IMAGE.replace('NAME', 'i1')}{_MORE}",
            rf"{_IMAGE.replace('NAME', 'i2')}{_MORE}{_OF}{_SERIES.replace('NAME', 's2')}",
            rf"\bimages?{_NUMBERED}(?P<s3>\d{{1,3}})\s?[/:]\s?(?P<i3>\d{{1,4}})",
            r"(?<=[(\[])(?P<s4>\d{1,4})\s{0,2}[/:]\s{0,2}(?P<i4>\d{1,4})(?=\s{0,2}[)\],;-])",
            r"(?<=[(\[])(?P<s0>\d{1,3})-(?P<i0>\d{2,4})(?=[)\]])",
            r"\bs\s?(?P<s5>\d{1,3})[,;/\s:-]{0,3}i\s?(?P<i5>\d{1,4})\b",
            r"\b(?P<s6>\d{1,3})\s?/\s?(?P<i6>\d{1,4})(?=\s{0,2}[)\]])",
            rf"\b(?:images?|imgs?|im|slices?){_NUMBERED}(?P<i7>\d{{1,5}}){_MORE}",
            rf"{_SERIES.replace('NAME', 's8')}",
            r"(?<=\|)\s{0,2}(?P<sa>\d{1,3})/(?P<ia>\d{1,4})\s{0,2}\Z",
            r"\(\s{0,2}#\s{0,2}(?P<i9>\d{1,4})\s{0,2}\)",
        )
    ),
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
_SHOWN_HINT = re.compile(r"ser|seq|image|im|slice|[(\[/]|\bs\s?\d", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Aside:
    """Numbers that belong together and count nothing. Spans are in the text that was searched.

    Attributes:
        span: All of it.
        series: Number of the series, where one is named, and its span.
        image: Number of the image, where one is named, and its span.
    """

    span: Span
    series: tuple[int, Span] | None = None
    image: tuple[int, Span] | None = None


def asides_in(text: str) -> list[Aside]:
    """Find dates, Hounsfield units, ordinals and references to images, in order; they do not overlap."""
    if _DIGIT.search(text) is None:
        return []
    found = [Aside(match.span()) for pattern in (_DATE, _UNITS) for match in pattern.finditer(text)]
    if _SHOWN_HINT.search(text):
        taken = [aside.span for aside in found]
        found += [
            _shown(match)
            for match in _SHOWN.finditer(text)
            if not any(start < match.end() and match.start() < end for start, end in taken)
        ]
    found.sort(key=lambda aside: aside.span)
    return [aside for index, aside in enumerate(found) if not index or found[index - 1].span[1] <= aside.span[0]]


def _shown(match: re.Match[str]) -> Aside:
    numbers: dict[str, tuple[int, Span]] = {}
    for name, value in match.groupdict().items():
        if value is not None:
            numbers[name[0]] = int(value), match.span(name)
    return Aside(match.span(), numbers.get("s"), numbers.get("i"))
