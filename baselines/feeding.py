"""Batches for the training loop, made ahead of it: in a thread beside it, or in processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset

from rsuper_bench.baselines.batch import Batch
from rsuper_bench.benchmark.errors import Problem, RsuperBenchError

MOST_WORKERS = 8
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where torch puts it on Linux
GIB_A_WORKER = 1.0  # two waiting batches of two 128^3 crops with 14 tumor types are 0.7
Read = Callable[[int], Batch]


class ReadingError(RsuperBenchError):
    """A process that makes batches has died."""


@dataclass(frozen=True)
class Feeding:
    """How batches are made ahead; it changes the speed of a training and nothing else.

    Attributes:
        workers: Processes; 0 for one thread in the process of the loop, which needs no shared memory.
        ahead: Batches that wait, for each worker.
    """

    workers: int = 0
    ahead: int = 2

    @classmethod
    def on(cls, device: torch.device | str, *, workers: int | None = None, ahead: int = 2) -> Feeding:
        """What keeps a device busy: a GPU takes batches faster than one core makes them.

        Cores and shared memory of the machine are divided among the processes that torchrun starts on it.
        """
        if workers is None:
            workers = _spare_cores() if torch.device(device).type == "cuda" else 0
        return cls(workers, ahead)


def _spare_cores() -> int:
    """How many processes a GPU gets: not more than there is shared memory for what they hand over (0 if for none)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    room = MOST_WORKERS
    if SHARED_MEMORY.exists():
        room = int(shutil.disk_usage(SHARED_MEMORY).free / 2**30 / GIB_A_WORKER) // here
    return min(MOST_WORKERS, max(cores // here - 1, 1), room)


def feed(read: Read, steps: Sequence[int], feeding: Feeding, device: torch.device) -> Generator[Batch, None, None]:
    """Batches of some steps in their order, on the device.

    Args:
        read: Makes the batch of a step, which must depend on the step alone. With workers it is pickled.
        steps: For example a range.
        feeding: Who makes them, and how many wait.
        device: A GPU gets them from pinned memory: the copy of one waits for nothing and nobody waits for it.

    Raises:
        RsuperBenchError: What ``read`` raises; `ReadingError` when a worker dies.
    """
    made = _by_workers(read, steps, feeding, device) if feeding.workers else _by_thread(read, steps, feeding, device)
    for batch in made:
        yield batch.to(device)


def _by_thread(read: Read, steps: Sequence[int], feeding: Feeding, device: torch.device) -> Iterator[Batch]:
    def make(step: int) -> Batch:
        batch = read(step)
        return batch.pin_memory() if device.type == "cuda" else batch

    pool = ThreadPoolExecutor(1)
    try:
        ahead: deque[Future[Batch]] = deque()
        for step in steps:
            ahead.append(pool.submit(make, step))
            if len(ahead) > feeding.ahead:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # nobody waits for batches that nobody takes


class _Steps(Dataset[Batch | RsuperBenchError]):
    """What a worker is asked for. Our errors are handed over whole: the loader would only keep their text."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def __getitem__(self, step: int) -> Batch | RsuperBenchError:
        try:
            return self._read(step)
        except RsuperBenchError as error:
            return error


def _by_workers(read: Read, steps: Sequence[int], feeding: Feeding, device: torch.device) -> Iterator[Batch]:
    loader = DataLoader(
        _Steps(read),
        batch_size=None,
        sampler=steps,
        num_workers=feeding.workers,
        prefetch_factor=feeding.ahead,
        pin_memory=device.type == "cuda",
        worker_init_fn=_leave_signals_to_the_loop,
    )
    made = iter(loader)
    while True:
        try:
            batch = next(made, None)
        except RuntimeError as cause:
            raise _dead(cause) from None
        if batch is None:
            return
        if isinstance(batch, RsuperBenchError):
            raise batch
        yield batch


def _leave_signals_to_the_loop(_: int) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach every process; the loop saves, then ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _dead(cause: RuntimeError) -> RsuperBenchError | RuntimeError:
    if "worker" not in str(cause) or "DataLoader" not in str(cause):
        return cause
    return ReadingError.of(
        [
            Problem(
                "a process that makes batches",
                "was ended from outside",
                "memory for all of them: they hand batches over in shared memory (/dev/shm)",
                "Start fewer with --workers, give the container more shared memory, or use --workers 0.",
            )
        ]
    )
