"""The path of an accelerator, on the CPU: the same results, and no value read on the host."""

import sys
from math import pi, prod
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from no_looking import Counting, NoLooking

from rsuper_bench.baselines.losses import ReportedTumors, ball_loss, grow, place_tumors, rounds, volume_band_loss
from rsuper_bench.baselines.losses.looking import may_look, without_looking

sys.path.insert(0, str(Path(__file__).parents[1] / "gpu"))
from report_supervision_case import report_case

MM = (1.0, 1.0, 1.0)
SHAPE = (20, 18, 22)


def regions_of(rng, count):
    regions = torch.zeros(count, *SHAPE, dtype=torch.bool)
    for region in regions:
        low = [int(rng.integers(0, size - 8)) for size in SHAPE]
        high = [int(rng.integers(start + 5, size + 1)) for start, size in zip(low, SHAPE, strict=True)]
        region[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
        region &= torch.from_numpy(rng.random(SHAPE) > 0.1)
    return regions


def boxes_of(rng, regions):
    """Boxes that hold the regions, up to three voxels wider on each side."""
    boxes = []
    for region in regions:
        ends = []
        for axis, size in enumerate(SHAPE):
            line = region.movedim(axis, 0).flatten(1).any(1).nonzero()[:, 0].tolist() or [0, -1]
            ends.append((max(line[0] - int(rng.integers(0, 4)), 0), min(line[-1] + 1 + int(rng.integers(0, 4)), size)))
        boxes.append(ends)
    return boxes


def reported(rng, sizes, **options):
    regions = regions_of(rng, 2)
    band = torch.zeros(SHAPE, dtype=torch.bool)
    band[..., 2:16] = True
    if rng.random() > 0.5:
        options["boxes"] = boxes_of(rng, regions)
    if rng.random() > 0.7 and sizes:  # of each tumor its own
        band = torch.stack([band.roll(int(rng.integers(-5, 5)), -1) for _ in sizes])
    return ReportedTumors(
        regions,
        [size for size, _ in sizes],
        [None if size is None else pi / 6 * size**3 for size, _ in sizes],
        region_of=[where for _, where in sizes],
        band=band if rng.random() > 0.5 else None,
        **options,
    )


def distinct_logits(rng, batch, channels):
    """No two equal: of equal ones, which gets the greater rank weight is open."""
    count = batch * channels * prod(SHAPE)
    values = torch.linspace(-3, 3, count)[torch.from_numpy(rng.permutation(count))]
    return values.view(batch, channels, *SHAPE).requires_grad_()


sizes = st.lists(st.tuples(st.sampled_from([None, 2.0, 4.0, 4.0, 7.5, 12.0]), st.integers(0, 1)), max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), sizes, st.booleans(), st.sampled_from([MM, (0.8, 1.5, 2.0)]), st.booleans())
def test_both_ways_place_the_same_tumors(seed, sizes, complete, spacing, coarse):
    rng = np.random.default_rng(seed)
    if coarse:  # a ball of few voxels then fits equally well in many places, and the last bit of a transform decides
        sizes = [(diameter_mm and max(diameter_mm, 8.0), number) for diameter_mm, number in sizes]
    tumors = reported(rng, sizes, complete=complete)
    probability = torch.from_numpy(rng.random(SHAPE)).float()
    if coarse:  # many equal values, as half precision gives
        probability = (probability * 8).round() / 8
    looking = place_tumors(probability, tumors, spacing_mm=spacing)
    with without_looking():
        blind = place_tumors(probability, tumors, spacing_mm=spacing)
    for name in looking._fields:
        assert torch.equal(getattr(looking, name), getattr(blind, name)), name


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), sizes, st.sampled_from(["crop", "own"]), st.booleans())
def test_both_ways_give_the_same_loss_and_gradient(seed, sizes, balance, soft):
    rng = np.random.default_rng(seed)
    tumors = [[reported(rng, sizes), None], [ReportedTumors(), reported(rng, sizes[::-1], complete=False)]]
    logits = distinct_logits(rng, 2, 2)
    penalised = torch.from_numpy(rng.random((2, 2, *SHAPE)) > 0.2)
    found = []
    for blind in (False, True):
        logits.grad = None
        if blind:
            with without_looking():
                loss = ball_loss(logits, penalised, tumors, spacing_mm=MM, balance=balance, soft=soft)
        else:
            loss = ball_loss(logits, penalised, tumors, spacing_mm=MM, balance=balance, soft=soft)
        loss.backward()
        found.append((loss.detach(), logits.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-8)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.lists(sizes, min_size=6, max_size=6), st.sampled_from([1, 4 * 48**3, 2**24]))
