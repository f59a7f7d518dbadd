"""Planting a lesion: volume, place, shape, and what its mask measures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from rsuper_bench.dataset_builder.lesions.shape import LesionShape, measure, plant


def ball(radius, shape=(60, 60, 60), center=(30, 30, 30)):
    grid = np.indices(shape)
    return sum((axis - c) ** 2 for axis, c in zip(grid, center, strict=True)) <= radius**2


def planted(shape, organ=None, fat=None, seed=0, spacing=(1.0, 1.0, 1.0), min_voxels=1):
    organ = ball(25) if organ is None else organ
    fat = np.zeros_like(organ) if fat is None else fat
    return plant(organ, fat, spacing, shape, np.random.default_rng(seed), min_voxels=min_voxels)


def whole(lesion, like):
    mask = np.zeros(like.shape, dtype=bool)
    mask[lesion.box] = lesion.mask
    return mask


def test_measure_an_ellipsoid_by_hand():
    x, y, z = np.indices((41, 41, 41)) - 20
    mask = (x / 15) ** 2 + (y / 10) ** 2 + (z / 6) ** 2 <= 1
    measured = measure(mask, (1, 1, 1))
    assert measured.volume_mm3 == mask.sum()
    assert measured.diameters_mm == pytest.approx((30, 20, 12), rel=0.02)
    doubled = measure(mask, (2, 2, 2))
    assert doubled.diameters_mm == pytest.approx([2 * d for d in measured.diameters_mm])


def test_measured_axes_give_the_volume_exactly():
    mask = np.zeros((5, 5, 5), dtype=bool)
    mask[1:4, 2, 2] = True
    measured = measure(mask, (2, 3, 4))
    assert np.pi / 6 * np.prod(measured.diameters_mm) == pytest.approx(3 * 24)
    assert measure(mask[1:2, 2:3, 2:3], (4, 4, 4)).diameters_mm == pytest.approx([4 * (6 / np.pi) ** (1 / 3)] * 3)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(4, 24), st.floats(1, 2), st.floats(0, 0.4), st.booleans(), st.integers(0, 2**32),
    st.sampled_from([(1.0, 1.0, 1.0), (2.0, 1.0, 1.5)]),
)  # fmt: skip
def test_a_lesion_has_the_wanted_volume_inside_its_organ(size, elongation, rough, border, seed, spacing):
    shape = LesionShape(size, elongation, rough, border)
    organ = ball(25)
    lesion = planted(shape, organ, seed=seed, spacing=spacing)
    mask = whole(lesion, organ)
    assert organ[mask].all()
    assert ndimage.label(mask)[1] == 1
    wanted = np.pi / 6 * size**3
    assert mask.sum() * np.prod(spacing) == pytest.approx(wanted, rel=0.15, abs=3 * np.prod(spacing))
    assert mask[lesion.center]


def test_border_lesions_touch_the_surface_and_others_do_not():
    organ = ball(25)
    surface = organ & ~ndimage.binary_erosion(organ)
    for seed in range(10):
        assert (whole(planted(LesionShape(10, border=True), organ, seed=seed), organ) & surface).any()
        assert not (whole(planted(LesionShape(10), organ, seed=seed), organ) & surface).any()


def test_outgrowing_lesions_leave_for_the_fat_only():
    organ, fat = ball(6), ball(20) & ~ball(6)
    fat[30:] = False
    lesion = planted(LesionShape(22, outgrowth=True), organ, fat)
    mask = whole(lesion, organ)
    assert (mask & fat).any()
    assert (mask & organ).any()
    assert not (mask & ~fat & ~organ).any()


def test_no_room_is_no_lesion():
    assert planted(LesionShape(30), ball(6)) is None
    assert planted(LesionShape(10), np.zeros((20, 20, 20), dtype=bool)) is None


def test_tiny_lesions_are_grown_to_what_can_be_seen():
    assert planted(LesionShape(0.5), min_voxels=8).mask.sum() == 8


def test_same_seed_same_lesion():
    first, second = (planted(LesionShape(12, 1.4, 0.2), seed=5) for _ in range(2))
    assert first.box == second.box
    assert np.array_equal(first.mask, second.mask)
