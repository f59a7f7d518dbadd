"""A training run in memory, and how it is saved and taken up again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from rsuper_bench.baselines.checkpoint import (
    STATE_FILE,
    Saved,
    load_into,
    load_optimizer,
    optimizer_tensors,
    read_state,
    write_state,
)
from rsuper_bench.baselines.networks import Model, build_model
from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.baselines.schedule import ema_decay
from rsuper_bench.baselines.weights import write_weights, written_recipe
from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem


@dataclass
class Run:
    """A training run in memory. ``step`` is the number of finished steps.

    Attributes:
        folder: Of the run.
        recipe: What it does.
        model: Current weights.
        optimizer: AdamW.
        store_digest: Of the prepared cases.
        device: Where it computes.
        provenance: Written beside the weights: versions, device, digests (provenance.py).
        step: Finished steps.
        ema: Averaged weights by name.
        whole: False while a step changes the weights: what is then in memory belongs to no step.
    """

    folder: Path
    recipe: Recipe
    model: Model
    optimizer: torch.optim.Optimizer
    store_digest: str
    device: torch.device
    provenance: dict[str, str]
    step: int = 0
    ema: dict[str, Tensor] = field(default_factory=dict)
    whole: bool = True

    @classmethod
    def fresh(
        cls, folder: Path, recipe: Recipe, *, store_digest: str, device: torch.device, provenance: dict[str, str]
    ) -> Run:
        """A run before its first step; its weights follow from the recipe.

        Raises:
            ConfigError: The network cannot be built, or cannot take the recipe's crop.
        """
        torch.manual_seed(recipe.seed)
        model = build_model(recipe, device)
        optimizer = torch.optim.AdamW(model.parameters(), betas=recipe.betas, weight_decay=recipe.weight_decay)
        ema = {name: value.detach().clone() for name, value in model.state_dict().items()}
        return cls(folder, recipe, model, optimizer, store_digest, device, provenance, ema=ema)

    def update(self, rate: float) -> None:
        """Take a step along the gradient, and move the averaged weights towards the new ones."""
        self.whole = False
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self._follow()
        self.step += 1
        self.whole = True

    def _follow(self) -> None:
        decay = ema_decay(self.recipe, self.step)
        current = self.model.state_dict()
        smooth = [name for name, value in current.items() if value.is_floating_point()]
        with torch.no_grad():
            torch._foreach_lerp_([self.ema[name] for name in smooth], [current[name] for name in smooth], 1 - decay)
            for name in current.keys() - set(smooth):  # counters of a normalisation have no average
                self.ema[name].copy_(current[name])

    def save(self) -> None:
        """Write the resume state; a whole one is on disk at any time."""
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"ema/{name}": value for name, value in self.ema.items()}
        tensors |= {f"optimizer/{name}": value for name, value in optimizer_tensors(self.optimizer).items()}
        write_state(self.folder, tensors, self._identity() | {"step": str(self.step)})

    def restore(self) -> str | None:
        """Go back to the last saved state, if there is one.

        Returns:
            A warning where the newest state could not be read and the one before it was.

        Raises:
            ConfigError: If it belongs to another recipe or store.
            DataError: If it cannot be read.
        """
        saved, warning = read_state(self.folder)
        if saved is None:
            return None
        where = str(self.folder / STATE_FILE)
        self._check_identity(saved, where)
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "ema": {}, "optimizer": {}}
        for name, tensor in saved.tensors.items():
            part, _, rest = name.partition("/")
            parts.setdefault(part, {})[rest] = tensor
        load_into(self.model, parts["model"], where)
        _load_average(self.ema, parts["ema"], where)
        load_optimizer(self.optimizer, parts["optimizer"], where)
        self.step = _step_of(saved, where, self.recipe.steps)
        return warning

    def write_weights(self, folder: Path) -> None:
        """Write the averaged weights, which prediction uses, and the recipe beside them."""
        own = {name.removeprefix("segmenter."): tensor for name, tensor in self.ema.items() if "segmenter." in name}
        write_weights(folder, own, self.recipe, self.provenance | self._identity() | {"step": str(self.step)})

    def _identity(self) -> dict[str, str]:
        return {"recipe": self.recipe.digest, "store": self.store_digest}

    def _check_identity(self, saved: Saved, where: str) -> None:
        problems = []
        written = written_recipe(self.folder)
        if not self.recipe.has_digest(saved.metadata.get("recipe"), written):
            problems.append(
                Problem(
                    where,
                    f"state of another recipe ({self.recipe.differences_from(written)})",
                    f"recipe {self.recipe.name} as it is now",
                    "Resume with what the run was started with, or name a new --out.",
                )
            )
        if saved.metadata.get("store") != self.store_digest:
            problems.append(
                Problem(
                    where,
                    "state of other prepared cases: another release, grid or window",
                    "the store the run was started with",
                    "Name that store, or a new --out.",
                )
            )
        if problems:
            raise ConfigError.of(problems)


def _load_average(ema: dict[str, Tensor], tensors: dict[str, Tensor], where: str) -> None:
    wrong = sorted(name for name in ema if name not in tensors or tensors[name].shape != ema[name].shape)
    if wrong:
        raise DataError.of(
            [
                Problem(f"{where}: ema/{name}", "missing or of another shape", "a tensor", "Train again.")
                for name in wrong
            ]
        )
    for name, value in ema.items():
        value.copy_(tensors[name])


def _step_of(saved: Saved, where: str, most: int) -> int:
    text = saved.metadata.get("step", "")
    if not text.isdecimal() or len(text) > 12 or int(text) > most:
        raise DataError.of([Problem(where, "no number of finished steps", f"0 to {most}", "Train again.")])
    return int(text)
