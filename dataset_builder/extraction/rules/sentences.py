"""Cutting text into sentences without losing a character's position."""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_SENTENCE = 2000  # characters; longer ones are cut at white space so that no input makes a sentence slow

_END = re.compile(
    r"[.!?]++[\"')\]]{0,4}(?:\s?,)?(?=\s|$|[A-Z][a-z])"  # "normal. The", "normal.The", "normal., The"
    r"|;(?=\s)"
    r"|\n[ \t]*(?=(?:[-*•·]|\d{1,2}[.)]|\(?[a-h]\)|#\d{1,2}[:.]?)[ \t]+\S)"  # the next item of a list
    r"|\s(?=(?:\d{1,2}[.)]|\(\d{1,2}\))[ \t]+[A-Z])"
    r"|\n(?=[ \t]*[A-Z][^\n:]{0,60}:)"
    r"|\n(?=[ \t]*\|)"  # the next row of a table
    r"|(?P<row>\n)(?=[^\n|]{0,80}\|[^\n|]{0,80}\|)"  # the same without a bar at its edge
    r"|(?P<line>\n)(?=[ \t]*(?:[A-Z]|#?\d))"  # a line of its own, where it is none that was wrapped
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(,])(?:dr|mr|mrs|ms|approx|vs|e\.g|i\.e|fig|no|st|s\.p|h\.o|a\.p|cf|incl|ca|max|min|resp|lt|rt|seg|im|ser|se|img)$",
    re.IGNORECASE,
)
# "a lesion in segment 6. A second ...": the number ends the sentence, it opens no list.
_TAKES_NUMBER = re.compile(
    r"\b(?:segments?|segs?|images?|series|stage|grade|type|bosniak|rads|lr|level|category|class|zone|and|or|to|of|x|is|was|than|about|by|from|at|were|now|previously|prev|prior)$|(?:[→>=]|\s[-–])$",
    re.IGNORECASE,
)
_SHORT_LINE = 45  # characters; a line this short was not wrapped
_GOES_ON = re.compile(
    r"(?:[,(&/–-]|\b(?:a|an|and|are|at|by|for|from|in|is|of|on|or|than|that|the|to|was|were|with|no|not|measuring|left|right))$",
    re.IGNORECASE,
)
_ENDS_IN_SIZE = re.compile(r"(?:\d|\d\s?[cm]m|\))$")
_COLUMNS = re.compile(r"\S[ \t]{3,40}\S[^\n]{0,60}?[ \t]{3,40}\S")  # wrapped prose has no such gaps
_ITEM = re.compile(r"\s*(?:[A-Z]|#?\d{1,2}\s?[.):])")
_LONGEST_NUMBER = 8  # characters
_BRACKET = 160  # characters
_NUMBERED = re.compile(r"^\s*\(?\d{1,2}\)?$")


def sentences_of(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each sentence of ``text[start:end]``, without surrounding white space."""
    position = start
    for match in _END.finditer(text, start, end):
        stop = match.end()
        if match.group().startswith(".") and _is_inside(text, position, match.start(), match.end(), end):
            continue
        row = match["row"] is not None
        if (
            not row
            and match.group().isspace()
            and _TAKES_NUMBER.search(text[max(position, match.start() - 12) : match.start()])
        ):
            continue
        if match["line"] and not _is_line(text, match.start(), match.end()):
            continue
        if match.group() == ";" and _is_bracketed(text, position, match.start(), end):
            continue
        yield from _pieces(text, position, stop)
        position = stop
    yield from _pieces(text, position, end)


def _is_line(text: str, stop: int, after: int) -> bool:
    """Whether a line end ends a sentence without a full stop: a short line, or one that ends in a size."""
    line = text[text.rfind("\n", 0, stop) + 1 : stop].strip()
    if _COLUMNS.search(line) is not None:
        return True
    if _GOES_ON.search(line) or _ITEM.match(text, after) is None:
        return False
    return len(line) <= _SHORT_LINE or _ENDS_IN_SIZE.search(line) is not None


def _is_bracketed(text: str, start: int, sign: int, end: int) -> bool:
    """Whether a semicolon stands in brackets: "two fibroids (posterior wall 3.3 cm; fundus 2.1 cm)"."""
    opened = text.rfind("(", max(start, sign - _BRACKET), sign)
    closed = text.find(")", sign, min(end, sign + _BRACKET))
    return opened > text.rfind(")", max(start, sign - _BRACKET), sign) and closed >= 0


def _is_inside(text: str, start: int, dot: int, after: int, end: int) -> bool:
    """Whether a full stop does not end a sentence: an abbreviation, a list number, a decimal, a unit."""
    before = text[max(start, dot - 12) : dot]
    if _ABBREVIATION.search(before) or (dot - start <= _LONGEST_NUMBER and _NUMBERED.match(text[start:dot])):
        return True
    follows = text[after : min(end, after + 3)].lstrip()
    return before[-2:].lower() in ("cm", "mm") and follows[:1].islower()


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = end
        if end - start > MAX_SENTENCE:
            cut = text.rfind(" ", start, start + MAX_SENTENCE)
            stop = cut if cut > start else start + MAX_SENTENCE
        first, last = start, stop
        while first < last and text[first].isspace():
            first += 1
        while last > first and text[last - 1].isspace():
            last -= 1
        if first < last:
            yield first, last
        start = stop
