from itertools import permutations
from math import pi, prod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from slow_ball import distances_mm, slow_pseudo_mask

from rsuper_bench.baselines.losses import ReportedTumors, ball_pseudo_mask, grow, place_tumors

MM = (1.0, 1.0, 1.0)


def ball_mm3(diameter_mm):
    return pi / 6 * diameter_mm**3


def ellipsoid_region(shape):
    """An organ-like region that touches no border."""
    middle = [(n - 1) / 2 for n in shape]
    return distances_mm(shape, middle, [2 / (n - 3) for n in shape]) <= 1


spacings = st.tuples(*[st.sampled_from([0.8, 1.0, 1.5, 3.0])] * 3)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**31),
    spacings,
    st.lists(st.tuples(st.floats(1.0, 9.0), st.floats(0.3, 1.0)), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.25, 0.7]),
)
def test_agrees_with_the_naive_form(seed, spacing, sizes, margin):
    generator = torch.Generator().manual_seed(seed)
    shape = (13, 15, 12)
    probability = torch.rand(shape, generator=generator)
    region = ellipsoid_region(shape)
    diameters = [diameter for diameter, _ in sizes]
    volumes = [ball_mm3(diameter) * share for diameter, share in sizes]
    core, tumor, halo, centres = slow_pseudo_mask(
        probability, region, diameters, volumes, spacing_mm=spacing, margin=margin
    )
    fast = ball_pseudo_mask(probability, region, diameters, volumes, spacing_mm=spacing, margin=margin)
    for index in range(len(sizes)):
        assert fast.centres[index].tolist() == centres.get(index, [-1, -1, -1])
        assert torch.equal(fast.label == index + 1, tumor.get(index, torch.zeros_like(region)))
    assert torch.equal(fast.core, torch.stack(list(core.values())).any(0))
    assert torch.equal(fast.halo, torch.stack(list(halo.values())).any(0))
    assert torch.equal(fast.ignored, region if len(centres) < len(sizes) else torch.zeros_like(region))


@pytest.mark.parametrize("diameter_mm", [3, 5, 10, 20, 40, 80])
@pytest.mark.parametrize("spacing", [MM, (0.8, 0.8, 2.5), (4.0, 4.0, 4.0)])
def test_a_planted_ball_is_found_within_one_voxel(diameter_mm, spacing):
    rng = np.random.default_rng(diameter_mm)
    shape = [int(diameter_mm * 1.5 / s) + 16 for s in spacing]
    margin = [int(diameter_mm / 2 / s) + 2 for s in spacing]
    centre = [int(rng.integers(m, n - m)) for m, n in zip(margin, shape, strict=True)]
    probability = (distances_mm(shape, centre, spacing) <= diameter_mm / 2).float() * 0.9 + 0.01
    region = torch.ones(shape)
    placed = ball_pseudo_mask(probability, region, [diameter_mm], [ball_mm3(diameter_mm)], spacing_mm=spacing)
    assert (placed.centres[0] - torch.tensor(centre)).abs().max() <= 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), spacings, st.floats(3, 12), st.floats(0.4, 1), st.sampled_from([0.0, 0.25, 0.5]))
def test_nested_sets_hold_the_volumes_they_should(seed, spacing, diameter_mm, share, margin):
    generator = torch.Generator().manual_seed(seed)
    shape = [int(40 / s) for s in spacing]
    probability = torch.rand(shape, generator=generator)
    volume = ball_mm3(diameter_mm) * share
    placed = ball_pseudo_mask(
        probability, torch.ones(shape), [diameter_mm], [volume], spacing_mm=spacing, margin=margin
    )
    voxel = prod(spacing)
    half = voxel / 2 + 1e-6
    assert placed.tumor.sum() * voxel == pytest.approx(volume, abs=max(half, voxel - volume))
    core = max(volume * (1 - margin), min(100, volume))
    assert placed.core.sum() * voxel == pytest.approx(core, abs=max(half, voxel - core))
    assert (placed.core <= placed.tumor).all()
    assert (placed.tumor <= placed.halo).all()
    assert placed.halo.sum() * voxel <= max(volume * (1 + margin) + half, voxel)
    rest = placed.halo & ~placed.core
    assert not rest.any() or probability[placed.core].min() >= probability[rest].max()


def test_the_core_is_at_least_100_mm3_or_the_whole_tumor():
    probability = torch.rand(20, 20, 20)
    for volume, core in ((60, 60), (110, 100), (400, 300)):
        placed = ball_pseudo_mask(probability, torch.ones(20, 20, 20), [10], [volume], spacing_mm=MM)
        assert (int(placed.tumor.sum()), int(placed.core.sum())) == (volume, core)


