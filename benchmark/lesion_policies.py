"""What lesion figures mean: printed wherever they are."""

from __future__ import annotations

from rsuper_bench.benchmark.lesion_candidates import LEVELS, MAX_CANDIDATES
from rsuper_bench.benchmark.lesion_matching import MIN_OVERLAP

_LEVELS = ", ".join(f"{level:g}" for level in LEVELS)
POLICIES = (
    "A lesion is a 26-connected component of the reference mask; its size is its largest diameter in space.",
    (
        "A candidate is a 26-connected component of the predicted map at about half its own maximum (levels "
        f"{_LEVELS}), its confidence that maximum. Below {2 * LEVELS[-1]:g} there are none, and at most "
        f"{MAX_CANDIDATES} a case."
    ),
    (
        "Candidates find lesions one to one, the most confident first, where intersection over union is at least "
        f"{MIN_OVERLAP:g}. A further candidate on a lesion that is found is neither a hit nor a false alarm."
    ),
    (
        "Dice, surface Dice at 3 mm, HD95 and volumes compare the whole mask of a case at 0.5. Neither drawn nor "
        "predicted: the case is counted and left out. Only one of the two: Dice and surface Dice are 0, HD95 is the "
        "diagonal of the image."
    ),
    "Figures need the masks of all cases with lesion masks; one that is missing makes them undefined.",
    "Size unknown: positive cases without a lesion mask, found when a candidate is called anywhere in them.",
    "A figure without an interval is not certain: its bootstrap replicates do not vary, or too few are defined.",
)
