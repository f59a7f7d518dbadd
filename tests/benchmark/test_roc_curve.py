"""Corners of ROC curves, on paper; and what thinning keeps."""

import numpy as np

from rsuper_bench.benchmark.report import Outcome
from rsuper_bench.benchmark.roc_curve import MAX_POINTS, roc_corners, thinned


def corners(outcomes, *, by_volume=False):
    return roc_corners(outcomes, by_volume=by_volume)["liver"].tolist()


def test_roc_corners_on_paper():
    """Scores 0.9 (1), 0.8 (1, 0), 0.3 (0), 0.1 (1): up 1, then a diagonal step, right 1, up 1."""
    cases = [(0.9, 1), (0.8, 1), (0.8, 0), (0.3, 0), (0.1, 1)]
    outcomes = [
        Outcome(case_id=f"c{index}", patient="p", tumor_type="liver", reference=truth, score=score)
        for index, (score, truth) in enumerate(cases)
    ]
    assert corners(outcomes) == [[0, 0], [0, 1], [1, 2], [2, 2], [2, 3]]
    assert roc_corners(outcomes[:1], by_volume=False) == {}
    assert corners([outcomes[0], outcomes[1], outcomes[3]])[1] == [0, 2]  # one straight piece, one corner


def test_long_roc_curves_are_thinned_but_keep_their_ends():
    rng = np.random.default_rng(0)
    outcomes = [
        Outcome(case_id=f"c{n}", patient="p", tumor_type="liver", reference=n % 2, score=float(rng.random()))
        for n in range(2000)
    ]
    (points,) = roc_corners(outcomes, by_volume=False).values()
    few = thinned(points).tolist()
    assert len(points) > len(few) == MAX_POINTS
    assert (few[0], few[-1]) == ([0, 0], [1000, 1000])


def test_thinning_leaves_exactly_so_many_where_corners_crowd():
    """A thousand corners in a hundredth of the curve, and a few over the rest: fewer is how a reader tells all."""
    crowd = np.repeat(np.arange(1001), 2)
    crowded = np.stack([crowd[:-1], crowd[1:]], axis=1)
    corners = np.concatenate([crowded, crowded[-1] + [[50_000, 0], [50_000, 50_000], [99_000, 99_000]]])
    few = thinned(corners)
    assert len(few) == MAX_POINTS == len(np.unique(few, axis=0))
    assert few[-4:].tolist() == corners[-4:].tolist()


def test_roc_curves_rank_as_the_task_does():
    """By volume the order turns round; a missing positive ranks below every prediction, a missing negative above."""
    cases = [(0.9, 10.0, 0, False), (0.1, 500.0, 1, False), (0.0, None, 1, True), (1.0, None, 0, True)]
    outcomes = [
        Outcome(
            case_id=f"c{n}",
            patient="p",
            tumor_type="liver",
            reference=truth,
            score=score,
            volume_mm3=volume,
            imputed=missing,
        )
        for n, (score, volume, truth, missing) in enumerate(cases)
    ]
    assert corners(outcomes) == [[0, 0], [2, 0], [2, 2]]
    assert corners(outcomes, by_volume=True) == [[0, 0], [1, 0], [1, 1], [2, 1], [2, 2]]


def test_thinning_keeps_the_curve():
    rng = np.random.default_rng(0)
    climbs = np.cumsum(rng.integers(0, 2, (2, 5000)), axis=1)
    every = np.concatenate([[[0, 0]], climbs.T])
    curve, few = every / every[-1], thinned(every) / every[-1]
    assert len(few) == MAX_POINTS
    assert (few[0].tolist(), few[-1].tolist()) == ([0, 0], [1, 1])
    drawn = np.interp(curve[:, 0], few[:, 0], few[:, 1])
    assert np.abs(drawn - curve[:, 1]).max() < 2 / MAX_POINTS
