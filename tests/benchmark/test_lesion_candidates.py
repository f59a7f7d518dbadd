"""Candidates of a probability map: the rule itself, written naively, and what follows from it."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from rsuper_bench.benchmark.components import components
from rsuper_bench.benchmark.lesion_candidates import LEVELS, MAX_CANDIDATES, find_candidates
from rsuper_bench.benchmark.lesion_matching import match_lesions, overlaps

CUBE = np.ones((3, 3, 3))


def naive(probability):
    """The docstring, level by level on the whole map: ``{(confidence, voxels), ...}``."""
    found = set()
    for index, level in enumerate(LEVELS):
        labels, n = label(probability >= level - 1e-5, CUBE)
        for number in range(1, n + 1):
            peak = float(probability[labels == number].max())
            below = 2 * LEVELS[index - 1] - 2e-5 if index else np.inf
            if 2 * level - 2e-5 <= peak < below:
                found.add((min(peak, 1.0), frozenset(np.flatnonzero(labels == number).tolist())))
    return found


def as_set(probability):
    candidates = find_candidates(probability)
    whole = np.zeros(probability.shape, np.uint32)
    if candidates.box is not None:
        whole[candidates.box] = candidates.labels
    return {
        (confidence, frozenset(np.flatnonzero(whole == index + 1).tolist()))
        for index, confidence in enumerate(candidates.confidence.tolist())
    }


def line(*values):
    return np.array(values, dtype=np.float32).reshape(-1, 1, 1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0, 1, 1, 0, 1), [1.0, 1.0]),  # a binary mask: its components
        ((0.9, 0.2, 0.8), [0.9, 0.8]),  # the valley is below half of either
        ((0.9, 0.5, 0.8), [0.9]),  # and here it is not
        ((0.4, 0.3, 0.9), [0.9]),  # a shoulder is no candidate of its own
        ((0.9, 0.44, 0.3, 0.1, 0.06), [0.9]),  # nor is the rim of a blob
        ((0.09, 0.0, 0.05), []),  # too faint
        ((0.1, 0.0, 0.0), [0.1]),
    ],
)
def test_by_hand(values, expected):
    found = find_candidates(line(*values)).confidence
    assert found.tolist() == pytest.approx(expected)


@settings(max_examples=80)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 2.0, 6.0]), st.booleans())
def test_the_rule(seed, power, stepped):
    rng = np.random.default_rng(seed)
    probability = (rng.random((6, 7, 5)) ** power).astype(np.float32)
    if stepped:
        probability = np.round(probability, 1)
    assert as_set(probability) == naive(probability)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_no_voxel_in_two_and_no_order_of_axes(seed):
    probability = np.random.default_rng(seed).random((6, 5, 4)).astype(np.float32) ** 3
    found = as_set(probability)
    voxels = [voxel for _, part in found for voxel in part]
    assert len(voxels) == len(set(voxels))
    turned = find_candidates(np.ascontiguousarray(probability.T)).confidence
    assert turned.tolist() == find_candidates(probability).confidence.tolist()


def test_bytes_and_floats_agree():
    data = (np.random.default_rng(0).random((8, 8, 8)) > 0.7).astype(np.uint8)
    one, other = find_candidates(data), find_candidates(data.astype(np.float32))
    assert np.array_equal(one.labels, other.labels)
    assert one.confidence.tolist() == other.confidence.tolist() == [1.0] * len(one.confidence)


def test_a_storm_of_specks_is_cut_and_counted():
    probability = np.zeros((40, 40, 40), np.float32)
    probability[::2, ::2, ::2] = np.random.default_rng(0).uniform(0.2, 1, (20, 20, 20))
    found = find_candidates(probability)
    assert len(found.confidence) == MAX_CANDIDATES
    assert found.dropped == 8000 - MAX_CANDIDATES
    assert found.confidence.min() == np.sort(probability[probability > 0])[-MAX_CANDIDATES]


DATA = Path(os.environ.get("RSUPER_BENCH_DATA", "nowhere")) / "detection" / "report_guided"


@pytest.mark.real_data
@pytest.mark.skipif(not DATA.exists(), reason="needs RSUPER_BENCH_DATA")
@pytest.mark.parametrize(
    ("case", "confidence", "kept", "found"),
    [
        (1, [0.422], 1, [0.892]),
        (2, [0.918], 2, [0.955]),  # the other one that the report kept never exceeds 0.013: below our floor of 0.1
        (3, [], 0, []),  # a map of at most 0.06 and a report without lesions
    ],
)
def test_real_maps_and_the_lesions_kept_in_them(case, confidence, kept, found):
    """Softmax maps of a prostate network, and the lesions a published method kept for the report's number of them."""
    image = nib.load(DATA / f"ProstateX-000{case}_softmax.nii.gz")
    candidates = find_candidates(np.asarray(image.dataobj, dtype=np.float32))
    expected = np.asarray(nib.load(DATA / f"ProstateX-000{case}_expected.nii.gz").dataobj) > 0
    labels, n = components(expected)
    assert n == kept
    assert candidates.confidence.tolist() == pytest.approx(confidence, abs=1e-3)
    if candidates.box is not None:
        shares = overlaps(candidates.labels, labels[candidates.box], lesion_sizes=np.bincount(labels.ravel()))
        matches = match_lesions(shares, candidates.confidence, n)
        assert sorted(matches.overlap[matches.overlap > 0]) == pytest.approx(found, abs=1e-3)
        assert matches.false_alarms == ()
