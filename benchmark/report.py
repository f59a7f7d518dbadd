"""The evaluation report: scores with intervals, and the evidence they were computed from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.files import read_model
from rsuper_bench.benchmark.lesion_record import LesionOutcome, LesionScores
from rsuper_bench.benchmark.reader_record import StudyPanel, StudyReader
from rsuper_bench.benchmark.records import Fraction, Identifier, Record, Sha256, Split, Whole
from rsuper_bench.benchmark.score import Score as Score  # exported: every figure of a report is one
from rsuper_bench.benchmark.stratum import Axis
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.tumor_types import TumorType

REPORT_FILE = "report.json"
MEAN = "mean"  # key in ``scores`` of the mean over tumor types


class Counts(Record):
    """How many cases of one tumor type went where. Calls are null without thresholds."""

    positive: Whole
    negative: Whole
    excluded: Whole
    tp: Whole | None = None
    fp: Whole | None = None
    tn: Whole | None = None
    fn: Whole | None = None


class Outcome(Record):
    """Evidence: one case and type. ``patient`` is a salted hash, the same in every report of a task."""

    case_id: Identifier
    patient: str
    tumor_type: TumorType
    reference: Literal[0, 1]
    score: Fraction
    volume_mm3: Annotated[float, Field(ge=0)] | None = None
    call: Literal[0, 1] | None = None
    imputed: bool = False  # scored the worst way because the submission has no prediction

    @model_validator(mode="after")
    def _share_field_names(self) -> Outcome:
        # A set of names each would be half the memory of a report of a few hundred thousand outcomes.
        object.__setattr__(self, "__pydantic_fields_set__", OUTCOME_FIELDS)
        return self


OUTCOME_FIELDS = set(Outcome.model_fields)


class Exclusion(Record):
    """A case and type that is neither positive nor negative, and why."""

    case_id: Identifier
    tumor_type: TumorType
    reason: str


class SubmissionInfo(Record):
    """What ``submission.yaml`` says."""

    team: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    method: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    description: Annotated[str, StringConstraints(max_length=10_000)] = ""
    training_data: tuple[Annotated[str, StringConstraints(max_length=500)], ...] = ()
    licence: Annotated[str, StringConstraints(max_length=200)] = ""
    contact: Annotated[str, StringConstraints(max_length=500)] = ""


class DataInfo(Record):
    """Which release and split the cases come from."""

    release: str
    digest: Sha256
    split: Split
    n_cases: Whole
    n_patients: Whole
    synthetic: bool
    smoke: bool = False  # one anatomy in several splits: not evidence


class LiteratureReader(Record):
    """One published figure of radiologists: other cases, so context and never a head-to-head."""

    tumor_type: TumorType
    primary: bool
    grade: str
    task: str
    unit: str
    sensitivity: Fraction | None
    specificity: Fraction | None
    sensitivity_interval: str = ""
    sensitivity_range: str = ""
    specificity_interval: str = ""
    specificity_range: str = ""
    n_patients: str = ""
    n_readers: str = ""
    ct: str = ""
    reference_standard: str = ""
    citation: str
    doi_or_pmid: str = ""


class Readers(Record):
    """Radiologists beside the method."""

    statement: str
    literature: tuple[LiteratureReader, ...] = ()
    study: tuple[StudyReader, ...] = ()
    panels: tuple[StudyPanel, ...] = ()


class StratumScores(Record):
    """Figures of one tumor type in one stratum; null, with their counts and the reason, where cases are too few."""

    positive: Whole
    negative: Whole
    sensitivity: Score
    specificity: Score
    auroc: Score


class Replicates(Record):
    """Bootstrap replicates of the primary score over an index of patients common to all reports of the fingerprint.

    Two reports of the same fingerprint and seed drew the same patients in replicate i, so their difference is paired.
    """

    metric: str
    seed: int
    index_digest: Sha256
    values: tuple[float | None, ...]


class EvaluationReport(Record):
    """What ``rsuper-bench evaluate`` found. Same input and seed: same bytes, so no time is in it."""

    schema_version: Literal[1] = 1
    task: str
    fingerprint: str  # task and reference: reports with different fingerprints are never ranked together
    task_definition: Task
    submission: SubmissionInfo
    data: DataInfo
    statements: tuple[str, ...] = ()  # what the figures do not show, to be printed wherever they appear
    seed: int
    missing_policy: Literal["error", "fail"]
    thresholds: dict[TumorType, float] | None = None
    scores: dict[str, dict[str, Score]]
    counts: dict[TumorType, Counts]
    readers: Readers
    strata: dict[Axis, dict[str, dict[TumorType, StratumScores]]] = {}
    lesions: dict[TumorType, LesionScores] | None = None  # null: no masks on one of the two sides
    lesions_reason: str | None = None  # why there are none
    lesion_policies: tuple[str, ...] = ()  # what counts as found, and how empty masks count
    coverage: dict[str, Whole]
    excluded: tuple[Exclusion, ...]
    outcomes: tuple[Outcome, ...]
    lesion_outcomes: tuple[LesionOutcome, ...] = ()
    replicates: Replicates | None = None
    digests: dict[str, str | None]
    provenance: dict[str, str | None]


def load_report(path: Path) -> EvaluationReport:
    """Read ``report.json`` or the folder that holds it.

    Raises:
        DataError: Missing or malformed.
    """
    return read_model(path / REPORT_FILE if path.is_dir() else path, EvaluationReport, DataError)
