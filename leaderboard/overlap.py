"""Do the evaluated patients stand in what a method was trained on?"""

from __future__ import annotations

from collections.abc import Collection

from rsuper_bench.benchmark.records import Split
from rsuper_bench.benchmark.reference import patient_hash
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.report import EvaluationReport
from rsuper_bench.leaderboard.entry import Overlap


def overlap_with(
    training: Release, report: EvaluationReport, *, images: Collection[str] | None = None, split: Split = Split.TRAIN
) -> Overlap:
    """Count what the training split of a release shares with the cases of a report.

    Patients are compared by the hash that every report carries. Computer-made patients of one number are other people
    in another release, so they are compared within one release only.

    Args:
        training: Release the method was trained on.
        report: Evaluation of the method.
        images: Digests of the evaluated CTs, where the evaluated release is at hand.
        split: Part of the training release that was trained on.

    Raises:
        DataError: If the release cannot be read.
    """
    same = training.digest == report.data.digest
    records = training.records(split)
    patients = {patient_hash(record.patient_id) for record in records if same or not record.synthetic}
    evaluated = {outcome.patient for outcome in report.outcomes}
    return Overlap(
        release=training.name,
        digest=training.digest,
        split=split,
        n_patients=len({record.patient_id for record in records}),
        shared_patients=len(patients & evaluated),
        shared_images=None if images is None else len({record.ct.sha256 for record in records} & set(images)),
    )
