"""Scoring a submission: from predictions and truth to a report with intervals and evidence."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import sha256_file
from rsuper_bench.benchmark.lesion_counts import LesionCounts
from rsuper_bench.benchmark.lesion_evaluation import evaluate_lesions
from rsuper_bench.benchmark.literature import (
    LITERATURE_TABLE,
    detection_reader,
    literature_digest,
    literature_readers,
    literature_statement,
)
from rsuper_bench.benchmark.mask_reading import Reading
from rsuper_bench.benchmark.reader_study import MARGIN, study_readers
from rsuper_bench.benchmark.reader_study import STATEMENT as STUDY_STATEMENT
from rsuper_bench.benchmark.reads import Reads, is_reader_study, read_reads
from rsuper_bench.benchmark.records import Split
from rsuper_bench.benchmark.reference import Reference, build_reference
from rsuper_bench.benchmark.release import Release, open_release
from rsuper_bench.benchmark.report import (
    MEAN,
    OUTCOME_FIELDS,
    Counts,
    DataInfo,
    EvaluationReport,
    LiteratureReader,
    Outcome,
    Readers,
    Replicates,
)
from rsuper_bench.benchmark.rsuper_protocol import NEEDED
from rsuper_bench.benchmark.sample import Sample, build_sample
from rsuper_bench.benchmark.scores import score_mean, score_type
from rsuper_bench.benchmark.scoring import Draws, Measures, draw_replicates, measures_of
from rsuper_bench.benchmark.strata import score_strata
from rsuper_bench.benchmark.submission import Submission
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.thresholds import Thresholds, refuse_changed_list, refuse_foreign_rule, refuse_shared_cases
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.benchmark.validation import CheckedPredictions, MissingPolicy, check_submission, require_scorable

SYNTHETIC = "Phantoms are not patients: every figure here was measured on synthetic cases."
SOME_SYNTHETIC = "Some of the cases are synthetic, and synthetic cases are not patients."
SMOKE = "One anatomy stands in several splits: this is not evidence, it only shows that the chain runs."
NO_THRESHOLDS = (
    "No thresholds were given, so there are no calls: sensitivity and specificity at a frozen threshold are undefined."
)
Protocol = Literal["rsuper"]
COUNTED = "The truth is a table of lesion counts, not the release: any counted lesion is positive, whatever its kind."
OTHER_TASK = "The thresholds were fitted under another task than the one they are used in."
OTHER_METHOD = "The thresholds were fitted on a submission of another team or method."


def evaluate(
    submission: Submission,
    task: Task,
    data: Release | str | Path,
    *,
    split: Split | str = Split.TEST,
    counts: LesionCounts | None = None,
    thresholds: Thresholds | None = None,
    calls_at: Mapping[TumorType, float] | None = None,
    readers: Path | None = None,
    missing: MissingPolicy = "error",
    protocol: Protocol | None = None,
    margin: float = MARGIN,
    seed: int = 0,
    jobs: int = 1,
    reading: Reading | None = None,
) -> EvaluationReport:
    """Score a submission.

    Args:
        submission: From ``load_submission``.
        task: From ``load_task`` or ``release_task``.
        data: Release, or what ``open_release`` takes.
        split: Part of the release to score on.
        counts: A table of lesion counts that is the truth instead of what the release says.
        thresholds: Frozen calls, from ``calibrate`` on another split.
        calls_at: Values to call cases at, when a report is scored again whose thresholds are not at hand. Nothing is
            known of where they were fitted, so ``thresholds`` goes before them.
        readers: Reads of the same cases, or a table of literature figures to use instead of the shipped one.
        missing: ``error`` refuses an incomplete submission; ``fail`` scores what is missing the worst way.
        protocol: ``rsuper`` asks for a volume of every prediction, so that ``report_protocol_table`` can be made.
        margin: How much less sensitivity than a reader of the same cases still counts as not inferior.
        seed: Seed of the bootstrap.
        jobs: Threads, and processes that read masks; the report does not depend on it.
        reading: How masks are read, with more than a number of jobs.

    Raises:
        SubmissionError: Listing everything that is wrong with the submission.
        DataError: If the release is unusable, or the thresholds were fitted on cases, patients or images of the split.
    """
    if not 0 <= margin <= 1:
        raise ConfigError.of([Problem("--margin", f"{margin}", "a share from 0 to 1", "Name another margin.")])
    release = data if isinstance(data, Release) else open_release(data)
    reference = build_reference(release, Split(split), task, counts)
    if thresholds is not None:
        refuse_shared_cases(thresholds, reference)
        refuse_changed_list(thresholds, release)
        refuse_foreign_rule(thresholds, task)
    reads, literature = _load_readers(readers, reference)
    checked = check_submission(
        submission,
        reference,
        release,
        missing=missing,
        volume_for=NEEDED if protocol == "rsuper" else None,
        lesions=True,
        jobs=jobs,
        reading=reading,
    )
    require_scorable(checked)
    frozen = thresholds.values if thresholds is not None else dict(calls_at or {})
    samples = {kind: build_sample(reference, kind, checked, frozen.get(kind)) for kind in task.tumor_types}
    measures = {kind: measures_of(task, detection_reader(literature, kind)) for kind in task.tumor_types}
    _check_primary(task, measures)
    draws = Draws(len(reference.patients), task.bootstrap_replicates, reference.fingerprint, seed)
    drawn = draw_replicates(samples, measures, draws, jobs=jobs)
    scores = {
        str(kind): score_type(samples[kind], measures[kind], drawn[kind], task.confidence) for kind in task.tumor_types
    }
    mean_scores, mean_replicates = score_mean(scores, samples, drawn, task)
    study, panels = study_readers(reads, samples, draws, confidence=task.confidence, margin=margin, jobs=jobs)
    info = _data_info(release, reference)
    lesions = evaluate_lesions(checked.lesions, reference, frozen, has_table=submission.has_table, seed=seed, jobs=jobs)
    return EvaluationReport(
        task=task.name,
        fingerprint=reference.fingerprint,
        task_definition=task,
        submission=submission.info,
        data=info,
        statements=_statements(info, reference, thresholds, submission, counts, called=calls_at is not None),
        seed=seed,
        missing_policy=missing,
        thresholds={kind: frozen[kind] for kind in task.tumor_types if kind in frozen}
        if thresholds is not None or calls_at is not None
        else None,
        scores=scores | {MEAN: mean_scores},
        counts={kind: _counts(samples[kind], reference) for kind in task.tumor_types},
        readers=Readers(
            statement=_readers_statement(reads, synthetic=info.synthetic or task.synthetic),
            literature=literature,
            study=study,
            panels=panels,
        ),
        strata=score_strata(samples, measures, reference, draws, jobs=jobs),
        lesions=lesions.scores,
        lesions_reason=lesions.reason,
        lesion_policies=lesions.policies,
        coverage=_coverage(samples, checked),
        excluded=tuple(item for kind in task.tumor_types for item in reference.truths[kind].excluded),
        outcomes=tuple(item for kind in task.tumor_types for item in _outcomes(samples[kind], reference)),
        lesion_outcomes=lesions.outcomes,
        replicates=Replicates(
            metric=task.primary,
            seed=seed,
            index_digest=reference.patients_digest,
            values=tuple(
                None if np.isnan(value) else round(float(value), 6) for value in mean_replicates[task.primary]
            ),
        ),
        digests={
            "submission": submission.digest,
            "release": release.digest,
            "reference": reference.digest,
            "thresholds": None if thresholds is None else thresholds.digest,
            "literature": literature_digest(),
            "lesion_counts": None if counts is None else counts.digest,
            "readers": None if readers is None else sha256_file(readers),
        },
        provenance=_provenance(),
    )


def _check_primary(task: Task, measures: Mapping[TumorType, Measures]) -> None:
    known = next(iter(measures.values())).names
    if task.primary not in known:
        raise ConfigError.of(
            [Problem(f"task {task.name}: primary", f"'{task.primary}'", f"one of {', '.join(known)}", "Correct it.")]
        )


def _data_info(release: Release, reference: Reference) -> DataInfo:
    records = reference.records.values()
    return DataInfo(
        release=release.name,
        digest=release.digest,
        split=reference.split,
        n_cases=len(reference.records),
        n_patients=len(set(reference.patient_of.values())),
        synthetic=all(record.synthetic for record in records),
        smoke=release.smoke,
    )


def _statements(
    info: DataInfo,
    reference: Reference,
    thresholds: Thresholds | None,
    submission: Submission,
    counts: LesionCounts | None,
    *,
    called: bool,
) -> tuple[str, ...]:
    found = []
    if info.smoke:
        found.append(SMOKE)
    if info.synthetic:
        found.append(SYNTHETIC)
    elif any(record.synthetic for record in reference.records.values()):
        found.append(SOME_SYNTHETIC)
    if counts is not None:
        found.append(COUNTED)
    if thresholds is None and not called:
        found.append(NO_THRESHOLDS)
    elif thresholds is not None:
        if (thresholds.team, thresholds.method) != (submission.info.team, submission.info.method):
            found.append(OTHER_METHOD)
        if thresholds.task_fingerprint != reference.task.fingerprint:
            found.append(OTHER_TASK)
    return tuple(found)


def _load_readers(path: Path | None, reference: Reference) -> tuple[Reads, tuple[LiteratureReader, ...]]:
    kinds = reference.task.tumor_types
    if path is None:
        return {}, literature_readers(kinds)
    if not path.is_file():
        raise DataError.of([Problem(str(path), "no such file", "a table of readers", "Check the path.")])
    if is_reader_study(path):
        return read_reads(path, reference), literature_readers(kinds)
    return {}, literature_readers(kinds, path)


def _readers_statement(reads: Reads, *, synthetic: bool) -> str:
    literature = literature_statement(synthetic=synthetic)
    return f"{STUDY_STATEMENT} {literature}" if reads else literature


def _counts(sample: Sample, reference: Reference) -> Counts:
    positive = int(sample.positive.sum())
    counts = Counts(
        positive=positive,
        negative=len(sample.positive) - positive,
        excluded=len(reference.truths[sample.tumor_type].excluded),
    )
    if sample.called is None:
        return counts
    return counts.model_copy(
        update={
            "tp": int((sample.called & sample.positive).sum()),
            "fp": int((sample.called & ~sample.positive).sum()),
            "tn": int((~sample.called & ~sample.positive).sum()),
            "fn": int((~sample.called & sample.positive).sum()),
        }
    )


def _coverage(samples: Mapping[TumorType, Sample], checked: CheckedPredictions) -> dict[str, int]:
    scored = sum(len(sample.positive) for sample in samples.values())
    imputed = sum(int(sample.imputed.sum()) for sample in samples.values())
    return {
        "evaluated": scored,
        "predicted": scored - imputed,
        "imputed": imputed,
        "missing": len(checked.missing),
        "ignored": checked.ignored,
    }


def _outcomes(sample: Sample, reference: Reference) -> list[Outcome]:
    # Made of checked values, so not checked again; one set of field names serves all of a few hundred thousand.
    return [
        Outcome.model_construct(
            OUTCOME_FIELDS,
            case_id=case_id,
            patient=reference.patient_of[case_id],
            tumor_type=sample.tumor_type,
            reference=1 if sample.positive[index] else 0,
            score=float(sample.score[index]),
            volume_mm3=None if np.isnan(sample.volume_mm3[index]) else float(sample.volume_mm3[index]),
            call=None if sample.called is None else 1 if sample.called[index] else 0,
            imputed=bool(sample.imputed[index]),
        )
        for index, case_id in enumerate(sample.case_ids)
    ]


def _provenance() -> dict[str, str | None]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        own: str | None = version("rsuper-bench")
    except PackageNotFoundError:  # a source tree that was never installed
        own = None
    return {
        "rsuper_bench": own,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "literature": LITERATURE_TABLE,
    }
