"""Components of small and thin masks, against scipy."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import label

from rsuper_bench.benchmark.components import components


@given(st.tuples(*[st.integers(1, 7)] * 3), st.floats(0.1, 0.9), st.integers(0, 2**32 - 1))
def test_scipy(shape, share, seed):
    voxels = np.random.default_rng(seed).random(shape) < share
    labels, n = components(voxels)
    expected, m = label(voxels, np.ones((3, 3, 3)))
    assert n == m
    assert labels.shape == shape
    assert len({*zip(labels.flat, expected.flat, strict=True)}) == n + (not voxels.all())


def test_a_line_with_a_gap():
    assert components(np.array([True, False, True]).reshape(1, 3, 1))[1] == 2
