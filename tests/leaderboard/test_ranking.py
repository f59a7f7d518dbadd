"""Ranks worked out on paper, then properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsuper_bench.leaderboard.ranking import Rank, clearly_better, not_told_apart, ranks

N = 200  # at 95 %: fewer than 5 of 200 differences may be 0 or less


def with_wins(base, wins):
    """Replicates that exceed ``base`` in ``wins`` of its draws and fall short in the others."""
    return base + np.where(np.arange(len(base)) < wins, 0.1, -0.1)


@pytest.mark.parametrize(("wins", "better"), [(200, True), (196, True), (195, False), (100, False), (5, False)])
def test_better_when_the_interval_of_the_difference_lies_above_zero(wins, better):
    base = np.full(N, 0.5)
    matrix = clearly_better(np.array([with_wins(base, wins), base]))
    assert matrix[0, 1] == better
    assert not matrix[0, 0]


def test_the_count_is_the_percentile_of_numpy():
    rng = np.random.default_rng(0)
    for _ in range(50):
        difference = rng.normal(0.1, 0.06, N)
        low = np.quantile(difference, 0.025, method="inverted_cdf")
        assert clearly_better(np.array([difference, np.zeros(N)]))[0, 1] == (low > 0)


def test_pairing_tells_apart_what_overlapping_intervals_do_not():
    patients = np.random.default_rng(0).normal(0, 0.1, N)  # what makes draws easy or hard for every method
    matrix = clearly_better(np.array([0.72 + patients, 0.70 + patients]))
    assert ranks(matrix) == [Rank(1, 1), Rank(2, 2)]
    shuffled = np.random.default_rng(1).permutation(patients)
    assert ranks(clearly_better(np.array([0.72 + patients, 0.70 + shuffled]))) == [Rank(1, 2), Rank(1, 2)]


def test_equal_entries_share_a_rank_and_the_next_one_is_counted_on():
    top, low = np.full(N, 0.8), np.full(N, 0.5)
    assert ranks(clearly_better(np.array([low, top, top]))) == [Rank(3, 3), Rank(1, 2), Rank(1, 2)]


def test_a_chain_of_ties_is_not_one_tie():
    """A ties with B and B with C, yet A is clearly better than C: only C stands behind."""
    base = np.full(N, 0.5)
    a, c = base + 0.04, base
    b = np.where(np.arange(N) < 100, 0.55, 0.49)
    matrix = clearly_better(np.array([a, b, c]))
    assert ranks(matrix) == [Rank(1, 2), Rank(1, 3), Rank(2, 3)]
    assert not_told_apart(matrix).tolist() == [[False, True, False], [True, False, True], [False, True, False]]


def test_undefined_replicates_are_left_out_in_pairs():
    a, b = np.full(N, 0.8), np.full(N, 0.5)
    a[: N - 100] = np.nan
    assert clearly_better(np.array([a, b]))[0, 1]
    a[N - 100] = np.nan  # 99 pairs are left: too few to say anything
    assert not clearly_better(np.array([a, b])).any()


def test_rounding_of_sums_is_no_difference():
    a = np.full(N, 0.1 + 0.2)
    b = np.full(N, 0.3)
    assert a[0] != b[0]
    assert not clearly_better(np.array([a, b])).any()


def test_nobody_and_somebody_alone():
    assert ranks(clearly_better(np.empty((0, N)))) == []
    assert ranks(clearly_better(np.full((1, N), 0.5))) == [Rank(1, 1)]


def test_impossible_confidence():
    with pytest.raises(ValueError, match=r"confidence 95 is not between 0 and 1"):
        clearly_better(np.zeros((2, N)), confidence=95)


replicate_tables = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 8)).map(
    lambda drawn: np.round(np.random.default_rng(drawn[0]).normal(0, 1, (drawn[1], 1)) + noise(drawn), 1)
)


def noise(drawn):
    return np.random.default_rng(drawn[0] + 1).normal(0, 0.5, (drawn[1], 120))


@settings(max_examples=40, deadline=None)
@given(replicate_tables, st.randoms(use_true_random=False))
def test_ranks_move_with_the_entries(table, random):
    order = list(range(len(table)))
    random.shuffle(order)
    found = ranks(clearly_better(table))
    assert ranks(clearly_better(table[order])) == [found[index] for index in order]


@settings(max_examples=40, deadline=None)
@given(replicate_tables)
def test_what_always_holds(table):
    better = clearly_better(table)
    found = ranks(better)
    assert not (better & better.T).any()
    assert min(rank.rank for rank in found) == 1
    assert all(1 <= rank.rank <= rank.last <= len(table) for rank in found)
    twin = ranks(clearly_better(np.vstack([table, table[:1]])))
    assert twin[0] == twin[-1] == Rank(found[0].rank, found[0].last + 1)  # a copy ties with the original


@settings(max_examples=30, deadline=None)
@given(replicate_tables)
def test_improving_every_replicate_never_costs_a_place(table):
    raised = table.copy()
    raised[0] += 0.5
    before, after = ranks(clearly_better(table))[0], ranks(clearly_better(raised))[0]
    assert after.rank <= before.rank
    assert after.last <= before.last
