"""Which stratum a case belongs to: by size, sex, age, scanner, phase or source."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from rsuper_bench.benchmark.records import CaseRecord, Certainty, Kind
from rsuper_bench.benchmark.tumor_types import TumorType

UNKNOWN = "unknown"
SIZES = ("<10 mm", "10-20 mm", "20-40 mm", ">40 mm")
AGES = ("<40", "40-59", "60-74", "75+")


class Axis(StrEnum):
    """What cases are divided by."""

    SIZE = "size"
    SEX = "sex"
    AGE = "age"
    PHASE = "phase"
    SCANNER = "scanner"
    SOURCE = "source"


def size_stratum(record: CaseRecord, tumor_type: TumorType, kinds: Sequence[Kind]) -> str:
    """Stratum of the largest reported diameter among the tumors that make a case positive; 20 and 40 mm are 20-40."""
    sizes_mm = [
        max(finding.diameters_mm)
        for finding in record.findings_of(tumor_type)
        if finding.diameters_mm and finding.kind in kinds and finding.certainty is Certainty.CERTAIN
    ]
    if not sizes_mm:
        return UNKNOWN
    return size_band(max(sizes_mm))


def size_band(diameter_mm: float) -> str:
    """Band of a diameter: 10 mm is 10-20; 20 and 40 mm are 20-40."""
    return SIZES[(diameter_mm >= 10) + (diameter_mm >= 20) + (diameter_mm > 40)]


def case_stratum(record: CaseRecord, axis: Axis) -> str:
    """Stratum of a case by what does not depend on a tumor (all but the size)."""
    if axis is Axis.SEX:
        return record.sex or UNKNOWN
    if axis is Axis.AGE:
        return UNKNOWN if record.age is None else AGES[sum(record.age >= bound for bound in (40, 60, 75))]
    if axis is Axis.PHASE:
        return record.ct.phase
    if axis is Axis.SCANNER:
        return (record.ct.scanner or "").strip() or UNKNOWN
    return record.source.strip() or UNKNOWN


def order_of(stratum: str) -> tuple[int, str]:
    """Sorting key: bands in their order, names by name, unknown last."""
    bands = (*SIZES, *AGES)
    if stratum in bands:
        return bands.index(stratum), stratum
    return len(bands) + (stratum == UNKNOWN), stratum
