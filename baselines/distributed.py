"""Several processes that train one model: started by torchrun, each computes its share of every batch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from rsuper_bench.baselines.losses import summed_over_parts
from rsuper_bench.benchmark.errors import ConfigError, Problem, RsuperBenchError

CLAIM = "rsuper_bench/error"
LONG = timedelta(days=14)  # for work of one process; a process that dies ends the waiting at once
Result = TypeVar("Result")


class LostProcessError(RsuperBenchError):
    """Another process of the run is gone."""


@dataclass(frozen=True)
class Team:
    """The processes of a run; ``rank`` 0 alone writes. A team of one needs no torchrun."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def share(self, batch: int) -> range:
        """Places of the batch that this process computes.

        Raises:
            ConfigError: If the batch cannot be split evenly.
        """
        if batch % self.size:
            more = -(-batch // self.size) * self.size
            raise ConfigError.of(
                [
                    Problem(
                        f"batch {batch}",
                        f"cannot be split among {self.size} processes",
                        "a multiple: `batch` counts the crops of a step over all processes",
                        f"Add --set batch={more}, or start fewer processes.",
                    )
                ]
            )
        each = batch // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    def whole_batch(self) -> AbstractContextManager[None]:
        """Losses computed inside are those of the whole batch (losses/averaging.py)."""
        return nullcontext() if self.size == 1 else summed_over_parts(_total)

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace each gradient by its mean over the processes, all in one message after the backward pass.

        A parameter without a gradient here may have one elsewhere, so it counts as 0.
        """
        if self.size == 1:
            return
        wanted = [parameter for parameter in parameters if parameter.requires_grad]
        for parameter in wanted:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in wanted if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        with _connected():
            dist.all_reduce(flat)
        flat /= self.size
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def wait(self) -> None:
        """Let every process come to this line."""
        if self.size > 1:
            with _connected():
                dist.barrier()

    def leader_first(self, work: Callable[[], Result]) -> Result:
        """What ``work`` gives, done by the leading process while the others wait, then by them on what it left.

        For work that is kept on disk and found there by whoever does it again.
        """
        if self.size == 1:
            return work()
        # Its own group: the one of the gradients gives up after minutes, and on GPUs keeps them busy with waiting.
        with _connected():
            waiting = dist.new_group(backend="gloo", timeout=LONG)
        done = work() if self.leads else None
        with _connected():
            dist.barrier(waiting)
        dist.destroy_process_group(waiting)
        return work() if done is None else done


class _Total(torch.autograd.Function):
    """Sum over processes. Each has the same loss from it, and their gradients are averaged: hence the factor."""

    @staticmethod
    def forward(_: Any, part: Tensor) -> Tensor:
        whole = part.clone()
        with _connected():
            dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * dist.get_world_size()


def _total(part: Tensor) -> Tensor:
    whole: Tensor = _Total.apply(part)  # type: ignore[no-untyped-call]
    return whole


@contextmanager
def _connected() -> Iterator[None]:
    try:
        yield
    except RuntimeError as cause:
        raise LostProcessError.of(
            [
                Problem(
                    f"process {dist.get_rank()} of {dist.get_world_size()}",
                    f"another process is gone ({type(cause).__name__})",
                    "all processes of the run",
                    "Look for its message, or for one of the system (out of memory). --resume goes on.",
                )
            ]
        ) from None


def started_by_torchrun() -> bool:
    """Whether this is one of several processes of a run."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def own_device(name: str) -> str:
    """The GPU of this process, where the name leaves it open."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if name == "cuda" and started_by_torchrun() else name


@contextmanager
def joined(device: str) -> Iterator[Team]:
    """Join the processes that torchrun started; a team of one without it.

    The first process that fails says why; the others end without a word, and torchrun stops whoever is left.
    """
    if not started_by_torchrun():
        yield Team()
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", device_id=torch.device(device))
    else:
        dist.init_process_group("gloo")
    team = Team(dist.get_rank(), dist.get_world_size())
    try:
        yield team
        team.wait()
    except BaseException:
        if not _first_to_fail():
            time.sleep(2)  # time for the other's message
            raise SystemExit(1) from None
        raise
    dist.destroy_process_group()


def _first_to_fail() -> bool:
    try:
        return dist.distributed_c10d._get_default_store().add(CLAIM, 1) == 1
    except RuntimeError:  # torchrun itself is gone
        return True
