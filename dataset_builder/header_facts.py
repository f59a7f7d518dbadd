"""Age and scanner as headers and tables of data sets write them, brought to what a release holds."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date

from rsuper_bench.benchmark.records import MAX_REPORTED_AGE

_DAYS_A_YEAR = 365.25
_AGE_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 7 / _DAYS_A_YEAR, "D": 1 / _DAYS_A_YEAR}
_MAX_AGE = 130
_SHOWN_SCANNER = 64


def age_years(age: str, *, birth: str = "", study: str = "") -> float | None:
    """Full years from a DICOM age (``061Y``), else from the dates, which go no further than here; from 90 always 90."""
    match = re.fullmatch(r"(\d{1,3})([YMWD])", age.strip().upper())
    years = int(match[1]) * _AGE_UNITS[match[2]] if match else _between(birth, study)
    if years is None or not 0 <= years <= _MAX_AGE:
        return None
    return float(min(int(years), MAX_REPORTED_AGE))


def iso_date(text: str) -> str:
    """A DICOM date as ISO text; empty where it is none."""
    with suppress(ValueError):
        return date(*_ymd(text)).isoformat()
    return ""


def scanner_name(manufacturer: str, model: str) -> str | None:
    """Maker and model, plain characters only."""
    words = re.sub(r"[^A-Za-z0-9 .+/_-]", " ", f"{manufacturer} {model}").split()
    return " ".join(words)[:_SHOWN_SCANNER].strip() or None


def _between(birth: str, study: str) -> float | None:
    try:
        days = (date(*_ymd(study)) - date(*_ymd(birth))).days
    except ValueError:
        return None
    return days / _DAYS_A_YEAR


def _ymd(text: str) -> tuple[int, int, int]:
    if not re.fullmatch(r"\d{8}", text):
        raise ValueError("no DICOM date")
    return int(text[:4]), int(text[4:6]), int(text[6:])
