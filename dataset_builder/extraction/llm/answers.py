"""What a language model is asked to answer: models whose JSON Schema constrains its decoding.

A quote stands before its value, so that the model finds the words first and reads them after. ``None`` is an
abstention: every value except the organ may be left open. All numbers and lists are bounded, because a grammar holds a
model only to what it says.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from rsuper_bench.benchmark.files import digest_of
from rsuper_bench.benchmark.records import Attenuation, Certainty, CountRelation, Kind, Malignancy
from rsuper_bench.benchmark.tumor_types import Side, TumorType

Value = TypeVar("Value")

MAX_FINDINGS = 24
MAX_ORGANS = len(TumorType)
MAX_DIAGNOSES = 12
MAX_QUOTE_CHARACTERS = 240
MAX_TENTHS_MM = 4999  # half a metre

Quote = Annotated[str, StringConstraints(min_length=1, max_length=MAX_QUOTE_CHARACTERS)]
# Every sub-segment of every organ; one that is not of the finding's organ is dropped later.
LOCATIONS = tuple(sorted({segment.name for kind in TumorType for segment in kind.anatomy.segments}))


def _known_location(name: str) -> str:
    if name not in LOCATIONS:
        raise ValueError("not a sub-segment of any organ")
    return name


Location = Annotated[str, AfterValidator(_known_location), Field(json_schema_extra={"enum": list(LOCATIONS)})]


class Answer(BaseModel):
    """Frozen; every key must be there and no other, so that nothing is left out by accident."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Quoted(Answer, Generic[Value]):
    """A value and the words of the report it was read from."""

    quote: Quote
    value: Value


class QuotedLocation(Quoted[Location]):
    """A sub-segment."""


class QuotedNumber(Quoted[Annotated[int, Field(ge=0, le=99999)]]):
    """Number of a series or an image."""


class QuotedSizes(Answer):
    """One to three diameters of the largest tumor, in tenths of a millimetre (2.1 cm is 210).

    ``time`` gives a model a place for old sizes, so that they do not end up among the current ones.
    """

    quote: Quote
    time: Literal["current", "prior"]
    tenths_mm: Annotated[list[Annotated[int, Field(ge=1, le=MAX_TENTHS_MM)]], Field(min_length=1, max_length=3)]


class QuotedCount(Answer):
    """How many tumors a finding stands for; ``value`` is open for "innumerable"."""

    quote: Quote
    relation: CountRelation
    value: Annotated[int, Field(ge=1, le=1000)] | None


class OrganAnswer(Answer):
    """What the report says of focal lesions in one organ."""

    quote: Quote
    organ: TumorType
    status: Literal["present", "absent", "uncertain", "resected", "not_seen"]


class FindingAnswer(Answer):
    """One tumor, or one group of tumors that the report describes together."""

    organ: Quoted[TumorType]
    kind: Quoted[Kind] | None
    location: QuotedLocation | None
    side: Quoted[Side] | None
    size: QuotedSizes | None
    count: QuotedCount | None
    attenuation: Quoted[Attenuation] | None
    malignancy: Quoted[Malignancy] | None
    certainty: Quoted[Certainty] | None
    series: QuotedNumber | None
    image: QuotedNumber | None


class ReportAnswer(Answer):
    """Answer to one radiology report."""

    organs: Annotated[list[OrganAnswer], Field(max_length=MAX_ORGANS)]
    findings: Annotated[list[FindingAnswer], Field(max_length=MAX_FINDINGS)]


class DiagnosisAnswer(Answer):
    """What a pathology report says of the tissue of one organ."""

    organ: Quoted[TumorType]
    malignancy: Quoted[Malignancy]


class PathologyAnswer(Answer):
    """Answer to one pathology report."""

    diagnoses: Annotated[list[DiagnosisAnswer], Field(max_length=MAX_DIAGNOSES)]


@cache
def answer_schema(model: type[Answer]) -> dict[str, Any]:
    """JSON Schema of an answer, without the titles and texts that only cost tokens and grammar."""
    schema: dict[str, Any] = _plain(model.model_json_schema())
    return schema


@cache
def schema_digest(model: type[Answer]) -> str:
    """Digest of the schema a model is held to."""
    return digest_of(answer_schema(model))


def _plain(value: Any, *, names: bool = False) -> Any:
    """Drop ``title`` and ``description``, but not properties that happen to be called so."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if names or key not in ("title", "description")}
        return {key: _plain(item, names=not names and key in ("properties", "$defs")) for key, item in kept.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
