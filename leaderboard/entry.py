"""One line of the board: what one method scored on one task, with the evidence that ranks it."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from rsuper_bench.benchmark.records import ID_PATTERN, Identifier, Record, Sha256, Split, Whole
from rsuper_bench.benchmark.report import MEAN, Counts, DataInfo, Replicates, Score
from rsuper_bench.benchmark.roc_curve import MAX_POINTS
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.leaderboard.evidence import contradictions
from rsuper_bench.leaderboard.names import MAX_TEXT, Name, Text, Url, slug, visible_text

ENTRY_SUFFIX = ".json"
MAX_ENTRY_BYTES = 2 * 1024**2
MAX_DESCRIPTION = 2000
MAX_REPLICATES = 20_000
MAX_CONTRADICTIONS = 10  # of one entry in one message
MAX_CASES = 10**8
HUB_REPO = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$"

# Metrics that are shares of cases: anything outside [0, 1] was not computed by an evaluator.
SHARES = frozenset(
    {
        "sensitivity",
        "specificity",
        "auroc",
        "average_precision",
        "f1",
        "sensitivity_at_specificity_90",
        "specificity_at_sensitivity_90",
        "sensitivity_at_reader",
        "specificity_at_reader",
    }
)


class Status(StrEnum):
    """Whether an entry is ranked. A withdrawn one keeps its file and says why."""

    LISTED = "listed"
    WITHDRAWN = "withdrawn"


class Provenance(StrEnum):
    """Who computed the figures."""

    REPORTED = "reported"  # by whoever added the entry
    VERIFIED = "verified"  # scored again by the maintainers from the predictions


class Overlap(Record):
    """What a declared training release shares with the evaluated cases, counted from both.

    Attributes:
        release: Name of the training release; a declared training set that starts with it is taken to be it.
        n_patients: Patients of its training split.
        shared_patients: Of those, how many are evaluated.
        shared_images: Evaluated CTs that have the bytes of a training CT; null where the images were not at hand.
    """

    release: Identifier
    digest: Sha256
    split: Split
    n_patients: Annotated[int, Field(ge=0)]
    shared_patients: Annotated[int, Field(ge=0)]
    shared_images: Annotated[int, Field(ge=0)] | None = None

    @property
    def leaks(self) -> bool:
        """Whether anything is shared."""
        return bool(self.shared_patients or self.shared_images)


class Verification(Record):
    """What an entry was scored again from, and with what. No time: the same check gives the same bytes."""

    submission: Sha256
    release: Sha256
    reference: Sha256
    thresholds: Sha256 | None = None  # null: the calls were made at the stated values, wherever those were fitted
    rsuper_bench: Annotated[str, StringConstraints(max_length=40), AfterValidator(visible_text)]
    python: Annotated[str, StringConstraints(max_length=40), AfterValidator(visible_text)]
    numpy: Annotated[str, StringConstraints(max_length=40), AfterValidator(visible_text)]


class RocPoint(NamedTuple):
    """A corner of an empirical ROC curve, as counts."""

    fp: Annotated[int, Field(ge=0, le=MAX_CASES)]
    tp: Annotated[int, Field(ge=0, le=MAX_CASES)]


class Entry(Record):
    """What ``leaderboard add`` writes and ``leaderboard build`` reads: ``<team>__<method>/<task>.json``.

    Attributes:
        fingerprint: Of task and reference; entries that differ in it are never ranked together.
        scores: Per tumor type (and ``mean``) and metric.
        replicates: Bootstrap replicates of the primary metric over the patients common to the fingerprint.
        roc: ROC corners per tumor type, from (0, 0) to (positives, negatives); thinned to 200 points.
        digests: Of predictions, reference, thresholds and the report itself.
        thresholds: Frozen thresholds the calls were made at.
        model_repo: Model repository on the Hub.
        overlaps: What training releases at hand share with the evaluated cases.
        verification: What a verified entry was scored again from.
        source: Where the figures come from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    team: Name
    method: Name
    url: Url | None = None
    task: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,79}-v[0-9]{1,4}$")]
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12,64}$")]
    task_definition: Task
    status: Status = Status.LISTED
    reason: Text | None = None
    provenance: Provenance = Provenance.REPORTED
    source: Text
    description: Annotated[str, StringConstraints(max_length=MAX_DESCRIPTION), AfterValidator(visible_text)] = ""
    training_data: Annotated[tuple[Text, ...], Field(max_length=50)] = ()
    licence: Annotated[str, StringConstraints(max_length=200), AfterValidator(visible_text)] = ""
    data: DataInfo
    statements: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    missing_policy: Literal["error", "fail"]
    seed: Annotated[int, Field(ge=0)]
    scores: dict[str, dict[str, Score]]
    counts: dict[TumorType, Counts]
    coverage: dict[str, Whole] = {}
    roc: dict[TumorType, Annotated[tuple[RocPoint, ...], Field(max_length=MAX_POINTS)]] = {}
    replicates: Replicates | None = None
    digests: dict[str, Sha256 | None]
    thresholds: dict[TumorType, Annotated[float, Field(ge=0)]] | None = None
    model_repo: Annotated[str, StringConstraints(pattern=HUB_REPO)] | None = None
    overlaps: Annotated[tuple[Overlap, ...], Field(max_length=50)] = ()
    verification: Verification | None = None

    @property
    def primary(self) -> Score:
        """The score that ranks: mean over tumor types of the task's primary metric."""
        return self.scores[MEAN][self.task_definition.primary]

    @property
    def folder(self) -> str:
        """``<team>__<method>``. Slugs hold no underscore, so the two parts are never confused."""
        return f"{slug(self.team)}__{slug(self.method)}"

    @property
    def path(self) -> str:
        """Where the entry lives, relative to the folder of entries."""
        return f"{self.folder}/{self.task}{ENTRY_SUFFIX}"

    @property
    def key(self) -> str:
        """Name of the entry's page: unique on a board."""
        return f"{self.folder}__{self.task}"

    @model_validator(mode="after")
    def _withdrawn_says_why(self) -> Entry:
        if (self.status is Status.WITHDRAWN) != (self.reason is not None):
            raise ValueError("a withdrawn entry needs a reason, and a listed one has none")
        return self

    @model_validator(mode="after")
    def _task_agrees(self) -> Entry:
        if self.task != self.task_definition.name:
            raise ValueError("task and task_definition.name differ")
        if self.task_definition.synthetic and not self.data.synthetic:
            raise ValueError("a synthetic task was scored on data that say they are real")
        return self

    @model_validator(mode="after")
    def _borrowed_text_is_visible(self) -> Entry:
        _check_text("data.release", self.data.release)
        _check_text("task_definition.description", self.task_definition.description, MAX_DESCRIPTION)
        if any(not re.fullmatch(ID_PATTERN, key) for key in (*self.digests, *self.coverage)):
            raise ValueError("keys of digests and coverage must be plain identifiers")
        return self

    @model_validator(mode="after")
    def _scores_hang_together(self) -> Entry:
        wanted = {str(kind) for kind in self.task_definition.tumor_types} | {MEAN}
        if set(self.scores) != wanted:
            raise ValueError(f"scores must be of {', '.join(sorted(wanted))}")
        for name, metrics in self.scores.items():
            for metric, score in metrics.items():
                _check_score(f"{name}.{metric}", metric, score)
        primary = self.task_definition.primary
        if primary not in self.scores[MEAN]:
            raise ValueError(f"scores.{MEAN} has no {primary}, the primary metric of the task")
        return self

    @model_validator(mode="after")
    def _replicates_are_of_the_primary(self) -> Entry:
        if self.replicates is None:
            return self
        if self.replicates.metric != self.task_definition.primary:
            raise ValueError("replicates are not of the primary metric of the task")
        values = [value for value in self.replicates.values if value is not None]
        if not 0 < len(self.replicates.values) <= MAX_REPLICATES:
            raise ValueError(f"replicates must be 1 to {MAX_REPLICATES}")
        if not all(map(math.isfinite, values)):
            raise ValueError("replicates must be finite")
        return self

    @model_validator(mode="after")
    def _figures_follow_from_the_evidence(self) -> Entry:
        for kind, points in self.roc.items():
            if any(later.fp < earlier.fp or later.tp < earlier.tp for earlier, later in pairwise(points)):
                raise ValueError(f"roc.{kind} falls")
        found = list(contradictions(self.task_definition, self.scores, self.counts, self.roc, self.replicates))
        if found:
            raise ValueError("; ".join(found[:MAX_CONTRADICTIONS]))
        return self

    @model_validator(mode="after")
    def _verified_by_something(self) -> Entry:
        done = self.verification
        if (self.provenance is Provenance.VERIFIED) != (done is not None):
            raise ValueError("a verified entry says what it was verified with, and no other does")
        if done is not None and (done.submission, done.reference, done.release) != tuple(
            self.digests.get(name) for name in ("submission", "reference", "release")
        ):
            raise ValueError("the verification is of other predictions, data or truth than the entry")
        return self


def _check_score(where: str, metric: str, score: Score) -> None:
    if not score.higher_is_better:  # one that is turned round would turn the ranking of all
        raise ValueError(f"scores.{where} says that less is better, which no figure of cases is")
    for figure in (score.value, score.low, score.high):
        if figure is None:
            continue
        if not math.isfinite(figure):
            raise ValueError(f"scores.{where} is not a finite number")
        if metric in SHARES and not 0 <= figure <= 1:
            raise ValueError(f"scores.{where} is a share and must lie in [0, 1]")
    for text in (score.method, score.reason):
        _check_text(f"scores.{where}", text or "")


def _check_text(where: str, text: str, longest: int = MAX_TEXT) -> None:
    """Text that other models took as it came: one line, visible, not endless."""
    if len(text) > longest:
        raise ValueError(f"{where} holds more than {longest} characters")
    try:
        plain = visible_text(text)
    except ValueError as cause:
        raise ValueError(f"{where} {cause}") from None
    if plain != text:
        raise ValueError(f"{where} holds line breaks or doubled spaces")