def test_tumors_of_one_channel_share_no_voxel_and_order_in_the_report_is_irrelevant():
    torch.manual_seed(3)
    probability, region = torch.rand(24, 24, 24), torch.ones(24, 24, 24)
    sizes = [(9.0, 300.0), (6.0, 100.0), (12.0, 800.0), (9.0, 300.0), (None, None)]
    results = []
    for order in list(permutations(range(5)))[::17]:
        diameters, volumes = zip(*[sizes[i] for i in order], strict=True)
        results.append(ball_pseudo_mask(probability, region, diameters, volumes, spacing_mm=MM))
        label = results[-1].label
        counts = [int((label == i + 1).sum()) for i in range(5)]
        expected = [round(v) if v else None for v in volumes]
        assert all(e is None or c == e for c, e in zip(counts, expected, strict=True))
        assert int(results[-1].tumor.sum()) == sum(counts)
    for result in results[1:]:
        for name in ("core", "tumor", "halo", "ignored"):
            assert torch.equal(getattr(result, name), getattr(results[0], name)), name


def test_a_flat_prediction_yields_a_ball():
    probability = torch.full((30, 30, 30), 0.2)
    placed = ball_pseudo_mask(probability, torch.ones(30, 30, 30), [10.0], [ball_mm3(10.0)], spacing_mm=MM)
    far = distances_mm(probability.shape, placed.centres[0].tolist(), MM)
    assert far[placed.tumor].max() < 5.3


def test_a_ball_cut_by_its_region_grows_until_it_holds_the_volume():
    region = torch.zeros(40, 40, 40)
    region[:3] = 1  # a slab of 3 mm, far thinner than the tumor
    volume = ball_mm3(12.0)  # 905 mm^3; the widened ball of 15 mm meets the slab in about 500
    placed = ball_pseudo_mask(torch.rand(40, 40, 40), region, [12.0], [volume], spacing_mm=MM)
    assert int(placed.tumor.sum()) == round(volume)
    assert not placed.halo[region == 0].any()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 4), st.floats(5, 12), st.floats(0.5, 1))
def test_a_grown_ball_has_the_first_radius_that_is_large_enough(seed, thickness, diameter_mm, share):
    generator = torch.Generator().manual_seed(seed)
    shape = (20, 18, 16)
    probability, region = torch.rand(shape, generator=generator), torch.zeros(shape)
    region[5 : 5 + thickness] = 1
    volume = ball_mm3(diameter_mm) * share
    *_, tumor, _, centres = slow_pseudo_mask(probability, region, [diameter_mm], [volume], spacing_mm=MM)
    placed = ball_pseudo_mask(probability, region, [diameter_mm], [volume], spacing_mm=MM)
    assert placed.centres[0].tolist() == centres[0]
    assert torch.equal(placed.tumor, tumor[0])


def test_a_tumor_larger_than_its_region_fills_it():
    region = torch.zeros(20, 20, 20)
    region[5:10, 5:10, 5:10] = 1
    placed = ball_pseudo_mask(torch.rand(20, 20, 20), region, [12.0], [150.0], spacing_mm=MM)
    assert torch.equal(placed.tumor, region.bool())
    assert int(placed.core.sum()) == 112  # 0.75 x 150, rounded half to even
    assert not placed.ignored.any()


def test_a_second_tumor_without_room_leaves_the_region_open():
    region = torch.zeros(20, 20, 20)
    region[5:11, 5:11, 5:11] = 1  # 216 mm^3
    placed = ball_pseudo_mask(torch.rand(20, 20, 20), region, [7.0, 6.0], [150.0, 100.0], spacing_mm=MM)
    assert int(placed.tumor.sum()) == 150
    assert placed.centres[1].tolist() == [-1, -1, -1]
    assert torch.equal(placed.ignored, region.bool())


def test_unknown_size_is_one_7_mm_ball_and_an_open_region():
    probability = torch.full((30, 30, 30), 0.1)
    probability[distances_mm((30, 30, 30), (12, 15, 18), MM) <= 3.5] = 0.8
    region = torch.zeros(30, 30, 30)
    region[4:26, 4:26, 4:26] = 1
    for unknown in (None, 0, torch.nan):
        placed = ball_pseudo_mask(probability, region, [unknown], [unknown], spacing_mm=MM)
        ball = distances_mm((30, 30, 30), (12, 15, 18), MM) <= 3.5
        assert placed.centres.tolist() == [[12, 15, 18]]
        assert torch.equal(placed.core, ball)
        assert torch.equal(placed.halo, ball)
        assert torch.equal(placed.ignored, region.bool())


def test_each_tumor_stays_in_its_own_region_and_band():
    regions = torch.zeros(2, 20, 20, 20)
    regions[0, :10] = 1
    regions[1, 10:] = 1
    band = torch.zeros(20, 20, 20)
    band[..., 5:12] = 1
    tumors = ReportedTumors(regions, [6.0, 5.0], [90.0, 60.0], region_of=[1, 0], band=band)
    placed = place_tumors(torch.rand(20, 20, 20), tumors, spacing_mm=MM)
    assert (placed.label == 1)[10:].sum() == 90
    assert (placed.label == 2)[:10].sum() == 60
    assert not placed.halo[band == 0].any()
    assert not placed.ignored.any()


