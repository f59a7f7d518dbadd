from math import inf

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rsuper_bench.baselines.losses import MEASURED_SPREAD, volume_band_loss, volume_bounds, volume_loss


def filled(volume_mm3, voxels=10, voxel_mm3=1000.0):
    """A probability map and region whose predicted volume is exactly the given one (p at most 1)."""
    region = torch.zeros(1, 1, voxels, 4, 4, dtype=torch.float64)
    region[..., 0, 0] = 1
    probability = region * volume_mm3 / (voxels * voxel_mm3)
    return probability, region, torch.tensor([voxel_mm3], dtype=torch.float64)


def loss_of(reported_mm3, predicted_mm3, **options):
    probability, region, voxel_mm3 = filled(predicted_mm3)
    return volume_loss(probability, region, torch.tensor([float(reported_mm3)]), voxel_mm3=voxel_mm3, **options)


def band_of(low, high, predicted_mm3):
    probability, region, voxel_mm3 = filled(predicted_mm3)
    bounds = torch.tensor([low]), torch.tensor([high])
    return volume_band_loss(probability, region, *bounds, voxel_mm3=voxel_mm3).item()


@pytest.mark.parametrize(
    ("reported_mm3", "predicted_mm3", "expected"),
    [
        (1000, 1000, 0.0),
        (1000, 900, 0.0),  # the edge of the 10 % band
        (1000, 0, 1000 / 1500 - 100 / 2400),  # 0.625
        (1000, 1108.695652, 0.0),  # (V + t (V + E)) / (1 - t), t = 100 / 2400: 1062.5 / (23 / 24)
        (1000, 2000, 1000 / 3500 - 100 / 2400),
        (0, 500, 0.5),  # the report excludes a tumor
        (0, 0, 0.0),
        (100, 90, 10 / 690),  # small tumors have no tolerance
        (105, 100, 0.0),  # the tolerance starts at 100 mm^3: min(V, 100) beats 0.9 V
        (105, 95, 10 / 700 - 5 / 705),
    ],
)
def test_volume_loss_by_hand(reported_mm3, predicted_mm3, expected):
    assert loss_of(reported_mm3, predicted_mm3).item() == pytest.approx(expected, abs=1e-9)


def test_zero_band_ends_where_the_method_says():
    assert loss_of(1000, 899).item() > 0
    assert loss_of(1000, 1108.6).item() == 0
    assert loss_of(1000, 1109).item() > 0


def test_without_tolerance_every_deviation_costs():
    assert loss_of(1000, 900, tolerance=0.0).item() == pytest.approx(100 / 2400)


def test_voxels_outside_the_region_do_not_count():
    probability, region, voxel_mm3 = filled(1000)
    stray = torch.where(region == 0, 1.0, probability)
    assert volume_loss(stray, region, torch.tensor([1000.0]), voxel_mm3=voxel_mm3).item() == 0


def test_same_tumor_on_a_coarser_grid_costs_the_same():
    fine = torch.zeros(1, 1, 16, 16, 16)
    fine[..., 4:12, 4:12, 4:12] = 0.8
    coarse = fine[..., ::2, ::2, ::2]
    reported = torch.tensor([700.0])
    on_fine = volume_loss(fine, torch.ones_like(fine), reported, voxel_mm3=torch.tensor([1.0]))
    on_coarse = volume_loss(coarse, torch.ones_like(coarse), reported, voxel_mm3=torch.tensor([8.0]))
    assert on_fine.item() > 0
    torch.testing.assert_close(on_fine, on_coarse)


@pytest.mark.parametrize(("predicted_mm3", "sign"), [(200, -1), (3000, 1)])
def test_gradient_grows_a_missing_tumor_and_shrinks_an_excess_one(predicted_mm3, sign):
    probability, region, voxel_mm3 = filled(predicted_mm3)
    probability.requires_grad_()
    volume_loss(probability, region, torch.tensor([1000.0]), voxel_mm3=voxel_mm3).sum().backward()
    assert (probability.grad[region == 1] * sign > 0).all()
    assert (probability.grad[region == 0] == 0).all()


def test_gradients_are_exact_in_double_precision():
    torch.manual_seed(0)
    probability = torch.rand(2, 1, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    region = torch.rand(2, 1, 3, 4, 5) > 0.3
    reported, voxel = torch.tensor([3000.0, 100.0]), torch.tensor([30.0, 60.0])
    assert torch.autograd.gradcheck(lambda p: volume_loss(p, region, reported, voxel_mm3=voxel), (probability,))


def test_half_precision_probabilities_are_summed_in_float32():
    probability = torch.full((1, 1, 32, 32, 32), 0.5, dtype=torch.bfloat16)
    args = torch.ones_like(probability), torch.tensor([16384.0])
    loss = volume_loss(probability, *args, voxel_mm3=torch.tensor([1.0]))
    assert loss.dtype == torch.float32
    assert loss.item() == 0


@given(st.floats(0, 1e6), st.floats(0, 1e4), st.floats(0, 0.9))
def test_loss_stays_in_range_and_is_zero_on_target(reported, predicted, tolerance):
    value = loss_of(reported, predicted, tolerance=tolerance).item()
    assert 0 <= value < 1
    if reported <= 1e4:
        assert loss_of(reported, reported, tolerance=tolerance).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("low", "high", "predicted_mm3", "expected"),
    [
        (66.0, 905_000.0, 1000.0, 0.0),
        (66.0, 905_000.0, 0.0, 66 / 566),
        (1000.0, inf, 9999.0, 0.0),  # count unknown: a lower bound only
        (1000.0, inf, 0.0, 0.625),
        (0.0, 1000.0, 0.0, 0.0),  # region cut by the crop: an upper bound only
        (0.0, 1000.0, 2000.0, 1000 / 3500 - 100 / 2400),
        (0.0, inf, 5000.0, 0.0),
        (0.0, 0.0, 500.0, 0.5),
    ],
)
def test_band_by_hand(low, high, predicted_mm3, expected):
    assert band_of(low, high, predicted_mm3) == pytest.approx(expected, abs=1e-9)


