"""What each objective learns from, and that its terms are named and finite."""

import pytest
import torch
from toy_world import recipe_of

from rsuper_bench.baselines.data import TrainingData
from rsuper_bench.baselines.networks import build_model
from rsuper_bench.baselines.objectives import OBJECTIVES
from rsuper_bench.baselines.recipe import TERMS

WEIGHTS = dict.fromkeys(TERMS["combined"], 1.0)
SETTINGS = {
    "mask_only": {
        "objective": "mask_only",
        "cases": [{"masks": 1}, {"masks": 1}],
        "weights": {"segmentation": 1, "organs": 1},
    },
    "report_only": {"objective": "report_only", "cases": [{"reports": 1}, {"reports": 1}], "weights": WEIGHTS},
    "combined": {"objective": "combined", "cases": [{"masks": 1}, {"masks": 1, "reports": 1}], "weights": WEIGHTS},
    "multi_task": {
        "objective": "multi_task",
        "cases": [{"masks": 1, "reports": 1}] * 2,
        "weights": {"segmentation": 1, "organs": 1, "presence": 1},
    },
    "clip_like": {
        "objective": "clip_like",
        "cases": [{"reports": 1}, {"masks": 1, "reports": 1}],
        "weights": {"segmentation": 1, "organs": 1, "contrast": 1},
    },
    "models_genesis": {
        "objective": "models_genesis",
        "cases": [{"masks": 1, "reports": 1}] * 2,
        "weights": {"segmentation": 1, "organs": 1, "restoration": 1},
    },
    "pseudo_labels": {
        "objective": "pseudo_labels",
        "cases": [{"masks": 1}, {"masks": 1}],
        "weights": {"segmentation": 1, "organs": 1},
    },
}


def terms_of(store, objective, step=5, **changes):
    recipe = recipe_of(**SETTINGS[objective], **({"crop": (24, 16, 16), "batch": 4} | changes))
    torch.manual_seed(0)
    model = build_model(recipe).eval()
    offered = OBJECTIVES[objective](model, TrainingData(store, recipe).batch(step), recipe.losses)
    return {name: compute() for name, compute in offered.items()}, model


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_terms_are_those_the_recipe_weighs_and_reach_the_network(toy_store, objective):
    terms, model = terms_of(toy_store, objective, batch=8)
    assert tuple(terms) == TERMS[objective]
    for name, term in terms.items():
        model.zero_grad()
        term.backward(retain_graph=True)
        gradients = [parameter.grad for parameter in model.segmenter.parameters() if parameter.grad is not None]
        assert torch.isfinite(term)
        assert any(gradient.abs().sum() > 0 for gradient in gradients), name


def test_batches_of_masks_alone_give_report_terms_of_exactly_zero(toy_store):
    terms, _ = terms_of(toy_store, "combined", step=0)  # the first stage of combined sees masks only
    assert terms["volume"] == 0
    assert terms["ball"] == 0
    assert terms["segmentation"] > 0


@pytest.mark.parametrize("variant", ["mlp", "linear", "sign"])
def test_attenuation_variants(toy_store, variant):
    terms, model = terms_of(toy_store, "report_only", losses={"attenuation": {"variant": variant}})
    assert terms["attenuation"] > 0
    assert (model.attenuation is None) == (variant == "sign")


def test_a_noise_aware_volume_needs_no_tolerance(toy_store):
    def volume(**options):
        return terms_of(toy_store, "report_only", losses={"volume": options})[0]["volume"].item()

    assert volume(target="noise_aware", tolerance=0.0) == volume(target="noise_aware", tolerance=0.9)
    assert volume(target="noise_aware") != volume()
    assert volume(tolerance=0.9) < volume()


def test_masks_teach_the_words_of_attenuation_without_touching_the_network(toy_store):
    terms, model = terms_of(toy_store, "combined", step=0)
    terms["attenuation"].backward()
    assert all(p.grad is None or p.grad.abs().sum() == 0 for p in model.segmenter.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.attenuation.parameters())


def test_background_of_the_organ_alone_ignores_the_rest(toy_store):
    recipe = recipe_of(**SETTINGS["mask_only"], crop=(24, 16, 16), losses={"segmentation": {"background": "organ"}})
    batch = TrainingData(toy_store, recipe).batch(0)
    model = build_model(recipe).eval()
    outputs = model(batch.image)
    term = OBJECTIVES["mask_only"](model, batch, recipe.losses)["segmentation"]()
    term.backward()
    # the bias of a folded network moves with what is supervised: compare with the loss of changed outer voxels
    inside = batch.targets.organ | batch.targets.mask
    changed = outputs.final.detach().masked_fill(~inside, 5.0)
    from rsuper_bench.baselines.losses import segmentation_loss

    again = segmentation_loss(changed, batch.targets.mask, batch.targets.known & inside)
    assert again.item() == pytest.approx(term.item(), abs=1e-6)


def test_the_malignancy_term_reaches_its_channels(toy_store):
    weights = WEIGHTS | {"malignancy": 1.0}
    recipe = recipe_of(**SETTINGS["combined"] | {"weights": weights}, crop=(24, 16, 16), batch=4)
    torch.manual_seed(0)
    model = build_model(recipe).eval()
    batch = TrainingData(toy_store, recipe).batch(5)
    offered = OBJECTIVES["combined"](model, batch, recipe.losses)
    assert tuple(offered) == (*TERMS["combined"], "malignancy")
    term = offered["malignancy"]()
    term.backward()
    assert torch.isfinite(term)
    assert term > 0
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.segmenter.parameters())


def test_mask_only_has_no_malignancy_term():
    from pydantic import ValidationError

    weights = SETTINGS["mask_only"]["weights"] | {"malignancy": 1.0}
    with pytest.raises(ValidationError, match="mask_only has no term malignancy"):
        recipe_of(**SETTINGS["mask_only"] | {"weights": weights})
