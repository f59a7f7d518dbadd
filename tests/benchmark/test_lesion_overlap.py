"""Dice, surface Dice, HD95 and diameters: on paper, and against MONAI and surface-distance, on real masks too."""

from __future__ import annotations

import os
from math import sqrt
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import surface_distance
from hypothesis import given, settings
from hypothesis import strategies as st

from rsuper_bench.benchmark.box import box_of
from rsuper_bench.benchmark.lesion_diameter import largest_diameter_mm
from rsuper_bench.benchmark.lesion_overlap import measure_overlap

DATA = Path(os.environ.get("RSUPER_BENCH_DATA", "nowhere"))


def cube(low, high, shape=(24, 24, 24)):
    mask = np.zeros(shape, dtype=bool)
    mask[low:high, low:high, low:high] = True
    return mask


def monai_figures(predicted, drawn, spacing_mm):
    torch = pytest.importorskip("torch")
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice

    one, other = (torch.as_tensor(mask[None, None].astype(np.float32)) for mask in (predicted, drawn))
    return (
        float(compute_dice(one, other, include_background=True)),
        float(compute_surface_dice(one, other, [3.0], include_background=True, spacing=spacing_mm, use_subvoxels=True)),
        float(compute_hausdorff_distance(one, other, include_background=True, percentile=95, spacing=spacing_mm)),
    )


def test_a_mask_and_itself():
    assert measure_overlap(cube(4, 9), cube(4, 9), (1.0, 1.0, 2.0)) == (1.0, 1.0, 0.0)


def test_a_shifted_cube():
    moved = np.roll(cube(4, 14), 4, axis=0)
    found = measure_overlap(moved, cube(4, 14), (1.0, 1.0, 1.0))
    assert found.dice == pytest.approx(0.6)  # 600 of 1000 voxels
    assert found.hd95_mm == pytest.approx(4.0)  # both ends are 4 mm away; they are 100 of 600 mm^2 and more
    assert 0.5 < found.surface_dice_3mm < 1


def test_one_or_both_empty():
    nothing = np.zeros((24, 24, 24), dtype=bool)
    assert measure_overlap(nothing, nothing, (1.0, 1.0, 1.0)) is None
    diagonal_mm = sqrt(24**2 + 24**2 + 48**2)
    for pair in ((nothing, cube(4, 9)), (cube(4, 9), nothing)):
        assert measure_overlap(*pair, (1.0, 1.0, 2.0)) == (0.0, 0.0, pytest.approx(diagonal_mm, abs=1e-5))


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.tuples(*[st.sampled_from([0.7, 1.0, 2.5])] * 3))
def test_surface_distance_itself_without_the_box(seed, spacing_mm):
    rng = np.random.default_rng(seed)
    one, other = (np.zeros((14, 15, 16), dtype=bool) for _ in range(2))
    for mask in (one, other):
        low = rng.integers(1, 6, 3)
        mask[tuple(slice(start, start + 6) for start in low)] = rng.random((6, 6, 6)) > 0.3
    distances = surface_distance.compute_surface_distances(other, one, spacing_mm)
    found = measure_overlap(one, other, spacing_mm)
    assert found.surface_dice_3mm == pytest.approx(
        surface_distance.compute_surface_dice_at_tolerance(distances, 3.0), abs=1e-6
    )
    assert found.hd95_mm == pytest.approx(surface_distance.compute_robust_hausdorff(distances, 95), abs=1e-6)
    assert found.dice == pytest.approx(surface_distance.compute_dice_coefficient(other, one), abs=1e-6)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.8, 0.8, 2.5)])
def test_monai_on_balls(spacing_mm):
    grid = np.stack(np.meshgrid(*[np.arange(24)] * 3, indexing="ij"), -1) * np.array(spacing_mm)
    drawn = np.linalg.norm(grid - grid[12, 12, 12], axis=-1) < 7
    predicted = np.linalg.norm(grid - grid[14, 12, 11], axis=-1) < 6
    found = measure_overlap(predicted, drawn, spacing_mm)
    dice, surface_dice, hd95_mm = monai_figures(predicted, drawn, spacing_mm)
    assert found.dice == pytest.approx(dice, abs=1e-6)
    assert found.surface_dice_3mm == pytest.approx(surface_dice, abs=1e-5)
    # MONAI takes the percentile over voxels, we take it over area: not further apart than a voxel.
    assert found.hd95_mm == pytest.approx(hd95_mm, abs=max(spacing_mm))


