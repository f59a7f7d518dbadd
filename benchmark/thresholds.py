"""Thresholds frozen on one split, and the refusal to use them on cases they were fitted on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rsuper_bench.benchmark import metrics
from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import digest_of, pretty_json, read_model, write_text
from rsuper_bench.benchmark.lesion_counts import LesionCounts
from rsuper_bench.benchmark.predictions_table import shown
from rsuper_bench.benchmark.records import CaseRecord, Identifier, Record, Sha256, Split
from rsuper_bench.benchmark.reference import Reference, build_reference, patient_hash
from rsuper_bench.benchmark.release import Release, open_release
from rsuper_bench.benchmark.report import Score
from rsuper_bench.benchmark.sample import Sample, build_sample
from rsuper_bench.benchmark.statistics.wilson import wilson_interval
from rsuper_bench.benchmark.submission import Submission
from rsuper_bench.benchmark.task import CallRule, Task
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.benchmark.validation import check_submission, require_scorable

_RULE = re.compile(r"^(youden|(specificity|sensitivity)=(0?\.\d+|0|1|1\.0+))$")


class TypeThreshold(Record):
    """Threshold of one tumor type and what it achieved where it was fitted.

    A case is called when its score is at least ``value``; null, with a reason, where the split has one class only.
    """

    value: float | None
    rule: str
    reason: str | None = None
    sensitivity: Score
    specificity: Score


class FittedOn(Record):
    """Everything the thresholds have seen: cases, salted patient hashes and digests of the images."""

    release: str
    digest: Sha256
    split: Split
    case_ids: Annotated[tuple[Identifier, ...], Field(min_length=1)]
    patients: Annotated[tuple[str, ...], Field(min_length=1)]
    contents: Annotated[tuple[Sha256, ...], Field(min_length=1)]

    @classmethod
    def of(cls, release: Release, split: Split, records: Iterable[CaseRecord]) -> FittedOn:
        """What calibrating on a split of a release has seen."""
        seen = list(records)
        return cls(
            release=release.name,
            digest=release.digest,
            split=split,
            case_ids=tuple(sorted(record.case_id for record in seen)),
            patients=tuple(sorted({patient_hash(record.patient_id) for record in seen})),
            contents=tuple(sorted({record.ct.sha256 for record in seen})),
        )


class Thresholds(Record):
    """What ``rsuper-bench calibrate`` writes."""

    schema_version: Literal[1] = 1
    task: str
    task_fingerprint: str
    call_rule: CallRule
    rule: str
    team: str
    method: str
    submission_digest: str
    thresholds: dict[TumorType, TypeThreshold]
    fitted_on: FittedOn

    @property
    def values(self) -> dict[TumorType, float]:
        """Thresholds that could be fitted."""
        return {kind: item.value for kind, item in self.thresholds.items() if item.value is not None}

    @property
    def digest(self) -> str:
        """Digest of the whole."""
        return digest_of(self)


def load_thresholds(path: Path) -> Thresholds:
    """Read a file of thresholds.

    Raises:
        DataError: Missing or malformed.
    """
    return read_model(path, Thresholds, DataError)


def save_thresholds(thresholds: Thresholds, path: Path) -> None:
    """Write a file of thresholds."""
    write_text(path, pretty_json(thresholds))


@dataclass(frozen=True)
class Rule:
    """How a threshold is chosen: ``youden``, or the best of one figure where the other reaches a target."""

    name: str
    target: float | None = None


def parse_rule(text: str) -> Rule:
    """Read ``youden``, ``specificity=0.9`` or ``sensitivity=0.9``.

    Raises:
        ConfigError: For anything else.
    """
    if not _RULE.match(text):
        raise ConfigError.of(
            [Problem("--rule", ascii(text[:40]), "youden, specificity=0.9 or sensitivity=0.9", "Correct the rule.")]
        )
    name, _, target = text.partition("=")
    return Rule(name, float(target) if target else None)


def calibrate(
    submission: Submission,
    task: Task,
    data: Release | str | Path,
    *,
    split: Split | str = Split.VALIDATION,
    rule: str = "youden",
    counts: LesionCounts | None = None,
    jobs: int = 1,
) -> Thresholds:
    """Choose one threshold a tumor type on a split that will not be tested on.

    With ``counts``, a table of lesion counts is the truth instead of what the release says.

    Raises:
        SubmissionError: Listing everything that is wrong with the submission.
        ConfigError: If the rule is unknown.
    """
    chosen = parse_rule(rule)
    release = data if isinstance(data, Release) else open_release(data)
    reference = build_reference(release, Split(split), task, counts)
    checked = check_submission(submission, reference, release, jobs=jobs)
    require_scorable(checked)
    fitted = {}
    for kind in task.tumor_types:
        sample = build_sample(reference, kind, checked, None)
        fitted[kind] = _fit(sample, chosen, rule, task.confidence)
    return Thresholds(
        task=task.name,
        task_fingerprint=task.fingerprint,
        call_rule=task.call_rule,
        rule=rule,
        team=submission.info.team,
        method=submission.info.method,
        submission_digest=submission.digest,
        thresholds=fitted,
        fitted_on=FittedOn.of(release, reference.split, reference.records.values()),
    )


def _fit(sample: Sample, rule: Rule, text: str, confidence: float) -> TypeThreshold:
    positives, negatives = int(sample.positive.sum()), int((~sample.positive).sum())
    if not positives or not negatives:
        reason = "no positive cases" if not positives else "no negative cases"
        undefined = Score(value=None, reason=reason)
        return TypeThreshold(value=None, rule=text, reason=reason, sensitivity=undefined, specificity=undefined)
    value = best_threshold(sample.decision, sample.positive, rule)
    called = sample.decision >= value
    return TypeThreshold(
        value=value,
        rule=text,
        sensitivity=_share(int((called & sample.positive).sum()), positives, confidence),
        specificity=_share(int((~called & ~sample.positive).sum()), negatives, confidence),
    )


def _share(k: int, n: int, confidence: float) -> Score:
    low, high = wilson_interval(k, n, confidence)
    return Score(value=k / n, low=low, high=high, k=k, n=n, method="wilson")


def best_threshold(decision: NDArray[np.float64], positive: NDArray[np.bool_], rule: Rule) -> float:
    """The threshold a rule chooses; of equally good ones the highest, half-way to the next lower score.

    Args:
        decision: ``(N,)`` what is compared with the threshold.
        positive: ``(N,)`` reference, with both classes.
        rule: How to choose.
    """
    everyone = np.arange(len(decision))
    ranked = metrics.RankedCases.of(decision, positive, everyone)
    starts = np.append(ranked.starts, len(decision))
    hits = np.concatenate([[0], np.cumsum(ranked.positive)])[starts]  # after the first g groups
    alarms = starts - hits
    positives, negatives = int(hits[-1]), int(alarms[-1])
    big = len(decision) + 1
    if rule.target is None:
        gain = hits * negatives - alarms * positives  # Youden's J times a constant, without rounding
    elif rule.name == "specificity":
        meets = alarms <= metrics.false_positives_allowed(rule.target, negatives)
        gain = np.where(meets, hits * big - alarms, -big)
    else:
        meets = hits >= metrics.positives_needed(rule.target, positives)
        gain = np.where(meets, hits - alarms * big, -big * big)
    groups = int(np.argmax(gain))  # the first of equals: fewest calls
    if groups == 0:
        return float(np.nextafter(ranked.values[0], np.inf))
    above = float(ranked.values[groups - 1])
    if groups == len(ranked.values):
        return above
    below = float(ranked.values[groups])
    middle = (above + below) / 2
    return middle if below < middle <= above else above


def refuse_shared_cases(thresholds: Thresholds, reference: Reference) -> None:
    """Refuse thresholds that have seen a case, a patient or an image of the split.

    Raises:
        DataError: Listing which.
    """
    fitted = thresholds.fitted_on
    cases = sorted(set(fitted.case_ids) & reference.records.keys())
    known_patients, known_contents = set(fitted.patients), set(fitted.contents)
    patients = sorted(case for case, patient in reference.patient_of.items() if patient in known_patients)
    contents = sorted(case for case, record in reference.records.items() if record.ct.sha256 in known_contents)
    fix = "Calibrate on another split."
    problems = [
        Problem("thresholds", f"fitted on {len(found)} {what}: {shown(found)}", "none of the evaluated split", fix)
        for what, found in (
            ("cases of this split", cases),
            ("patients whose cases are in this split", patients),
            ("images that are in this split", contents),
        )
        if found
    ]
    if problems:
        raise DataError.of(problems)


def refuse_changed_list(thresholds: Thresholds, release: Release) -> None:
    """Refuse thresholds of this release whose list of cases is not that of the split they name.

    Raises:
        DataError: If the file was changed.
    """
    fitted = thresholds.fitted_on
    if fitted.digest != release.digest:
        return  # of another release, whose cases are not known here
    seen = release.records(fitted.split)
    if not seen or FittedOn.of(release, fitted.split, seen).model_copy(update={"release": fitted.release}) != fitted:
        found = f"a list of cases, patients or images that is not that of the {fitted.split} split it names"
        expected, fix = "the file as calibrate wrote it", "Calibrate again."
        raise DataError.of([Problem("thresholds", found, expected, fix)])


def refuse_foreign_rule(thresholds: Thresholds, task: Task) -> None:
    """Refuse thresholds of another quantity (score against volume).

    Raises:
        DataError: If the task calls cases by something else.
    """
    if thresholds.call_rule is not task.call_rule:
        raise DataError.of(
            [
                Problem(
                    "thresholds",
                    f"fitted on the {thresholds.call_rule}",
                    f"the {task.call_rule}, as task {task.name} calls cases",
                    "Calibrate with the same task.",
                )
            ]
        )
