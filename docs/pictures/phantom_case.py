"""The cases of the pictures: two synthetic CTs at 2 mm, each with two dark tumors in the liver."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import pi
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from rsuper_bench.benchmark.tumor_types import TumorType, region_labels
from rsuper_bench.dataset_builder.label_map import LABEL_MAP
from rsuper_bench.dataset_builder.phantom.config import PhantomConfig, load_phantom_config
from rsuper_bench.dataset_builder.phantom.source import PhantomSource

MM = (2.0, 2.0, 2.0)
AXIAL = 34  # cuts both liver tumors of the first case
# What the first case's report says of the liver: 58 x 52 mm (the third axis is their mean), and 47 mm
DIAMETERS_MM = (58.0, 47.0)
VOLUMES_MM3 = (pi / 6 * 58 * 52 * 55, pi / 6 * 47**3)
CORONAL = 63  # cuts the smaller of two liver tumors of the second case, 1.9 x 1.8 cm in the report
SMALL_MM, IMAGE_NUMBER = 19.0, 45  # the report gives this number for the other one, which lies in the same slice
SMOOTH_VOXELS = 1.5


@dataclass(frozen=True, eq=False)
class PhantomCase:
    """CT in HU and masks, all ``(X, Y, Z)`` on a 2 mm grid."""

    hu: NDArray[np.int16]
    organs: NDArray[np.uint8]
    lesions: NDArray[np.uint8]

    def organ(self, kind: str) -> Tensor:
        """The organ of a tumor type, both sides."""
        numbers = {name: number for number, name in LABEL_MAP.organs.items()}
        wanted = [numbers[name] for name in region_labels(TumorType(kind), list(numbers))]
        return torch.from_numpy(np.isin(self.organs, wanted))

    def label(self, name: str) -> Tensor:
        """One label of the organ map."""
        number = next(number for number, found in LABEL_MAP.organs.items() if found == name)
        return torch.from_numpy(self.organs == number)

    def lesion(self, kind: str) -> Tensor:
        """The drawn tumors of a type. No report loss ever sees them."""
        number = next(number for number, found in LABEL_MAP.lesions.items() if found == kind)
        return torch.from_numpy(self.lesions == number)

    def probability(self, kind: str) -> Tensor:
        """A stand-in for a half-trained network: how much darker than its organ the smoothed CT is."""
        organ = self.organ(kind).numpy()
        deep = ndimage.binary_erosion(organ, iterations=2).astype(
            np.float32
        )  # its surface is blurred with what is around
        weight = ndimage.gaussian_filter(deep, SMOOTH_VOXELS)
        smooth = ndimage.gaussian_filter(self.hu * deep, SMOOTH_VOXELS) / weight.clip(1e-6)
        darkness_hu = np.median(self.hu[organ]) - smooth
        near = (weight * 8).clip(max=1)
        return torch.from_numpy((near / (1 + np.exp(-(darkness_hu - 24) / 4))).astype(np.float32))


@lru_cache
def first_case() -> PhantomCase:
    """Two large tumors that one axial slice cuts."""
    lesions = {"multifocal": 0.7, "max_tumors": 2, "size_mm": (24.0, 46.0), "contrast_hu": (40.0, 55.0)}
    changes = {
        "n_cases": 60,
        "shape": (180, 132, 100),
        "center_mm": (0.0, 0.0, 50.0),
        "tumor_types": ("liver", "kidney", "pancreas", "spleen"),
        "prevalence": 0.4,
    }
    return _case(changes, lesions, seed=7, index=20)


@lru_cache
def second_case() -> PhantomCase:
    """Two small tumors in a CT of 120 slices."""
    lesions = {"multifocal": 0.6, "size_mm": (14.0, 50.0), "contrast_hu": (35.0, 55.0)}
    changes = {
        "n_cases": 40,
        "shape": (180, 132, 120),
        "center_mm": (0.0, 0.0, 30.0),
        "tumor_types": ("liver", "kidney", "pancreas", "spleen", "gallbladder"),
        "prevalence": 0.5,
    }
    return _case(changes, lesions, seed=0, index=21)


def _case(changes: dict[str, Any], lesions: dict[str, Any], *, seed: int, index: int) -> PhantomCase:
    shipped = load_phantom_config("phantom-default").model_dump()
    common = {"spacing_mm": MM, "noise_hu": 10.0, "phases": {"portal_venous": 1.0}}
    drawn = {"lesions": shipped["lesions"] | lesions | {"attenuation": {"hypo": 1.0}}}
    source = PhantomSource(PhantomConfig.model_validate(shipped | common | changes | drawn), seed)
    raw = source.make(source.keys()[index])
    return PhantomCase(*(np.asarray(volume.data) for volume in (raw.ct, raw.organs, raw.lesions) if volume))
