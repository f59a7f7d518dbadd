"""Paired tests and intervals: by hand, against libraries, and whether they hold their level."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multinomial
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from rsuper_bench.benchmark.metrics import Curve, RankedCases, auroc
from rsuper_bench.benchmark.statistics.delong import placements
from rsuper_bench.benchmark.statistics.paired import (
    PairedCounts,
    bootstrap_p,
    bootstrap_p_above,
    delong_difference,
    holm,
    mcnemar,
    newcombe_paired,
)
from rsuper_bench.benchmark.statistics.permutation import exchanges, permutation_p
from rsuper_bench.benchmark.statistics.wilson import normal_quantile, wilson_interval

counts = st.builds(PairedCounts, *[st.integers(0, 40)] * 4).filter(lambda item: item.n > 0)


@given(counts)
def test_mcnemar_agrees_with_statsmodels(item):
    table = [[item.both, item.first], [item.second, item.neither]]
    expected = statsmodels_mcnemar(table, exact=True).pvalue if item.first + item.second else 1
    assert mcnemar(item) == pytest.approx(min(expected, 1), abs=1e-12)


def test_mcnemar_by_hand():
    # Five discordant pairs, all of one kind: two tails of (1/2)^5.
    assert mcnemar(PairedCounts(10, 5, 0, 3)) == pytest.approx(2 / 32)


@given(counts)
def test_newcombe_is_symmetric_and_holds_its_value(item):
    low, high = newcombe_paired(item)
    swapped = newcombe_paired(PairedCounts(item.both, item.second, item.first, item.neither))
    assert swapped == pytest.approx((-high, -low))
    assert -1 <= low <= (item.first - item.second) / item.n + 1e-12
    assert high >= (item.first - item.second) / item.n - 1e-12


def test_newcombe_without_discordance_or_correlation():
    # Nobody right on either side: no correlation, so the distances are those of Wilson's limits added in squares.
    low, high = newcombe_paired(PairedCounts(0, 0, 0, 20))
    reach = wilson_interval(0, 20)[1]
    assert (low, high) == pytest.approx((-reach, reach))


def test_newcombe_of_published_tables():
    # Altman et al. 2000, Statistics with Confidence, table 6.2; and Newcombe 1998, table II, method 10.
    assert newcombe_paired(PairedCounts(14, 5, 0, 22)) == pytest.approx((0.011, 0.226), abs=6e-4)
    assert newcombe_paired(PairedCounts(36, 12, 2, 0)) == pytest.approx((0.0569, 0.3404), abs=6e-5)


def test_newcombe_by_hand():
    # 36 both, 12 first, 2 second, 0 neither of 50. Shares 0.96 and 0.76; phi = -24 / sqrt(48 * 2 * 38 * 12).
    phi = -24 / np.sqrt(48 * 2 * 38 * 12)
    (l1, u1), (l2, u2) = wilson_interval(48, 50), wilson_interval(38, 50)
    below = np.sqrt((0.96 - l1) ** 2 - 2 * phi * (0.96 - l1) * (u2 - 0.76) + (u2 - 0.76) ** 2)
    above = np.sqrt((u1 - 0.96) ** 2 - 2 * phi * (u1 - 0.96) * (0.76 - l2) + (0.76 - l2) ** 2)
    assert newcombe_paired(PairedCounts(36, 12, 2, 0)) == pytest.approx((0.2 - below, 0.2 + above))


@pytest.mark.parametrize(("first", "second", "agreement"), [(0.8, 0.8, 0.0), (0.7, 0.7, 0.0), (0.9, 0.6, 0.3)])
def test_newcombe_covers(first, second, agreement):
    """Exact coverage at n = 30 over four-fold tables; it is higher where the two agree much (docs/statistics.md)."""
    n = 30
    both = first * second + agreement * (min(first, second) - first * second)
    cells = [both, first - both, second - both, 1 - first - second + both]
    tables = [table for table in product(range(n + 1), repeat=3) if sum(table) <= n]
    tables = [(*table, n - sum(table)) for table in tables]
    weights = multinomial.pmf(np.array(tables), n, cells)
    likely = np.argsort(-weights)[:3000]
    intervals = [newcombe_paired(PairedCounts(*tables[index])) for index in likely]
    covered = sum(
        weights[index] for index, (low, high) in zip(likely, intervals, strict=True) if low <= first - second <= high
    )
    assert weights[likely].sum() > 0.999
    assert 0.93 <= covered <= 0.97


scores = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), min_size=4, max_size=25).filter(
    lambda items: 1 < sum(item[2] for item in items) < len(items) - 1
)


@given(scores)
def test_delong_difference_agrees_with_its_definition(items):
    one, two, positive = (np.array(column) for column in zip(*items, strict=True))
    found = delong_difference(one.astype(float), two.astype(float), positive)
    wins = [np.sign(s[positive][:, None] - s[~positive][None]) / 2 + 0.5 for s in (one, two)]
    variance = sum(np.var(wins[0].mean(axis) - wins[1].mean(axis), ddof=1) / wins[0].shape[1 - axis] for axis in (0, 1))
    assert found.value == pytest.approx(wins[0].mean() - wins[1].mean(), abs=1e-12)
    assert found.error == pytest.approx(np.sqrt(variance), abs=1e-12)


def test_delong_of_the_same_scores_finds_nothing():
    score, positive = np.arange(10.0), np.arange(10) % 3 == 0
    assert delong_difference(score, score, positive).p == 1


@settings(max_examples=5, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_agrees_with_statsmodels(p_values):
    found = holm({str(index): p for index, p in enumerate(p_values)})
    assert list(found.values()) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


def test_bootstrap_p_values():
    drawn = np.array([-1.0] + [1.0] * 98)
    assert bootstrap_p(drawn) == pytest.approx(2 * 2 / 100)
    assert bootstrap_p(np.zeros(99)) == 1
    assert bootstrap_p_above(drawn, -2.0) == pytest.approx(1 / 100)


def test_exchanged_results_are_one_of_the_two():
    weights = exchanges(7, 20, np.random.SeedSequence(1))
    assert (weights[:7] + weights[7:] == 1).all()
    assert 0 < weights[:7].mean() < 1


def test_permutation_agrees_with_trying_every_exchange():
    rng = np.random.default_rng(2)
    positive, patient = np.array([1, 1, 0, 1, 0, 0, 1, 0], dtype=bool), np.array([0, 0, 1, 2, 2, 3, 4, 5])
    one, two = rng.permutation(8).astype(float), rng.permutation(8).astype(float)
    ranked = RankedCases.of(np.r_[one, two], np.r_[positive, positive], np.r_[patient, patient + 6])

    def differences(swaps):
        weights = np.concatenate([1 - swaps, swaps]).astype(np.int32)
        return auroc(Curve.of(ranked, weights)) - auroc(Curve.of(ranked, 1 - weights))

    every = np.array(list(product([0, 1], repeat=6))).T
    found = differences(every)
    for column, value in zip(every.T, found, strict=True):
        mixed = [np.where(column[patient] == flip, one, two) for flip in (0, 1)]
        areas = [placements(side[positive], side[~positive]).auroc for side in mixed]
        assert value == pytest.approx(areas[0] - areas[1], abs=1e-12)
    exact = (np.abs(found) >= abs(found[0]) - 1e-12).mean()
    drawn = differences(exchanges(6, 4000, np.random.SeedSequence(3))[6:])
    assert permutation_p(found[0], drawn) == pytest.approx(exact, abs=0.03)


def reject(p_values, level=0.05):
    return float(np.mean(np.array(p_values) <= level))


def two_methods(rng, m, n, shift, cases=1):
    """Equally good scores that share half of their noise, and the noise of a patient's cases."""
    total = m + n
    patient = np.arange(total) // cases
    positive = rng.permutation(np.arange(total) < m)
    common = np.sqrt(0.5) * rng.normal(size=total) + np.sqrt(0.5) * rng.normal(size=patient.max() + 1)[patient]
    one, two = (np.sqrt(0.5) * common + np.sqrt(0.5) * rng.normal(size=total) + shift * positive for _ in range(2))
    return one, two, positive, patient


