"""Drawing planned lesions into the image and the masks of a case."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rsuper_bench.benchmark.records import Finding, Kind
from rsuper_bench.dataset_builder.label_map import LESION_NUMBER
from rsuper_bench.dataset_builder.lesions.appearance import Look, paint
from rsuper_bench.dataset_builder.lesions.config import LesionConfig
from rsuper_bench.dataset_builder.lesions.organ_map import OrganMap
from rsuper_bench.dataset_builder.lesions.place import locate
from rsuper_bench.dataset_builder.lesions.plan import OUTGROWING, Plan, largest_mm
from rsuper_bench.dataset_builder.lesions.shape import Lesion, LesionShape, Mask, Slices, plant

SERIES = 2  # the series number reports name
_SHRINK = 0.75  # a lesion that finds no place is tried again at this size
_SHRINK_TRIES = 4
_RIM_VOXELS = 2  # distance kept between lesions, so that two never become one component


class Texture(Protocol):
    """Where the structure inside a lesion comes from."""

    def patch(self, box: Slices, organ: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Zero-mean HU for a box of the image, for a lesion in an organ."""
        ...


@dataclass(frozen=True)
class FieldTexture:
    """A field over the whole image."""

    field: NDArray[np.float32]

    def patch(self, box: Slices, organ: int, rng: np.random.Generator) -> NDArray[np.float32]:  # noqa: ARG002
        """The part of the field that lies in the box."""
        return self.field[box]


@dataclass(frozen=True)
class Drawn:
    """A lesion in the image, and what is true of it."""

    plan: Plan
    lesion: Lesion
    finding: Finding


@dataclass
class Canvas:
    """A case while lesions are drawn into it: all arrays ``(X, Y, Z)`` on one RAS grid.

    Attributes:
        hu: The image.
        organs: Organ labels; a lesion that leaves its organ takes the label with it.
        fat: Voxels that outgrowing lesions may take.
        organ_hu: Typical HU of each organ label, before lesions.
        texture: Structure of lesions.
        lesions: Lesion labels: tumors, not cysts.
        taken: Voxels that no lesion may take any more.
    """

    hu: NDArray[np.float32]
    organs: OrganMap
    fat: Mask
    organ_hu: dict[int, float]
    texture: Texture
    lesions: NDArray[np.uint8] = field(init=False)
    taken: Mask = field(init=False)

    def __post_init__(self) -> None:
        self.lesions = np.zeros(self.hu.shape, np.uint8)
        self.taken = np.zeros(self.hu.shape, dtype=bool)


def draw_lesion(
    canvas: Canvas, plan: Plan, config: LesionConfig, *, growth: float = 1.0, scale: float = 1.0
) -> Drawn | None:
    """Draw one planned lesion; None when the organ is not in view or has no room for it.

    Args:
        canvas: Changed in place.
        plan: The lesion.
        config: How lesions look.
        growth: Factor on the planned size, for a later CT of the patient.
        scale: Size of the body relative to an adult: it limits how large a tumor an organ holds.
    """
    numbers = canvas.organs.numbers(plan.tumor_type, plan.side)
    if not numbers:
        return None
    cyst = plan.kind is Kind.CYST
    size_mm = plan.size_mm * growth
    if not cyst:
        size_mm = min(size_mm, max(largest_mm(plan.tumor_type) * scale, config.size_mm[0]))
    box = canvas.organs.box_of(numbers, margin_mm=1.2 * size_mm)
    organ = np.isin(canvas.organs.labels[box], numbers)
    free, outside = organ & ~canvas.taken[box], canvas.fat[box] & ~canvas.taken[box]
    for attempt in range(_SHRINK_TRIES):
        shape = LesionShape(
            size_mm=size_mm * _SHRINK**attempt,
            elongation=plan.elongation,
            irregularity=0.02 if cyst else config.irregularity,
            border=plan.border,
            outgrowth=plan.tumor_type in OUTGROWING,
        )
        rng = np.random.default_rng([plan.seed, attempt])
        found = plant(free, outside, canvas.organs.spacing_mm, shape, rng, min_voxels=config.min_voxels)
        if found is not None:
            lesion = found.moved(box)
            return _record(canvas, plan, config, lesion, numbers)
    return None


def _record(canvas: Canvas, plan: Plan, config: LesionConfig, lesion: Lesion, numbers: list[int]) -> Drawn:
    """Paint a lesion and note it in the masks."""
    cyst = plan.kind is Kind.CYST
    number = int(canvas.organs.labels[lesion.center])
    location = locate(plan.tumor_type, canvas.organs.labels, canvas.organs.box_of(numbers), lesion.center)
    look = Look(
        attenuation=plan.attenuation,
        organ_hu=canvas.organ_hu[number],
        contrast_hu=plan.contrast_hu,
        border_mm=0.8 if cyst else config.border_mm,
        texture=0.2 if cyst else config.texture,
        cyst=cyst,
    )
    rng = np.random.default_rng([plan.seed, _SHRINK_TRIES])
    around = lesion.padded(look.reach_mm, canvas.organs.spacing_mm, canvas.hu.shape)
    paint(
        canvas.hu[around.box],
        canvas.texture.patch(around.box, number, rng),
        around,
        look,
        canvas.organs.spacing_mm,
        rng,
    )
    canvas.organs.extend(numbers, number, lesion.box, lesion.mask)
    canvas.fat[lesion.box] &= ~lesion.mask
    if not cyst:
        canvas.lesions[lesion.box][lesion.mask] = LESION_NUMBER[plan.tumor_type]
    rim = lesion.padded(_RIM_VOXELS * max(canvas.organs.spacing_mm), canvas.organs.spacing_mm, canvas.hu.shape)
    canvas.taken[rim.box] |= ndimage.binary_dilation(rim.mask, np.ones((3, 3, 3), dtype=bool), iterations=_RIM_VOXELS)
    finding = Finding(
        tumor_type=plan.tumor_type,
        kind=plan.kind,
        location=location,
        side=plan.side,
        diameters_mm=lesion.measure(canvas.organs.spacing_mm).diameters_mm,
        attenuation=plan.attenuation,
        series=SERIES,
        image=canvas.hu.shape[2] - lesion.center[2],
    )
    return Drawn(plan, lesion, finding)
