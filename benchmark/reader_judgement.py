"""Not inferior, superior, above, within, below: what paired reads allow to be said, and nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.reader_record import ReaderTest
from rsuper_bench.benchmark.statistics.bootstrap import percentile_interval
from rsuper_bench.benchmark.statistics.paired import bootstrap_p, bootstrap_p_above, holm


def judge(differences: Sequence[NDArray[np.float64]], confidence: float, margin: float) -> list[ReaderTest | None]:
    """Test each difference of sensitivity, corrected for having tested all of them.

    Args:
        differences: Replicates ``(R,)`` of method minus reader; one without enough defined replicates is not tested.
        confidence: Two-sided level; non-inferiority is tested at half of the rest, one-sided.
        margin: How much worse still counts as not inferior.
    """
    intervals = {
        str(index): interval
        for index, drawn in enumerate(differences)
        if (interval := percentile_interval(drawn, confidence)) is not None
    }
    worse = {key: bootstrap_p_above(differences[int(key)], -margin) for key in intervals}
    different = {key: bootstrap_p(differences[int(key)]) for key in intervals}
    worse_holm, different_holm = holm(worse), holm(different)
    tests: list[ReaderTest | None] = [None] * len(differences)
    for key, (low, high) in intervals.items():
        noninferior = worse_holm[key] <= (1 - confidence) / 2
        significant = different_holm[key] <= 1 - confidence
        tests[int(key)] = ReaderTest(
            margin=margin,
            p_noninferior=worse[key],
            p_noninferior_holm=worse_holm[key],
            noninferior=noninferior,
            p_different=different[key],
            p_different_holm=different_holm[key],
            superior=noninferior and significant and low > 0,
            verdict=_verdict(low, high, margin, significant=significant),
        )
    return tests


def _verdict(
    low: float, high: float, margin: float, *, significant: bool
) -> Literal["above", "within", "below"] | None:
    if significant and low > 0:
        return "above"
    if significant and high < 0:
        return "below"
    return "within" if -margin < low and high < margin else None
