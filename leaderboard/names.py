"""Names and links on the board come from strangers: what is allowed, and how a name becomes a file name."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, StringConstraints

MAX_NAME = 80
MAX_TEXT = 500
MAX_URL = 300
MAX_SLUG = 60
MAX_STACKED_MARKS = 3  # enough for every living script; more is drawn over the neighbouring rows

_URL_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")


def clean_text(value: str) -> str:
    """Refuse what cannot be seen or reorders what is seen; trim and normalise (NFC) the rest.

    Raises:
        ValueError: Control, format (bidirectional and zero-width included), private or unassigned characters, line
            separators, more than three stacked marks, or nothing left.
    """
    text = unicodedata.normalize("NFC", value).strip(" ")
    if not text:
        raise ValueError("must not be empty")
    stacked = 0
    for character in text:
        category = unicodedata.category(character)
        if category[0] == "C" or category in ("Zl", "Zp"):
            raise ValueError(f"must not hold U+{ord(character):04X} (control, invisible or reordering character)")
        stacked = stacked + 1 if category in ("Mn", "Me") else 0
        if stacked > MAX_STACKED_MARKS:
            raise ValueError(f"must not stack more than {MAX_STACKED_MARKS} marks on one letter")
    return text


def visible_text(value: str) -> str:
    """As :func:`clean_text`, with white space (line ends included) made single spaces; may be empty.

    Raises:
        ValueError: As :func:`clean_text`.
    """
    text = " ".join(value.split())
    return clean_text(text) if text else ""


def clean_url(value: str) -> str:
    """Accept ``https`` links to a named host and nothing else.

    Raises:
        ValueError: Another scheme, no host, user information, or characters a URL must escape.
    """
    if not _URL_CHARACTERS.fullmatch(value):
        raise ValueError("must be an https URL of plain ASCII characters (escape the others with %)")
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
        parts.port  # noqa: B018 - raises when the port is no number
    except ValueError:
        raise ValueError("must be an https URL with a readable host and port") from None
    if parts.scheme != "https" or not value.startswith("https://"):
        raise ValueError("must start with https://")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    if not re.fullmatch(
        r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", host
    ):
        raise ValueError("must name a host like example.org")
    return value


Name = Annotated[str, StringConstraints(max_length=MAX_NAME), AfterValidator(clean_text)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(clean_text)]
Url = Annotated[str, StringConstraints(max_length=MAX_URL), AfterValidator(clean_url)]


@lru_cache(maxsize=4096)
def slug(name: str) -> str:
    """File name of a name: lower-case ASCII letters, digits and single hyphens, at most 60 characters.

    Letters without an ASCII form would make different names equal, so their slug ends with a digest of the name.
    """
    plain = unicodedata.normalize("NFKD", name)
    ascii_only = "".join(character for character in plain if not unicodedata.combining(character))
    lost = any(character.isalnum() and not character.isascii() for character in ascii_only)
    text = re.sub(r"[^a-z0-9]+", "-", ascii_only.encode("ascii", "ignore").decode().lower()).strip("-")
    if lost or not text or len(text) > MAX_SLUG:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        text = f"{text[: MAX_SLUG - 9].strip('-')}-{digest}".strip("-")
    return text
