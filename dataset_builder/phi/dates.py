"""Dates of a report as days from the examination: intervals are kept, and no date is left to shift back.

Shifting dates per patient needs a secret for each patient, and leaves dates that no gate can tell from real ones.
Days from the study's own date need neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from enum import StrEnum

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Further away it is seldom an examination, and may be a date of birth: days from it would tell an age above 89.
FARTHEST_DAYS = 3653
_NUMBERS = re.compile(
    r"(?<!\d)(\d{1,4})\s?[-/.]\s?(\d{1,2})\s?[-/.]\s?(\d{1,4})(?!\d)|(?<!\d)(\d{4})(\d{2})(\d{2})(?!\d)"
)
_DAY_MONTH = re.compile(
    r"(?<!\d)(\d{1,2})(?:st|nd|rd|th)?[-.\s]*(?:of\s+)?([a-z]{3})[a-z]*\.?[-,\s]*(\d{4})(?!\d)", re.I
)
_MONTH_DAY = re.compile(r"(?<![a-z])([a-z]{3})[a-z]*\.?[-\s]*(\d{1,2})(?:st|nd|rd|th)?[-,\s]+(\d{4})(?!\d)", re.I)
_BIRTH = re.compile(r"born|birth|d\.?o\.?b", re.I)


class DateOrder(StrEnum):
    """How a hospital writes a date in numbers."""

    MONTH_FIRST = "month_first"
    DAY_FIRST = "day_first"


def days_from(text: str, study: date, order: DateOrder | None) -> int | None:
    """Days from the study to the one date in a text.

    Args:
        text: What was found to be a date, label included.
        study: The date of the study.
        order: How ``03/04/2021`` is to be read; None leaves it unread, unless one number can only be a day.

    Returns:
        None where the text holds no whole date, several, one that can be read in two ways, a date of birth, or one
        more than ten years away.
    """
    if _BIRTH.search(text):
        return None
    found = set(_dates(text, order))
    if len(found) != 1:
        return None
    days = (found.pop() - study).days
    return days if abs(days) <= FARTHEST_DAYS else None


def _dates(text: str, order: DateOrder | None) -> Iterator[date]:
    for match in _NUMBERS.finditer(text):
        first, second, third = (int(part) for part in (match.groups()[:3] if match[1] else match.groups()[3:]))
        if len(match[1] or match[4]) == 4:
            readings = [(first, second, third)]
        else:
            year = third + (2000 if third < 100 else 0)
            readings = []
            if order is not DateOrder.DAY_FIRST:
                readings.append((year, first, second))
            if order is not DateOrder.MONTH_FIRST:
                readings.append((year, second, first))
        for reading in readings:
            with suppress(ValueError):
                yield date(*reading)
    written = [(match[1], match[2], match[3]) for match in _DAY_MONTH.finditer(text)]
    written += [(match[2], match[1], match[3]) for match in _MONTH_DAY.finditer(text)]
    for day, name, its_year in written:
        if name.lower() in MONTHS:
            with suppress(ValueError):
                yield date(int(its_year), MONTHS.index(name.lower()) + 1, int(day))
