"""The worst misses and false alarms of a report, and pictures of them where the release may show its CTs."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.case_picture import case_picture
from rsuper_bench.benchmark.components import components
from rsuper_bench.benchmark.errors import DataError, Problem, SubmissionError
from rsuper_bench.benchmark.mask_prediction import THRESHOLD
from rsuper_bench.benchmark.nifti import Volume, read_nifti
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.release_info import ReleaseKind
from rsuper_bench.benchmark.report import EvaluationReport, Outcome
from rsuper_bench.benchmark.roc_curve import decision
from rsuper_bench.benchmark.submission import CaseType, Submission
from rsuper_bench.benchmark.task import CallRule
from rsuper_bench.benchmark.tumor_types import TumorType

MAX_THREADS = 4  # a CT with its masks is about a gigabyte while it is drawn
PER_TYPE = 3  # misses, and as many false alarms
NOT_ASKED = "Pictures were not asked for."
NOT_AT_HAND = "No pictures: the CTs of the release are not on this machine; download it to have them drawn."
NO_IMAGES = "No pictures: the release does not carry the CTs."
WITHHELD = "Some have no picture, because their licence does not let their CT be passed on (--pictures all draws them)."


class Pictures(StrEnum):
    """Which cases may be drawn: those whose licence lets their CT be passed on, all the release holds, or none."""

    SHAREABLE = "shareable"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True)
class WorstCase:
    """One miss or false alarm; ``jpeg`` is None where no picture may or can be made."""

    case_id: str
    tumor_type: TumorType
    missed: bool
    score: float
    volume_mm3: float | None
    jpeg: bytes | None = None
    shows: str = ""


@dataclass(frozen=True)
class WorstCases:
    """All of them, type by type and the worst first, and why some have no picture."""

    cases: tuple[WorstCase, ...]
    note: str = ""


def worst_cases(report: EvaluationReport, per_type: int = PER_TYPE) -> WorstCases:
    """The surest misses and false alarms by frozen calls; without calls, the lowest positives and highest negatives.

    A missing prediction, scored the worst way, is no miss of the method and is not among them.
    """
    by_volume = report.task_definition.call_rule is CallRule.VOLUME
    misses: dict[TumorType, list[Outcome]] = {kind: [] for kind in report.counts}
    alarms: dict[TumorType, list[Outcome]] = {kind: [] for kind in report.counts}
    for outcome in report.outcomes:
        if outcome.imputed or outcome.call == outcome.reference:
            continue
        (misses if outcome.reference else alarms)[outcome.tumor_type].append(outcome)
    found = []
    for kind in report.counts:
        for items, missed in ((misses[kind], True), (alarms[kind], False)):
            sign = 1 if missed else -1
            items.sort(key=lambda item: (sign * decision(item, by_volume=by_volume), item.case_id))
            found += [WorstCase(item.case_id, kind, missed, item.score, item.volume_mm3) for item in items[:per_type]]
    return WorstCases(tuple(found))


def with_pictures(
    worst: WorstCases,
    release: Release,
    submission: Submission,
    *,
    pictures: Pictures = Pictures.SHAREABLE,
    jobs: int = 1,
) -> WorstCases:
    """Draw each case once the release lets it: one case in memory a thread, whatever the release holds.

    Args:
        worst: From :func:`worst_cases`.
        release: Where CTs and masks are.
        submission: Whose masks are drawn, if it has any.
        pictures: Which cases may be drawn.
        jobs: Threads; the pictures do not depend on it.
    """
    if pictures is Pictures.NONE:
        return replace(worst, note=NOT_ASKED)
    if release.has_volumes and not release.volumes_at_hand:
        return replace(worst, note=NOT_AT_HAND)
    if not release.has_volumes or (release.info is not None and release.info.kind is not ReleaseKind.FULL):
        return replace(worst, note=NO_IMAGES)
    records = {record.case_id: record for record in release.records()}
    wanted: dict[str, list[WorstCase]] = {}
    for item in worst.cases:
        if pictures is Pictures.ALL or records[item.case_id].redistributable:
            wanted.setdefault(item.case_id, []).append(item)
    with ThreadPoolExecutor(min(max(jobs, 1), MAX_THREADS)) as pool:
        drawn = pool.map(lambda items: _draw(items, release, submission.masks), wanted.values())
        pictured = {(item.case_id, item.tumor_type): item for items in drawn for item in items}
    cases = tuple(pictured.get((item.case_id, item.tumor_type), item) for item in worst.cases)
    withheld = any(item.case_id not in wanted for item in worst.cases)
    return WorstCases(cases, WITHHELD if withheld else "")


def _draw(items: list[WorstCase], release: Release, masks: Mapping[CaseType, Path]) -> list[WorstCase]:
    """Pictures of one case, for each of its types: its volumes are read once."""
    volumes = release.volumes(items[0].case_id)
    ct = volumes.ct.canonical()
    for part in (volumes.organs, volumes.lesions):
        if part is not None and not part.same_grid(volumes.ct):
            fix = "Build or download the release again."
            raise DataError.of([Problem(f"case {items[0].case_id}", "a mask on another grid than its CT", "one", fix)])
    organs, lesions = (None if part is None else part.canonical() for part in (volumes.organs, volumes.lesions))
    drawn = []
    for item in items:
        kind = item.tumor_type
        organ = None if organs is None else release.label_map.organ_mask(organs.data, kind.anatomy.all_labels)
        lesion = None if lesions is None else release.label_map.lesion_mask(lesions.data, kind)
        mask = _prediction(masks.get(CaseType(item.case_id, kind)), item)
        predicted = None if mask is None else mask.data >= THRESHOLD
        focus = _focus(item, ct, organ, lesion, mask)
        shown = {"organ": organ, "drawn lesion": lesion, "prediction": predicted}
        names = [name for name, part in shown.items() if part is not None and part.any()]
        jpeg = case_picture(ct, focus, organ=organ, lesion=lesion, predicted=predicted)
        drawn.append(replace(item, jpeg=jpeg, shows=", ".join(names)))
    return drawn


def _prediction(path: Path | None, item: WorstCase) -> Volume | None:
    if path is None:
        return None
    return read_nifti(path, name=f"masks: {item.case_id}, {item.tumor_type}", error=SubmissionError).canonical()


def _focus(
    item: WorstCase,
    ct: Volume,
    organ: NDArray[np.bool_] | None,
    lesion: NDArray[np.bool_] | None,
    mask: Volume | None,
) -> tuple[int, int, int]:
    """Where to look: at the largest lesion that was missed, at the surest voxel of a false alarm, or at the organ."""
    if item.missed and lesion is not None and lesion.any():
        return _middle(lesion, largest=True)
    if mask is not None and mask.data.max() > 0:
        return _middle(mask.data == mask.data.max(), largest=True)
    if organ is not None and organ.any():
        return _middle(organ)
    x, y, z = ct.data.shape
    return x // 2, y // 2, z // 2


def _middle(mask: NDArray[np.bool_], *, largest: bool = False) -> tuple[int, int, int]:
    """The voxel of a mask, or of its largest part, that is nearest to its centre; the first of equally near ones."""
    ends = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))[[0, -1]] for axis in range(3)]
    box = mask[tuple(slice(first, last + 1) for first, last in ends)]  # most masks fill little of the image
    if largest:
        labels, _ = components(box)
        box = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    voxels = np.argwhere(box)
    nearest = voxels[((voxels - voxels.mean(0)) ** 2).sum(1).argmin()]
    x, y, z = (int(index + first) for index, (first, _) in zip(nearest, ends, strict=True))
    return x, y, z
