import pytest
import torch
from torch.nn.functional import cross_entropy

from rsuper_bench.baselines.losses import (
    AttenuationTarget,
    attenuation_classifier,
    attenuation_features,
    attenuation_loss,
    attenuation_supervised,
    attenuation_target,
    attenuation_target_from_mask,
)
from rsuper_bench.benchmark.records import Attenuation

HYPO, HYPER, MIXED, NONE = 0, 1, 2, -1


def scene(tumor_hu=20.0, organ_hu=100.0, noise=10.0, seed=0):
    """CT, organ mask and tumor mask of one sample: an organ box with a darker box in it."""
    generator = torch.Generator().manual_seed(seed)
    organ, tumor = torch.zeros(1, 1, 12, 12, 12), torch.zeros(1, 1, 12, 12, 12)
    organ[..., 2:10, 2:10, 2:10] = 1
    tumor[..., 4:7, 4:7, 4:7] = 1
    ct = torch.where(tumor > 0, tumor_hu, organ_hu) * organ - 80 * (1 - organ)
    return ct + noise * torch.randn(ct.shape, generator=generator) * organ, organ, tumor


def test_features_by_hand():
    ct = torch.tensor([50.0, 150.0, 250.0, 999.0]).view(1, 1, 4, 1, 1).double()
    organ = torch.tensor([1.0, 1.0, 1.0, 0.0]).view(1, 1, 4, 1, 1).double()
    tumor = torch.tensor([0.0, 0.5, 1.0, 1.0]).view(1, 1, 4, 1, 1).double()  # the last lies outside the organ
    # organ: values 0, 1 with weights 1, 0.5: mean 1/3, variance (1/9 + 0.5 * 4/9) / 1.5 = 2/9
    # tumor: values 1, 2 with weights 0.5, 1: mean 5/3, variance 2/9
    expected = [1 / 3, 2**0.5 / 3, 5 / 3, 2**0.5 / 3, 4 / 3, 0, 3 / 4, 1.5 / 4]
    assert attenuation_features(tumor, organ, ct)[0].tolist() == pytest.approx(expected, abs=2e-6)


def test_gradients_are_exact_in_double_precision():
    torch.manual_seed(0)
    ct, organ = 100 * torch.randn(2, 1, 3, 3, 2).double(), torch.rand(2, 1, 3, 3, 2).double()
    tumor = torch.rand(2, 1, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: attenuation_features(t, organ, ct), (tumor,))


@pytest.mark.parametrize(("target", "brighter_grows"), [(HYPER, True), (HYPO, False)])
@pytest.mark.parametrize("level", [0.5, 1e-4])
def test_sign_moves_the_channel_towards_the_stated_side_even_when_it_is_faint(target, brighter_grows, level):
    ct, organ, _ = scene()
    logits = torch.logit(torch.full_like(ct, level)).requires_grad_()
    attenuation_loss(logits.sigmoid(), organ, ct, torch.tensor([target])).sum().backward()
    inside = organ[0, 0] > 0
    grown = logits.grad[0, 0][inside] < 0
    dark = ct[0, 0][inside] < 50
    bright = ct[0, 0][inside] > 110
    assert grown[dark].all() != brighter_grows
    assert grown[bright].all() == brighter_grows
    assert logits.grad.abs().max() > 1e-5
    assert (logits.grad[0, 0][~inside] == 0).all()


def test_sign_is_zero_once_the_difference_is_large_enough():
    ct, organ, tumor = scene()
    assert attenuation_loss(tumor, organ, ct, torch.tensor([HYPO])).item() == 0
    away = attenuation_features(tumor, organ, ct)[0]
    wrong_side = 1 - (away[4] / away[1]).item()
    assert attenuation_loss(tumor, organ, ct, torch.tensor([HYPER])).item() == pytest.approx(wrong_side)


def test_unsupervised_samples_are_zero():
    ct, organ, tumor = scene()
    probability = (0.5 * tumor).repeat(3, 1, 1, 1, 1).requires_grad_()
    many = organ.repeat(3, 1, 1, 1, 1), ct.repeat(3, 1, 1, 1, 1)
    target = torch.tensor([HYPER, NONE, MIXED])
    losses = attenuation_loss(probability, *many, target)
    losses.sum().backward()
    assert (losses > 0).tolist() == [True, False, False]
    assert attenuation_supervised(target).tolist() == [True, False, False]
    assert (probability.grad[1:] == 0).all()
    classifier = attenuation_classifier("mlp")
    assert (attenuation_loss(probability, *many, target, classifier=classifier) > 0).tolist() == [True, False, True]
    assert attenuation_supervised(target, classifier).tolist() == [True, False, True]


