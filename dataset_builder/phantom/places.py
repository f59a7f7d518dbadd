"""Which sub-segment of its organ a lesion lies in, in the words of reports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.tumor_types import TumorType, region_labels
from rsuper_bench.dataset_builder.label_map import LABEL_MAP, ORGAN_NUMBER
from rsuper_bench.dataset_builder.phantom.lesions import Drawn


def locate(organs: NDArray[np.uint8], item: Drawn) -> str | None:
    """Name of the sub-segment at the lesion's centre, or None where reports would not name one."""
    kind = item.plan.tumor_type
    label = LABEL_MAP.organs[int(organs[item.lesion.center])]
    for segment in kind.anatomy.segments:
        if label in segment.labels:
            return segment.name
    numbers = [ORGAN_NUMBER[name] for name in region_labels(kind, ORGAN_NUMBER, side=item.plan.side)]
    where = np.nonzero(np.isin(organs, numbers))
    low = np.array([axis.min() for axis in where])
    high = np.array([axis.max() for axis in where])
    x, y, z = (np.array(item.lesion.center) - low) / np.maximum(high - low, 1)
    match kind:
        case TumorType.KIDNEY:
            return "upper_pole" if z > 2 / 3 else "lower_pole" if z < 1 / 3 else "interpolar"
        case TumorType.LIVER:
            # Far from the plane between the lobes only: near it two readers would differ.
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
