"""What every step lost: read from the device a few steps at a time, kept as one JSON line a step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor

from rsuper_bench.baselines.accumulation import Losses
from rsuper_bench.benchmark.errors import Problem, RsuperBenchError
from rsuper_bench.benchmark.files import canonical_json, write_text

LOSS_LOG = "losses.jsonl"
LOOK_EVERY = 10  # steps; reading a value makes the host wait for an accelerator


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


@dataclass(frozen=True)
class Measured:
    """Values of a step that may still be on their way from the device: loss, gradient norm, then the terms."""

    step: int
    stage: int
    learning_rate: float
    names: tuple[str, ...]
    values: Tensor
    case_ids: tuple[str, ...]

    @classmethod
    def of(
        cls, step: int, stage: int, rate: float, norm: Tensor, losses: Losses, case_ids: tuple[str, ...]
    ) -> Measured:
        """Put the values of a step side by side, still on the device."""
        scalars = (losses.loss, norm, *losses.terms.values())
        return cls(
            step, stage, rate, tuple(losses.terms), torch.stack([value.detach().float() for value in scalars]), case_ids
        )

    def read(self) -> StepLog:
        """Wait for the values.

        Raises:
            TrainingError: If any is not finite; it names the terms and the cases.
        """
        loss, norm, *terms = self.values.tolist()
        named = dict(zip(self.names, terms, strict=True))
        wrong = [f"{name} is {value}" for name, value in named.items() if not isfinite(value)]
        if not wrong and not isfinite(loss):
            wrong = [f"the weighted sum of the terms is {loss}"]
        if not wrong and not isfinite(norm):
            wrong = [f"gradient is {norm}"]
        if wrong:
            raise not_finite(self.step, ", ".join(wrong), self.case_ids)
        return StepLog(self.step, self.stage, self.learning_rate, loss, norm, named)


def not_finite(step: int, found: str, case_ids: tuple[str, ...]) -> TrainingError:
    """The error for a step (from 1) that cannot be taken."""
    problem = Problem(
        f"step {step}",
        found,
        "finite losses",
        f"Look at {', '.join(case_ids)}; lower learning_rate or that weight. The last saved state is kept.",
    )
    return TrainingError(f"error: {problem}", [problem])


@dataclass
class LossLog:
    """The steps of a run: on the device, read, and written.

    Attributes:
        look_every: Steps between two looks at the device; 1 on a CPU, where a step that fails is then never taken.
        on_step: Called with each line that was read.
    """

    look_every: int
    on_step: OnStep | None = None
    pending: list[Measured | StepLog] = field(default_factory=list)
    unwritten: list[StepLog] = field(default_factory=list)

    def add(self, measured: Measured) -> None:
        """Take the values of a step that is about to be taken.

        Raises:
            TrainingError: If the device is looked at and they are not finite.
        """
        self.pending.append(measured.read() if self.look_every == 1 else measured)

    def publish(self, *, now: bool = False) -> None:
        """Hand on the lines of the steps since the last look, when it is time for one.

        Raises:
            TrainingError: If a value is not finite.
        """
        if len(self.pending) < self.look_every and not now:
            return
        pending, self.pending = self.pending, []
        for item in pending:
            line = item if isinstance(item, StepLog) else item.read()
            self.unwritten.append(line)
            if self.on_step is not None:
                self.on_step(line)

    def write(self, path: Path) -> None:
        """Append what was read to ``losses.jsonl``."""
        lines, self.unwritten = self.unwritten, []
        if lines:
            with path.open("a", encoding="utf-8") as file:
                file.writelines(canonical_json(vars(line)) + "\n" for line in lines)


def read_log(path: Path) -> Iterator[StepLog]:
    """Lines of a log up to the first that is torn or stands out of order; none where there is no log."""
    if not path.exists():
        return
    last = 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found = StepLog(**json.loads(line))
        except (ValueError, TypeError):
            return
        if found.step != last + 1:
            return
        last = found.step
        yield found


def cut_log(path: Path, step: int) -> None:
    """Drop the lines of steps that will be done again."""
    if path.exists():
        kept = [line for line in read_log(path) if line.step <= step]
        write_text(path, "".join(f"{canonical_json(vars(line))}\n" for line in kept))
