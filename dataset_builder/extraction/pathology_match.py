"""Which lesions of a report a diagnosis of its tissue is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rsuper_bench.benchmark.records import Kind, Malignancy
from rsuper_bench.benchmark.tumor_types import Side, TumorType


class Lesion(Protocol):
    """What is looked at of a lesion; a finding, or a draft of one."""

    @property
    def tumor_type(self) -> TumorType:
        """Its organ."""

    @property
    def kind(self) -> Kind:
        """What the report calls it."""

    @property
    def side(self) -> Side | None:
        """Its side."""

    @property
    def location(self) -> str | None:
        """Its sub-segment."""

    @property
    def malignancy(self) -> Malignancy:
        """What the radiology report says of it."""


@dataclass(frozen=True)
class Diagnosis:
    """What a pathology report says of the tissue of one organ.

    Attributes:
        organ: Where the tissue is from.
        nature: Malignant or benign.
        side: Of a paired organ, where the report states one.
        locations: Sub-segments it names.
        is_cyst: It speaks of a cyst.
    """

    organ: TumorType
    nature: Malignancy
    side: Side | None = None
    locations: frozenset[str] = frozenset()
    is_cyst: bool = False


def natures_of(lesions: Sequence[Lesion], diagnoses: Iterable[Diagnosis]) -> list[frozenset[Malignancy]]:
    """The natures that the diagnoses state for each lesion; two of them contradict each other."""
    natures: list[set[Malignancy]] = [set() for _ in lesions]
    for diagnosis in diagnoses:
        for index in _meant(lesions, diagnosis):
            natures[index].add(diagnosis.nature)
    return [frozenset(found) for found in natures]


def _meant(lesions: Sequence[Lesion], diagnosis: Diagnosis) -> list[int]:
    """Positions of the lesions a diagnosis is about: of its organ, side and place, and of a kind that is biopsied.

    A lesion the report calls benign is meant only when the organ has no other, a benign cyst only when the diagnosis
    is of a cyst.
    """
    own = [
        index
        for index, lesion in enumerate(lesions)
        if lesion.tumor_type is diagnosis.organ and _sides_agree(lesion.side, diagnosis.side)
    ]
    if diagnosis.locations:
        placed = [index for index in own if lesions[index].location in diagnosis.locations]
        own = placed or [index for index in own if lesions[index].location is None] or own
    cysts = [index for index in own if lesions[index].kind is Kind.CYST]
    if diagnosis.is_cyst:
        return cysts or [index for index in own if lesions[index].kind is Kind.INDETERMINATE]
    open_ones = [index for index in own if lesions[index].malignancy is not Malignancy.BENIGN]
    solid = [index for index in open_ones if index not in cysts]
    return solid or open_ones or [index for index in own if index not in cysts]


def _sides_agree(one: Side | None, other: Side | None) -> bool:
    return one is None or other is None or one is other or Side.BILATERAL in (one, other)
