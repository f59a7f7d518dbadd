"""What one training step sees, and its way to the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rsuper_bench.baselines.augment import Change
from rsuper_bench.baselines.crop_targets import Targets
from rsuper_bench.baselines.inputs import Looks
from rsuper_bench.baselines.recipe import Pool


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step sees.

    Attributes:
        image: ``(B, I, X, Y, Z)`` what the network sees (inputs.py).
        hu: ``(B, 1, X, Y, Z)`` clipped HU before augmentation of intensities.
        targets: With a leading batch axis.
        spacing_mm: Voxel lengths.
        case_ids: Where each crop comes from, with its pool.
        organs: ``(B, 1, X, Y, Z)`` organ labels.
        looks: What makes ``image`` of ``hu`` and ``organs``.
        changes: What augmentation does to each crop (augment.py).
        outside_hu: CT outside the case.
        inside: ``(B, 1, X, Y, Z)`` voxels that come from the crop; None for all. A rotation brings others into view.
    """

    image: Tensor
    hu: Tensor
    targets: Targets
    spacing_mm: tuple[float, float, float]
    case_ids: tuple[tuple[str, Pool], ...]
    organs: Tensor | None = None
    looks: Looks | None = None
    changes: tuple[Change, ...] = ()
    outside_hu: float = 0.0
    inside: Tensor | None = None

    @classmethod
    def stack(cls, crops: Sequence[Batch]) -> Batch:
        """Join batches that come from a store, not augmented yet."""
        organs = [crop.organs for crop in crops if crop.organs is not None]
        looks = [crop.looks for crop in crops if crop.looks is not None]
        return replace(
            crops[0],
            image=torch.cat([crop.image for crop in crops]),
            hu=torch.cat([crop.hu for crop in crops]),
            targets=Targets.join([crop.targets for crop in crops]),
            case_ids=tuple(item for crop in crops for item in crop.case_ids),
            organs=torch.cat(organs) if organs else None,
            looks=Looks.stack(looks) if looks else None,
            changes=tuple(change for crop in crops for change in crop.changes),
        )

    def with_image(self, image: Tensor) -> Batch:
        """The same batch with another image."""
        return replace(self, image=image)

    def pin_memory(self) -> Batch:
        """The same in memory from which a GPU copies while the host goes on."""
        return self._map(Tensor.pin_memory)

    def to(self, device: torch.device) -> Batch:
        """Move the tensors; reported regions follow. From pinned memory nothing waits for the copy."""
        if device.type == "cpu":
            return self
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        def optional(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else change(tensor)

        return replace(
            self,
            image=change(self.image),
            hu=change(self.hu),
            targets=self.targets.map(change),
            organs=optional(self.organs),
            looks=None if self.looks is None else self.looks.map(change),
            inside=optional(self.inside),
        )
