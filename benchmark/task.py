"""A task: which tumor types, which reference, what counts as positive, what is left out."""

from __future__ import annotations

from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from rsuper_bench.benchmark.errors import ConfigError, Problem
from rsuper_bench.benchmark.files import digest_of, read_model
from rsuper_bench.benchmark.records import CaseRecord, Fraction, Kind, Malignancy, Presence, Record
from rsuper_bench.benchmark.stratum import Axis
from rsuper_bench.benchmark.tumor_types import TumorType

TUMOR_KINDS = (Kind.MASS, Kind.METASTASIS, Kind.WALL_THICKENING, Kind.INDETERMINATE)
SCORING_VERSION = 1  # raised by any change of code that can move a score


class ReferenceKind(StrEnum):
    """Where the truth of a case comes from."""

    REPORT = "report"
    MASK = "mask"
    PATHOLOGY = "pathology"


class CallRule(StrEnum):
    """What a threshold is applied to (METHOD 9)."""

    SCORE = "score"
    VOLUME = "volume"


class NotStated(StrEnum):
    """What a silent report means."""

    EXCLUDE = "exclude"
    NEGATIVE = "negative"


class Truth(Record):
    """Reference of one case and type: positive, negative, or neither with the reason."""

    positive: bool | None
    reason: str | None = None


class Task(Record):
    """What an evaluation measures. Files are versioned and never edited: a correction is a new file."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*-v[0-9]+$")]
    description: str
    tumor_types: Annotated[tuple[TumorType, ...], Field(min_length=1)]
    reference: ReferenceKind = ReferenceKind.REPORT
    positive_kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] = TUMOR_KINDS
    not_stated: NotStated = NotStated.EXCLUDE
    call_rule: CallRule = CallRule.SCORE
    operating_points: dict[str, Fraction] = {"specificity": 0.9, "sensitivity": 0.9}
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    bootstrap_replicates: Annotated[int, Field(ge=100, le=100_000)] = 2000
    primary: str = "sensitivity_at_specificity_90"
    strata: tuple[Axis, ...] = ()
    synthetic: bool = False

    @field_validator("tumor_types")
    @classmethod
    def _each_type_once(cls, value: tuple[TumorType, ...]) -> tuple[TumorType, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a tumor type stands twice")
        return value

    @field_validator("strata")
    @classmethod
    def _each_stratum_once(cls, value: tuple[Axis, ...]) -> tuple[Axis, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a stratum stands twice")
        return value

    @field_validator("operating_points")
    @classmethod
    def _points_are_known(cls, value: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(set(value) - {"specificity", "sensitivity"}):
            raise ValueError(f"specificity and sensitivity only, not {', '.join(ascii(name[:40]) for name in unknown)}")
        return value

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits over all that can move a headline score; description and strata cannot."""
        moving = self.model_dump(mode="json", exclude={"description", "strata"})
        return digest_of({"task": moving, "scoring_version": SCORING_VERSION})[:12]

    def truth(self, record: CaseRecord, tumor_type: TumorType) -> Truth:
        """Reference of one case: what the report, the mask or pathology says under this task's rules."""
        absent = why_not_evaluable(record, tumor_type)
        if absent is not None:
            return Truth(positive=None, reason=absent)
        if self.reference is ReferenceKind.MASK:
            if tumor_type not in record.lesion_masks:
                return Truth(positive=None, reason="no_lesion_mask")
            return Truth(positive=record.lesion_masks[tumor_type] > 0)
        presence = stated_presence(record, tumor_type, self.positive_kinds)
        if presence is Presence.UNCERTAIN:
            return Truth(positive=None, reason="uncertain")
        if presence is Presence.NOT_STATED:
            if self.not_stated is NotStated.NEGATIVE:
                return Truth(positive=False)
            return Truth(positive=None, reason="not_stated")
        if self.reference is ReferenceKind.PATHOLOGY and presence is Presence.PRESENT:
            return self._pathology(record, tumor_type)
        return Truth(positive=presence is Presence.PRESENT)

    def _pathology(self, record: CaseRecord, tumor_type: TumorType) -> Truth:
        proven = {
            finding.malignancy for finding in record.findings_of(tumor_type) if finding.malignancy_source == "pathology"
        }
        if Malignancy.MALIGNANT in proven:
            return Truth(positive=True)
        if Malignancy.BENIGN in proven:
            return Truth(positive=False)
        return Truth(positive=None, reason="no_pathology")


def why_not_evaluable(record: CaseRecord, tumor_type: TumorType) -> str | None:
    """Why a case can be neither positive nor negative (resected, out of view, absent by sex), or None."""
    if tumor_type in record.not_evaluable:
        return str(record.not_evaluable[tumor_type])
    if tumor_type.anatomy.only_sex is not None and record.sex not in (None, tumor_type.anatomy.only_sex):
        return "absent_by_sex"
    return None


def stated_presence(
    record: CaseRecord, tumor_type: TumorType, positive_kinds: tuple[Kind, ...] = TUMOR_KINDS
) -> Presence:
    """Presence of lesions of the given kinds: a case whose only lesions are of other kinds (cysts) is ``absent``.

    A report that states a lesion but describes none stays ``present``; one whose only positive findings are
    uncertain is ``uncertain``.
    """
    stated = record.presence_of(tumor_type)
    findings = record.findings_of(tumor_type)
    if stated is not Presence.PRESENT or not findings:
        return stated
    relevant = [finding for finding in findings if finding.kind in positive_kinds]
    if not relevant:
        return Presence.ABSENT
    if all(finding.certainty == "uncertain" for finding in relevant):
        return Presence.UNCERTAIN
    return Presence.PRESENT


def shipped_tasks() -> list[str]:
    """Names of the tasks that come with the package."""
    folder = files("rsuper_bench.benchmark") / "tasks"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_task(name: str | Path) -> Task:
    """Load a shipped task by name, or a YAML file.

    Raises:
        ConfigError: Unknown name ("did you mean"), or a malformed file.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml", ".json"):
        return read_model(path, Task)
    if str(name) in shipped_tasks():
        return read_model(Path(str(files("rsuper_bench.benchmark") / "tasks" / f"{name}.yaml")), Task)
    from difflib import get_close_matches

    close = get_close_matches(str(name), shipped_tasks(), n=1)
    fix = f"Did you mean '{close[0]}'?" if close else "Name one of these, or a YAML file."
    raise ConfigError.of([Problem("--task", f"unknown task '{name}'", f"one of {', '.join(shipped_tasks())}", fix)])
