"""Weights are used with the recipe they were trained with, and with no other."""

import json

import pytest
import torch
import yaml
from toy_world import recipe_of

from rsuper_bench.baselines.checkpoint import read_checkpoint, write_checkpoint
from rsuper_bench.baselines.networks import build_model
from rsuper_bench.baselines.predictor import Predictor
from rsuper_bench.baselines.weights import are_of, read_weights, write_weights, written_recipe
from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.files import digest_of


@pytest.fixture
def run(tmp_path):
    """What `predict` reads of a run, without training."""
    recipe = recipe_of()
    write_weights(tmp_path, build_model(recipe).segmenter.state_dict(), recipe, {"step": "8"})
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    return tmp_path


def test_a_recipe_comes_back_from_its_file_as_that_of_the_weights(run):
    assert Predictor(run).recipe == recipe_of()
    assert read_checkpoint(run / "weights.safetensors").metadata["step"] == "8"


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"grid_mm": 3.0}, r"grid_mm: 4\.0 -> 3\.0"),
        ({"organ_gate": "none"}, "organ_gate: release -> none"),
        ({"tumor_types": ("kidney", "liver")}, r"tumor_types: \['liver', 'kidney'\] -> \['kidney', 'liver'\]"),
        ({"name": "\x1b[2J"}, r"name: toy -> \?\[2J"),  # and no terminal obeys it
        ({"network": {"name": "toy", "fold": 2, "options": {"width": 12}}}, r"network\)"),  # shapes differ too
    ],
)
def test_another_recipe_beside_the_weights_is_refused(run, change, shown):
    (run / "recipe.yaml").write_text(recipe_of(**change).to_yaml())
    with pytest.raises(DataError, match=rf"recipe\.yaml and weights.*another recipe \({shown}") as caught:
        Predictor(run)
    assert len(caught.value.problems) == 1
    assert not are_of(run, recipe_of(**change))


def test_weights_from_before_recipes_had_a_key_are_those_of_its_default(run):
    saved = read_checkpoint(run / "weights.safetensors")
    older = json.loads(saved.metadata["recipe_json"])
    assert older.pop("accumulate") == 1
    header = {"recipe": "digest of that time", "recipe_json": json.dumps(older)}
    write_checkpoint(run / "weights.safetensors", saved.tensors, header)
    assert read_weights(run, recipe_of()).keys() == saved.tensors.keys()
    with pytest.raises(DataError, match=r"accumulate: 1 -> 2"):
        read_weights(run, recipe_of(accumulate=2))


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ({}, "names no recipe"),
        ({"recipe": "0" * 64}, "which one is not known"),
        ({"recipe_json": "{}"}, "cannot read"),
        ({"recipe_json": "[" * 100_000}, "cannot read"),
        ({"recipe_json": '{"name": "x"', "recipe": recipe_of().digest}, "cannot read"),
    ],
)
def test_weights_that_do_not_say_whose_they_are_are_refused(run, header, found):
    weights = run / "weights.safetensors"
    write_checkpoint(weights, read_checkpoint(weights).tensors, header)
    with pytest.raises(DataError, match=found):
        Predictor(run)


def test_weights_that_hold_only_the_digest_are_taken_by_it(run):
    weights = run / "weights.safetensors"
    write_checkpoint(weights, read_checkpoint(weights).tensors, {"recipe": recipe_of().digest})
    assert all(torch.isfinite(value).all() for value in Predictor(run).network.parameters())


def older_recipe(folder, **changes):
    """A recipe.yaml from before recipes had two of their keys, and its digest at that time."""
    written = recipe_of(**changes).model_dump(mode="json")
    assert written.pop("report_errors") == 0
    assert written["losses"].pop("unsized") is True
    (folder / "recipe.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
    return digest_of(written)


def test_weights_with_the_digest_of_an_older_version_are_taken_with_the_recipe_beside_them(run):
    weights = run / "weights.safetensors"
    header = {"recipe": older_recipe(run)}
    assert header["recipe"] != recipe_of().digest
    write_checkpoint(weights, read_checkpoint(weights).tensors, header)
    assert Predictor(run).recipe == recipe_of()
    assert not are_of(run, recipe_of(report_errors=0.1))
    older_recipe(run, grid_mm=3.0)
    with pytest.raises(DataError, match="which one is not known"):
        Predictor(run)


@pytest.mark.parametrize("text", ["{a: 2026-11-26}", "{a: .nan}", "[1, 2]", "", "{a: [", "[" * 3000])
def test_what_stands_beside_a_digest_may_be_anything(run, text):
    (run / "recipe.yaml").write_text(text)
    assert not recipe_of().has_digest("0" * 64, written_recipe(run))
