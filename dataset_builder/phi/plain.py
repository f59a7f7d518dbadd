"""Text in plain characters, so that a no-break hyphen or a full-width digit hides nothing."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_DASHES = dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u00ad", "-")
_QUOTES = {"\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u201c": '"', "\u201d": '"'}


@dataclass(frozen=True)
class PlainText:
    """Text of one form, and where each of its characters stood."""

    text: str
    origins: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original text."""
        return self.origins[start], self.origins[end - 1] + 1


def plain_text(text: str) -> PlainText:
    """Bring dashes, quotes, spaces, full-width and accented letters to ASCII; drop characters nobody sees."""
    characters: list[str] = []
    origins: list[int] = []
    for index, character in enumerate(text):
        for piece in _plain(character):
            characters.append(piece)
            origins.append(index)
    return PlainText("".join(characters), tuple(origins))


def _plain(character: str) -> str:
    if character.isascii():
        return character
    if character in _DASHES or character in _QUOTES:
        return _DASHES.get(character) or _QUOTES[character]
    if unicodedata.category(character) in ("Cf", "Mn"):
        return ""
    if character.isspace():
        return " "
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    simple = unicodedata.normalize("NFKD", character)
    return "".join(piece for piece in simple if unicodedata.category(piece) != "Mn")
