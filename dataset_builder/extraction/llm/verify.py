"""An answer against its report: values keep the span of their quote, and those without a real quote are dropped.

What a real quote proves is that the words are there; that they mean the value is checked for numbers only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsuper_bench.benchmark.records import (
    Attenuation,
    Certainty,
    Count,
    CountRelation,
    Finding,
    Malignancy,
    MalignancySource,
    NotEvaluable,
    Presence,
    Span,
)
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.llm.answers import (
    MAX_FINDINGS,
    FindingAnswer,
    OrganAnswer,
    PathologyAnswer,
    Quoted,
    QuotedCount,
    QuotedSizes,
    ReportAnswer,
)
from rsuper_bench.dataset_builder.extraction.llm.quotes import QuoteFinder
from rsuper_bench.dataset_builder.extraction.llm.reading import (
    MISFIT,
    NO_QUOTE,
    REPEATED,
    Drops,
    PathologyReading,
    Reading,
)

_SAYS_MOST = ("present", "uncertain", "resected", "not_seen", "absent")
_GONE = {"resected": NotEvaluable.RESECTED, "not_seen": NotEvaluable.OUT_OF_VIEW}


def verify_report(answer: ReportAnswer, report: str) -> Reading:
    """Keep what the report backs.

    Args:
        answer: A valid answer.
        report: The text it is about; spans are offsets into it.

    Returns:
        Findings in the answer's order. A type with findings is present (uncertain if all are); the organs' own entries
        count where there is no finding.
    """
    finder = QuoteFinder(report)
    drops = Drops()
    findings: list[Finding] = []
    for item in answer.findings:
        finding = _FindingCheck(item, finder, drops).finding()
        if finding is not None and finding in findings:
            drops.add(REPEATED, "finding")
        elif finding is not None:
            findings.append(finding)
    # Of several entries for one organ ("left kidney normal, mass in the right one") the one that says most counts.
    backed = [item for item in answer.organs if _has_quote(item, finder, drops)]
    organs = {item.organ: item for item in sorted(backed, key=lambda item: _SAYS_MOST.index(item.status), reverse=True)}
    found = {finding.tumor_type for finding in findings}
    flags = {f"contradiction:{kind}" for kind in found if kind in organs and organs[kind].status == "absent"}
    flags |= {f"present_without_finding:{kind}" for kind, item in organs.items() if _is_bare(item, found)}
    if len(answer.findings) == MAX_FINDINGS:
        flags.add("too_many_findings")
    gone = {kind: _GONE[item.status] for kind, item in organs.items() if item.status in _GONE and kind not in found}
    return Reading(
        presence={kind: _presence(kind, findings, organs) for kind in TumorType},
        findings=tuple(findings),
        not_evaluable=dict(sorted(gone.items())),
        flags=tuple(sorted(flags)),
        dropped=drops.counts(),
    )


def verify_pathology(answer: PathologyAnswer, report: str) -> PathologyReading:
    """Keep the diagnoses whose organ and nature both stand in the pathology report."""
    finder = QuoteFinder(report)
    drops = Drops()
    natures: dict[TumorType, set[Malignancy]] = {}
    for item in answer.diagnoses:
        organ = finder.find(item.organ.quote)
        nature = finder.find(item.malignancy.quote, near=organ)
        for name, span in (("organ", organ), ("malignancy", nature)):
            if span is None:
                drops.add(NO_QUOTE, f"pathology_{name}")
        if organ is not None and nature is not None and item.malignancy.value is not Malignancy.UNKNOWN:
            natures.setdefault(item.organ.value, set()).add(item.malignancy.value)
    return PathologyReading(
        natures={kind: tuple(sorted(values)) for kind, values in sorted(natures.items())}, dropped=drops.counts()
    )


def _has_quote(item: OrganAnswer, finder: QuoteFinder, drops: Drops) -> bool:
    if finder.find(item.quote) is None:
        drops.add(NO_QUOTE, "presence")
        return False
    return True


def _is_bare(item: OrganAnswer, found: set[TumorType]) -> bool:
    return item.status == "present" and item.organ not in found


def _presence(kind: TumorType, findings: list[Finding], organs: Mapping[TumorType, OrganAnswer]) -> Presence:
    own = [finding for finding in findings if finding.tumor_type is kind]
    if own:
        doubted = all(finding.certainty is Certainty.UNCERTAIN for finding in own)
        return Presence.UNCERTAIN if doubted else Presence.PRESENT
    if kind not in organs or organs[kind].status in _GONE:
        return Presence.NOT_STATED
    return Presence(organs[kind].status)


class _FindingCheck:
    """One finding of an answer, value by value."""

    def __init__(self, item: FindingAnswer, finder: QuoteFinder, drops: Drops) -> None:
        self._item = item
        self._finder = finder
        self._drops = drops
        self._anchor: Span | None = None
        self._values: dict[str, Any] = {}
        self._evidence: dict[str, Span] = {}

    def finding(self) -> Finding | None:
        """The finding with what is backed; None if not even its organ is."""
        item = self._item
        self._anchor = self._span(item.organ.quote, "tumor_type")
        if self._anchor is None:
            return None
        organ = item.organ.value
        self._keep("tumor_type", organ, self._anchor)
        self._take("kind", item.kind)
        self._size(item.size)
        self._count(item.count)
        segments = {segment.name for segment in organ.anatomy.segments}
        self._take("location", item.location, fits=item.location is not None and item.location.value in segments)
        self._take("side", item.side, fits=organ.anatomy.sided)
        for name, quoted, nothing in (
            ("attenuation", item.attenuation, Attenuation.UNKNOWN),
            ("malignancy", item.malignancy, Malignancy.UNKNOWN),
        ):
            if quoted is not None and quoted.value is not nothing:
                self._take(name, quoted)
        if "malignancy" in self._evidence:
            self._keep("malignancy_source", MalignancySource.REPORT, self._evidence["malignancy"])
        self._take("certainty", item.certainty)
        self._number("series", item.series)
        self._number("image", item.image)
        derived = tuple(name for name in ("kind", "count", "certainty") if name not in self._evidence)
        return Finding(**self._values, evidence=self._evidence, derived=derived)

    def _span(self, quote: str, field: str) -> Span | None:
        span = self._finder.find(quote, near=self._anchor)
        if span is None:
            self._drops.add(NO_QUOTE, field)
        return span

    def _keep(self, field: str, value: Any, span: Span) -> None:
        self._values[field] = value
        self._evidence[field] = span

    def _take(self, field: str, quoted: Quoted[Any] | None, *, fits: bool = True) -> None:
        if quoted is None or (span := self._span(quoted.quote, field)) is None:
            return
        if fits:
            self._keep(field, quoted.value, span)
        else:
            self._drops.add(MISFIT, field)

    def _number(self, field: str, quoted: Quoted[int] | None) -> None:
        if quoted is None or (span := self._span(quoted.quote, field)) is None:
            return
        if self._finder.states_number(span, quoted.value):
            self._keep(field, quoted.value, span)
        else:
            self._drops.add(MISFIT, field)

    def _size(self, size: QuotedSizes | None) -> None:
        """Current sizes whose every number stands in the quote; a size said to be of the past is no value at all."""
        if size is None or size.time == "prior" or (span := self._span(size.quote, "diameters_mm")) is None:
            return
        if self._finder.states_sizes(span, size.tenths_mm):
            self._keep("diameters_mm", tuple(tenths / 10 for tenths in size.tenths_mm), span)
        else:
            self._drops.add(MISFIT, "diameters_mm")

    def _count(self, count: QuotedCount | None) -> None:
        if count is None or (span := self._span(count.quote, "count")) is None:
            return
        if (count.value is None) is not (count.relation is CountRelation.INNUMERABLE):
            self._drops.add(MISFIT, "count")
        else:
            self._keep("count", Count(value=count.value, relation=count.relation), span)
