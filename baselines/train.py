"""The training loop, one for all objectives. It goes on at any step as if it had never stopped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch.nn.utils import clip_grad_norm_

from rsuper_bench.baselines.accumulation import Losses, backward
from rsuper_bench.baselines.augment import augmented
from rsuper_bench.baselines.batch import Batch
from rsuper_bench.baselines.distributed import Team
from rsuper_bench.baselines.feeding import Feeding, feed
from rsuper_bench.baselines.journal import Journal
from rsuper_bench.baselines.loss_log import LOSS_LOG, Measured, OnStep, StepLog, TrainingError, not_finite
from rsuper_bench.baselines.losses.arguments import NotFiniteError
from rsuper_bench.baselines.networks import Model
from rsuper_bench.baselines.objectives import OBJECTIVES
from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.baselines.run_state import Run
from rsuper_bench.baselines.schedule import learning_rate, noise_seed
from rsuper_bench.baselines.start import DATA_FILE, enough_memory, start
from rsuper_bench.baselines.stopping import stop_between_steps
from rsuper_bench.baselines.store import Store
from rsuper_bench.baselines.weights import RECIPE_FILE

__all__ = ["DATA_FILE", "LOSS_LOG", "RECIPE_FILE", "OnStep", "Run", "StepLog", "TrainingError", "train"]


def train(
    store: Store,
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    device: torch.device | str = "cpu",
    team: Team = Team(),  # noqa: B008 - frozen
    feeding: Feeding | None = None,
    stop_after: int | None = None,
    on_step: OnStep | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Run:
    """Train a recipe. The result follows from store, recipe and device, whether interrupted or not.

    Args:
        store: Prepared training cases.
        recipe: What to do.
        out: Folder of the run: recipe, losses, overlays, resume state, and at the end ``weights.safetensors``.
        resume: Go on with what is in ``out``; a fresh start if nothing is.
        device: Where to train.
        team: The processes that share each batch (distributed.py).
        feeding: Who makes the batches; None for what suits the device.
        stop_after: Stop after so many steps, as if interrupted.
        on_step: Called for each step, in order; on a GPU some steps later.
        on_note: Called with each warning of the start.

    Raises:
        ConfigError: The recipe cannot work here, or ``out`` holds another run; all problems at once.
        DataError: The store lacks what the recipe needs, or the disk is full; the last saved state stays.
        TrainingError: A loss is not finite; the last saved state stays.
    """
    run, data = start(store, recipe, out, resume=resume, device=torch.device(device), team=team, on_note=on_note)
    last = recipe.steps if stop_after is None else min(recipe.steps, run.step + stop_after)
    read = partial(data.batch, crops=team.share(recipe.batch))
    batches = feed(read, range(run.step, last), feeding or Feeding.on(run.device), run.device)
    with stop_between_steps(alone=team.size == 1) as stop, Journal(run, team, on_step) as journal:
        try:
            while run.step < last and not stop.asked:
                with enough_memory(recipe):
                    batch = augmented(next(batches))
                    journal.add(_step(run, batch, team))  # on a CPU a step that is not finite ends here
                    run.update(learning_rate(recipe, run.step))
                journal.after_step(batch)
        finally:
            batches.close()
        if stop.asked and run.step < last:
            raise KeyboardInterrupt
    return run


def _step(run: Run, batch: Batch, team: Team) -> Measured:
    """Gradients of a step, clipped, and its losses."""
    recipe, stage = run.recipe, run.recipe.stage_at(run.step)[0]
    case_ids = tuple(case_id for case_id, _ in batch.case_ids)

    def losses_of(model: Model, batch: Batch) -> Losses:
        weights = {name: recipe.weight(name, stage) for name in recipe.weights}
        offered = OBJECTIVES[recipe.objective](model, batch, recipe.losses)
        terms = {}
        for name in (name for name, weight in weights.items() if weight > 0):
            try:
                terms[name] = offered[name]()
            except NotFiniteError as cause:
                raise not_finite(run.step + 1, f"{name}: {cause}", case_ids) from None
        return Losses(torch.stack([weights[name] * term for name, term in terms.items()]).sum(), terms)

    run.optimizer.zero_grad(set_to_none=True)
    with team.whole_batch():
        seed = noise_seed(recipe, run.step, team.rank)
        losses = backward(run.model, batch, losses_of, parts=recipe.accumulate, seed=seed)
    team.average_gradients(run.model.parameters())
    norm = clip_grad_norm_(run.model.parameters(), recipe.max_grad_norm)
    rate = learning_rate(recipe, run.step)
    return Measured.of(run.step + 1, stage, rate, norm, losses, case_ids)
