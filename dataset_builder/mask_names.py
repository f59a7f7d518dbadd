"""Names of organ and lesion masks in the data sets and tools around us, brought to our labels."""

from __future__ import annotations

from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.label_map import ORGAN_NUMBER

# AbdomenAtlas, PanTS and Merlin Plus say these; TotalSegmentator's names are ours.
_ORGANS = {
    "gall_bladder": "gallbladder",
    "bladder": "urinary_bladder",
    "postcava": "inferior_vena_cava",
    "rectum": "colon",  # a part of the tumor type colon; we have no label of its own
    "left_kidney": "kidney_left",
    "right_kidney": "kidney_right",
    "left_adrenal_gland": "adrenal_gland_left",
    "right_adrenal_gland": "adrenal_gland_right",
    "left_lung": "lung_left",
    "right_lung": "lung_right",
}
_LESIONS = {
    "pancreatic": TumorType.PANCREAS,
    "hepatic": TumorType.LIVER,
    "renal": TumorType.KIDNEY,
    "adrenal_gland": TumorType.ADRENAL,
    "gall_bladder": TumorType.GALLBLADDER,
    "urinary_bladder": TumorType.BLADDER,
    "esophageal": TumorType.ESOPHAGUS,
    "colorectal": TumorType.COLON,
}


def organ_number(name: str) -> int | None:
    """Our number of an organ by the name of its mask; None when we have no such label."""
    name = _plain(name)
    if name.startswith("vertebrae_"):
        return ORGAN_NUMBER["vertebrae"]
    return ORGAN_NUMBER.get(_ORGANS.get(name, name))


def lesion_type(name: str) -> TumorType | None:
    """Tumor type of a lesion mask by its name: ``liver``, ``liver_lesion``, ``pancreatic_lesion``."""
    name = _plain(name).removesuffix("_lesion").removesuffix("_tumor")
    if name in _LESIONS:
        return _LESIONS[name]
    return TumorType(name) if name in list(TumorType) else None


def is_lesion_name(name: str) -> bool:
    """Whether a mask is named as one of lesions: ``liver_lesion``."""
    return _plain(name).endswith(("_lesion", "_tumor"))


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_")
