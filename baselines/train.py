"""The training loop, one for all objectives, and what it needs to stop and go on at any step."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from rsuper_bench.baselines.augment import augmented
from rsuper_bench.baselines.batch import Batch
from rsuper_bench.baselines.checkpoint import (
    STATE_FILE,
    WEIGHTS_FILE,
    load_into,
    load_optimizer,
    optimizer_tensors,
    read_state,
    write_checkpoint,
    write_state,
)
from rsuper_bench.baselines.data import TrainingData
from rsuper_bench.baselines.networks import Model, build_model
from rsuper_bench.baselines.objectives import OBJECTIVES
from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.baselines.schedule import ema_decay, learning_rate
from rsuper_bench.baselines.store import Store
from rsuper_bench.benchmark.errors import ConfigError, Problem, RsuperBenchError
from rsuper_bench.benchmark.files import canonical_json, pretty_json, write_text

RECIPE_FILE = "recipe.yaml"
LOSS_LOG = "losses.jsonl"
DATA_FILE = "training_data.json"
READ_AHEAD = 2


class TrainingError(RsuperBenchError):
    """Training met a loss or gradient that is not finite."""


@dataclass(frozen=True)
class StepLog:
    """One line of ``losses.jsonl``."""

    step: int
    stage: int
    learning_rate: float
    loss: float
    grad_norm: float
    terms: dict[str, float]


OnStep = Callable[[StepLog], None]


@dataclass
class Run:
    """A training run in memory. ``step`` is the number of finished steps."""

    folder: Path
    recipe: Recipe
    model: Model
    optimizer: torch.optim.Optimizer
    store_digest: str
    device: torch.device
    step: int = 0
    ema: dict[str, Tensor] = field(default_factory=dict)
    log: list[StepLog] = field(default_factory=list)

    def follow(self) -> None:
        """Move the averaged weights towards the current ones."""
        decay = ema_decay(self.recipe, self.step)
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.ema[name].lerp_(value, 1 - decay)

    def save(self) -> None:
        """Write log and resume state; either is whole at any time."""
        with (self.folder / LOSS_LOG).open("a", encoding="utf-8") as file:
            file.writelines(canonical_json(vars(line)) + "\n" for line in self.log)
        self.log.clear()
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"ema/{name}": value for name, value in self.ema.items()}
        tensors |= {f"optimizer/{name}": value for name, value in optimizer_tensors(self.optimizer).items()}
        write_state(self.folder, tensors, self._identity() | {"step": str(self.step)})

    def restore(self) -> None:
        """Go back to the last saved state, if there is one.

        Raises:
            ConfigError: If it belongs to another recipe or store.
            DataError: If it cannot be read.
        """
        saved = read_state(self.folder)
        if saved is None:
            return
        where = str(self.folder / STATE_FILE)
        if any(saved.metadata.get(key) != value for key, value in self._identity().items()):
            raise ConfigError.of(
                [
                    Problem(
                        where,
                        "state of another recipe or of other prepared cases",
                        f"recipe {self.recipe.name} as it is now and the same data",
                        "Resume with what the run was started with, or name a new --out.",
                    )
                ]
            )
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "ema": {}, "optimizer": {}}
        for name, tensor in saved.tensors.items():
            part, _, rest = name.partition("/")
            parts.setdefault(part, {})[rest] = tensor
        load_into(self.model, parts["model"], where)
        for name, value in self.ema.items():
            value.copy_(parts["ema"][name])
        load_optimizer(self.optimizer, parts["optimizer"])
        self.step = int(saved.metadata["step"])
        self._cut_log()

    def finish(self) -> None:
        """Write the averaged weights, which prediction uses."""
        own = {name.removeprefix("segmenter."): tensor for name, tensor in self.ema.items() if "segmenter." in name}
        write_checkpoint(self.folder / WEIGHTS_FILE, own, self._identity() | {"step": str(self.step)})

    def _identity(self) -> dict[str, str]:
        return {"recipe": self.recipe.digest, "store": self.store_digest}

    def _cut_log(self) -> None:
        """Drop lines of steps that will be done again."""
        path = self.folder / LOSS_LOG
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= self.step]
            write_text(path, "".join(f"{line}\n" for line in kept))


def train(
    store: Store,
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    device: torch.device | str = "cpu",
    stop_after: int | None = None,
    on_step: OnStep | None = None,
) -> Run:
    """Train a recipe. The result follows from store, recipe and device, whether interrupted or not.

    Args:
        store: Prepared training cases.
        recipe: What to do.
        out: Folder of the run: recipe, loss log, resume state, and at the end ``weights.safetensors``.
        resume: Go on with what is in ``out``; a fresh start if nothing is.
        device: Where to train.
        stop_after: Stop after so many steps, as if interrupted.
        on_step: Called after each step.

    Raises:
        ConfigError: The recipe cannot work, or ``out`` holds another run.
        DataError: The store lacks what the recipe needs.
        TrainingError: A loss is not finite; the last saved state stays.
    """
    store.check(recipe)
    data = TrainingData(store, recipe)
    run = _start(store, recipe, out, resume=resume, device=torch.device(device))
    write_text(out / RECIPE_FILE, recipe.to_yaml())
    write_text(out / DATA_FILE, pretty_json({"release": store.info.release_digest, **data.summary()}))
    last = recipe.steps if stop_after is None else min(recipe.steps, run.step + stop_after)
    objective = OBJECTIVES[recipe.objective]
    batches = _batches(data, run.step, last)
    try:
        while run.step < last:
            seed = (recipe.seed * 1_000_003 + run.step) % 2**63
            torch.manual_seed(seed)  # dropout too follows from the step alone
            batch = augmented(next(batches).to(run.device))
            stage, _ = recipe.stage_at(run.step)
            weights = {name: recipe.weight(name, stage) for name in recipe.weights}
            offered = objective(run.model, batch, recipe.losses)
            terms = {name: offered[name]() for name, weight in weights.items() if weight > 0}
            loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
            _check_finite(loss, terms, batch, run.step)
            run.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = clip_grad_norm_(run.model.parameters(), recipe.max_grad_norm)
            _check_finite(norm, {"gradient": norm}, batch, run.step)
            rate = learning_rate(recipe, run.step)
            for group in run.optimizer.param_groups:
                group["lr"] = rate
            run.optimizer.step()
            run.follow()
            run.step += 1
            values = {name: term.item() for name, term in terms.items()}
            run.log.append(StepLog(run.step, stage, rate, loss.item(), float(norm), values))
            if on_step is not None:
                on_step(run.log[-1])
            if run.step % recipe.save_every == 0:
                run.save()
    finally:
        batches.close()
        if run.log:
            run.save()
    if run.step == recipe.steps:
        run.finish()
    return run


def _start(store: Store, recipe: Recipe, out: Path, *, resume: bool, device: torch.device) -> Run:
    if not resume and (out / STATE_FILE).exists():
        raise ConfigError.of(
            [Problem(str(out), "holds a run", "a new folder", "Add --resume to go on with it, or name another --out.")]
        )
    torch.manual_seed(recipe.seed)
    model = build_model(recipe).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), betas=recipe.betas, weight_decay=recipe.weight_decay)
    ema = {name: value.detach().clone() for name, value in model.state_dict().items()}
    run = Run(out, recipe, model, optimizer, store.digest, device, ema=ema)
    out.mkdir(parents=True, exist_ok=True)
    if resume:
        run.restore()
    return run


def _batches(data: TrainingData, first: int, last: int) -> Generator[Batch, None, None]:
    """Batches of steps in order, made a little ahead in another thread; a batch depends on its step alone."""
    with ThreadPoolExecutor(1) as pool:
        ahead: deque[Future[Batch]] = deque()
        for step in range(first, last):
            ahead.append(pool.submit(data.batch, step))
            if len(ahead) > READ_AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _check_finite(value: Tensor, terms: Mapping[str, Tensor], batch: Batch, step: int) -> None:
    if bool(torch.isfinite(value)):
        return
    wrong = [f"{name} is {term.item()}" for name, term in terms.items() if not bool(torch.isfinite(term))]
    raise TrainingError.of(
        [
            Problem(
                f"step {step + 1}",
                ", ".join(wrong) or "the weighted sum of the terms is not finite",
                "finite losses",
                f"Look at {', '.join(case_id for case_id, _ in batch.case_ids)}; lower learning_rate or that weight. "
                "The last saved state is kept.",
            )
        ]
    )
