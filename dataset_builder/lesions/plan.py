"""Which lesions a case has, before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log

import numpy as np

from rsuper_bench.benchmark.records import Attenuation, Kind
from rsuper_bench.benchmark.tumor_types import Side, TumorType
from rsuper_bench.dataset_builder.lesions.config import LesionConfig, Range

# Organs that mostly show what they hold (bile, urine, stool): what grows there is brighter than that.
HOLLOW = (TumorType.GALLBLADDER, TumorType.BLADDER, TumorType.COLON, TumorType.STOMACH, TumorType.DUODENUM)
# Organs whose tumors grow into the fat around them; the others keep their tumors inside.
OUTGROWING = (
    TumorType.ADRENAL,
    TumorType.ESOPHAGUS,
    TumorType.KIDNEY,
    TumorType.PANCREAS,
    TumorType.PROSTATE,
    TumorType.UTERUS,
)
# Largest tumor an adult's organ holds, as the diameter of a sphere of the same volume.
LARGEST_MM = {
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
_LARGEST_ELSEWHERE_MM = 60.0


@dataclass(frozen=True)
class Plan:
    """One lesion, before it is drawn.

    Attributes:
        size_mm: Diameter of the sphere of the same volume.
        contrast_hu: Distance to the organ; signed for ``iso``.
        border: Whether it lies at the surface of its organ.
        elongation: Longest over shortest axis.
        seed: Fixes position and shape.
    """

    tumor_type: TumorType
    kind: Kind
    side: Side | None
    size_mm: float
    attenuation: Attenuation
    contrast_hu: float
    border: bool
    elongation: float
    seed: int


def largest_mm(kind: TumorType) -> float:
    """Largest tumor an adult's organ holds."""
    return LARGEST_MM.get(kind, _LARGEST_ELSEWHERE_MM)


def plan_tumors(rng: np.random.Generator, config: LesionConfig, kind: TumorType) -> list[Plan]:
    """Plan the tumors of a positive organ: one, or several."""
    count = 1
    if rng.random() < config.multifocal and config.max_tumors > 1:
        count = int(rng.integers(2, config.max_tumors + 1))
    return [plan_tumor(rng, config, kind) for _ in range(count)]


def plan_tumor(rng: np.random.Generator, config: LesionConfig, kind: TumorType) -> Plan:
    """Plan one tumor."""
    low, high = config.size_mm
    high = max(low, min(high, largest_mm(kind)))
    ways = list(config.attenuation)
    weights = np.array([config.attenuation[way] for way in ways])
    attenuation = ways[int(rng.choice(len(ways), p=weights / weights.sum()))]
    if kind in HOLLOW and attenuation is Attenuation.HYPO:
        attenuation = Attenuation.HYPER
    iso = attenuation is Attenuation.ISO
    contrast = float(rng.uniform(*(config.iso_contrast_hu if iso else config.contrast_hu)))
    sign = float(rng.choice((-1, 1)))
    return Plan(
        tumor_type=kind,
        kind=Kind.MASS,
        side=draw_side(rng, kind),
        size_mm=exp(rng.uniform(log(low), log(high))),
        attenuation=attenuation,
        contrast_hu=contrast * sign if iso else contrast,
        border=bool(rng.random() < config.share_at_border),
        elongation=float(rng.uniform(1, config.elongation)),
        seed=int(rng.integers(2**63)),
    )


def plan_cyst(rng: np.random.Generator, size_mm: Range, kind: TumorType) -> Plan:
    """Plan one cyst: water, smooth, nearly round."""
    return Plan(
        tumor_type=kind,
        kind=Kind.CYST,
        side=draw_side(rng, kind),
        size_mm=exp(rng.uniform(log(size_mm[0]), log(size_mm[1]))),
        attenuation=Attenuation.HYPO,
        contrast_hu=0.0,
        border=bool(rng.random() < 0.4),
        elongation=1.1,
        seed=int(rng.integers(2**63)),
    )


def draw_side(rng: np.random.Generator, kind: TumorType) -> Side | None:
    """Left or right for paired organs."""
    side = Side.LEFT if rng.random() < 0.5 else Side.RIGHT
    return side if kind.anatomy.sided else None
