from math import log, pi

import pytest
import torch
from scipy.ndimage import distance_transform_edt
from scipy.stats import norm
from slow_ball import distances_mm, slow_pseudo_mask

from rsuper_bench.baselines.losses import ReportedTumors, ball_loss, rank_pooling_weights
from rsuper_bench.baselines.losses.soft_shells import chance_of_reaching, shell_targets

MM = (1.0, 1.0, 1.0)
SHAPE = (16, 14, 18)
BALANCES = ["crop", "own"]
# Chance that a true volume exceeds 0.875 and 1.125 times the reported one, when its logarithm is normal with quartiles
# log 0.70 and log 1.15, which are 0.6745 deviations from the mean: z = -0.068 and 0.615, so about 0.53 and 0.27
INSIDE, BEYOND = norm(log(0.70 * 1.15) / 2, log(1.15 / 0.70) / 2 / norm.ppf(0.75)).sf([log(0.875), log(1.125)])


def region_of(shape=SHAPE):
    region = torch.zeros(shape, dtype=torch.bool)
    region[2:-2, 2:-2, 2:-2] = True
    return region


def one(*diameters_mm, **options):
    """Tumors of one sample and channel, all spheres, in one region."""
    return ReportedTumors(region_of(), diameters_mm, [pi / 6 * d**3 if d else None for d in diameters_mm], **options)


def random_logits(batch=1, channels=1, seed=0):
    return torch.randn(batch, channels, *SHAPE, generator=torch.Generator().manual_seed(seed))


def loss_of(logits, tumors, penalised=None, **options):
    penalised = torch.ones_like(logits) if penalised is None else penalised
    return ball_loss(logits, penalised, tumors, **{"spacing_mm": MM} | options)


def slow_ball_loss(logits, region, penalised, diameters, volumes, spacing, balance, soft):
    """One sample, one channel, by the words of METHOD 4."""
    probability = logits.sigmoid()
    masks = slow_pseudo_mask(probability, region, diameters, volumes, spacing_mm=spacing)[:3]
    core, tumor, halo = (torch.stack(list(mask.values())).any(0) for mask in masks)
    near = torch.from_numpy(distance_transform_edt(~halo.numpy(), sampling=spacing)) <= 3 + 1e-6
    negative = penalised & ~near
    ranked = sorted(probability[core].tolist(), reverse=True)
    n, q = len(ranked), 0.5 ** (1 / len(ranked))
    foreground = sum(n * q**i * (1 - q) / (1 - q**n) * -log(p) for i, p in enumerate(ranked))
    background = -torch.log(1 - probability[negative]).sum().item()
    if soft:
        for shell, chance in ((tumor & ~core, INSIDE), (halo & ~tumor, BEYOND)):
            p = probability[shell]
            foreground -= (chance * p.log() + (1 - chance) * (1 - p).log()).sum().item()
            n += int(shell.sum())
    entropy = (
        (foreground + background) / logits.numel()
        if balance == "crop"
        else foreground / n + background / int(negative.sum())
    )
    tp, fp, fn = probability[core].sum(), probability[negative].sum(), (1 - probability[core]).sum()
    alpha = (fp / (fp + fn)).clamp(0.2, 0.8)
    return entropy + (1 - tp / (tp + alpha * fp + (1 - alpha) * fn)).item()


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("balance", BALANCES)
@pytest.mark.parametrize("spacing", [MM, (0.8, 1.5, 1.0)])
def test_agrees_with_the_words_of_the_method(balance, spacing, soft):
    logits = random_logits().double()
    penalised = torch.rand(logits.shape, generator=torch.Generator().manual_seed(1)) > 0.2
    diameters, volumes = [4.0, 7.0, 3.5], [30.0, 160.0, 20.0]
    slow = slow_ball_loss(logits[0, 0], region_of(), penalised[0, 0], diameters, volumes, spacing, balance, soft)
    tumors = [[ReportedTumors(region_of(), diameters, volumes)]]
    fast = loss_of(logits, tumors, penalised, spacing_mm=spacing, balance=balance, soft=soft)
    assert fast.item() == pytest.approx(slow, rel=1e-9)


