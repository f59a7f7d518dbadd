"""The numbers of organ and lesion masks in every release we build."""

from __future__ import annotations

from rsuper_bench.benchmark.release import LabelMap
from rsuper_bench.benchmark.tumor_types import TumorType

# Organs that carry no tumor type but help people and models to find their way. Append only: numbers are public.
LANDMARKS = ("aorta", "inferior_vena_cava", "vertebrae", "body")


def _build() -> LabelMap:
    organs = [label for kind in TumorType for label in kind.anatomy.all_labels]
    # Landmarks count down from 255, so that a new tumor type never renumbers anything.
    numbers = dict(enumerate(dict.fromkeys(organs), start=1))
    numbers |= {255 - index: name for index, name in enumerate(LANDMARKS)}
    return LabelMap(organs=numbers, lesions=dict(enumerate(TumorType, start=1)))


LABEL_MAP = _build()
ORGAN_NUMBER = {name: number for number, name in LABEL_MAP.organs.items()}
LESION_NUMBER = {kind: number for number, kind in LABEL_MAP.lesions.items()}
