"""A step computed in parts is the same step, whatever its losses average over."""

import pytest
import torch
from toy_world import recipe_of

from rsuper_bench.baselines.accumulation import Losses, backward
from rsuper_bench.baselines.data import TrainingData
from rsuper_bench.baselines.networks import build_model
from rsuper_bench.baselines.objectives import OBJECTIVES

NETWORK = {"name": "toy", "fold": 2, "options": {"dropout": 0.0}}
WEIGHTS = {"segmentation": 1.0, "organs": 1.0, "volume": 1.0, "ball": 1.0, "attenuation": 1.0, "malignancy": 1.0}


def recipe(**changes):
    return recipe_of(**{"network": NETWORK, "weights": WEIGHTS, "batch": 4, "augmentation": None} | changes)


def losses_of(recipe):
    def compute(model, batch):
        offered = OBJECTIVES["combined"](model, batch, recipe.losses)
        terms = {name: offered[name]() for name in recipe.weights}
        return Losses(sum(recipe.weight(name, 1) * term for name, term in terms.items()), terms)

    return compute


def gradients(recipe, batch, parts, *, losses=None):
    torch.manual_seed(0)
    model = build_model(recipe)
    found = backward(model, batch, losses or losses_of(recipe), parts=parts, seed=5)
    return found, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def furthest(one, other):
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max() / one[name].abs().max().clamp(min=1e-6)) for name in one)


@pytest.mark.parametrize("parts", [2, 4])
@pytest.mark.parametrize("balance", ["crop", "own"])
def test_parts_give_the_gradient_of_the_whole_batch(toy_store, parts, balance):
    losses = {"segmentation": {"balance": balance}, "ball": {"balance": balance}, "volume": {"output": "final"}}
    chosen = recipe(losses=losses)
    batch = TrainingData(toy_store, chosen).batch(5)
    assert {pool for _, pool in batch.case_ids} == {"masks", "reports"}
    whole, expected = gradients(chosen, batch, 1)
    found, got = gradients(chosen, batch, parts)
    assert all(value > 0 for name, value in whole.terms.items() if name != "malignancy")
    for name, value in whole.terms.items():
        assert found.terms[name].item() == pytest.approx(value.item(), rel=1e-6), name
    assert furthest(expected, got) < 1e-5  # order of float32 sums


def test_a_sum_over_parts_would_not_give_it(toy_store):
    """The tolerance above can tell: terms averaged over a part at a time are another gradient."""
    chosen = recipe()
    batches = [TrainingData(toy_store, chosen).batch(5, range(place, place + 1)) for place in range(4)]
    _, expected = gradients(chosen, TrainingData(toy_store, chosen).batch(5), 1)
    naive = [gradients(chosen, batch, 1)[1] for batch in batches]
    summed = {name: sum(part[name] for part in naive if name in part) / 4 for name in expected}
    assert furthest(expected, summed) > 1e-2


def test_a_crop_is_the_same_in_any_share(toy_store):
    data = TrainingData(toy_store, recipe())
    whole, part = data.batch(5), data.batch(5, range(1, 3))
    assert part.case_ids == whole.case_ids[1:3]
    assert torch.equal(part.image, whole.image[1:3])


def test_noise_is_the_same_when_a_part_is_computed_again(toy_store):
    """With dropout in both passes of a part alike, the gradient is that of the loss that was measured."""
    chosen = recipe(network={"name": "toy", "fold": 2, "options": {"dropout": 0.5}})
    batch = TrainingData(toy_store, chosen).batch(5)
    seen = []

    def linear(model, batch):
        outputs = model(batch.image)
        seen.append(outputs.final.detach())
        return Losses(outputs.final.sum(), {})

    torch.manual_seed(0)
    model = build_model(chosen)
    last = []
    model.segmenter.register_forward_hook(lambda *call: last.append(call[2].final.detach()))
    backward(model, batch, linear, parts=2, seed=5)
    assert torch.equal(seen[0], torch.cat(last[-2:]))


def test_an_objective_may_show_the_model_several_images(toy_store):
    chosen = recipe()
    batch = TrainingData(toy_store, chosen).batch(5)

    def compute(model, batch):
        shown, other, unused = model(batch.image), model(batch.image * 2), model(batch.image * 3)
        assert unused.final.shape == shown.final.shape
        return Losses((shown.final.sigmoid() * other.organs).square().mean(), {})

    _, expected = gradients(chosen, batch, 1, losses=compute)
    _, got = gradients(chosen, batch, 4, losses=compute)
    assert furthest(expected, got) < 1e-5
