"""A reported size as the placement needs it: what to search for and how many voxels to choose (METHOD 4)."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from rsuper_bench.baselines.losses.arguments import Spacing
from rsuper_bench.baselines.losses.balls import reach_of

SMALLEST_DIAMETER_MM = 3.0
UNSIZED_DIAMETER_MM = 7.0
CORE_AT_LEAST_MM3 = 100.0
LARGEST_CORE_MARGIN = 0.5


class SizeInVoxels(NamedTuple):
    """One tumor's size on a grid.

    Attributes:
        searched_mm: Diameter of the ball whose centre is searched.
        radius_mm: Of the ball in which voxels are ranked, before it grows.
        core: Voxels to choose, as are the next two; of a tumor of unknown size more than its ball can hold.
        tumor: The reported volume.
        halo: With the margin.
        needed: Voxels that must be there; 0 where the size is unknown.
    """

    searched_mm: float
    radius_mm: float
    core: int
    tumor: int
    halo: int
    needed: int

    @property
    def counts(self) -> tuple[int, int, int]:
        """Voxels of core, tumor and halo."""
        return (self.core, self.tumor, self.halo)

    @classmethod
    def of(cls, diameter_mm: float | None, volume_mm3: float | None, margin: float, spacing: Spacing) -> SizeInVoxels:
        """From the report; an unknown size is one ball, all of it core."""
        searched_mm = max(diameter_mm or UNSIZED_DIAMETER_MM, SMALLEST_DIAMETER_MM)
        if volume_mm3 is None:
            most = prod(2 * reach + 1 for reach in reach_of(searched_mm / 2, spacing))
            return cls(searched_mm, searched_mm / 2, most, most, most, 0)
        core_mm3 = max(volume_mm3 * (1 - min(margin, LARGEST_CORE_MARGIN)), min(CORE_AT_LEAST_MM3, volume_mm3))
        voxel_mm3 = spacing[0] * spacing[1] * spacing[2]
        core, tumor, halo = (
            max(round(volume / voxel_mm3), 1) for volume in (core_mm3, volume_mm3, volume_mm3 * (1 + margin))
        )
        return cls(searched_mm, searched_mm * (1 + margin) / 2, core, tumor, halo, tumor)
