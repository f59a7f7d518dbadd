"""Implicit shapes: their volumes are those of geometry, on any grid."""

import numpy as np
import pytest

from rsuper_bench.dataset_builder.phantom.shapes import Ellipsoid, Grid, SmoothNoise, Tube


def grid(step=2.0, size=100.0):
    n = int(size / step)
    return Grid.centred((n, n, n), (step, step, step), 1.0, (0.0, 0.0, 0.0))


def volume(field, step):
    return (field < 1).sum() * step**3


@pytest.mark.parametrize("tilt", [(0, 0, 0), (30, 0, 0), (20, -40, 65)])
@pytest.mark.parametrize("step", [2.0, 1.0])
def test_ellipsoid_volume(tilt, step):
    shape = Ellipsoid((3.0, -5.0, 2.0), (30.0, 20.0, 15.0), tilt)
    whole = grid(step).whole
    assert volume(shape.field(whole), step) == pytest.approx(4 / 3 * np.pi * 30 * 20 * 15, rel=0.03)


def test_bounds_hold_the_shape():
    for shape in (
        Ellipsoid((0.0, 0.0, 0.0), (30.0, 10.0, 5.0), (0.0, 45.0, 30.0)),
        Tube(((-20, -20, 0), (10, 0, 5), (20, 20, 20)), (5, 8, 3)),
    ):
        low, high = shape.bounds(1.0)
        inside = np.argwhere(shape.field(grid(1.0).whole) < 1) - 49.5
        assert (inside.min(0) >= low - 1e-6).all()
        assert (inside.max(0) <= high + 1e-6).all()


def test_tube_volume_and_course():
    tube = Tube(((0, 0, -30), (0, 0, 0), (0, 0, 30)), (10, 10, 10))
    field, course = tube.field_and_course(grid(1.0).whole)
    expected = np.pi * 100 * 60 + 4 / 3 * np.pi * 1000  # a cylinder with two half balls
    assert volume(field, 1.0) == pytest.approx(expected, rel=0.01)
    np.testing.assert_allclose(course[50, 50, [19, 50, 80]], [0, 0.5, 1], atol=0.02)


def test_a_tilted_axis_turns_towards_the_other():
    # 90 degrees about z brings the long x axis onto y.
    field = Ellipsoid((0.0, 0.0, 0.0), (30.0, 5.0, 5.0), (0.0, 0.0, 90.0)).field(grid(1.0).whole)
    extent = np.ptp(np.argwhere(field < 1), axis=0)
    assert extent[1] > 50 > 12 > extent[0]


def test_boxes_are_parts_of_the_grid():
    part = grid(2.0).box((-10, 0, 20), (10, 20, 400))
    assert part.shape == (10, 10, 15)
    assert grid(2.0).box((200, 0, 0), (300, 1, 1)) is None
    full = Ellipsoid((0.0, 0.0, 0.0), (30.0, 20.0, 15.0), (10.0, 20.0, 30.0))
    np.testing.assert_allclose(full.field(part), full.field(grid(2.0).whole)[part.slices], rtol=1e-5)


def test_smooth_noise_has_unit_variance_and_does_not_depend_on_the_grid():
    noise = SmoothNoise.draw(np.random.default_rng(0), (-50, -50, -50), (50, 50, 50), 8.0)
    values = noise.field(grid(2.0).whole)
    assert values.std() == pytest.approx(1, rel=0.15)
    part = grid(2.0).box((-20, -20, -20), (20, 20, 20))
    np.testing.assert_allclose(noise.field(part), values[part.slices], atol=1e-5)
    # Smooth: over 2 mm, a quarter of the wavelength, white noise would change by sqrt(2).
    assert np.diff(values, axis=0).std() < 0.5
