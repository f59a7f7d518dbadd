"""The facts of a header that a release carries: sex, age, scanner, tube voltage and contrast phase. Nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from rsuper_bench.benchmark.records import MAX_REPORTED_AGE, Phase
from rsuper_bench.benchmark.tumor_types import Sex
from rsuper_bench.dataset_builder.dicom.headers import SeriesInfo
from rsuper_bench.dataset_builder.dicom.phase import contrast_phase

_DAYS_A_YEAR = 365.25
_AGE_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 7 / _DAYS_A_YEAR, "D": 1 / _DAYS_A_YEAR}
_MAX_AGE = 130
_SHOWN_SCANNER = 64


@dataclass(frozen=True)
class Facts:
    """What is known of patient and scan."""

    sex: Sex | None = None
    age: float | None = None
    phase: Phase = Phase.UNKNOWN
    scanner: str | None = None
    kvp: float | None = None


def facts_of(info: SeriesInfo) -> Facts:
    """Facts of a series."""
    return Facts(
        sex=Sex(info.sex) if info.sex in list(Sex) else None,
        age=age_years(info.age, birth=info.birth_date, study=info.study_date),
        phase=contrast_phase(info),
        scanner=scanner_name(info.manufacturer, info.model),
        kvp=info.kvp if info.kvp is not None and info.kvp > 0 else None,
    )


def age_years(age: str, *, birth: str = "", study: str = "") -> float | None:
    """Full years from a DICOM age (``061Y``), else from the dates, which go no further than here; from 90 always 90."""
    match = re.fullmatch(r"(\d{1,3})([YMWD])", age.strip().upper())
    years = int(match[1]) * _AGE_UNITS[match[2]] if match else _between(birth, study)
    if years is None or not 0 <= years <= _MAX_AGE:
        return None
    return float(min(int(years), MAX_REPORTED_AGE))


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
