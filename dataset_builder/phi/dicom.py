"""DICOM attributes that identify somebody (after PS3.15, Basic Application Level Confidentiality Profile)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from rsuper_bench.dataset_builder.phi.text import scan_text

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement

# Whole kinds of values: names, dates and times, and texts that anybody may have typed into.
_VALUE_KINDS = {"PN": "name", "DA": "date", "DT": "date", "TM": "date"}
_TEXTS = ("LO", "LT", "SH", "ST", "UC", "UT", "UR", "AE")
_HARMLESS = (
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "Modality",
    "BodyPartExamined",
    "ConvolutionKernel",
)


@cache
def _kinds() -> dict[str, str]:
    table = yaml.safe_load((files(__package__) / "words" / "dicom.yaml").read_text("utf-8"))
    return {keyword: kind for kind, keywords in table.items() for keyword in keywords}


def scan_dicom(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Find identifying attributes, sequences included.

    Yields:
        Reason code and attribute (keyword, or the tag when it has none); never the value.
    """
    for element in [*(getattr(dataset, "file_meta", None) or ()), *dataset]:
        yield from _scan_element(element)


def _scan_element(element: DataElement) -> Iterator[tuple[str, str]]:
    where = element.keyword or f"{element.tag}"
    if element.VR == "SQ":
        for item in element.value:
            yield from ((kind, f"{where} > {inner}") for kind, inner in scan_dicom(item))
        return
    if _empty(element.value):
        return
    if element.tag.is_private:
        yield "private_tag", f"{element.tag}"
    elif element.tag.group in range(0x5000, 0x5100) or element.tag.group in range(0x6000, 0x6100):
        yield "overlay", f"{element.tag}"
    elif element.VR in _VALUE_KINDS:
        yield _VALUE_KINDS[element.VR], where
    elif where in _kinds():
        if not str(element.value).startswith("2.25."):  # an UID from a random number says nothing of its origin
            yield _kinds()[where], where
    elif element.VR == "AS":
        if re.fullmatch(r"(0(?!90)9\d|[1-9]\d\d)Y", str(element.value)):
            yield "age_over_89", where
    elif where == "BurnedInAnnotation" and str(element.value).upper() == "YES":
        yield "burned_in_text", where
    elif element.VR in _TEXTS and where not in _HARMLESS:
        for value in element.value if isinstance(element.value, (list, tuple)) or element.VM > 1 else [element.value]:
            for hit in scan_text(str(value)):
                yield hit.kind, where


def _empty(value: Any) -> bool:
    return value is None or (hasattr(value, "__len__") and len(value) == 0) or not str(value).strip()