def test_chances_are_those_that_were_measured():
    assert [chance_of_reaching(share) for share in (0.70, 1.15)] == pytest.approx([0.75, 0.25])
    assert shell_targets(0.25) == pytest.approx((INSIDE, BEYOND))
    assert shell_targets(0.25) == pytest.approx((0.527, 0.269), abs=5e-4)
    assert shell_targets(0.0) == (chance_of_reaching(1), chance_of_reaching(1))
    assert shell_targets(1.0)[0] == shell_targets(0.5)[0]  # the core is never less than half


@pytest.mark.parametrize("balance", BALANCES)
def test_the_best_answer_in_a_soft_shell_is_its_chance(balance):
    logits = random_logits()
    masks = slow_pseudo_mask(logits[0, 0].sigmoid(), region_of(), [8.0], [268.0], spacing_mm=MM)[:3]
    core, tumor, halo = (next(iter(mask.values())) for mask in masks)
    best = torch.full_like(logits, -20.0)  # ranks as the random one did, so the same voxels are chosen
    for mask, p in ((halo & ~tumor, BEYOND), (tumor & ~core, INSIDE), (core, 0.99)):
        best[0, 0][mask] = torch.tensor(float(p)).logit()
    best.requires_grad_()
    tumors = [[ReportedTumors(region_of(), [8.0], [268.0])]]
    loss_of(best, tumors, balance=balance, soft=True, tversky_weight=0).backward()
    gradient, shells = best.grad[0, 0], halo & ~core
    assert int(shells.sum()) > 100
    assert gradient[shells].abs().max() < 1e-4 * gradient[core].abs().min()
    hard = best.detach().requires_grad_()
    loss_of(hard, tumors, balance=balance, tversky_weight=0).backward()
    assert (hard.grad[0, 0][shells] == 0).all()


def test_rank_pooling_by_hand():
    assert rank_pooling_weights(2).tolist() == pytest.approx([1.1716, 0.8284], abs=5e-5)
    assert rank_pooling_weights(1).tolist() == [1]
    assert rank_pooling_weights(3, 0.0).tolist() == [1, 1, 1]
    assert rank_pooling_weights(0).tolist() == []


@pytest.mark.parametrize("count", [1, 2, 17, 100_000])
@pytest.mark.parametrize("concentration", [0.1, 0.5, 0.99])
def test_rank_pooling_weights_fall_and_sum_to_their_number(count, concentration):
    weights = rank_pooling_weights(count, concentration)
    assert weights.sum().item() == pytest.approx(count)
    assert (weights.diff() < 0).all()
    ratio = (1 - concentration) ** ((count - 1) / count)
    assert (weights[-1] / weights[0]).item() == pytest.approx(ratio)


def test_two_voxels_by_hand():
    logits = torch.full((1, 1, 1, 1, 30), -2.0, dtype=torch.float64)
    logits[..., 4], logits[..., 5] = 2.0, 1.0
    tumors = [[ReportedTumors(torch.ones(1, 1, 30), [3.0], [2.0])]]  # 3 mm ball, 2 voxels; halo 2, rim 3 voxels
    loss = loss_of(logits, tumors, margin=0.0, tversky_weight=0)
    positive = 1.17157288 * log(1 + 2.718281828459045**-2) + 0.82842712 * log(1 + 2.718281828459045**-1)
    negative = 22 * log(1 + 2.718281828459045**-2)  # 30 voxels less 4, 5 and three on each side
    assert loss.item() == pytest.approx((positive + negative) / 30, rel=1e-7)
    own = loss_of(logits, tumors, margin=0.0, tversky_weight=0, balance="own")
    assert own.item() == pytest.approx(positive / 2 + negative / 22, rel=1e-7)


