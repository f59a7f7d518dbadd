"""Which finding of one reading is which finding of another: a best assignment inside each case and type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from rsuper_bench.benchmark.records import Attenuation, Certainty, CountRelation, Finding, Kind, Malignancy

NEAR_MM = 1.0
EXACT_MM = 1e-6  # decimal places that differ only in floating point

# How much a field speaks for two findings being one lesion where both state it alike, and against it where they differ.
WEIGHTS = {
    "diameters_mm": 8,
    "location": 4,
    "side": 4,
    "image": 4,
    "kind": 2,
    "count": 2,
    "attenuation": 1,
    "malignancy": 1,
}
_UNSTATED: dict[str, Any] = {
    "kind": Kind.INDETERMINATE,
    "attenuation": Attenuation.UNKNOWN,
    "malignancy": Malignancy.UNKNOWN,
    "certainty": Certainty.CERTAIN,
    "location": None,
    "side": None,
    "series": None,
    "image": None,
}


@dataclass(frozen=True)
class Pairing:
    """Findings of one case and type, put side by side; each stands in one place."""

    pairs: tuple[tuple[Finding, Finding], ...]
    only_found: tuple[Finding, ...]
    only_wanted: tuple[Finding, ...]


def states(finding: Finding, name: str) -> bool:
    """Whether a finding says something of a field (an unknown attenuation, a count of one or no size says nothing)."""
    if name.startswith("diameters"):
        return bool(finding.diameters_mm)
    if name == "count":
        return finding.count.relation is not CountRelation.EXACT or finding.count.value != 1
    return bool(getattr(finding, name) != _UNSTATED[name])


def sizes_agree(one: Finding, other: Finding, tolerance_mm: float) -> bool:
    """Whether two findings have as many diameters, each within the tolerance; their order does not matter."""
    sizes = sorted(one.diameters_mm), sorted(other.diameters_mm)
    return len(sizes[0]) == len(sizes[1]) and all(
        abs(a - b) <= tolerance_mm + EXACT_MM for a, b in zip(*sizes, strict=True)
    )


def likeness(one: Finding, other: Finding) -> int:
    """Sum of ``WEIGHTS``: plus where both state a field and agree, minus where they contradict each other.

    A field that one of them leaves out counts nothing. Sizes agree when the largest diameters differ by at most 1 mm.
    """
    total = 0
    for name, weight in WEIGHTS.items():
        if not (states(one, name) and states(other, name)):
            continue
        if name == "diameters_mm":
            same = abs(max(one.diameters_mm) - max(other.diameters_mm)) <= NEAR_MM + EXACT_MM
        else:
            same = getattr(one, name) == getattr(other, name)
        total += weight if same else -weight
    return total


def pair_findings(found: Sequence[Finding], wanted: Sequence[Finding]) -> Pairing:
    """Pair the findings of one case and type so that the sum of their likeness is largest.

    As many pairs as the shorter list has findings: a lesion read with a wrong side is one wrong side, not one missed
    and one invented lesion. Of several best assignments the one that keeps the order of the reports most is taken, so
    the result depends on the two lists alone.
    """
    if not found or not wanted:
        return Pairing((), tuple(found), tuple(wanted))
    size = max(len(found), len(wanted))
    step = size * size + 1  # more than all shifts of order together
    score = np.array(
        [[step * likeness(one, other) - abs(i - j) for j, other in enumerate(wanted)] for i, one in enumerate(found)]
    )
    rows, columns = linear_sum_assignment(score, maximize=True)
    return Pairing(
        pairs=tuple((found[i], wanted[j]) for i, j in zip(rows.tolist(), columns.tolist(), strict=True)),
        only_found=tuple(finding for i, finding in enumerate(found) if i not in set(rows.tolist())),
        only_wanted=tuple(finding for j, finding in enumerate(wanted) if j not in set(columns.tolist())),
    )
