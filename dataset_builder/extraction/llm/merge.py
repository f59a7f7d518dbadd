"""The record of one row: what its report says, what its pathology report adds, or why there is no answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rsuper_bench.benchmark import records
from rsuper_bench.benchmark.records import Finding, MalignancySource, Record, ReportFindings
from rsuper_bench.dataset_builder.extraction.llm.jobs import RowJobs
from rsuper_bench.dataset_builder.extraction.llm.reading import PathologyReading, Reading
from rsuper_bench.dataset_builder.extraction.pathology_match import Diagnosis, natures_of


@dataclass(frozen=True)
class Outcome:
    """One row: its record, the reason where it has no full answer, and its values without backing."""

    record: ReportFindings
    failure: str | None
    dropped: Mapping[str, int]


def merged(
    case_id: str,
    jobs: RowJobs,
    done: Mapping[str, Record],
    failed: Mapping[str, str],
    info: records.Extractor,
) -> Outcome:
    """Put the parts of a row together.

    A report without an answer states nothing and is flagged ``failed:<reason>``; one whose pathology report has none
    keeps its findings and is flagged ``pathology_failed:<reason>``.
    """
    reading = done.get(jobs.report.key)
    if not isinstance(reading, Reading):
        reason = failed[jobs.report.key]
        empty = ReportFindings(case_id=case_id, presence={}, flags=(f"failed:{reason}",), extractor=info)
        return Outcome(empty, reason, {})
    findings, flags, failure = reading.findings, set(reading.flags), None
    dropped = Counter(reading.dropped)
    if jobs.pathology is not None:
        pathology = done.get(jobs.pathology.key)
        if isinstance(pathology, PathologyReading):
            findings, more = _with_pathology(findings, pathology)
            flags |= more
            dropped.update(pathology.dropped)
        else:
            failure = f"pathology_{failed[jobs.pathology.key]}"
            flags.add(f"pathology_failed:{failed[jobs.pathology.key]}")
    flags |= {f"{name}:{count}" for name, count in dropped.items()}
    record = ReportFindings(
        case_id=case_id,
        presence=reading.presence,
        findings=findings,
        not_evaluable=reading.not_evaluable,
        flags=tuple(sorted(flags)),
        extractor=info,
    )
    return Outcome(record, failure, dropped)


def _with_pathology(findings: tuple[Finding, ...], pathology: PathologyReading) -> tuple[tuple[Finding, ...], set[str]]:
    """Findings with the nature that pathology states for their organ, and what did not fit.

    Findings the report calls benign are spared where their organ has others (see :mod:`..pathology_match`). Two natures
    for one organ leave its findings as they are. Spans would point into another text, so the value counts as derived.
    """
    found = {finding.tumor_type for finding in findings}
    flags = {f"pathology_without_finding:{kind}" for kind in pathology.natures if kind not in found}
    flags |= {f"pathology_conflict:{kind}" for kind, natures in pathology.natures.items() if len(natures) > 1}
    diagnoses = [Diagnosis(kind, nature) for kind, natures in pathology.natures.items() for nature in natures]
    changed = []
    for finding, found_natures in zip(findings, natures_of(findings, diagnoses), strict=True):
        natures = tuple(found_natures)
        if len(natures) == 1:
            fields = ("malignancy", "malignancy_source")
            finding = finding.model_copy(
                update={
                    "malignancy": natures[0],
                    "malignancy_source": MalignancySource.PATHOLOGY,
                    "evidence": {name: span for name, span in finding.evidence.items() if name not in fields},
                    "derived": tuple(dict.fromkeys((*finding.derived, *fields))),
                }
            )
        changed.append(finding)
    return tuple(changed), flags
