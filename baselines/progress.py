"""How far a training is: a few lines that change in a terminal, a line now and then in a log file."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rsuper_bench.baselines.loss_log import StepLog
from rsuper_bench.baselines.recipe import Recipe

SMOOTHED = 20  # steps whose mean is shown: single steps jump with their crops
TIMED = 200  # steps whose time gives the speed
LINE_EVERY_S = 30.0


class TrainingProgress:
    """Shows steps, speed, time left, stage and every loss term.

    Args:
        recipe: What is trained.
        console: Where; a console that is no terminal gets a line every 30 seconds instead.
        clock: Seconds since any moment.
    """

    def __init__(
        self, recipe: Recipe, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.recipe = recipe
        self.console = console or Console(stderr=True)
        self._clock = clock
        self._recent: deque[StepLog] = deque(maxlen=SMOOTHED)
        self._times: deque[tuple[int, float]] = deque(maxlen=TIMED)
        self._live = Live(console=self.console, get_renderable=self._shown, refresh_per_second=4, transient=False)
        self._said_at = -LINE_EVERY_S
        self._said_step = 0

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._live.stop()
        elif self._recent and self._recent[-1].step > self._said_step:
            self._say()

    def note(self, text: str) -> None:
        """Print a warning above the progress."""
        self.console.print(f"note: {text}", style="yellow", markup=False, highlight=False)

    def step(self, line: StepLog) -> None:
        """Take the numbers of a step."""
        if self._recent and self._recent[-1].stage != line.stage:
            self._recent.clear()  # other terms, other weights
        if self._times and self._times[-1][0] >= line.step:
            self._recent.clear()  # a second training, after that of a teacher
            self._times.clear()
        self._recent.append(line)
        self._times.append((line.step, self._now()))
        if not self.console.is_terminal and self._now() - self._said_at >= LINE_EVERY_S:
            self._say()

    def _now(self) -> float:
        return self._clock()

    def _speed(self) -> float | None:
        """Steps a second."""
        if len(self._times) < 2 or self._times[-1][1] <= self._times[0][1]:
            return None
        (first, began), (last, ended) = self._times[0], self._times[-1]
        return (last - first) / (ended - began)

    def _pace(self) -> str:
        speed = self._speed()
        if speed is None:
            return ""
        left = timedelta(seconds=round((self.recipe.steps - self._recent[-1].step) / speed))
        return f"{speed:.3g} steps/s, {left} left"

    def _means(self) -> dict[str, float]:
        names = ["loss", *self._recent[-1].terms]
        values = [{"loss": line.loss, **line.terms} for line in self._recent]
        return {name: sum(value[name] for value in values) / len(values) for name in names}

    def _stage(self) -> str:
        return f"stage {self._recent[-1].stage + 1} of {len(self.recipe.stages)}"

    def _say(self) -> None:
        last = self._recent[-1]
        terms = " ".join(f"{name} {value:.4f}" for name, value in self._means().items())
        parts = [f"step {last.step} of {self.recipe.steps}", self._stage(), self._pace(), terms]
        self.console.print(", ".join(part for part in parts if part), markup=False, highlight=False, soft_wrap=True)
        self._said_at, self._said_step = self._now(), last.step

    def _shown(self) -> RenderableType:
        done = self._recent[-1].step if self._recent else 0
        head = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=self.recipe.steps, completed=done, width=24)
        cells: list[RenderableType] = [Text(self.recipe.name, style="bold"), bar, Text(f"{done}/{self.recipe.steps}")]
        if not self._recent:
            head.add_row(*cells, Text("drawing the first batch", style="dim"))
            return head
        head.add_row(*cells, Text(self._pace()))
        last = self._recent[-1]
        rate = Text(f"{self._stage()}   learning rate {last.learning_rate:.2e}   gradient norm {last.grad_norm:.3f}")
        terms = Text("   ").join(
            Text(f"{name}\u00a0{value:.4f}", style="bold" if name == "loss" else "")
            for name, value in self._means().items()
        )
        return Group(head, rate, terms)