def test_unknown_count_leaves_the_rest_of_the_region_open():
    region = torch.ones(12, 12, 12)
    placed = ball_pseudo_mask(torch.rand(12, 12, 12), region, [5.0], [60.0], spacing_mm=MM, complete=False)
    assert placed.ignored.all()
    assert int(placed.core.sum()) == 60


def test_nothing_reported_places_nothing():
    for tumors in (ReportedTumors(), ReportedTumors(torch.ones(5, 5, 5))):
        placed = place_tumors(torch.rand(5, 5, 5), tumors, spacing_mm=MM)
        assert not any(mask.any() for mask in placed)
        assert placed.centres.shape == (0, 3)


def test_an_empty_region_leaves_a_tumor_unplaced():
    placed = ball_pseudo_mask(torch.rand(8, 8, 8), torch.zeros(8, 8, 8), [5.0], [60.0], spacing_mm=MM)
    assert placed.centres.tolist() == [[-1, -1, -1]]
    assert not placed.core.any()


def test_masks_have_the_shape_of_the_probability_and_no_gradient():
    probability = torch.rand(1, 1, 9, 9, 9, requires_grad=True)
    placed = ball_pseudo_mask(probability, torch.ones_like(probability), [5.0], [60.0], spacing_mm=MM)
    assert placed.core.shape == placed.label.shape == probability.shape
    assert not any(mask.requires_grad for mask in placed)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), spacings, st.floats(0, 9))
def test_growing_is_a_distance_transform(seed, spacing, radius_mm):
    rng = np.random.default_rng(seed)
    mask = rng.random((2, 13, 9, 17)) > 0.995
    for volume in mask:
        volume[0, 0, 0] |= rng.random() > 0.5  # touch a corner
    grown = grow(torch.from_numpy(mask), radius_mm, spacing).numpy()
    for volume, result in zip(mask, grown, strict=True):
        far = distance_transform_edt(~volume, sampling=spacing) if volume.any() else np.full(volume.shape, np.inf)
        assert np.array_equal(result, far <= radius_mm * (1 + 1e-6))


def test_growing_keeps_the_input_and_takes_any_dtype_and_layout():
    mask = torch.zeros(6, 8, 10)
    mask[2, 3, 4] = 1
    flipped = mask.permute(2, 1, 0)
    assert int(grow(flipped, 1.0, MM).sum()) == 7
    assert int(flipped.sum()) == 1
    assert torch.equal(grow(flipped, 1.0, MM), grow(mask, 1.0, MM).permute(2, 1, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"region": torch.ones(4, 4, 5)}, "probability .* and region .* differ in shape"),
        ({"probability": torch.rand(2, 1, 4, 4, 4)}, "probability must be .* of one case and channel"),
        ({"probability": torch.full((4, 4, 4), torch.nan)}, "probability holds NaN"),
        ({"volumes_mm3": [10.0, 20.0]}, "diameters_mm has 1 tumors, volumes_mm3 2"),
        ({"volumes_mm3": [None]}, "diameters_mm and volumes_mm3 must know the same sizes"),
        ({"volumes_mm3": [-3.0]}, "volumes_mm3 must be positive"),
        ({"diameters_mm": [torch.inf]}, "diameters_mm must be positive and finite"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "spacing_mm must be three positive lengths"),
        ({"margin": -0.1}, "margin must not be negative"),
    ],
)
def test_errors_name_the_argument(change, message):
    arguments = {
        "probability": torch.rand(4, 4, 4),
        "region": torch.ones(4, 4, 4),
        "diameters_mm": [3.0],
        "volumes_mm3": [10.0],
        "spacing_mm": MM,
    }
    with pytest.raises(ValueError, match=message):
        ball_pseudo_mask(**arguments | change)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"regions": torch.ones(4, 4)}, r"regions must be \(R, X, Y, Z\)"),
        ({"region_of": [0, 0]}, "region_of has 2 tumors, diameters_mm 1"),
        ({"region_of": [1]}, "region_of points outside the 1 regions"),
        ({"regions": None}, "region_of points outside the 0 regions"),
        ({"band": torch.ones(4, 4, 5)}, "band .* and regions .* differ in shape"),
    ],
)
def test_tumors_that_cannot_be_placed_are_refused(fields, message):
    whole = {"regions": torch.ones(4, 4, 4), "diameters_mm": [3.0], "volumes_mm3": [10.0]}
    with pytest.raises(ValueError, match=message):
        ReportedTumors(**whole | fields)


def test_growing_refuses_nonsense():
    with pytest.raises(ValueError, match="radius_mm must be finite and not negative"):
        grow(torch.ones(3, 3, 3), -1.0, MM)
    with pytest.raises(ValueError, match="mask must be"):
        grow(torch.ones(3, 3), 1.0, MM)
