"""Score and volume of predicted masks (METHOD 9), against the whole-volume form and against arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, binary_erosion, map_coordinates

from rsuper_bench.benchmark import mask_prediction
from rsuper_bench.benchmark.mask_prediction import THRESHOLD, denoised_volume_mm3, mask_score, out_of_range
from rsuper_bench.benchmark.nifti import Volume


def naive_volume_mm3(mask: Volume) -> float:
    """The definition on the whole volume, without boxes."""
    axes = [
        (np.arange(max(round(size * spacing), 1)) + 0.5) / spacing - 0.5
        for size, spacing in zip(mask.data.shape, mask.spacing_mm, strict=True)
    ]
    grid = np.meshgrid(*axes, indexing="ij")
    fine = map_coordinates(mask.data.astype(np.float64), grid, order=1, mode="nearest") >= THRESHOLD
    cube = np.ones((3, 3, 3))
    return float((binary_dilation(binary_erosion(fine, cube), cube, iterations=2) & fine).sum())


def box_mask(shape=(20, 20, 20), box=(slice(4, 9), slice(5, 10), slice(6, 11)), spacing=(1, 1, 1), value=1.0):
    data = np.zeros(shape, dtype=np.float32)
    data[box] = value
    return Volume(data, np.diag([*spacing, 1.0]))


def test_a_cube_keeps_its_volume():
    # 5 x 5 x 5 erodes to 3 x 3 x 3, dilates beyond itself, and is cut back to 125 voxels.
    assert denoised_volume_mm3(box_mask()) == 125


def test_specks_vanish():
    assert denoised_volume_mm3(box_mask(box=(slice(4, 6), slice(5, 12), slice(6, 12)))) == 0


def test_only_what_is_within_two_voxels_of_the_core_is_kept():
    mask = box_mask()
    mask.data[9:15, 7, 8] = 1  # a thread of 6 voxels; the core ends at index 7, dilated twice it reaches index 9
    assert denoised_volume_mm3(mask) == 126


def test_thin_slices_count_in_mm():
    # 10 slices of 0.5 mm are 5 mm.
    mask = box_mask(shape=(20, 20, 40), box=(slice(4, 9), slice(5, 10), slice(12, 22)), spacing=(1, 1, 0.5))
    assert denoised_volume_mm3(mask) == 125


def test_nothing_predicted():
    assert denoised_volume_mm3(box_mask(value=0.49)) == 0


def test_score_is_the_maximum():
    assert mask_score(box_mask(value=0.3)) == pytest.approx(0.3)
    assert mask_score(box_mask(value=1.0000001)) == 1


def test_voxels_out_of_range_are_counted():
    mask = box_mask(value=1.5)
    mask.data[0, 0, :3] = -1
    assert out_of_range(mask) == 128
    assert out_of_range(box_mask()) == 0


def test_half_on_paper_is_half():
    # At 1.5 mm the weights are sixths, and many voxels of an interpolated binary mask are 1/2 exactly.
    data = (np.random.default_rng(1512).random((9, 8, 10)) > 0.4).astype(np.uint8)
    mask = Volume(data, np.diag([1.5, 1.5, 1.5, 1.0]))
    assert denoised_volume_mm3(mask) == naive_volume_mm3(mask)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(*[st.sampled_from([0.7, 1.0, 1.5, 2.5, 4.0])] * 3),
    st.sampled_from([np.float32, np.uint8]),
)
def test_boxes_change_nothing(seed, spacing, dtype):
    rng = np.random.default_rng(seed)
    data = np.zeros((9, 8, 10), dtype=np.float32)
    low = rng.integers(0, 5, 3)
    size = rng.integers(1, 6, 3)
    part = tuple(slice(start, start + length) for start, length in zip(low, size, strict=True))
    data[part] = rng.random(data[part].shape) ** 0.3
    if dtype is np.uint8:
        data = (data > 0.5).astype(np.uint8)
    mask = Volume(data, np.diag([*spacing, 1.0]))
    assert denoised_volume_mm3(mask) == naive_volume_mm3(mask)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(*[st.sampled_from([0.7, 1.0, 1.5, 4.0])] * 3),
    st.sampled_from([0.01, 0.05, 0.2]),
)
def test_groups_change_nothing(seed, spacing, share):
    """Specks and lumps all over a volume, denoised group by group."""
    rng = np.random.default_rng(seed)
    data = np.where(rng.random((14, 12, 13)) < share, rng.random((14, 12, 13)), 0.1 * rng.random((14, 12, 13)))
    for _ in range(2):
        low = rng.integers(0, 9, 3)
        data[tuple(slice(start, start + 4) for start in low)] = 0.9
    mask = Volume(data.astype(np.float32), np.diag([*spacing, 1.0]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mask_prediction, "SMALL_MM3", 0)
        groups = list(mask_prediction._parts(mask, THRESHOLD))
        assert denoised_volume_mm3(mask) == naive_volume_mm3(mask)
        if share == 0.01:
            patch.setattr(mask_prediction, "MAX_GROUPS", len(groups) - 1)
            assert denoised_volume_mm3(mask) == naive_volume_mm3(mask)