def test_many_channels_with_tumors_of_any_size_cost_what_they_cost_alone(seed, reports, most):
    rng = np.random.default_rng(seed)
    tumors = [[reported(rng, sizes) for sizes in reports[start : start + 3]] for start in (0, 3)]
    logits = distinct_logits(rng, 2, 3)
    penalised = torch.from_numpy(rng.random((2, 3, *SHAPE)) > 0.2)
    spacing = [MM, (0.8, 1.5, 2.0)]
    looking = ball_loss(logits, penalised, tumors, spacing_mm=spacing)
    (expected,) = torch.autograd.grad(looking, logits)
    with pytest.MonkeyPatch.context() as patch, without_looking():
        patch.setattr(rounds, "MOST", most)
        blind = ball_loss(logits, penalised, tumors, spacing_mm=spacing)
        (found,) = torch.autograd.grad(blind, logits)
    torch.testing.assert_close(blind, looking, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)


def operations(tumors):
    logits = torch.zeros(2, 10, *SHAPE, requires_grad=True)
    penalised = torch.ones_like(logits, dtype=torch.bool)
    for _ in range(2):  # the first time also fills what is kept for later
        with without_looking(), Counting() as counting:
            ball_loss(logits, penalised, tumors, spacing_mm=MM).backward()
    return counting.count


def test_tumors_of_different_channels_are_placed_in_the_operations_of_one():
    one = ReportedTumors(torch.ones(SHAPE), [7.0], [180.0])
    row = [one] * 9 + [None]
    alone = operations([[one] + [None] * 9, [None] * 10])
    assert operations([row, row]) < 1.5 * alone
    two = ReportedTumors(torch.ones(SHAPE), [7.0, 5.0], [180.0, 60.0])
    assert operations([[two] * 9 + [None], [None] * 10]) < 2.5 * alone


@pytest.mark.parametrize("soft", [False, True])
def test_the_ball_loss_reads_no_value(soft):
    rng = np.random.default_rng(0)
    sizes = [(12.0, 0), (4.0, 1), (None, 0), (4.0, 1)]
    tumors = [[reported(rng, sizes), None, ReportedTumors()]]
    logits = torch.randn(1, 3, *SHAPE, requires_grad=True)
    penalised = torch.ones_like(logits, dtype=torch.bool)
    with without_looking(), NoLooking():
        assert not may_look(logits)
        ball_loss(logits, penalised, tumors, spacing_mm=MM, soft=soft).backward()
    assert logits.grad.abs().sum() > 0


def test_the_volume_loss_reads_no_value():
    logits = torch.randn(2, 1, *SHAPE, requires_grad=True)
    low, high = torch.tensor([100.0, 66.0]), torch.tensor([100.0, torch.inf])
    with without_looking(), NoLooking():
        loss = volume_band_loss(
            logits.sigmoid(), torch.ones_like(logits), low, high, voxel_mm3=torch.tensor([1.0, 1.0])
        )
        loss.sum().backward()


def test_growing_reads_no_value_and_is_the_same():
    mask = torch.from_numpy(np.random.default_rng(0).random((2, *SHAPE)) > 0.99)
    with without_looking(), NoLooking():
        blind = grow(mask, 3.0, MM)
    assert torch.equal(blind, grow(mask, 3.0, MM))


@pytest.mark.parametrize(
    "read", [lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: x.nonzero(), lambda x: bool(x.any())]
)
def test_the_guard_sees_what_it_should(read):
    with pytest.raises(AssertionError), NoLooking():
        read(torch.randn(5))


def test_a_whole_step_of_report_supervision_reads_no_value():
    case = report_case("cpu", size=48)
    generator = torch.Generator().manual_seed(0)
    final, auxiliary = (torch.randn(case.mask.shape, generator=generator).requires_grad_() for _ in range(2))
    with without_looking(), NoLooking():
        blind = case.mask_loss(final, auxiliary) + case.report_loss(final, auxiliary)
        blind.backward()
    gradient, final.grad = final.grad, None
    looking = case.mask_loss(final, auxiliary) + case.report_loss(final, auxiliary)
    looking.backward()
    torch.testing.assert_close(blind, looking)
    torch.testing.assert_close(gradient, final.grad, rtol=1e-5, atol=1e-10)


def test_an_empty_box_leaves_a_tumor_unplaced_either_way():
    empty = ReportedTumors(torch.zeros(SHAPE), [4.0], [33.0], boxes=[((0, 0), (0, 0), (0, 0))])
    logits = torch.randn(1, 1, *SHAPE)
    penalised = torch.ones_like(logits)
    looking = ball_loss(logits, penalised, [[empty]], spacing_mm=MM)
    with without_looking():
        torch.testing.assert_close(ball_loss(logits, penalised, [[empty]], spacing_mm=MM), looking)