@pytest.mark.parametrize("balance", BALANCES)
def test_gradient_grows_the_core_shrinks_the_rest_and_spares_the_rim(balance):
    logits = random_logits().requires_grad_()
    region = region_of()
    loss_of(logits, [[one(6.0)]], region[None, None], balance=balance).backward()
    core, _, halo, _ = slow_pseudo_mask(logits.detach()[0, 0].sigmoid(), region, [6.0], [36 * pi], spacing_mm=MM)
    near = torch.from_numpy(distance_transform_edt(~halo[0].numpy())) <= 3
    gradient = logits.grad[0, 0]
    assert (gradient[core[0]] < 0).all()
    assert (gradient[region & ~near] > 0).all()
    assert (gradient[near & ~core[0]] == 0).all()
    assert (gradient[~region & ~near] == 0).all()


@pytest.mark.parametrize("balance", BALANCES)
def test_an_excluded_tumor_makes_every_penalised_voxel_negative(balance):
    logits = random_logits().requires_grad_()
    penalised = torch.rand(logits.shape) > 0.5
    loss_of(logits, [[ReportedTumors()]], penalised, balance=balance).backward()
    assert torch.equal(logits.grad > 0, penalised)
    assert (logits.grad >= 0).all()


@pytest.mark.parametrize("tumors", [one(None), one(6.0, complete=False), one(None, 6.0)])
def test_open_reports_ignore_the_rest_of_the_region(tumors):
    logits = random_logits().requires_grad_()
    loss_of(logits, [[tumors]]).backward()
    gradient, region = logits.grad[0, 0], region_of()
    assert (gradient[region] <= 0).all()
    assert (gradient[region] < 0).any()
    far = torch.from_numpy(distance_transform_edt(~region.numpy())) > 3
    assert (gradient[far] > 0).all() if far.any() else True
    assert (gradient[~region] >= 0).all()


@pytest.mark.parametrize("balance", BALANCES)
def test_an_unsupervised_channel_and_sample_change_nothing(balance):
    logits = random_logits(2, 2)
    alone = loss_of(logits[:1, :1], [[one(6.0, 4.0)]], balance=balance)
    among = loss_of(logits, [[one(6.0, 4.0), None], [None, None]], balance=balance)
    torch.testing.assert_close(alone, among)


def test_cross_entropy_is_the_mean_over_supervised_pairs():
    logits = random_logits(2, 1)
    tumors = [[one(6.0)], [ReportedTumors()]]
    apart = [loss_of(logits[i : i + 1], tumors[i : i + 1], tversky_weight=0) for i in range(2)]
    torch.testing.assert_close(loss_of(logits, tumors, tversky_weight=0), torch.stack(apart).mean())


@pytest.mark.parametrize("balance", BALANCES)
def test_order_in_the_report_changes_nothing(balance):
    logits = random_logits()
    assert loss_of(logits, [[one(4.0, 6.0, 5.0)]], balance=balance) == loss_of(
        logits, [[one(6.0, 5.0, 4.0)]], balance=balance
    )


def test_without_any_report_it_is_exactly_zero_and_backward_works():
    logits = random_logits(2, 2).requires_grad_()
    loss = loss_of(logits, [[None, None], [None, None]])
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_the_same_tumor_on_a_finer_grid_costs_the_same():
    def blob(spacing):
        shape = [int(48 / spacing)] * 3
        far = distances_mm(shape, [(n - 1) / 2 for n in shape], (spacing,) * 3)
        logits = (3 - 0.5 * far).float()[None, None]
        tumors = ReportedTumors(torch.ones(shape), [16.0], [pi / 6 * 16**3])
        return loss_of(logits, [[tumors]], spacing_mm=(spacing,) * 3).item()

    assert blob(1.0) == pytest.approx(blob(0.8), rel=0.03)