def test_faint_voxels_do_not_reach_a_lower_bound_but_still_learn():
    probability = torch.full((1, 1, 10, 10, 10), 0.001, requires_grad=True)
    region = torch.ones(1, 1, 10, 10, 10)
    options = {"voxel_mm3": torch.tensor([1000.0])}
    low, high = torch.tensor([66.0]), torch.tensor([905_000.0])  # 1000 mm^3 of haze
    loss = volume_band_loss(probability, region, low, high, **options)
    assert loss.item() == pytest.approx(66 / 566)
    loss.sum().backward()
    assert (probability.grad < 0).all()
    assert volume_band_loss(probability, region, low, high, counted_from=0.0, **options).item() == 0
    assert volume_loss(probability, region, torch.tensor([1000.0]), **options).item() == pytest.approx(0, abs=1e-6)


def test_an_infinite_bound_leaves_no_nan_in_the_gradient():
    probability = torch.full((1, 1, 4, 4, 4), 0.5, requires_grad=True)
    bounds = torch.tensor([1e6]), torch.tensor([inf])
    volume_band_loss(probability, torch.ones(1, 1, 4, 4, 4), *bounds, voxel_mm3=torch.tensor([1.0])).sum().backward()
    assert torch.isfinite(probability.grad).all()
    assert (probability.grad < 0).all()


@pytest.mark.parametrize(
    ("volumes", "options", "expected"),
    [
        ((), {}, (0, 0)),
        ((300.0, 200.0), {}, (500, 500)),
        ((None,), {}, (66, 905_000)),
        ((1000.0, None, None), {}, (1132, 905_000)),
        ((1e6, None), {}, (1_000_066, 1_000_066)),
        ((1000.0,), {"complete": False}, (1000, inf)),
        ((1000.0,), {"cut": True}, (0, 1000)),
        ((None,), {"cut": True}, (0, 905_000)),
        ((1000.0,), {"cut": True, "complete": False}, (0, inf)),
        # METHOD 11: half of the true volumes lie between 0.70 and 1.15 of the reported one
        ((1000.0, 500.0), {"spread": MEASURED_SPREAD}, (1050, pytest.approx(1725))),
        ((1000.0, None), {"spread": MEASURED_SPREAD}, (766, 905_000)),
        ((1000.0,), {"spread": MEASURED_SPREAD, "cut": True}, (0, 1150)),
        ((), {"spread": MEASURED_SPREAD}, (0, 0)),
    ],
)
def test_bounds_by_hand(volumes, options, expected):
    assert volume_bounds(volumes, **options) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"region": torch.zeros(1, 1, 4, 4, 5)}, r"probability \(1, 1, 4, 4, 4\) and region \(1, 1, 4, 4, 5\)"),
        ({"probability": torch.zeros(1, 4, 4, 4)}, r"probability must be \(B, C, X, Y, Z\)"),
        ({"probability": torch.full((1, 1, 4, 4, 4), torch.nan)}, "probability holds NaN"),
        ({"probability": torch.full((1, 1, 4, 4, 4), 7.0)}, r"probability must be in \[0, 1\], got 7 to 7"),
        ({"reported_mm3": torch.tensor([-1.0])}, "reported_mm3 must not be negative"),
        ({"reported_mm3": torch.tensor([1.0, 2.0])}, r"reported_mm3 must be \(1,\)"),
        ({"voxel_mm3": torch.tensor([torch.nan])}, "voxel_mm3 must not be negative or NaN"),
        ({"tolerance": 1.0}, r"tolerance must be in \[0, 1\)"),
        ({"softness_mm3": 0.0}, "softness_mm3 must be positive"),
    ],
)
def test_errors_name_the_argument(change, message):
    arguments = {
        "probability": torch.zeros(1, 1, 4, 4, 4),
        "region": torch.ones(1, 1, 4, 4, 4),
        "reported_mm3": torch.tensor([10.0]),
        "voxel_mm3": torch.tensor([1.0]),
    }
    with pytest.raises(ValueError, match=message):
        volume_loss(**arguments | change)


def test_crossed_bounds_and_impossible_volumes_are_refused():
    with pytest.raises(ValueError, match="low_mm3 is above high_mm3"):
        band_of(10.0, 5.0, 0.0)
    with pytest.raises(ValueError, match="volumes_mm3 must be positive or None"):
        volume_bounds([-5.0])
    with pytest.raises(ValueError, match="spread must hold 1"):
        volume_bounds([5.0], spread=(1.1, 1.2))
