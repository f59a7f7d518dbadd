"""What the phantom is made of: one code a tissue, its HU in each contrast phase, its texture, its public label.

HU are typical textbook values at 120 kVp, rounded; they set the scheme of the picture and claim nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.records import Phase
from rsuper_bench.dataset_builder.label_map import ORGAN_NUMBER

_PHASES = (Phase.NON_CONTRAST, Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED)


@dataclass(frozen=True)
class Tissue:
    """One tissue.

    Attributes:
        name: What the code calls it; the label of the organ mask where there is one.
        hu: HU without contrast, arterial, portal venous, delayed.
        texture: Strength of the parenchymal texture relative to the liver's.
        label: Name of the organ-mask label, or None for what is only body.
    """

    name: str
    hu: tuple[float, float, float, float]
    texture: float = 1.0
    label: str | None = None


def _organ(name: str, *hu: float, texture: float = 1.0) -> Tissue:
    return Tissue(name, (hu[0], hu[1], hu[2], hu[3]), texture, name)


def _plain(name: str, *hu: float, texture: float = 1.0, label: str | None = None) -> Tissue:
    values = hu * 4 if len(hu) == 1 else hu
    return Tissue(name, (values[0], values[1], values[2], values[3]), texture, label)


TISSUES = (
    _plain("air", -1000, texture=0),
    _plain("skin", 40),
    _plain("subcutaneous_fat", -105, texture=1.2),
    _plain("visceral_fat", -98, texture=2.0),
    _plain("muscle", 52, 56, 62, 62, texture=1.2),
    _plain("cortical_bone", 620, texture=8),
    _plain("heart", 42, 190, 140, 120),
    _plain("bowel", 30, 55, 65, 55, texture=4),
    _plain("renal_sinus", -70, -60, -55, 120, texture=3),
    _plain("gas", -950, texture=0),
    _plain("iliac_vessels", 42, 260, 140, 125, texture=0.5),
    _plain("spinal_canal", 25),
    _plain("vertebra", 170, 175, 185, 180, texture=5, label="vertebrae"),
    _plain("disc", 75, label="vertebrae"),
    _organ("aorta", 42, 310, 150, 125, texture=0.5),
    _organ("inferior_vena_cava", 40, 90, 140, 122, texture=0.8),
    _organ("spleen", 48, 105, 122, 98),
    _organ("gallbladder", 9, 9, 9, 9, texture=0.4),
    _organ("prostate", 38, 52, 66, 70, texture=1.5),
    _organ("urinary_bladder", 6, 6, 7, 30, texture=0.3),
    _organ("uterus", 44, 75, 102, 98, texture=1.5),
    _organ("esophagus", 35, 46, 62, 56, texture=1.5),
    _organ("adrenal_gland_left", 30, 60, 76, 62),
    _organ("adrenal_gland_right", 30, 60, 76, 62),
    _organ("pancreas_head", 42, 105, 94, 76, texture=1.8),
    _organ("pancreas_body", 42, 105, 94, 76, texture=1.8),
    _organ("pancreas_tail", 42, 105, 94, 76, texture=1.8),
    _organ("kidney_left", 33, 150, 168, 150),
    _organ("kidney_right", 33, 150, 168, 150),
    _organ("liver", 56, 66, 110, 92),
    _plain("liver_vessels", 42, 80, 165, 125, texture=0.5, label="liver"),
    _organ("colon", 28, 45, 52, 48, texture=4),
    _organ("stomach", 22, 26, 30, 26, texture=2),
    _organ("duodenum", 32, 60, 70, 62, texture=2),
    _organ("lung_left", -850, -850, -845, -845, texture=5),
    _organ("lung_right", -850, -850, -845, -845, texture=5),
)
CODE = {tissue.name: code for code, tissue in enumerate(TISSUES)}


def hu_table(phase: Phase) -> NDArray[np.float32]:
    """HU of every tissue code in one phase."""
    return np.array([tissue.hu[_PHASES.index(phase)] for tissue in TISSUES], np.float32)


def texture_table() -> NDArray[np.float32]:
    """Texture strength of every tissue code."""
    return np.array([tissue.texture for tissue in TISSUES], np.float32)


def label_table() -> NDArray[np.uint8]:
    """Public organ-mask number of every tissue code: 0 outside the body, ``body`` for what has no label."""
    body = ORGAN_NUMBER["body"]
    numbers = [ORGAN_NUMBER[tissue.label] if tissue.label else body for tissue in TISSUES]
    numbers[CODE["air"]] = 0
    return np.array(numbers, np.uint8)
