"""Time and memory of a call on a device, and the table they go into."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import torch

from rsuper_bench import __version__

SLOW_S = 1.5


@dataclass
class Timing:
    """Milliseconds of every repeat, and the most memory that was in use (None on a CPU)."""

    ms: list[float] = field(default_factory=list)
    peak_mib: float | None = None

    @property
    def median_ms(self) -> float:
        return median(self.ms)

    def __str__(self) -> str:
        span = f"{self.median_ms:.2f} ms" if self.median_ms < 10 else f"{self.median_ms:.1f} ms"
        if len(self.ms) > 1:
            span += f" ({min(self.ms):.1f}-{max(self.ms):.1f})"
        return span if self.peak_mib is None else f"{span}, {self.peak_mib:.0f} MiB"


def measure(call: Callable[[], object], device: torch.device, *, warmup: int, repeats: int) -> Timing:
    """Median over repeats, after warm-up; on a GPU by CUDA events around each call."""
    return measure_in_turn({"": call}, device, warmup=warmup, repeats=repeats, rounds=1)[""]


def measure_in_turn(
    calls: Mapping[str, Callable[[], object]], device: torch.device, *, warmup: int, repeats: int, rounds: int
) -> dict[str, Timing]:
    """Several calls by turns, so that a drift of the clock falls on all of them. Slow calls are repeated less often."""
    timings = {name: Timing() for name in calls}
    if repeats > 1 and _slowest_s(calls.values(), device) > SLOW_S:
        warmup, repeats = 0, 2
    for _ in range(rounds):
        for name, call in calls.items():
            for _ in range(warmup):
                call()
            timing = timings[name]
            if device.type != "cuda":
                for _ in range(repeats):
                    start = time.perf_counter()
                    call()
                    timing.ms.append((time.perf_counter() - start) * 1000)
                continue
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repeats)]
            for start, end in events:
                start.record()
                call()
                end.record()
            torch.cuda.synchronize()
            timing.ms += [start.elapsed_time(end) for start, end in events]
            timing.peak_mib = max(timing.peak_mib or 0, torch.cuda.max_memory_allocated() / 2**20)
    return timings


def _slowest_s(calls: Iterable[Callable[[], object]], device: torch.device) -> float:
    """Seconds of the second call of each: the first makes kernels and plans."""
    slowest = 0.0
    for call in calls:
        for _ in range(2):
            start = time.perf_counter()
            call()
            if device.type == "cuda":
                torch.cuda.synchronize()
        slowest = max(slowest, time.perf_counter() - start)
    return slowest


@dataclass
class Table:
    """Rows of one markdown table; written again after each, so that a run that is cut off still leaves its results."""

    device: torch.device
    out: Path | None
    rows: list[tuple[str, str, str, str]] = field(default_factory=list)

    def add(self, group: str, what: str, result: object, note: str = "") -> None:
        """Add a row, print it and write the file."""
        self.rows.append((group, what, str(result), note))
        print(f"{group:>9} | {what} | {result} | {note}", flush=True)
        if self.out is not None:
            self.out.write_text(self.markdown(), encoding="utf-8")

    def markdown(self) -> str:
        head = ["# What report supervision and the networks cost", "", *_machine(self.device), ""]
        head += [
            "Written by `make gpu-check`. Median (smallest-largest) of the repeats; MiB is the peak of what torch held."
        ]
        head += ["", "| group | what | result | note |", "|---|---|---|---|"]
        return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in self.rows)]) + "\n"


def _machine(device: torch.device) -> list[str]:
    software = f"rsuper-bench {__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    software += f", monai {_version_of('monai')}"
    name = f"CPU ({platform.machine()}): a dry run, whose times mean nothing"
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        software += f", CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    return [f"- date: {datetime.now(UTC):%Y-%m-%d}", f"- device: {name}", f"- {software}"]


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