def test_spacing_may_differ_by_sample():
    logits = random_logits(2, 1)
    tumors = [[one(6.0)], [one(6.0)]]
    rows = [(1.0, 1.0, 1.0), (1.0, 1.0, 2.0)]
    apart = [
        loss_of(logits[i : i + 1], tumors[i : i + 1], spacing_mm=rows[i], tversky_weight=0).item() for i in range(2)
    ]
    both = loss_of(logits, tumors, spacing_mm=torch.tensor(rows), tversky_weight=0).item()
    assert both == pytest.approx(sum(apart) / 2)


def test_gradient_is_exact_where_the_choice_is_fixed():
    logits = random_logits().double()
    logits[0, 0, 6:9, 6:9, 6:9] += 8  # the ball cannot move, and no two voxels swap ranks within the probe's step
    logits.requires_grad_()
    loss_of(logits, [[one(5.0)]], tversky_weight=0).backward()
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(2)).double()
    with torch.no_grad():
        ahead, behind = (loss_of(logits + step * direction, [[one(5.0)]], tversky_weight=0) for step in (1e-6, -1e-6))
    assert (logits.grad * direction).sum().item() == pytest.approx(((ahead - behind) / 2e-6).item(), rel=1e-6)


def test_a_retained_graph_gives_the_same_gradient_again():
    logits = random_logits(1, 2).requires_grad_()
    loss = loss_of(logits, [[one(6.0), ReportedTumors()]])
    loss.backward(retain_graph=True)
    first = logits.grad.clone()
    logits.grad = None
    loss.backward()
    torch.testing.assert_close(logits.grad, first)


def test_training_on_the_loss_finds_a_hidden_tumor_of_the_reported_size():
    """A linear 'network' on one noisy feature that is five deviations higher in the tumor, from a poor start."""
    generator = torch.Generator().manual_seed(0)
    shape = (24, 24, 24)
    truth = distances_mm(shape, (9, 14, 12), MM) <= 4
    feature = truth * 2.5 + 0.5 * torch.randn(shape, generator=generator)
    weight = torch.tensor([0.1, -2.0], requires_grad=True)
    optimiser = torch.optim.Adam([weight], lr=0.05)
    tumors = [[ReportedTumors(torch.ones(shape), [8.0], [float(truth.sum())])]]
    for _ in range(150):
        logits = (weight[0] * feature + weight[1])[None, None]
        optimiser.zero_grad()
        ball_loss(logits, torch.ones(1, 1, *shape), tumors, spacing_mm=MM, balance="own").backward()
        optimiser.step()
    found = weight[0] * feature + weight[1] > 0
    dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    assert dice > 0.8


def test_autocast_changes_nothing():
    logits = random_logits().bfloat16()
    outside = loss_of(logits, [[one(6.0)]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss_of(logits, [[one(6.0)]])
    assert inside.dtype == torch.float32
    assert inside.item() == outside.item()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"penalised": torch.ones(1, 1, 2, 2, 2)}, "logits .* and penalised .* differ in shape"),
        ({"logits": torch.full((1, 1, *SHAPE), torch.nan)}, "logits holds NaN"),
        ({"tumors": []}, "tumors must hold 1 samples of 1 channels"),
        ({"tumors": [[None, None]]}, "tumors must hold 1 samples of 1 channels"),
        (
            {"tumors": [[ReportedTumors(torch.ones(3, 3, 3), [3.0], [10.0])]]},
            "logits .* and regions .* differ in shape",
        ),
        ({"concentration": 1.0}, r"concentration must be in \[0, 1\)"),
        ({"balance": "none"}, "balance must be one of crop, own, got 'none'"),
        ({"spacing_mm": [(1.0, 1.0, 1.0)] * 2}, "spacing_mm has 2 rows for a batch of 1"),
        ({"rim_mm": -1.0}, "rim_mm must not be negative"),
    ],
)
def test_errors_name_the_argument(change, message):
    arguments = {
        "logits": random_logits(),
        "penalised": torch.ones(1, 1, *SHAPE),
        "tumors": [[one(6.0)]],
        "spacing_mm": MM,
    }
    with pytest.raises(ValueError, match=message):
        ball_loss(**arguments | change)
