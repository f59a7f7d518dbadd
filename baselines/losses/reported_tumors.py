"""What a report says about one lesion channel of one case, as the Ball Loss needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, isnan

import torch
from torch import Tensor

from rsuper_bench.baselines.losses.balls import Box, bounding_box, whole
from rsuper_bench.baselines.losses.looking import may_look

Corners = Sequence[tuple[int, int]]


@dataclass(frozen=True, eq=False)
class ReportedTumors:
    """The tumors a report places in the crop, for one sample and lesion channel.

    No tumor and ``complete`` means that the report excludes tumors: every penalised voxel is negative.

    Attributes:
        regions: ``(R, X, Y, Z)`` or ``(X, Y, Z)``, true where the report places a tumor, grown by the region margin.
            Tumors may share a region. A region that does not lie wholly in the crop does not belong here, nor do its
            tumors: leave its voxels out of ``penalised`` instead.
        diameters_mm: Largest reported diameter of each tumor; None, 0 or NaN where the size is unknown.
        volumes_mm3: Reported volume of each tumor; None, 0 or NaN where the size is unknown.
        region_of: Index into ``regions`` for each tumor; empty means that all are in the first.
        band: Where a tumor can be (METHOD 6), ``(X, Y, Z)`` for all or ``(T, X, Y, Z)`` for each; None for no limit. It
            limits the placement only. May be an expanded view.
        complete: False when there may be more tumors than listed: the rest of the regions is ignored, not negative.
        boxes: For each region a box of the crop that holds it: first and past-the-last voxel along each axis. Known on
            the host, it may be wider than the region (after augmentation it must be). Empty: found from the regions
            where they are on the CPU, else the whole crop, which costs time on a GPU but never waits for it.

    Raises:
        ValueError: If the lengths differ, a size is negative, a volume has no diameter or the other way round, a
            region is missing or of another shape, or a box is not inside the crop or does not hold its region.
    """

    regions: Tensor | None = None
    diameters_mm: Sequence[float | None] = ()
    volumes_mm3: Sequence[float | None] = ()
    region_of: Sequence[int] = ()
    band: Tensor | None = None
    complete: bool = True
    boxes: Sequence[Corners] = ()

    def __post_init__(self) -> None:
        """Bring every field to one form and refuse what cannot be placed."""
        regions = None if self.regions is None else self.regions.bool()
        if regions is not None and regions.ndim == 3:
            regions = regions[None]
        if regions is not None and regions.ndim != 4:
            raise ValueError(f"regions must be (R, X, Y, Z) or (X, Y, Z), got shape {tuple(regions.shape)}")
        diameters = tuple(_size("diameters_mm", size) for size in self.diameters_mm)
        volumes = tuple(_size("volumes_mm3", size) for size in self.volumes_mm3)
        if len(diameters) != len(volumes):
            raise ValueError(f"diameters_mm has {len(diameters)} tumors, volumes_mm3 {len(volumes)}")
        for diameter, volume in zip(diameters, volumes, strict=True):
            if (diameter is None) != (volume is None):
                raise ValueError(f"diameters_mm and volumes_mm3 must know the same sizes, got {diameter} and {volume}")
        region_of = tuple(int(index) for index in self.region_of) or (0,) * len(diameters)
        if len(region_of) != len(diameters):
            raise ValueError(f"region_of has {len(region_of)} tumors, diameters_mm {len(diameters)}")
        available = 0 if regions is None else len(regions)
        if any(not 0 <= index < available for index in region_of):
            raise ValueError(f"region_of points outside the {available} regions: {list(region_of)}")
        band = None if self.band is None else self.band.bool()
        if band is not None and regions is not None:
            own = band.ndim == 4 and len(band) == len(diameters)
            if band.shape[-3:] != regions.shape[1:] or not (band.ndim == 3 or own):
                raise ValueError(f"band {tuple(band.shape)} and regions {tuple(regions.shape)} differ in shape")
        boxes = tuple(_corners(box, () if regions is None else regions.shape[1:]) for box in self.boxes)
        if boxes and len(boxes) != available:
            raise ValueError(f"boxes has {len(boxes)} entries for {available} regions")
        if boxes and regions is not None and may_look(regions):
            for number, (region, box) in enumerate(zip(regions, boxes, strict=True)):
                x, y, z = (slice(*ends) for ends in box)
                if int(region[x, y, z].sum()) != int(region.sum()):
                    raise ValueError(f"boxes must hold their regions, but region {number} reaches out of {list(box)}")
        for name, value in (
            ("boxes", boxes),
            ("regions", regions),
            ("diameters_mm", diameters),
            ("volumes_mm3", volumes),
            ("region_of", region_of),
            ("band", band),
        ):
            object.__setattr__(self, name, value)

    def box_of(self, number: int) -> Box:
        """Slices of the crop that hold a region; empty ones when it is known to be empty."""
        if self.regions is None:
            raise IndexError("there are no regions")
        if self.boxes:
            x, y, z = (slice(*ends) for ends in self.boxes[number])
            return (x, y, z)
        region = self.regions[number]
        return (bounding_box(region) or (slice(0, 0),) * 3) if may_look(region) else whole(region.shape)

    @property
    def has_own_bands(self) -> bool:
        """Whether each tumor has its own band."""
        return self.band is not None and self.band.ndim == 4

    def band_of(self, index: int) -> Tensor | None:
        """The band of a tumor."""
        return self.band if self.band is None or self.band.ndim == 3 else self.band[index]

    def map(self, change: Callable[[Tensor], Tensor]) -> ReportedTumors:
        """The same with its masks changed, moved for example; boxes are found first where they can still be."""
        if self.regions is None:
            return self
        boxes, band = self.boxes, self.band
        if not boxes and may_look(self.regions):
            boxes = [
                tuple((part.start, part.stop) for part in self.box_of(number)) for number in range(len(self.regions))
            ]
        if band is not None:
            # Of an expanded view only what it shows repeatedly
            compact = band[tuple(slice(0, 1) if step == 0 else slice(None) for step in band.stride())]
            band = change(compact).expand(band.shape)
        return replace(self, regions=change(self.regions), band=band, boxes=boxes)

    def to(self, device: torch.device) -> ReportedTumors:
        """The same with its masks on a device."""
        if self.regions is None or self.regions.device == device:
            return self
        return self.map(lambda mask: mask.to(device, non_blocking=True))

    @property
    def largest_first(self) -> tuple[int, ...]:
        """Indices of the sized tumors by falling volume, then those of unknown size; independent of report order."""
        sizes = zip(self.volumes_mm3, self.diameters_mm, self.region_of, strict=True)
        keys = [(-(volume or 0.0), -(diameter or 0.0), region) for volume, diameter, region in sizes]
        return tuple(sorted(range(len(keys)), key=lambda index: keys[index]))


def _corners(box: Corners, shape: Sequence[int]) -> Corners:
    ends = tuple((int(first), int(last)) for first, last in box)
    inside = len(ends) == len(shape) and all(
        0 <= first <= last <= size for (first, last), size in zip(ends, shape, strict=True)
    )
    if not inside:
        raise ValueError(f"boxes must lie inside the crop {tuple(shape)}, got {list(ends)}")
    return ends


def _size(name: str, size: float | None) -> float | None:
    if size is None or isnan(size) or size == 0:
        return None
    if not 0 < size < inf:
        raise ValueError(f"{name} must be positive and finite, or None where unknown; got {size}")
    return float(size)
