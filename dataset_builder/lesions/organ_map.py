"""Organ labels of one image, with the box around each label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rsuper_bench.benchmark.tumor_types import Side, TumorType, region_labels
from rsuper_bench.dataset_builder.label_map import ORGAN_NUMBER
from rsuper_bench.dataset_builder.lesions.shape import Mask, Slices, grown


class OrganMap:
    """Organ labels ``(X, Y, Z)`` on a RAS grid. Boxes keep work on one organ small in a large image.

    Args:
        labels: Numbers of the organ label map; changed in place by :meth:`extend`.
        spacing_mm: Voxel size.
    """

    def __init__(self, labels: NDArray[np.uint8], spacing_mm: tuple[float, float, float]) -> None:
        self.labels = labels
        self.spacing_mm = spacing_mm
        found = ndimage.find_objects(labels)
        self.boxes: dict[int, Slices] = {
            number: (box[0], box[1], box[2]) for number, box in enumerate(found, start=1) if box
        }

    def numbers(self, kind: TumorType, side: Side | None = None) -> list[int]:
        """Labels of a tumor type's organ, or of one side of it, that this image shows."""
        wanted = (ORGAN_NUMBER[label] for label in region_labels(kind, ORGAN_NUMBER, side=side))
        return [number for number in wanted if number in self.boxes]

    def box_of(self, numbers: list[int], margin_mm: float = 0.0) -> Slices:
        """The box around some labels (at least one), grown by a margin."""
        corners = [self.boxes[number] for number in numbers]
        hull = tuple(slice(min(b[i].start for b in corners), max(b[i].stop for b in corners)) for i in range(3))
        pad = np.ceil(margin_mm / np.asarray(self.spacing_mm)).astype(int)
        return grown(hull, pad, self.labels.shape)

    def volume_mm3(self, numbers: list[int]) -> float:
        """Volume of some labels."""
        if not numbers:
            return 0.0
        voxels = int(np.isin(self.labels[self.box_of(numbers)], numbers).sum())
        return voxels * float(np.prod(self.spacing_mm))

    def extend(self, numbers: list[int], number: int, box: Slices, mask: Mask) -> None:
        """Give the voxels of a mask that are none of ``numbers`` the label ``number``."""
        region = self.labels[box]
        region[mask & ~np.isin(region, numbers)] = number
        old = self.boxes[number]
        sides = [slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(old, box, strict=True)]
        self.boxes[number] = (sides[0], sides[1], sides[2])
