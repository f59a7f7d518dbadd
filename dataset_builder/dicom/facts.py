"""The facts of a header that a release carries: sex, age, scanner, tube voltage and contrast phase. Nothing else.

The date of the study is used inside the build, to turn dates of the report into days.
"""

from __future__ import annotations

from dataclasses import dataclass

from rsuper_bench.benchmark.records import Phase
from rsuper_bench.benchmark.tumor_types import Sex
from rsuper_bench.dataset_builder.dicom.headers import SeriesInfo
from rsuper_bench.dataset_builder.dicom.phase import contrast_phase
from rsuper_bench.dataset_builder.header_facts import age_years, iso_date, scanner_name


@dataclass(frozen=True)
class Facts:
    """What is known of patient and scan."""

    sex: Sex | None = None
    age: float | None = None
    phase: Phase = Phase.UNKNOWN
    scanner: str | None = None
    kvp: float | None = None
    study_date: str = ""  # ISO, to count days from; not carried


def facts_of(info: SeriesInfo) -> Facts:
    """Facts of a series."""
    return Facts(
        sex=Sex(info.sex) if info.sex in list(Sex) else None,
        age=age_years(info.age, birth=info.birth_date, study=info.study_date),
        phase=contrast_phase(info),
        scanner=scanner_name(info.manufacturer, info.model),
        kvp=info.kvp if info.kvp is not None and info.kvp > 0 else None,
        study_date=iso_date(info.study_date),
    )
