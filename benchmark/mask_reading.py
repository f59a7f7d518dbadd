"""Reading the masks of all cases: in parallel, and never one twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from joblib import Parallel, delayed

from rsuper_bench.benchmark.case_cache import CaseCache, code_digest
from rsuper_bench.benchmark.case_masks import CaseFigures, CaseWork, measure_case
from rsuper_bench.benchmark.errors import Problem
from rsuper_bench.benchmark.files import digest_of
from rsuper_bench.benchmark.lesion_record import LesionOutcome
from rsuper_bench.benchmark.reference import Reference
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.submission import CaseType, Prediction, Submission
from rsuper_bench.benchmark.task import why_not_evaluable
from rsuper_bench.benchmark.tumor_types import TumorType

OnCase = Callable[[int, int], None]


@dataclass(frozen=True)
class Reading:
    """How masks are read; nothing here moves a figure.

    Attributes:
        jobs: Processes at a time; -1 as many as the joblib backend has (a cluster).
        cache: Keeps finished cases, so that a stopped run goes on where it was.
        on_case: Called after each case with the number of finished cases and of all.
    """

    jobs: int = 1
    cache: CaseCache | None = None
    on_case: OnCase | None = None


@dataclass(frozen=True)
class MasksRead:
    """What masks say, and what is wrong with them."""

    predictions: dict[CaseType, Prediction] = field(default_factory=dict)
    lesions: dict[CaseType, LesionOutcome] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def drawn_kinds(reference: Reference, case_id: str) -> frozenset[TumorType]:
    """Types of the task whose lesions are drawn in a case, or drawn to be none."""
    record = reference.records[case_id]
    return frozenset(
        kind
        for kind in reference.task.tumor_types
        if kind in record.lesion_masks and why_not_evaluable(record, kind) is None
    )


def undrawn_kinds(reference: Reference) -> dict[str, frozenset[TumorType]]:
    """Types that are positive in a case and whose lesions are not drawn, by case."""
    found: dict[str, set[TumorType]] = {}
    for kind, truths in reference.truths.items():
        for case_id, positive in zip(truths.case_ids, truths.positive, strict=True):
            if positive and kind not in reference.records[case_id].lesion_masks:
                found.setdefault(case_id, set()).add(kind)
    return {case_id: frozenset(kinds) for case_id, kinds in found.items()}


def read_masks(
    submission: Submission, reference: Reference, release: Release, reading: Reading, *, lesions: bool
) -> MasksRead:
    """Read the masks of a split.

    Args:
        submission: Whose masks; those of other cases and types are left alone.
        reference: Split and task.
        release: Where grids and drawn lesions are.
        reading: How.
        lesions: Compare them with drawn lesions too.
    """
    works = _works(submission, reference, release, lesions=lesions)
    done: dict[str, tuple[CaseFigures, list[Problem]]] = {}
    keys: dict[str, str] = {}
    if reading.cache is not None and works:
        keys = {work.case_id: _key(work, submission, release) for work in works}
        for work in works:
            figures = reading.cache.get(keys[work.case_id])
            if figures is not None and figures.case_id == work.case_id:
                done[work.case_id] = figures, []
    todo = [work for work in works if work.case_id not in done]
    parallel = Parallel(n_jobs=reading.jobs, return_as="generator_unordered")
    for figures, problems in parallel(delayed(measure_case)(work) for work in todo):
        done[figures.case_id] = figures, problems
        if reading.cache is not None and not problems:
            reading.cache.put(keys[figures.case_id], figures)
        if reading.on_case is not None:
            reading.on_case(len(done), len(works))
    found = MasksRead()
    problems_found: list[Problem] = []
    for work in works:
        figures, problems = done[work.case_id]
        problems_found += problems
        for kind, mask in figures.masks.items():
            key = CaseType(work.case_id, kind)
            found.predictions[key] = Prediction(mask.score, mask.volume_mm3)
            if mask.lesions is not None:
                found.lesions[key] = mask.lesions
    return MasksRead(found.predictions, found.lesions, tuple(problems_found))


def _works(submission: Submission, reference: Reference, release: Release, *, lesions: bool) -> list[CaseWork]:
    masks: dict[str, dict[TumorType, Path]] = {}
    for key in sorted(submission.masks):
        if key.case_id in reference.records and key.tumor_type in reference.task.tumor_types:
            masks.setdefault(key.case_id, {})[key.tumor_type] = submission.masks[key]
    undrawn = undrawn_kinds(reference) if lesions and masks else {}
    has_volumes = bool(masks) and release.has_volumes
    return [
        CaseWork(
            case_id=case_id,
            patient=reference.patient_of[case_id],
            masks=found,
            ct=reference.records[case_id].ct,
            location=release.locate(case_id) if has_volumes else None,
            label_map=release.label_map if lesions else None,
            drawn={kind: volumes[kind] for kind in drawn_kinds(reference, case_id) & found.keys()} if lesions else {},
            undrawn=undrawn.get(case_id, frozenset()),
        )
        for case_id, found in masks.items()
        for volumes in [reference.records[case_id].lesion_masks]
    ]


def _key(work: CaseWork, submission: Submission, release: Release) -> str:
    """Digest of all that the figures of a case are made from: content, truth, and the code that measures."""
    return digest_of(
        {
            "case": work.case_id,
            "patient": work.patient,
            "masks": {str(kind): submission.mask_digests[CaseType(work.case_id, kind)] for kind in work.masks},
            "release": release.digest,
            "drawn": {str(kind): volume for kind, volume in work.drawn.items()},
            "undrawn": sorted(work.undrawn),
            "code": code_digest(),
        }
    )
