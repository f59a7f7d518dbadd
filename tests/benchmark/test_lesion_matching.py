"""Who found what: by hand, and the property that thresholds only remove candidates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsuper_bench.benchmark.lesion_matching import match_lesions, overlaps


@pytest.mark.parametrize(
    ("overlap", "confidence", "found", "repeats", "false_alarms"),
    [
        ({(0, 0): 0.3}, [0.9], [0], (), ()),
        ({(0, 0): 0.09}, [0.9], [-1], (), (0,)),  # hardly touched: a miss and a false alarm
        ({(0, 0): 0.1}, [0.9], [0], (), ()),
        ({(0, 0): 0.2, (1, 0): 0.8}, [0.9, 0.5], [0], (1,), ()),  # the confident one first, the other is a repeat
        ({(0, 0): 0.3, (0, 1): 0.2}, [0.9], [0, -1], (), ()),  # one candidate finds one lesion
        # Equal confidence: the larger overlap first, so that both lesions are found.
        ({(0, 0): 0.3, (0, 1): 0.2, (1, 0): 0.4}, [1.0, 1.0], [1, 0], (), ()),
        ({}, [0.4], [-1], (), (0,)),
    ],
)
def test_by_hand(overlap, confidence, found, repeats, false_alarms):
    matches = match_lesions(overlap, np.array(confidence), len(found))
    assert matches.candidate.tolist() == found
    assert (matches.repeats, matches.false_alarms) == (repeats, false_alarms)


def test_overlap_by_hand():
    candidates = np.zeros((4, 4, 4), np.uint32)
    lesions = np.zeros((4, 4, 4), np.uint32)
    candidates[:2], lesions[1:3] = 1, 1  # 32 and 32 voxels, 16 shared
    found = overlaps(candidates, lesions, lesion_sizes=np.array([0, 40]))  # 8 voxels of the lesion lie outside
    assert found == {(0, 0): 16 / (32 + 40 - 16)}


@given(
    st.integers(1, 6),
    st.lists(st.sampled_from([0.2, 0.4, 0.6, 0.8]), min_size=1, max_size=7),
    st.data(),
    st.sampled_from([0.3, 0.5, 0.7]),
)
def test_a_threshold_only_removes_candidates(n_lesions, confidence, data, threshold):
    confidence = np.sort(np.array(confidence))[::-1]
    pairs = [(one, lesion) for one in range(len(confidence)) for lesion in range(n_lesions)]
    overlap = {pair: data.draw(st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.6])) for pair in pairs}
    every = match_lesions(overlap, confidence, n_lesions)
    kept = int((confidence >= threshold).sum())
    high = match_lesions(
        {pair: share for pair, share in overlap.items() if pair[0] < kept}, confidence[:kept], n_lesions
    )
    assert high.candidate.tolist() == [one if 0 <= one < kept else -1 for one in every.candidate.tolist()]
    assert set(every.repeats) | set(every.false_alarms) | {one for one in every.candidate.tolist() if one >= 0} == set(
        range(len(confidence))
    )
