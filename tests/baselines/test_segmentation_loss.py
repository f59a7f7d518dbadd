from math import log

import pytest
import torch

from rsuper_bench.baselines.losses import no_loss, segmentation_loss, supervised_mean


def line(*values):
    """Values along X as one sample, one channel."""
    return torch.tensor(values, dtype=torch.float64).view(1, 1, -1, 1, 1)


def logit(*probabilities):
    return torch.logit(line(*probabilities))


def test_cross_entropy_counts_known_voxels_over_the_whole_crop():
    loss = segmentation_loss(logit(0.5, 0.8, 0.9, 0.1), line(1, 1, 0, 0), line(1, 1, 0, 1), tversky_weight=0)
    assert loss.item() == pytest.approx(-(log(0.5) + log(0.8) + log(0.9)) / 4)


def test_own_balance_averages_each_side_over_its_own_voxels():
    options = {"balance": "own", "tversky_weight": 0.0}
    loss = segmentation_loss(logit(0.5, 0.8, 0.9, 0.1), line(1, 1, 0, 0), line(1, 1, 0, 1), **options)
    assert loss.item() == pytest.approx(-(log(0.5) + log(0.8)) / 2 - log(0.9))


@pytest.mark.parametrize(
    ("on", "off", "alpha"),
    [
        (0.5, 0.5, 0.5),  # FN 0.5, FP 0.5
        (0.9, 0.3, 0.75),  # FN 0.1, FP 0.3
        (0.99, 0.5, 0.8),  # clamped: 0.5 / 0.51
        (0.1, 0.01, 0.2),  # clamped: 0.01 / 0.91
    ],
)
def test_tversky_by_hand(on, off, alpha):
    arguments = logit(on, off), line(1, 0), line(1, 1)
    tversky = segmentation_loss(*arguments) - segmentation_loss(*arguments, tversky_weight=0)
    assert tversky.item() == pytest.approx(1 - on / (on + alpha * off + (1 - alpha) * (1 - on)))


def test_a_channel_without_target_stays_out_of_the_tversky_mean():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 1, 4, 4, 4), (torch.rand(2, 1, 4, 4, 4) > 0.7).float()

    def tversky(logits, target):
        known = torch.ones_like(target)
        return segmentation_loss(logits, target, known) - segmentation_loss(logits, target, known, tversky_weight=0)

    widened = torch.cat([logits, torch.randn_like(logits)], 1), torch.cat([target, torch.zeros_like(target)], 1)
    torch.testing.assert_close(tversky(logits, target), tversky(*widened))


@pytest.mark.parametrize("balance", ["crop", "own"])
def test_an_unknown_channel_changes_nothing(balance):
    torch.manual_seed(0)
    logits, target = torch.randn(2, 1, 4, 4, 4), (torch.rand(2, 1, 4, 4, 4) > 0.7).float()
    known = (torch.rand_like(target) > 0.2).float()
    alone = segmentation_loss(logits, target, known, balance=balance)
    both = segmentation_loss(
        torch.cat([logits, 9 * torch.randn_like(logits)], 1),
        torch.cat([target, torch.ones_like(target)], 1),
        torch.cat([known, torch.zeros_like(known)], 1),
        balance=balance,
    )
    torch.testing.assert_close(alone, both)


@pytest.mark.parametrize("balance", ["crop", "own"])
def test_unknown_voxels_get_no_gradient_and_known_ones_the_right_sign(balance):
    logits = torch.zeros(1, 1, 4, 1, 1, requires_grad=True)
    segmentation_loss(logits, line(1, 0, 1, 0), line(1, 1, 0, 0), balance=balance).backward()
    assert logits.grad.flatten().sign().tolist() == [-1, 1, 0, 0]


@pytest.mark.parametrize("balance", ["crop", "own"])
def test_nothing_known_is_exactly_zero_and_backward_works(balance):
    logits = torch.randn(1, 2, 3, 3, 3, requires_grad=True)
    loss = segmentation_loss(logits, torch.zeros_like(logits), torch.zeros_like(logits), balance=balance)
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("balance", ["crop", "own"])
def test_cross_entropy_gradient_is_exact_in_double_precision(balance):
    torch.manual_seed(0)
    logits = torch.randn(2, 2, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    target, known = torch.rand(2, 2, 3, 3, 2).double(), torch.rand(2, 2, 3, 3, 2) > 0.3
    assert torch.autograd.gradcheck(  # alpha is detached on purpose, so the Tversky term is not smooth in this sense
        lambda x: segmentation_loss(x, target, known, balance=balance, tversky_weight=0), (logits,)
    )


def test_autocast_changes_nothing():
    torch.manual_seed(0)
    logits = torch.randn(1, 2, 8, 8, 8).bfloat16()
    target, known = (torch.rand(1, 2, 8, 8, 8) > 0.8).float(), torch.ones(1, 2, 8, 8, 8)
    outside = segmentation_loss(logits, target, known)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = segmentation_loss(logits, target, known)
    assert inside.dtype == torch.float32
    assert inside.item() == outside.item()


def test_far_wrong_logits_stay_finite():
    logits = torch.tensor([200.0, -200.0]).view(1, 1, 2, 1, 1).requires_grad_()
    loss = segmentation_loss(logits, line(0, 1), line(1, 1))
    loss.backward()
    assert loss.item() == pytest.approx(201)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"known": torch.ones(1, 1, 2, 2, 3)}, "logits .* and known .* differ in shape"),
        ({"target": torch.ones(1, 2, 2, 2, 2)}, "logits .* and target .* differ in shape"),
        ({"logits": torch.full((1, 1, 2, 2, 2), torch.nan)}, "logits holds NaN"),
        ({"balance": "corp"}, "balance must be one of crop, own, got 'corp'"),
    ],
)
def test_errors_name_the_argument(change, message):
    arguments = {name: torch.ones(1, 1, 2, 2, 2) for name in ("logits", "target", "known")}
    with pytest.raises(ValueError, match=message):
        segmentation_loss(**arguments | change)


def test_supervised_mean_ignores_what_is_not_supervised():
    values = torch.tensor([1.0, torch.nan, 3.0], requires_grad=True)
    mean = supervised_mean(values, torch.tensor([True, False, True]))
    mean.backward()
    assert mean.item() == 2
    assert values.grad.tolist() == [0.5, 0, 0.5]
    assert supervised_mean(values, torch.zeros(3)).item() == 0
    with pytest.raises(ValueError, match=r"values .* and carries .* differ in shape"):
        supervised_mean(values, torch.ones(2))


def test_no_loss_is_zero_even_beside_infinity():
    source = torch.tensor([torch.inf, torch.nan], requires_grad=True)
    no_loss(source).backward()
    assert no_loss(source).item() == 0
    assert source.grad.tolist() == [0, 0]
