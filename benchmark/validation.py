"""Everything that is wrong with a submission for a split of a release, all at once."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.errors import DataError, Problem, RsuperBenchError, SubmissionError
from rsuper_bench.benchmark.mask_prediction import denoised_volume_mm3, mask_score, out_of_range
from rsuper_bench.benchmark.nifti import AFFINE_TOLERANCE_MM, read_nifti
from rsuper_bench.benchmark.predictions_table import shown
from rsuper_bench.benchmark.reference import Reference
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.submission import CaseType, Prediction, Submission
from rsuper_bench.benchmark.task import CallRule
from rsuper_bench.benchmark.tumor_types import TumorType

MissingPolicy = Literal["error", "fail"]
_HEADER_BYTES = 352
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class CheckedPredictions:
    """Predictions of a split, and what is wrong with them.

    Attributes:
        predictions: By case and type; missing ones are absent.
        missing: Pairs of the split and task without a prediction.
        ignored: Number of predictions of types outside the task.
        problems: All of them; empty when the submission can be scored.
    """

    predictions: dict[CaseType, Prediction]
    missing: tuple[CaseType, ...]
    ignored: int
    problems: tuple[Problem, ...]


def check_submission(
    submission: Submission,
    reference: Reference,
    release: Release,
    *,
    missing: MissingPolicy = "error",
    volume_for: str | None = None,
    jobs: int = 1,
) -> CheckedPredictions:
    """Check a submission against a split; read score and volume from masks where the table has none.

    Args:
        submission: What was read.
        reference: Split and task.
        release: Where the CT grids are.
        missing: ``fail`` makes a missing prediction no problem (it is scored the worst way).
        volume_for: What needs a volume of every prediction, for the message; None where only the task may.
        jobs: Masks read at a time.
    """
    problems = _extra_cases(submission, reference)
    wanted = set(reference.task.tumor_types)
    from_masks, mask_problems = _read_masks(submission, reference, release, jobs)
    problems += mask_problems
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
    return CheckedPredictions(predictions, tuple(absent), ignored, tuple(problems))


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


def _read_masks(
    submission: Submission, reference: Reference, release: Release, jobs: int
) -> tuple[dict[CaseType, Prediction], list[Problem]]:
    wanted = [
        key
        for key in sorted(submission.masks)
        if key.case_id in reference.records and key.tumor_type in reference.task.tumor_types
    ]
    by_case: dict[str, list[CaseType]] = {}
    for key in wanted:
        by_case.setdefault(key.case_id, []).append(key)

    def read(case_id: str) -> tuple[dict[CaseType, Prediction], list[Problem]]:
        return _read_case(submission, by_case[case_id], *_grid(release, reference, case_id))

    predictions: dict[CaseType, Prediction] = {}
    problems: list[Problem] = []
    for found, wrong in _in_order(read, by_case, jobs):
        predictions |= found
        problems += wrong
    return predictions, problems


def _in_order(work: Callable[[_Item], _Result], items: Iterable[_Item], jobs: int) -> list[_Result]:
    if jobs <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(jobs) as pool:  # unpacking and numpy release the interpreter lock
        return list(pool.map(work, items))


def _read_case(
    submission: Submission, keys: list[CaseType], shape: tuple[int, ...], affine: NDArray[np.float64] | None
) -> tuple[dict[CaseType, Prediction], list[Problem]]:
    predictions: dict[CaseType, Prediction] = {}
    problems: list[Problem] = []
    for key in keys:
        where = f"mask of {key.case_id} {key.tumor_type}"
        try:
            mask = read_nifti(submission.masks[key], name=where, error=SubmissionError)
        except RsuperBenchError as cause:
            problems += cause.problems
            continue
        if mask.data.shape != shape:
            problems.append(
                Problem(where, f"shape {mask.data.shape}", f"{shape}, as the CT", "Resample it to the grid of the CT.")
            )
        elif affine is not None and not np.allclose(mask.affine, affine, atol=AFFINE_TOLERANCE_MM, rtol=0):
            problems.append(
                Problem(where, "another affine than the CT", "the affine of the CT", "Save it with the CT's affine.")
            )
        elif wrong := out_of_range(mask):
            problems.append(
                Problem(
                    where, f"{wrong} voxels outside [0, 1]", "probabilities", "Scale it (scl_slope 1/255 for uint8)."
                )
            )
        else:
            predictions[key] = Prediction(mask_score(mask), denoised_volume_mm3(mask))
    return predictions, problems


def _grid(release: Release, reference: Reference, case_id: str) -> tuple[tuple[int, ...], NDArray[np.float64] | None]:
    """Shape and affine of the CT: from the head of the embedded file, or the shape alone without images."""
    if not release.has_volumes:
        return reference.records[case_id].ct.shape, None
    ct = release.columns(case_id, ["ct"])["ct"]
    if ct is None:  # an overlay that was not attached
        return reference.records[case_id].ct.shape, None
    return nifti_grid(ct["bytes"], case_id)


def nifti_grid(data: bytes, case_id: str) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """Shape and affine of NIfTI-1 bytes, of which only the header is unpacked.

    Raises:
        DataError: If there is no header.
    """
    try:
        head = data[:_HEADER_BYTES]
        if data[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                head = file.read(_HEADER_BYTES)
        header: Any = nib.Nifti1Header.from_fileobj(io.BytesIO(head))
        return tuple(int(size) for size in header.get_data_shape()[:3]), np.asarray(header.get_best_affine())
    except Exception as cause:  # nibabel raises many types for a damaged header
        raise DataError.of(
            [Problem(f"case {case_id}", f"unreadable CT ({type(cause).__name__})", "NIfTI-1", "Rebuild the release.")]
        ) from None
