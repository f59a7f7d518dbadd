"""Everything that is wrong with a submission for a split of a release, all at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rsuper_bench.benchmark.errors import Problem, SubmissionError
from rsuper_bench.benchmark.lesion_record import LesionOutcome
from rsuper_bench.benchmark.mask_reading import Reading, read_masks
from rsuper_bench.benchmark.predictions_table import shown
from rsuper_bench.benchmark.reference import Reference
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.submission import CaseType, Prediction, Submission
from rsuper_bench.benchmark.task import CallRule
from rsuper_bench.benchmark.tumor_types import TumorType

MissingPolicy = Literal["error", "fail"]


@dataclass(frozen=True)
class CheckedPredictions:
    """Predictions of a split, and what is wrong with them.

    Attributes:
        predictions: By case and type; missing ones are absent.
        missing: Pairs of the split and task without a prediction.
        ignored: Number of predictions of types outside the task.
        problems: All of them; empty when the submission can be scored.
        lesions: What masks say of lesions, by case and type; empty unless asked for.
    """

    predictions: dict[CaseType, Prediction]
    missing: tuple[CaseType, ...]
    ignored: int
    problems: tuple[Problem, ...]
    lesions: dict[CaseType, LesionOutcome] = field(default_factory=dict)


def check_submission(
    submission: Submission,
    reference: Reference,
    release: Release,
    *,
    missing: MissingPolicy = "error",
    volume_for: str | None = None,
    lesions: bool = False,
    jobs: int = 1,
    reading: Reading | None = None,
) -> CheckedPredictions:
    """Check a submission against a split; read score and volume from masks where the table has none.

    Args:
        submission: What was read.
        reference: Split and task.
        release: Where the CT grids are.
        missing: ``fail`` makes a missing prediction no problem (it is scored the worst way).
        volume_for: What needs a volume of every prediction, for the message; None where only the task may.
        lesions: Compare masks with drawn lesions too.
        jobs: Cases read at a time.
        reading: How masks are read, with more than a number of jobs.
    """
    problems = _extra_cases(submission, reference)
    wanted = set(reference.task.tumor_types)
    masks = read_masks(submission, reference, release, reading or Reading(jobs), lesions=lesions)
    problems += masks.problems
    from_masks = masks.predictions
    predictions = {}
    for key, prediction in submission.predictions.items():
        if key.tumor_type in wanted and key.case_id in reference.records:
            volume = prediction.volume_mm3
            if volume is None and key in from_masks:
                volume = from_masks[key].volume_mm3
            predictions[key] = Prediction(prediction.score, volume)
    if not submission.has_table:
        predictions = from_masks
    unreadable = {key for key in submission.masks if key not in from_masks} if not submission.has_table else set()
    absent = [
        CaseType(case_id, kind)
        for kind in reference.task.tumor_types
        for case_id in sorted(reference.records)
        if (key := CaseType(case_id, kind)) not in predictions
        and key not in submission.refused
        and key not in unreadable
    ]
    if missing == "error" and submission.readable:
        problems += _missing(absent, reference)
    if reference.task.call_rule is CallRule.VOLUME:
        volume_for = f"a volume, by which task {reference.task.name} calls cases"
    if volume_for is not None:
        problems += _without_volume(predictions, volume_for)
    everything = submission.predictions if submission.has_table else submission.masks
    ignored = sum(key.tumor_type not in wanted for key in everything)
    return CheckedPredictions(predictions, tuple(absent), ignored, tuple(problems), masks.lesions)


def require_scorable(checked: CheckedPredictions) -> None:
    """Stop when a submission has problems.

    Raises:
        SubmissionError: Listing all of them.
    """
    if checked.problems:
        raise SubmissionError.of(checked.problems)


def _extra_cases(submission: Submission, reference: Reference) -> list[Problem]:
    cases = {key.case_id for key in submission.predictions} | {key.case_id for key in submission.masks}
    extra = sorted(cases - reference.records.keys())
    if not extra:
        return []
    found = f"{len(extra)} cases that are not in the {reference.split} split: {shown(extra)}"
    return [Problem("submission", found, f"only cases of {reference.split}", "Remove them, or name their split.")]


def _missing(absent: list[CaseType], reference: Reference) -> list[Problem]:
    task = reference.task
    by_cases: dict[tuple[str, ...], list[TumorType]] = {}
    for kind in task.tumor_types:
        cases = tuple(key.case_id for key in absent if key.tumor_type is kind)
        if cases:
            by_cases.setdefault(cases, []).append(kind)
    fix = "Add them (a score of 0 is a valid prediction), or score them as failures with --missing fail."
    problems = []
    for cases, kinds in by_cases.items():
        number = f"{len(cases)} of {len(reference.records)} cases of {task.name}"
        found = f"{number} have no {', '.join(kinds)} score: {shown(cases)}"
        hint = fix
        if len(cases) == len(reference.records) and len(kinds) < len(task.tumor_types):
            hint = f"{fix} A task of fewer types can be named with --task."
        problems.append(Problem("submission", found, "a score for every case and type of the task", hint))
    return problems


def _without_volume(predictions: dict[CaseType, Prediction], expected: str) -> list[Problem]:
    without = [key for key, prediction in predictions.items() if prediction.volume_mm3 is None]
    if not without:
        return []
    found = f"{len(without)} predictions have no volume_mm3: {shown([' '.join(key) for key in sorted(without)])}"
    return [Problem("submission", found, expected, "Add the column volume_mm3, or masks.")]
