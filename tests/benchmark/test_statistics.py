"""Intervals: values from papers and paper arithmetic, agreement with libraries, coverage by simulation."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from coverage_study import Setting, coverage, wilson_coverage
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from rsuper_bench.benchmark.statistics.bootstrap import chunk_sizes, patient_weights, percentile_interval
from rsuper_bench.benchmark.statistics.delong import auroc_interval, newcombe_interval, placements
from rsuper_bench.benchmark.statistics.wilson import normal_quantile, wilson_interval


@given(
    st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.9, 0.95, 0.99])
)
def test_wilson_agrees_with_statsmodels(counts, confidence):
    k, n = counts
    expected = proportion_confint(k, n, alpha=1 - confidence, method="wilson")
    assert wilson_interval(k, n, confidence) == pytest.approx(expected, abs=1e-9)


def test_wilson_of_none_and_all():
    # Zero of n: the upper end is z^2 / (n + z^2), on paper.
    z2 = normal_quantile(0.95) ** 2
    assert wilson_interval(0, 10) == pytest.approx((0, z2 / (10 + z2)))
    assert wilson_interval(10, 10) == pytest.approx((10 / (10 + z2), 1))


@pytest.mark.parametrize(("k", "n"), [(1, 0), (-1, 3), (4, 3)])
def test_wilson_refuses_what_is_no_proportion(k, n):
    with pytest.raises(ValueError, match="not a proportion"):
        wilson_interval(k, n)


scores = st.lists(st.integers(0, 6).map(lambda value: value / 6), min_size=2, max_size=12)


@given(scores, scores)
def test_delong_agrees_with_all_pairs(positive, negative):
    m, n = len(positive), len(negative)
    wins = np.array([[1.0 if p > q else 0.5 if p == q else 0.0 for q in negative] for p in positive])
    # The definition of DeLong et al. 1988: variances of the row and column means of the pairwise table.
    variance = wins.mean(1).var(ddof=1) / m + wins.mean(0).var(ddof=1) / n
    placed = placements(np.array(positive), np.array(negative))
    assert placed.auroc == pytest.approx(wins.mean(), abs=1e-12)
    assert placed.variance == pytest.approx(variance, abs=1e-12)


def test_auroc_interval_by_hand():
    # Positives 3 and 1, negatives 2 and 0: placements 1 and 1/2 in both classes, so the AUROC is 3/4 and the variance
    # of each class 1/8. Two observations at 2 (9/16) / (7/4) - 9/16 = 9/112 (more than (3/4) / (5/4) - 9/16) make it
    # (2/8 + 2 * 9/112) / 4, and each class adds half of that. Two equal parts of one degree of freedom each make two,
    # whose quantile is 0.95 / sqrt(2 * 0.975 * 0.025) = 4.303.
    low, high, method = auroc_interval(np.array([3.0, 1.0]), np.array([2.0, 0.0]))
    variance = (2 / 8 + 2 * 9 / 112) / 4
    half = 0.95 / np.sqrt(2 * 0.975 * 0.025) * np.sqrt(variance) / (3 / 16)
    centre = np.log(3)
    assert method == "logit-delong"
    assert (low, high) == pytest.approx((1 / (1 + np.exp(half - centre)), 1 / (1 + np.exp(-half - centre))))


def test_all_ties_are_no_certainty():
    low, high, method = auroc_interval(np.zeros(40), np.zeros(40))
    assert method == "logit-delong"
    assert low < 0.5 < high


def test_perfect_separation_does_not_claim_certainty():
    low, high, method = auroc_interval(np.arange(10.0) + 10, np.arange(10.0))
    assert method == "newcombe-5"
    assert high == 1
    assert 0.6 < low < 0.95
    smaller, _, _ = auroc_interval(np.arange(4.0) + 10, np.arange(4.0))
    assert smaller < low


def test_newcombe_solves_its_equation():
    m, n, auroc = 30, 50, 0.8
    spread = (m + n) / 2 - 1
    for end in newcombe_interval(auroc, m, n):
        variance = end * (1 - end) * (1 + spread * (1 - end) / (2 - end) + spread * end / (1 + end)) / (m * n)
        assert abs(end - auroc) == pytest.approx(normal_quantile(0.95) * np.sqrt(variance), rel=1e-6)


def test_one_class_has_no_auroc():
    with pytest.raises(ValueError, match="positive and negative"):
        placements(np.array([1.0]), np.array([]))


def test_patients_are_drawn_with_replacement_and_reproducibly():
    weights = patient_weights(17, 30, np.random.SeedSequence(5))
    assert weights.shape == (17, 30)
    assert (weights.sum(0) == 17).all()
    assert (weights == patient_weights(17, 30, np.random.SeedSequence(5))).all()
    assert (weights != patient_weights(17, 30, np.random.SeedSequence(6))).any()


def test_chunks_add_up():
    assert sum(chunk_sizes(1234)) == 1234


def test_percentiles_of_a_known_sample():
    assert percentile_interval(np.arange(101.0), 0.9) == pytest.approx((5, 95))


def test_too_few_defined_replicates_give_no_interval():
    assert percentile_interval(np.array([0.5] * 80 + [np.nan] * 20), 0.95) is None


@pytest.mark.parametrize(
    ("m", "n", "auroc"), [(30, 30, 0.6), (30, 30, 0.95), (30, 300, 0.95), (300, 30, 0.95), (100, 100, 0.85)]
)
def test_auroc_intervals_cover(m, n, auroc):
    shift = NormalDist().inv_cdf(auroc) * 2**0.5
    rng, runs, covered = np.random.default_rng(7), 1500, 0
    for _ in range(runs):
        low, high, _ = auroc_interval(rng.normal(shift, 1, m), rng.normal(0, 1, n))
        covered += low <= auroc <= high
    # 93 to 97 %, give or take two standard errors of 1 500 runs.
    assert 0.919 <= covered / runs <= 0.981


def test_plain_delong_would_not_cover():
    """Why the variance is steadied: near 1, thirty positives often hold none of the few that carry it."""
    shift, rng, runs, held = NormalDist().inv_cdf(0.95) * 2**0.5, np.random.default_rng(7), 1500, np.zeros(2)
    for _ in range(runs):
        positive, negative = rng.normal(shift, 1, 30), rng.normal(0, 1, 1000)
        placed = placements(positive, negative)
        low, high, _ = auroc_interval(positive, negative)
        half = normal_quantile(0.95) * np.sqrt(placed.variance) / (placed.auroc * (1 - placed.auroc))
        off = abs(np.log(placed.auroc / (1 - placed.auroc)) - np.log(0.95 / 0.05))
        held += [off <= half, low <= 0.95 <= high]
    plain, steadied = held / runs
    assert plain < 0.92
    assert steadied > 0.92


@pytest.mark.parametrize("n", [30, 100, 300])
def test_wilson_covers(n):
    """Exactly, on average over the shares; at a single share the counts move in steps, and so does the coverage."""
    exact = [wilson_coverage(n, share) for share in np.linspace(0.05, 0.95, 91)]
    assert 0.94 <= np.mean(exact) <= 0.96
    assert min(exact) >= 0.90


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting", [Setting(30, 30, 0.8), Setting(30, 60, 0.85, cases=3), Setting(60, 120, 0.95, cases=3)], ids=str
)
def test_intervals_of_a_report_cover(setting):
    found = coverage(setting, runs=400, seed=1)
    # 93 to 97 %, give or take three standard errors of 400 runs (docs/statistics.md has the figures of longer runs).
    assert all(0.89 <= item.held <= 1 for item in found.values()), found
    assert np.mean([item.held for item in found.values()]) == pytest.approx(0.955, abs=0.02)


def test_percentiles_alone_would_not_cover():
    """Why the smooth figures have an interval on the logit scale."""
    found = coverage(Setting(30, 30, 0.95), runs=200, seed=2)
    for name in ("auroc", "average_precision"):
        assert found[name].percentile + 0.03 < found[name].held
