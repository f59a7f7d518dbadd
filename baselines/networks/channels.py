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
        restoration: Whether a last channel gives the CT back (distortion.py).
    """

    tumor_types: tuple[TumorType, ...]
    malignancy: bool = False
    restoration: bool = False

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """The channels of a recipe; malignancy and restoration have channels where they have a loss."""
        return cls(tuple(recipe.tumor_types), "malignancy" in recipe.weights, "restoration" in recipe.weights)

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every channel, in order."""
        lesions = [f"{kind} lesion" for kind in self.tumor_types]
        organs = [f"{kind} organ" for kind in self.tumor_types]
        stated = [f"{kind} {word}" for kind in self.tumor_types for word in ("malignant", "benign")]
        return (*lesions, *organs, *(stated if self.malignancy else []), *(["CT"] if self.restoration else []))

    @property
    def count(self) -> int:
        """Number of channels."""
        return len(self.tumor_types) * (4 if self.malignancy else 2) + self.restoration

    def split(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Take ``(B, count, X, Y, Z)`` apart.

        Returns:
            Lesions and organs ``(B, C, X, Y, Z)``; malignancy ``(B, C, 2, X, Y, Z)`` and the restored CT
            ``(B, 1, X, Y, Z)``, or None.
        """
        kinds = len(self.tumor_types)
        lesions, organs = logits[:, :kinds], logits[:, kinds : 2 * kinds]
        stated = None
        if self.malignancy:
            stated = logits[:, 2 * kinds : 4 * kinds].reshape(len(logits), kinds, 2, *logits.shape[2:])
        return lesions, organs, stated, logits[:, -1:] if self.restoration else None
