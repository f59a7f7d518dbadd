"""The truth an evaluation is measured against: one split of a release under the rules of a task."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import digest_of
from rsuper_bench.benchmark.lesion_counts import LesionCounts, refuse_uncounted
from rsuper_bench.benchmark.records import CaseRecord, Split
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.report import EvaluationReport, Exclusion
from rsuper_bench.benchmark.stratum import Axis
from rsuper_bench.benchmark.task import CallRule, Task, Truth, why_not_evaluable
from rsuper_bench.benchmark.tumor_types import TumorType

# One salt for every release: the same patient must be found again in another one. The hash keeps identifiers out of
# reports that are passed around; it is no secret, since whoever holds the release can compute it.
_PATIENT_SALT = "rsuper-bench-patient-v1:"
_TruthRow = tuple[str, str, int | None]  # type, case, and positive or not; None where it does not count
RELEASE_TASK = "release-types-v1"
CHANGED = "It was changed, or written by another version: evaluate again."


def patient_hash(patient_id: str) -> str:
    """Sixteen hex digits that stand for a patient in reports and thresholds."""
    return hashlib.sha256((_PATIENT_SALT + patient_id).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Truths:
    """Reference of one tumor type: the cases that count, in case order, and those that do not."""

    case_ids: tuple[str, ...]
    positive: tuple[bool, ...]
    excluded: tuple[Exclusion, ...]


@dataclass(frozen=True)
class Reference:
    """One split of a release under the rules of a task. It does not depend on any submission."""

    task: Task
    split: Split
    records: dict[str, CaseRecord]
    truths: dict[TumorType, Truths]

    @cached_property
    def patient_of(self) -> dict[str, str]:
        """Patient hash of each case."""
        return {case_id: patient_hash(record.patient_id) for case_id, record in self.records.items()}

    @cached_property
    def patients(self) -> tuple[str, ...]:
        """Patients with at least one case that counts, sorted: the index that bootstrap replicates draw from."""
        cases = {case_id for truths in self.truths.values() for case_id in truths.case_ids}
        return tuple(sorted({self.patient_of[case_id] for case_id in cases}))

    @cached_property
    def patients_digest(self) -> str:
        """Digest of :attr:`patients`."""
        return digest_of(list(self.patients))

    @cached_property
    def digest(self) -> str:
        """Digest of case, type and truth (null when excluded)."""
        rows: list[_TruthRow] = [
            (str(kind), case_id, int(positive))
            for kind, truths in self.truths.items()
            for case_id, positive in zip(truths.case_ids, truths.positive, strict=True)
        ]
        rows += [(str(kind), item.case_id, None) for kind, truths in self.truths.items() for item in truths.excluded]
        return _truth_digest(rows)

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits over the task and its truth: reports that differ in it are never ranked together."""
        return _fingerprint(self.task, self.digest)


def report_fingerprint(report: EvaluationReport) -> str:
    """The fingerprint that follows from what a report says of its task and of every case."""
    rows: list[_TruthRow] = [(str(item.tumor_type), item.case_id, item.reference) for item in report.outcomes]
    rows += [(str(item.tumor_type), item.case_id, None) for item in report.excluded]
    return _fingerprint(report.task_definition, _truth_digest(rows))


def report_problems(report: EvaluationReport, name: str) -> list[Problem]:
    """What no evaluation writes, and neither a comparison nor a board can build on; ``name`` says which report."""
    kinds, by_volume = set(report.task_definition.tumor_types), report.task_definition.call_rule is CallRule.VOLUME
    foreign = sum(item.tumor_type not in kinds for item in report.outcomes)
    without = sum(by_volume and item.volume_mm3 is None and not item.imputed for item in report.outcomes)
    found = [f"{foreign} outcomes of types outside its task"] if foreign else []
    found += [f"{without} outcomes without the volume by which its task calls"] if without else []
    if report_fingerprint(report) != report.fingerprint:
        found.append("a fingerprint that is not that of its task and truth")
    return [Problem(name, what, "a report as this version writes it", CHANGED) for what in found]


def _truth_digest(rows: Sequence[_TruthRow]) -> str:
    return digest_of(sorted(rows, key=lambda row: row[:2]))


def _fingerprint(task: Task, reference_digest: str) -> str:
    return digest_of({"task": task.fingerprint, "reference": reference_digest})[:12]


def build_reference(release: Release, split: Split, task: Task, counts: LesionCounts | None = None) -> Reference:
    """Read the truth of a split.

    Args:
        release: Where the cases are.
        split: Part of it.
        task: Rules of what counts.
        counts: A table of lesion counts that is the truth instead of what the release says.

    Raises:
        DataError: If the split has no cases, or the table does not count the types of the task.
    """
    records = {record.case_id: record for record in release.records(split)}
    if not records:
        raise DataError.of(
            [
                Problem(
                    str(release.folder), f"no {split} cases", f"a release with a {split} split", "Name another split."
                )
            ]
        )
    if counts is not None:
        refuse_uncounted(counts, task.tumor_types, set(records), split)
    truths = {kind: _truths(records.values(), task, kind, counts) for kind in task.tumor_types}
    return Reference(task=task, split=split, records=records, truths=truths)


def _truths(records: Iterable[CaseRecord], task: Task, kind: TumorType, counts: LesionCounts | None) -> Truths:
    case_ids, positive, excluded = [], [], []
    for record in records:
        truth = task.truth(record, kind) if counts is None else _counted(record, kind, counts)
        if truth.positive is None:
            reason = truth.reason or "unknown"
            excluded.append(Exclusion(case_id=record.case_id, tumor_type=kind, reason=reason))
        else:
            case_ids.append(record.case_id)
            positive.append(truth.positive)
    return Truths(tuple(case_ids), tuple(positive), tuple(excluded))


def _counted(record: CaseRecord, kind: TumorType, counts: LesionCounts) -> Truth:
    """Truth of one case by a table of counts; an organ that is not there is still left out."""
    absent = why_not_evaluable(record, kind)
    if absent is not None:
        return Truth(positive=None, reason=absent)
    found = counts.positive(record.case_id, kind)
    return Truth(positive=found, reason="not_counted" if found is None else None)


def release_task(release: Release) -> Task:
    """The task of a release when none is named: every tumor type with both positive and negative cases in it.

    All splits count, so that calibration and test measure the same types.

    Raises:
        DataError: If no type has both.
    """
    records = release.records()
    every = Task(name=RELEASE_TASK, description="Every tumor type of the release.", tumor_types=tuple(TumorType))
    kinds = tuple(
        kind for kind in TumorType if {True, False} <= {every.truth(record, kind).positive for record in records}
    )
    if not kinds:
        raise DataError.of(
            [
                Problem(
                    str(release.folder),
                    "no tumor type with both positive and negative cases",
                    "reports that state presence and absence of at least one type",
                    "Name a task with --task, or rebuild the release.",
                )
            ]
        )
    return Task(
        name=RELEASE_TASK,
        description="Every tumor type with positive and negative cases in the release, as stated by the reports.",
        tumor_types=kinds,
        strata=tuple(Axis),
        synthetic=all(record.synthetic for record in records),
    )
