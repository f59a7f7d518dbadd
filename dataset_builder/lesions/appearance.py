"""How a planted lesion looks in the image: attenuation relative to its organ, texture, soft border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rsuper_bench.benchmark.records import Attenuation
from rsuper_bench.dataset_builder.lesions.shape import Lesion

_CYST_HU = 8.0
_DARKEST_TUMOR_HU = 14.0  # solid tumors are denser than the water of a cyst


@dataclass(frozen=True)
class Look:
    """Brightness and structure of one lesion.

    Attributes:
        attenuation: Relative to the organ; ``mixed`` is a dark core in a bright rim.
        organ_hu: Mean HU of the organ.
        contrast_hu: Distance to it (with a sign for ``iso``).
        border_mm: Width of the soft edge, half inside, half outside.
        texture: Factor on the texture field.
        cyst: Water, whatever the organ.
    """

    attenuation: Attenuation
    organ_hu: float
    contrast_hu: float
    border_mm: float
    texture: float
    cyst: bool = False

    @property
    def reach_mm(self) -> float:
        """How far outside the mask the soft border can be seen."""
        return self.border_mm / 2


def paint(
    hu: NDArray[np.float32],
    texture: NDArray[np.float32],
    lesion: Lesion,
    look: Look,
    spacing_mm: Sequence[float],
    rng: np.random.Generator,
) -> None:
    """Blend a lesion into an image in place.

    Args:
        hu: The part of the image in the lesion's box.
        texture: HU for the same box; its mean inside the lesion is taken away, so that the contrast is the planned one.
        lesion: Where; its box reaches ``look.reach_mm`` beyond the mask.
        look: How.
        spacing_mm: Voxel size.
        rng: Decides the inner structure of mixed lesions.
    """
    mask = lesion.mask
    inner = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    outer = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    half_voxel = min(spacing_mm) / 2
    signed_mm = np.where(mask, inner - half_voxel, half_voxel - outer)
    weight = np.clip(0.5 + signed_mm / max(look.border_mm, 1e-3), 0, 1)
    value = _inner_hu(look, inner, mask, rng) + look.texture * (texture - texture[mask].mean())
    hu += (weight * (value - hu)).astype(np.float32)


def _inner_hu(
    look: Look, depth_mm: NDArray[np.float64], mask: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float64]:
    if look.cyst:
        return np.full(mask.shape, _CYST_HU)
    dark = max(look.organ_hu - look.contrast_hu, min(_DARKEST_TUMOR_HU, look.organ_hu - 8))
    bright = look.organ_hu + look.contrast_hu
    match look.attenuation:
        case Attenuation.HYPO:
            return np.full(mask.shape, dark)
        case Attenuation.HYPER:
            return np.full(mask.shape, bright)
        case Attenuation.MIXED:
            # A dark core of half the volume, its outline blurred by noise.
            rank = depth_mm * (1 + 0.35 * rng.standard_normal(mask.shape))
            core = rank > np.median(rank[mask])
            return np.where(core, dark, bright).astype(np.float64)
        case _:
            return np.full(mask.shape, bright)  # contrast_hu is small and signed
