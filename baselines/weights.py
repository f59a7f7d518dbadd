"""The weights of a finished run: averaged tensors, and in their header the recipe that says what they mean.

A prediction needs both, and another recipe of the same shapes gives other numbers without a word: another grid, window,
gate or order of tumor types. So the recipe beside the weights must be the one they were trained with.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from torch import Tensor

from rsuper_bench.baselines.checkpoint import WEIGHTS_FILE, Saved, read_checkpoint, write_checkpoint
from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import canonical_json, read_text

RECIPE_FILE = "recipe.yaml"
RECIPE_KEY = "recipe_json"  # the recipe itself: unlike a digest, it can still be compared once recipes have more keys
DIGEST_KEY = "recipe"


def write_weights(folder: Path, tensors: Mapping[str, Tensor], recipe: Recipe, metadata: Mapping[str, str]) -> None:
    """Write the weights of a recipe, atomically; ``metadata`` stands in the header beside the recipe."""
    own = {DIGEST_KEY: recipe.digest, RECIPE_KEY: canonical_json(recipe)}
    write_checkpoint(folder / WEIGHTS_FILE, tensors, {**metadata, **own})


def read_weights(folder: Path, recipe: Recipe) -> dict[str, Tensor]:
    """Tensors of a finished run.

    Args:
        folder: Of the run.
        recipe: That beside the weights.

    Raises:
        DataError: They cannot be read, or were trained with another recipe, or do not say with which.
    """
    saved = read_checkpoint(folder / WEIGHTS_FILE)
    if (found := _mismatch(saved, recipe, folder)) is not None:
        where = f"{folder / RECIPE_FILE} and {WEIGHTS_FILE}"
        fix = "Put back the recipe.yaml that `train` wrote beside these weights; to try other values, train with them."
        raise DataError.of([Problem(where, found, "the recipe the weights were trained with", fix)])
    return saved.tensors


def are_of(folder: Path, recipe: Recipe) -> bool:
    """Whether a folder holds whole weights of a recipe."""
    try:
        read_weights(folder, recipe)
    except DataError:
        return False
    return True


def written_recipe(folder: Path) -> Any:
    """The recipe of a run as its file has it; None where it cannot be read."""
    try:
        return yaml.safe_load(read_text(folder / RECIPE_FILE, ConfigError))
    except (yaml.YAMLError, RecursionError, ConfigError):
        return None


def _mismatch(saved: Saved, recipe: Recipe, folder: Path) -> str | None:
    """How a recipe is not that of the weights; None where it is."""
    text, digest = saved.metadata.get(RECIPE_KEY), saved.metadata.get(DIGEST_KEY)
    if text is None:  # as weights were written before their header held the recipe
        if digest is None:
            return "the header of the weights names no recipe"
        same = recipe.has_digest(digest, written_recipe(folder))
        return None if same else "the weights are of another recipe; which one is not known"
    try:
        trained = Recipe.model_validate_json(text)
    except ValidationError:
        return "the header of the weights holds a recipe that this version cannot read"
    if trained.digest == recipe.digest:
        return None
    return f"the weights are of another recipe ({recipe.differences_from(trained.model_dump(mode='json'))})"