@pytest.mark.parametrize(
    ("voxels", "spacing_mm", "expected"),
    [
        ([(0, 0, 0)], (1, 2, 5), 5),  # one voxel: its longest edge
        ([(x, 0, 0) for x in range(7)], (1, 2, 2), 7),
        ([(0, 0, 0), (3, 4, 0)], (1, 1, 1), sqrt(4**2 + 4**2)),  # the outer faces of (0, 0) and (3, 4), on either axis
    ],
)
def test_diameters_by_hand(voxels, spacing_mm, expected):
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[tuple(np.array(voxels).T)] = True
    found = largest_diameter_mm(mask[box_of(mask)], np.diag([*spacing_mm, 1.0]))
    brute = [
        (np.array(voxel) + sign * step) * spacing_mm for voxel in voxels for step in np.eye(3) / 2 for sign in (-1, 1)
    ]
    farthest = max(np.linalg.norm(a - b) for a in brute for b in brute)
    assert found == pytest.approx(farthest)
    assert found == pytest.approx(expected, abs=0.4)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_diameters_do_not_depend_on_the_axes(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((5, 6, 7)) > 0.6
    mask[2, 2, 2] = True
    affine = np.diag([0.7, 1.1, 3.0, 1.0])
    one = largest_diameter_mm(mask, affine)
    turned = np.transpose(mask, (1, 2, 0))[::-1]
    other = largest_diameter_mm(turned, affine[:, [1, 2, 0, 3]] @ np.diag([-1.0, 1, 1, 1]))
    points = np.array([(np.array(v) + s * e) for v in np.argwhere(mask) for e in np.eye(3) / 2 for s in (-1, 1)]) * [
        0.7,
        1.1,
        3.0,
    ]
    from scipy.spatial.distance import pdist

    assert one == pytest.approx(pdist(points).max())
    assert one == pytest.approx(other)


def test_a_ball_measures_its_diameter():
    grid = np.stack(np.meshgrid(*[np.arange(40)] * 3, indexing="ij"), -1)
    ball = np.linalg.norm(grid - 19.5, axis=-1) <= 15
    assert largest_diameter_mm(ball, np.eye(4)) == pytest.approx(30, abs=1)  # of a voxel


def read(name):
    image = nib.load(DATA / name)
    return np.asarray(image.dataobj), tuple(float(size) for size in image.header.get_zooms()[:3])


@pytest.mark.real_data
@pytest.mark.skipif(not (DATA / "ct").exists(), reason="needs RSUPER_BENCH_DATA")
def test_four_readers_of_one_nodule():
    masks = [read(f"ct/lidc_0314/nodule_reader{reader}.nii.gz") for reader in range(1, 5)]
    spacing_mm = masks[0][1]
    part = box_of(np.any([mask > 0 for mask, _ in masks], axis=0), margin=4)
    for first in range(4):
        for second in range(first):
            one, other = masks[first][0] > 0, masks[second][0] > 0
            found = measure_overlap(one, other, spacing_mm)
            dice, surface_dice, hd95_mm = monai_figures(one[part], other[part], spacing_mm)
            assert found.dice == pytest.approx(dice, abs=1e-6)
            assert found.surface_dice_3mm == pytest.approx(surface_dice, abs=1e-4)
            assert found.hd95_mm == pytest.approx(hd95_mm, abs=1.0)
            assert found.dice > 0.75


@pytest.mark.real_data
@pytest.mark.skipif(not (DATA / "ct").exists(), reason="needs RSUPER_BENCH_DATA")
@pytest.mark.parametrize("label", [1, 2, 3, 5, 7])  # spleen, kidneys, liver, pancreas: a real pair of segmentations
def test_two_networks_on_one_ct(label):
    one, spacing_mm = read("ct/totalseg_example/seg_total_sm_fast.nii.gz")
    other, _ = read("ct/totalseg_example/seg_total_sm.nii.gz")
    found = measure_overlap(one == label, other == label, spacing_mm)
    dice, surface_dice, hd95_mm = monai_figures(one == label, other == label, spacing_mm)
    assert found.dice == pytest.approx(dice, abs=1e-6)
    assert found.surface_dice_3mm == pytest.approx(surface_dice, abs=1e-4)
    assert found.hd95_mm == pytest.approx(hd95_mm, abs=3.0)
