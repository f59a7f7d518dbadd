"""Tumors and cysts of one phantom: how many, where, how large, how bright."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.records import Attenuation, Finding, Kind
from rsuper_bench.benchmark.tumor_types import Side, TumorType, region_labels
from rsuper_bench.dataset_builder.label_map import LESION_NUMBER, ORGAN_NUMBER
from rsuper_bench.dataset_builder.lesion_appearance import Look, paint
from rsuper_bench.dataset_builder.lesion_shapes import Lesion, LesionShape, Mask, plant
from rsuper_bench.dataset_builder.phantom.config import LesionConfig, PhantomConfig

# Organs filled with water-like fluid: what grows there is brighter than its surroundings.
FLUID_FILLED = (TumorType.GALLBLADDER, TumorType.BLADDER)
# Organs whose tumors grow into the fat around them; the others keep their tumors inside.
OUTGROWING = (
    TumorType.ADRENAL,
    TumorType.ESOPHAGUS,
    TumorType.KIDNEY,
    TumorType.PANCREAS,
    TumorType.PROSTATE,
    TumorType.UTERUS,
)
# Largest tumor an organ holds on an adult, as the diameter of a sphere of the same volume.
_LARGEST_MM = {
    TumorType.SPLEEN: 70.0,
    TumorType.GALLBLADDER: 30.0,
    TumorType.PROSTATE: 36.0,
    TumorType.BLADDER: 45.0,
    TumorType.UTERUS: 60.0,
    TumorType.ESOPHAGUS: 40.0,
    TumorType.ADRENAL: 55.0,
    TumorType.PANCREAS: 50.0,
    TumorType.KIDNEY: 75.0,
    TumorType.LIVER: 110.0,
}
_SHRINK = 0.75  # a lesion that finds no place is tried again at this size
_SHRINK_TRIES = 4


@dataclass(frozen=True)
class Plan:
    """One lesion a patient has, before it is drawn on a CT."""

    tumor_type: TumorType
    kind: Kind
    side: Side | None
    size_mm: float
    attenuation: Attenuation
    contrast_hu: float
    border: bool
    elongation: float
    seed: int


@dataclass(frozen=True)
class Drawn:
    """A lesion in the image, with what is true of it."""

    plan: Plan
    lesion: Lesion
    finding: Finding


def plan_lesions(rng: np.random.Generator, config: PhantomConfig, kinds: Sequence[TumorType]) -> tuple[Plan, ...]:
    """Draw which lesions a patient has. Depends on the patient only, so that several CTs show the same lesions."""
    plans: list[Plan] = []
    for kind in kinds:
        # One generator a type: a change of one type's prevalence leaves the others alone.
        own = np.random.default_rng(rng.integers(2**63))
        if own.random() < config.prevalence_of(kind):
            count = 1
            if own.random() < config.lesions.multifocal:
                count += int(own.integers(1, max(config.lesions.max_tumors, 2)))
            plans += [plan_tumor(own, config.lesions, kind) for _ in range(min(count, config.lesions.max_tumors))]
        if own.random() < config.cyst_rate.get(kind, 0.0):
            plans += [_plan_cyst(own, config, kind) for _ in range(1 + int(own.random() < 0.3))]
    # The large ones first: they need the room.
    return tuple(sorted(plans, key=lambda item: -item.size_mm))


def plan_tumor(rng: np.random.Generator, config: LesionConfig, kind: TumorType) -> Plan:
    """Draw one tumor of a type."""
    low, high = config.size_mm
    high = max(low, min(high, _LARGEST_MM.get(kind, 80.0)))
    ways = list(config.attenuation)
    weights = np.array([config.attenuation[way] for way in ways])
    attenuation = ways[int(rng.choice(len(ways), p=weights / weights.sum()))]
    if kind in FLUID_FILLED and attenuation is Attenuation.HYPO:
        attenuation = Attenuation.HYPER
    contrast = rng.uniform(*(config.iso_contrast_hu if attenuation is Attenuation.ISO else config.contrast_hu))
    return Plan(
        tumor_type=kind,
        kind=Kind.MASS,
        side=_side(rng, kind),
        size_mm=exp(rng.uniform(log(low), log(high))),
        attenuation=attenuation,
        contrast_hu=float(contrast) * (1 if attenuation is not Attenuation.ISO else float(rng.choice((-1, 1)))),
        border=bool(rng.random() < config.share_at_border),
        elongation=float(rng.uniform(1, config.elongation)),
        seed=int(rng.integers(2**63)),
    )


def _plan_cyst(rng: np.random.Generator, config: PhantomConfig, kind: TumorType) -> Plan:
    low, high = config.cyst_size_mm
    return Plan(
        tumor_type=kind,
        kind=Kind.CYST,
        side=_side(rng, kind),
        size_mm=exp(rng.uniform(log(max(low, 1.0)), log(max(high, 1.0)))),
        attenuation=Attenuation.HYPO,
        contrast_hu=0.0,
        border=bool(rng.random() < 0.4),
        elongation=1.1,
        seed=int(rng.integers(2**63)),
    )


def _side(rng: np.random.Generator, kind: TumorType) -> Side | None:
    side = Side.LEFT if rng.random() < 0.5 else Side.RIGHT
    return side if kind.anatomy.sided else None


@dataclass
class Canvas:
    """The image of a case while lesions are drawn into it: all arrays ``(X, Y, Z)`` on one grid.

    Attributes:
        hu: The image, before noise.
        organs: Organ labels; a lesion that leaves its organ takes the label with it.
        lesions: Lesion labels: tumors, not cysts.
        taken: Voxels of lesions already drawn, with a rim around them.
        fat: Voxels that outgrowing lesions may take.
        organ_hu: Mean HU of each organ label, as drawn.
        texture: A zero-mean field of HU, the texture lesions carry.
        spacing_mm: Voxel size.
    """

    hu: NDArray[np.float32]
    organs: NDArray[np.uint8]
    lesions: NDArray[np.uint8]
    taken: Mask
    fat: Mask
    organ_hu: dict[int, float]
    texture: NDArray[np.float32]
    spacing_mm: tuple[float, float, float]


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
    labels = region_labels(plan.tumor_type, ORGAN_NUMBER, side=plan.side)
    numbers = [ORGAN_NUMBER[label] for label in labels]
    mask = np.isin(canvas.organs, numbers)
    size_mm = plan.size_mm * growth
    if plan.kind is not Kind.CYST:
        size_mm = min(size_mm, max(_LARGEST_MM.get(plan.tumor_type, 80.0) * scale, config.size_mm[0]))
    free = mask & ~canvas.taken
    outside = canvas.fat & ~canvas.taken
    lesion = None
    for attempt in range(_SHRINK_TRIES):
        rng = np.random.default_rng([plan.seed, attempt])
        shape = LesionShape(
            size_mm=size_mm * _SHRINK**attempt,
            elongation=plan.elongation,
            irregularity=0.02 if plan.kind is Kind.CYST else config.irregularity,
            border=plan.border,
            outgrowth=plan.tumor_type in OUTGROWING,
        )
        lesion = plant(free, outside, canvas.spacing_mm, shape, rng, min_voxels=config.min_voxels)
        if lesion is not None:
            break
    if lesion is None:
        return None
    number = int(canvas.organs[lesion.center])
    organ_hu = canvas.organ_hu[number]
    look = Look(
        attenuation=plan.attenuation,
        organ_hu=organ_hu,
        contrast_hu=plan.contrast_hu,
        border_mm=0.8 if plan.kind is Kind.CYST else config.border_mm,
        texture=0.2 if plan.kind is Kind.CYST else config.texture,
        cyst=plan.kind is Kind.CYST,
    )
    paint(canvas.hu, canvas.texture, lesion, look, canvas.spacing_mm, np.random.default_rng([plan.seed, 99]))
    region = canvas.organs[lesion.box]
    region[lesion.mask & ~np.isin(region, numbers)] = number
    canvas.fat[lesion.box] &= ~lesion.mask
    if plan.kind is not Kind.CYST:
        canvas.lesions[lesion.box][lesion.mask] = LESION_NUMBER[plan.tumor_type]
    _take(canvas.taken, lesion)
    measured = lesion.measure(canvas.spacing_mm)
    finding = Finding(
        tumor_type=plan.tumor_type,
        kind=plan.kind,
        side=plan.side,
        diameters_mm=measured.diameters_mm,
        attenuation=plan.attenuation,
        image=canvas.hu.shape[2] - lesion.center[2],
        series=2,
    )
    return Drawn(plan, lesion, finding)


def _take(taken: Mask, lesion: Lesion) -> None:
    """Keep two voxels of distance, so that two lesions never become one component."""
    from scipy import ndimage

    rim = 2
    box = tuple(
        slice(max(s.start - rim, 0), min(s.stop + rim, n)) for s, n in zip(lesion.box, taken.shape, strict=True)
    )
    part = np.zeros([s.stop - s.start for s in box], dtype=bool)
    part[tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(lesion.box, box, strict=True))] = lesion.mask
    taken[box] |= ndimage.binary_dilation(part, np.ones((3, 3, 3), dtype=bool), iterations=rim)
