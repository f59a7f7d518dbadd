"""What the extractor says of a report, in one compact line per lesion, for tests.

A statement is ``type kind[/side][@segment] sizes xcount attenuation NATURE sSERIESiIMAGE`` with ``?`` for a doubted
lesion; ``-type`` is an organ without lesions, ``!type`` one that cannot be evaluated.
"""

from __future__ import annotations

from rsuper_bench.benchmark.records import Attenuation, Certainty, CountRelation, Finding, Malignancy, Presence
from rsuper_bench.dataset_builder.extraction import RulesExtractor

EXTRACTOR = RulesExtractor()
_RELATIONS = {CountRelation.EXACT: "", CountRelation.AT_LEAST: "+", CountRelation.INNUMERABLE: "many"}
_NATURES = {Malignancy.BENIGN: " BEN", Malignancy.MALIGNANT: " MAL", Malignancy.UNKNOWN: ""}


def statements(report: str) -> set[str]:
    record = EXTRACTOR.extract("case", report)
    absent = {f"-{kind}" for kind, presence in record.presence.items() if presence is Presence.ABSENT}
    return absent | {f"!{kind}" for kind in record.not_evaluable} | {statement(finding) for finding in record.findings}


def statement(finding: Finding) -> str:
    place = (f"/{finding.side}" if finding.side else "") + (f"@{finding.location}" if finding.location else "")
    sizes = " " + "x".join(f"{value:g}" for value in finding.diameters_mm) if finding.diameters_mm else ""
    count = finding.count
    number = (
        f" x{count.value or ''}{_RELATIONS[count.relation]}" if (count.value, count.relation) != (1, "exact") else ""
    )
    bright = f" {finding.attenuation}" if finding.attenuation is not Attenuation.UNKNOWN else ""
    shown = "".join(
        f"{letter}{value}" for letter, value in (("s", finding.series), ("i", finding.image)) if value is not None
    )
    doubt = "?" if finding.certainty is Certainty.UNCERTAIN else ""
    return f"{doubt}{finding.tumor_type} {finding.kind}{place}{sizes}{number}{bright}{_NATURES[finding.malignancy]}" + (
        f" {shown}" if shown else ""
    )
