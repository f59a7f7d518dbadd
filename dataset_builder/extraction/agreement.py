"""How well two readings of the same reports agree: presence and size of each type, every field of paired findings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.records import Finding, Presence, ReportFindings, Span
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.findings_file import FAILED
from rsuper_bench.dataset_builder.extraction.pairing import EXACT_MM, NEAR_MM, pair_findings, sizes_agree, states
from rsuper_bench.dataset_builder.extraction.reference_labels import ReferenceLabels, largest_size_mm
from rsuper_bench.dataset_builder.extraction.tally import (
    BOOTSTRAP_METHOD,
    F1_METHOD,
    FIELDS,
    NEAR_FIELD,
    SHARE_METHOD,
    FieldTally,
    Tally,
    f1_of_draws,
)

_SHOWN = ("kind", "location", "side", "diameters_mm")  # what a finding without a partner is listed by


@dataclass(slots=True)
class Agreement:
    """One reading against another that is taken as the reference.

    Attributes:
        by_type: Type -> counts.
        disagreements: Each one: case, type, field, found, expected, and the spans they were read from where known.
            Never report text.
        unlabelled: Cases of the findings that have no labels.
        unread: Labelled cases whose report was never read (``failed:<reason>``); their positives count as missed.
        counts: tp, fp, fn of each report and type, for intervals over reports.
    """

    by_type: dict[TumorType, Tally]
    disagreements: list[dict[str, Any]] = field(default_factory=list)
    unlabelled: int = 0
    unread: int = 0
    counts: list[list[tuple[int, int, int]]] = field(default_factory=list)

    @property
    def micro(self) -> Tally:
        """All types together."""
        total = Tally()
        for tally in self.by_type.values():
            total.add(tally)
        return total

    @property
    def fields(self) -> dict[str, tuple[int, int]]:
        """Field -> pairs of findings and pairs that agree, over all types; empty when the labels are a table."""
        scored = self.micro.fields
        return {name: (scored[name].n, scored[name].agree) for name in FIELDS if name in scored}

    def as_json(self, *, seed: int = 0) -> dict[str, Any]:
        """The content of A.json. The seed is that of the bootstrap over reports."""
        micro = self.micro
        draws = f1_of_draws(self.counts, seed=seed)
        content: dict[str, Any] = {
            "by_type": {str(tumor_type): tally.as_json() for tumor_type, tally in self.by_type.items()},
            "micro": {**micro.as_json(), "f1_by_report": draws["micro"]},
            "macro": {"f1_by_report": draws["macro"]},
            "disagreements": self.disagreements,
            "skipped": micro.skipped,
            "unlabelled": self.unlabelled,
            "unread": self.unread,
            "f1_interval": F1_METHOD,
            "share_interval": SHARE_METHOD,
            "f1_by_report_interval": f"{BOOTSTRAP_METHOD}; seed {seed}",
        }
        if micro.fields:
            content["fields"] = content["micro"]["fields"]
        return content


def agree(findings: dict[str, ReportFindings], labels: ReferenceLabels) -> Agreement:
    """Score findings against labels.

    Presence: only ``present`` is a positive call. An ``uncertain`` prediction is a miss where the label says 1 and
    right where it says 0. A label ``u`` is skipped, whatever was found. A blank label (organ not mentioned) is a
    negative: ``present`` there is a false positive. Beside that, the four words are compared as they stand.

    Size: the largest one of a type, wherever a positive label states one; a missing prediction counts as wrong.

    Fields: when the labels are findings, the findings of each case and type are paired (:mod:`.pairing`) and each
    field of a pair is compared; ``side`` where the organ is paired. Types labelled uncertain take no part.

    Raises:
        DataError: When labelled cases have no findings; all at once.
    """
    missing = [case_id for case_id in labels.presence if case_id not in findings]
    if missing:
        raise DataError.of(
            [
                Problem(
                    f"case {case_id}",
                    "labelled, but not in the findings",
                    "findings for each labelled case",
                    "Extract it too.",
                )
                for case_id in missing
            ]
        )
    types = [kind for kind in TumorType if any(kind in stated for stated in labels.presence.values())]
    result = Agreement(
        by_type={kind: Tally() for kind in types},
        unlabelled=sum(case_id not in labels.presence for case_id in findings),
        unread=sum(any(flag.startswith(FAILED) for flag in findings[case_id].flags) for case_id in labels.presence),
    )
    for case_id, stated in labels.presence.items():
        record = findings[case_id]
        outcomes = [(0, 0, 0)] * len(types)
        for column, kind in enumerate(types):
            if kind not in stated:
                continue
            outcomes[column] = _score_presence(result, record, kind, stated[kind])
            if stated[kind] is Presence.PRESENT:
                _score_size(result, record, kind, labels.largest_mm[case_id].get(kind))
            if case_id in labels.findings and stated[kind] is not Presence.UNCERTAIN:
                _score_findings(result, record, kind, labels.findings[case_id])
        result.counts.append(outcomes)
    return result


def _score_presence(
    result: Agreement, record: ReportFindings, kind: TumorType, expected: Presence
) -> tuple[int, int, int]:
    tally = result.by_type[kind]
    found = record.presence.get(kind, Presence.NOT_STATED)
    tally.words += 1
    tally.same_words += found is expected
    if expected is Presence.UNCERTAIN:
        tally.skipped += 1
        return 0, 0, 0
    if found is not expected:
        _disagree(result, record.case_id, kind, "presence", str(found), str(expected))
    called, positive = found is Presence.PRESENT, expected is Presence.PRESENT
    outcome = int(called and positive), int(called and not positive), int(positive and not called)
    tally.tp += outcome[0]
    tally.fp += outcome[1]
    tally.fn += outcome[2]
    tally.tn += not called and not positive
    return outcome


def _score_size(result: Agreement, record: ReportFindings, kind: TumorType, largest_mm: float | None) -> None:
    tally = result.by_type[kind]
    size_mm = largest_size_mm(record.findings, kind)
    if largest_mm is None:
        if size_mm is not None:
            _disagree(result, record.case_id, kind, "largest_mm", size_mm, None)
        return
    tally.sized += 1
    difference = abs(size_mm - largest_mm) if size_mm is not None else float("inf")
    tally.exact += difference <= EXACT_MM
    tally.within_1mm += difference <= NEAR_MM + EXACT_MM
    if difference > EXACT_MM:
        _disagree(result, record.case_id, kind, "largest_mm", size_mm, largest_mm)


def _score_findings(result: Agreement, record: ReportFindings, kind: TumorType, expected: tuple[Finding, ...]) -> None:
    tally = result.by_type[kind]
    found = [finding for finding in record.findings if finding.tumor_type is kind]
    wanted = [finding for finding in expected if finding.tumor_type is kind]
    pairing = pair_findings(found, wanted)
    tally.found += len(found)
    tally.wanted += len(wanted)
    tally.paired += len(pairing.pairs)
    for lone in pairing.only_found:
        _disagree(result, record.case_id, kind, "finding", _summary(lone), None, lone.evidence.get("tumor_type"))
    for lone in pairing.only_wanted:
        _disagree(result, record.case_id, kind, "finding", None, _summary(lone))
    for one, reference in pairing.pairs:
        for name in FIELDS:
            if name == "side" and not kind.anatomy.sided:
                continue
            same = _same(one, reference, name)
            stated = states(one, name) or states(reference, name)
            tally.fields.setdefault(name, FieldTally()).add(FieldTally(1, same, stated, stated and same))
            if not same and name != NEAR_FIELD:
                span = one.evidence.get(name) or one.evidence.get("tumor_type")
                values = _comparable(one, name), _comparable(reference, name)
                _disagree(result, record.case_id, kind, name, *values, span)


def _same(one: Finding, reference: Finding, name: str) -> bool:
    if name in ("diameters_mm", NEAR_FIELD):
        return sizes_agree(one, reference, NEAR_MM if name == NEAR_FIELD else EXACT_MM)
    return bool(getattr(one, name) == getattr(reference, name))


def _comparable(finding: Finding, name: str) -> Any:
    if name == "diameters_mm":
        return sorted(round(value, 3) for value in finding.diameters_mm)
    value = finding.model_dump(mode="json")[name]
    return value if name in ("count", "series", "image") or value is None else str(value)


def _summary(finding: Finding) -> dict[str, Any]:
    return {name: value for name in _SHOWN if (value := _comparable(finding, name))}


def _disagree(
    result: Agreement, case_id: str, kind: TumorType, name: str, found: Any, expected: Any, span: Span | None = None
) -> None:
    item = {"case_id": case_id, "tumor_type": str(kind), "field": name, "found": found, "expected": expected}
    result.disagreements.append(item if span is None else {**item, "span": list(span)})
