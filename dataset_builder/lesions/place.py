"""Which sub-segment of its organ a lesion lies in, in the words of reports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.label_map import LABEL_MAP
from rsuper_bench.dataset_builder.lesions.shape import Slices


def locate(kind: TumorType, organs: NDArray[np.uint8], box: Slices, center: tuple[int, int, int]) -> str | None:
    """Name of the sub-segment at a lesion's centre, or None where two readers would not name the same one.

    Args:
        kind: The organ.
        organs: Organ labels on a RAS grid.
        box: Box around the organ (of the lesion's side).
        center: Voxel of the lesion's centre.
    """
    label = LABEL_MAP.organs[int(organs[center])]
    for segment in kind.anatomy.segments:
        if label in segment.labels:
            return segment.name
    x, y, z = ((c - side.start) / max(side.stop - 1 - side.start, 1) for c, side in zip(center, box, strict=True))
    match kind:
        case TumorType.KIDNEY:
            return "upper_pole" if z > 2 / 3 else "lower_pole" if z < 1 / 3 else "interpolar"
        case TumorType.LIVER:
            return "right_lobe" if x > 0.55 else "left_lobe" if x < 0.35 else None
        case TumorType.GALLBLADDER:
            return "fundus" if z < 1 / 3 else "neck" if z > 2 / 3 else "body"
        case TumorType.BLADDER:
            return "dome" if z > 0.75 else "anterior_wall" if y > 0.75 else "posterior_wall" if y < 0.25 else None
        case TumorType.UTERUS:
            return "fundus" if z > 0.65 else "cervix" if z < 0.3 else None
        case TumorType.PROSTATE:
            return "base" if z > 0.75 else "apex" if z < 0.25 else "peripheral_zone" if y < 0.35 else None
        case TumorType.ESOPHAGUS:
            return "lower" if z < 0.6 else None
        case _:
            return None
