"""The recipes that come with the package: every row of ``recipes/rows.yaml`` at every size of ``recipes/sizes``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml

SIZES = ("demo", "small", "full")
SMOKE = "smoke"


def shipped_recipes() -> list[str]:
    """Names: a row, with its size in front unless it is the full one; and ``smoke``, which is no row."""
    rows = [row if size == "full" else f"{size}_{row}" for row in _read("rows.yaml") for size in SIZES]
    return sorted([*rows, SMOKE])


def shipped_recipe(name: str) -> dict[str, Any]:
    """Every value of a shipped recipe, as its YAML file would have them.

    Raises:
        KeyError: If there is none of that name.
    """
    if name == SMOKE:
        return dict(_read("smoke.yaml"))
    first, _, rest = name.partition("_")
    size, row = (first, rest) if first in SIZES[:2] else ("full", name)
    own, common = _read("rows.yaml")[row], _read(f"sizes/{size}.yaml")
    weights = {term: _times(factor, common["weights"][term]) for term, factor in own["weights"].items()}
    losses = _changed(common["losses"], own.get("losses", {}))
    fixed = {"name": name, "objective": own["objective"], "cases": own["cases"]}
    return {**fixed, **common, "weights": weights, "losses": losses}


def _changed(options: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A row's changes reach one level in: the other options of the same loss stay the size's."""
    inner = {key: options.get(key, {}) | value for key, value in changes.items() if isinstance(value, dict)}
    return options | changes | inner


def _times(factor: float | list[float], weight: float) -> float | list[float]:
    return [item * weight for item in factor] if isinstance(factor, list) else factor * weight


@cache
def _read(name: str) -> dict[str, Any]:
    text = (files("rsuper_bench.baselines") / "recipes" / name).read_text(encoding="utf-8")
    value: dict[str, Any] = yaml.safe_load(text)
    return value