@pytest.mark.parametrize("kind", ["mlp", "linear"])
def test_a_classifier_learns_the_words_from_masks_and_then_moves_the_channel(kind):
    torch.manual_seed(0)
    classifier = attenuation_classifier(kind)
    optimiser = torch.optim.Adam(classifier.parameters(), lr=0.03)
    scenes = [scene(tumor_hu=hu, seed=i) for i, hu in enumerate((20.0, 180.0) * 4)]
    ct, organ, tumor = (torch.cat(parts) for parts in zip(*scenes, strict=True))
    target = torch.tensor([HYPO, HYPER] * 4)
    for _ in range(100):
        optimiser.zero_grad()
        attenuation_loss(tumor, organ, ct, target, classifier=classifier).mean().backward()
        optimiser.step()
    assert attenuation_loss(tumor, organ, ct, target, classifier=classifier).max() < 0.2

    logits = torch.zeros_like(ct[:1]).requires_grad_()
    attenuation_loss(logits.sigmoid(), organ[:1], ct[:1], target[:1], classifier=classifier).sum().backward()
    assert logits.grad[tumor[:1] > 0].mean() < logits.grad[(organ - tumor)[:1] > 0].mean()


def test_the_classifier_gives_the_cross_entropy_of_its_answer():
    ct, organ, tumor = scene()
    classifier = attenuation_classifier("linear")
    expected = cross_entropy(classifier(attenuation_features(tumor, organ, ct)), torch.tensor([MIXED]))
    torch.testing.assert_close(
        attenuation_loss(tumor, organ, ct, torch.tensor([MIXED]), classifier=classifier)[0], expected
    )


def test_autocast_changes_nothing():
    ct, organ, tumor = scene()
    classifier = attenuation_classifier("mlp")
    arguments = tumor.bfloat16() * 0.5, organ, ct, torch.tensor([HYPO])
    outside = attenuation_loss(*arguments, classifier=classifier)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = attenuation_loss(*arguments, classifier=classifier)
    assert inside.item() == outside.item()


def test_an_empty_organ_and_an_empty_tumor_stay_finite():
    ct, organ, _ = scene()
    for empty_organ in (torch.zeros_like(organ), organ):
        probability = torch.zeros_like(ct, requires_grad=True)
        for classifier in (None, attenuation_classifier("mlp")):
            loss = attenuation_loss(probability, empty_organ, ct, torch.tensor([HYPO]), classifier=classifier)
            loss.sum().backward()
            assert torch.isfinite(loss).all()
            assert torch.isfinite(probability.grad).all()


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (["hypo", "hypo"], HYPO),
        (["hyper"], HYPER),
        (["hypo", "hyper"], MIXED),
        (["mixed"], MIXED),
        (["hypo", "unknown"], NONE),
        (["iso"], NONE),
        ([], NONE),
    ],
)
def test_target_of_a_report(stated, expected):
    assert attenuation_target([Attenuation(word) for word in stated]) == expected


def test_target_of_masks():
    ct, organ, tumor = (volume[0, 0] for volume in scene(tumor_hu=20.0))
    assert attenuation_target_from_mask(ct, tumor, organ) == AttenuationTarget.HYPO
    assert attenuation_target_from_mask(-ct, tumor, organ) == AttenuationTarget.HYPER
    same = torch.zeros_like(tumor)
    same[8, 8, 8] = 1
    mean = ct[(organ > 0) & (tumor == 0)].mean()
    ct[8, 8, 8] = mean
    assert attenuation_target_from_mask(ct, same, organ) == AttenuationTarget.NONE
    assert attenuation_target_from_mask(ct, same + tumor, organ) == AttenuationTarget.HYPO  # the other is skipped
    ct[8, 8, 8] = mean + 500
    assert attenuation_target_from_mask(ct, same + tumor, organ) == AttenuationTarget.MIXED
    assert attenuation_target_from_mask(ct, 0 * tumor, organ) == AttenuationTarget.NONE
    assert attenuation_target_from_mask(ct, tumor, 0 * organ) == AttenuationTarget.NONE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"organ": torch.ones(1, 1, 4, 4, 5)}, "probability .* and organ .* differ in shape"),
        ({"ct_hu": torch.full((1, 1, 4, 4, 4), torch.nan)}, "ct_hu holds NaN"),
        ({"target": torch.tensor([3])}, "target must hold classes -1 to 2"),
        ({"target": torch.tensor([0.0])}, r"target must be \(1,\) integers"),
        ({"target": torch.tensor([0, 1])}, r"target must be \(1,\) integers"),
    ],
)
def test_errors_name_the_argument(change, message):
    arguments = {name: torch.ones(1, 1, 4, 4, 4) for name in ("probability", "organ", "ct_hu")}
    with pytest.raises(ValueError, match=message):
        attenuation_loss(**arguments | {"target": torch.tensor([0])} | change)


def test_an_unknown_classifier_is_refused():
    with pytest.raises(ValueError, match="kind must be one of mlp, linear, sign, got 'svm'"):
        attenuation_classifier("svm")
