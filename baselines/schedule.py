"""Learning rate and EMA as functions of the step."""

from __future__ import annotations

from rsuper_bench.baselines.recipe import Recipe


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up to the stage's rate, then polynomial decay to 0 at its end (METHOD 8).

    Args:
        recipe: Its stages and ``poly_power``.
        step: From 0, over all stages.
    """
    index, inside = recipe.stage_at(step)
    stage = recipe.stages[index]
    if inside < stage.warmup_steps:
        return stage.learning_rate * (inside + 1) / stage.warmup_steps
    left = 1 - (inside - stage.warmup_steps) / (stage.steps - stage.warmup_steps)
    return float(stage.learning_rate * left**recipe.poly_power)


def ema_decay(recipe: Recipe, step: int) -> float:
    """The recipe's decay, lower in the first steps so that a short run forgets its random start."""
    return min(recipe.ema, (1 + step) / (10 + step))
