"""Calls at the frozen threshold beside a reader's calls of the same cases: who is right where the other is wrong?

Unlike figures at a matched operating point, nothing here was chosen on the evaluated cases. Sensitivity is tested on
the positive cases and specificity on the negative ones: McNemar's exact test where every case is of another patient,
and otherwise an exchange of both results patient by patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.reader_record import CallsTest
from rsuper_bench.benchmark.score import Score
from rsuper_bench.benchmark.scores import FEW
from rsuper_bench.benchmark.scoring import Draws
from rsuper_bench.benchmark.statistics.bootstrap import chunk_sizes, logit_interval, normal_interval
from rsuper_bench.benchmark.statistics.paired import PairedCounts, holm, mcnemar, newcombe_paired
from rsuper_bench.benchmark.statistics.permutation import permutation_p
from rsuper_bench.benchmark.statistics.wilson import wilson_interval

_EXCHANGES = (0xCA11,)  # spawn key of the exchanges, apart from all other draws


class PairedCalls(NamedTuple):
    """One class of cases that both called; arrays ``(N,)``, replicates ``(R,)``."""

    method_right: NDArray[np.bool_]
    reader_right: NDArray[np.bool_]
    patient: NDArray[np.intp]
    method_drawn: NDArray[np.float64]
    difference_drawn: NDArray[np.float64]


def compare_calls(paired: Mapping[str, PairedCalls], draws: Draws, confidence: float) -> dict[str, CallsTest]:
    """Test each pair that has cases; p-values are corrected for having tested all of them."""
    found = {key: _tested(item, draws, confidence) for key, item in paired.items() if len(item.patient)}
    adjusted = holm({key: item.p for key, item in found.items()})
    return {key: item.model_copy(update={"p_holm": adjusted[key]}) for key, item in found.items()}


def _tested(item: PairedCalls, draws: Draws, confidence: float) -> CallsTest:
    counts = PairedCounts.of(item.method_right, item.reader_right)
    n, k = counts.n, counts.both + counts.first
    share, difference = k / n, (counts.first - counts.second) / n
    patients = len(np.unique(item.patient))
    few = f"only {n} cases: small-sample interval" if n < FEW else None
    interval: tuple[float, float] | None
    test: Literal["mcnemar-exact", "permutation"]
    if patients == n:
        own, own_method = wilson_interval(k, n, confidence), "wilson"
        interval, method = newcombe_paired(counts, confidence), "newcombe-10"
        p, test = mcnemar(counts), "mcnemar-exact"
    else:
        own, own_method = wilson_interval(round(share * patients), patients, confidence), "wilson-over-patients"
        if resampled := logit_interval(share, item.method_drawn, confidence, patients - 1):
            own, own_method = resampled, "patient-bootstrap-logit"
        interval = normal_interval(difference, item.difference_drawn, confidence, patients - 1)
        method, test = "patient-bootstrap-normal", "permutation"
        p = permutation_p(difference, _exchanged(item, draws) / n)
    low, high = interval or (None, None)
    reason = few or (None if interval else "no interval: too few replicates are defined")
    return CallsTest(
        method=Score(value=share, low=own[0], high=own[1], k=k, n=n, method=own_method, reason=few),
        difference=Score(value=difference, low=low, high=high, n=n, method=method, reason=reason),
        only_method=counts.first,
        only_reader=counts.second,
        test=test,
        p=p,
        p_holm=p,
    )


def _exchanged(item: PairedCalls, draws: Draws) -> NDArray[np.float64]:
    """Cases more that the method has right, when both results of a patient are exchanged at random: ``(R,)``."""
    gain = item.method_right.astype(np.float64) - item.reader_right
    of_patient = np.bincount(item.patient, weights=gain)
    of_patient = of_patient[of_patient != 0]  # all others are the same whoever is who
    rng = np.random.default_rng(np.random.SeedSequence(draws.entropy, spawn_key=_EXCHANGES))
    return np.concatenate(
        [(1 - 2 * rng.integers(2, size=(size, len(of_patient)))) @ of_patient for size in chunk_sizes(draws.replicates)]
    )
