"""Learning rate, EMA and seeds as functions of the step."""

from __future__ import annotations

from rsuper_bench.baselines.recipe import Recipe

EXPONENTIAL_START = 0.01  # part of the peak rate at which an exponential warm-up starts


def learning_rate(recipe: Recipe, step: int) -> float:
    """Warm-up to the stage's rate, then polynomial decay to 0 at its end (METHOD 8).

    Linear: equal additions from 0. Exponential: equal factors from a hundredth of the rate (*ours*: no source says
    from where).

    Args:
        recipe: Its stages and ``poly_power``.
        step: From 0, over all stages.
    """
    index, inside = recipe.stage_at(step)
    stage = recipe.stages[index]
    if inside < stage.warmup_steps:
        done = (inside + 1) / stage.warmup_steps
        return float(stage.learning_rate * (done if stage.warmup == "linear" else EXPONENTIAL_START ** (1 - done)))
    left = 1 - (inside - stage.warmup_steps) / (stage.steps - stage.warmup_steps)
    return float(stage.learning_rate * left**recipe.poly_power)


def ema_decay(recipe: Recipe, step: int) -> float:
    """The recipe's decay, lower in the first steps so that a short run forgets its random start."""
    return min(recipe.ema, (1 + step) / (10 + step))


def noise_seed(recipe: Recipe, step: int, rank: int) -> int:
    """Seed of the noise inside the network, which follows from step and process alone."""
    return (recipe.seed * 1_000_003 + step + rank * 2**40) % 2**63