@pytest.mark.parametrize(("m", "n", "shift"), [(30, 30, 1.5), (40, 200, 2.0)])
def test_delong_and_mcnemar_hold_their_level(m, n, shift):
    rng, areas, calls, covered, runs = np.random.default_rng(11), [], [], 0, 1500
    for _ in range(runs):
        one, two, positive, _ = two_methods(rng, m, n, shift)
        area = delong_difference(one, two, positive)
        areas.append(area.p)
        low, high = area.interval()
        covered += low <= 0 <= high
        calls.append(mcnemar(PairedCounts.of(one[positive] > shift / 2, two[positive] > shift / 2)))
    # Three standard errors of 1 500 runs are 1.7 points.
    assert reject(areas) <= 0.067
    assert reject(calls) <= 0.05
    assert 0.93 <= covered / runs <= 0.97


def test_exchanging_patients_holds_its_level_where_cases_are_not_independent():
    rng, clustered, runs = np.random.default_rng(12), [], 400
    for run in range(runs):
        one, two, positive, patient = two_methods(rng, 45, 90, 1.5, cases=3)
        ranks = np.r_[one.argsort().argsort(), two.argsort().argsort()].astype(float)
        ranked = RankedCases.of(ranks, np.r_[positive, positive], np.r_[patient, patient + 45])
        taken = exchanges(45, 199, np.random.SeedSequence([13, run]))
        drawn = auroc(Curve.of(ranked, taken)) - auroc(Curve.of(ranked, 1 - taken))
        own = placements(one[positive], one[~positive]).auroc - placements(two[positive], two[~positive]).auroc
        clustered.append(permutation_p(own, drawn))
    # The test is exact; three standard errors of 400 runs are 3.3 points.
    assert reject(clustered) <= 0.083
    assert reject(clustered, 0.5) == pytest.approx(0.5, abs=0.075)


def test_the_quantile_is_the_usual_one():
    assert normal_quantile(0.95) == pytest.approx(1.959964, abs=1e-6)
