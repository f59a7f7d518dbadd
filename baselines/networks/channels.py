"""Which structure each output channel of a network stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.benchmark.tumor_types import TumorType


@dataclass(frozen=True)
class Channels:
    """Output channels of a network: the lesions of every tumor type, their organs, then malignant and benign ones.

    Attributes:
        tumor_types: One lesion and one organ channel each. The label map says which labels make up the organ.
        malignancy: Whether there are a malignant and a benign channel for each type too (METHOD 7).
    """

    tumor_types: tuple[TumorType, ...]
    malignancy: bool = False

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """The channels of a recipe; malignancy has channels where it has a loss."""
        return cls(tuple(recipe.tumor_types), "malignancy" in recipe.weights)

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every channel, in order."""
        lesions = [f"{kind} lesion" for kind in self.tumor_types]
        organs = [f"{kind} organ" for kind in self.tumor_types]
        stated = [f"{kind} {word}" for kind in self.tumor_types for word in ("malignant", "benign")]
        return (*lesions, *organs, *(stated if self.malignancy else []))

    @property
    def count(self) -> int:
        """Number of channels."""
        return len(self.tumor_types) * (4 if self.malignancy else 2)

    def split(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """``(B, count, X, Y, Z)`` -> lesions, organs ``(B, C, X, Y, Z)``, malignancy ``(B, C, 2, X, Y, Z)`` or None."""
        kinds = len(self.tumor_types)
        lesions, organs, stated = logits[:, :kinds], logits[:, kinds : 2 * kinds], logits[:, 2 * kinds :]
        if not self.malignancy:
            return lesions, organs, None
        return lesions, organs, stated.reshape(stated.shape[0], kinds, 2, *stated.shape[2:])
