"""Running verbs one after the other, each shown as the command a user would type."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from rsuper_bench.benchmark.errors import RsuperBenchError


@dataclass
class Chain:
    """A numbered sequence of verbs, run in this process.

    Attributes:
        n_steps: How many steps there will be, for the progress line.
        seconds: Wall-clock time of each step, by its title.
    """

    n_steps: int
    console: Console = field(default_factory=lambda: Console(stderr=True))
    seconds: dict[str, float] = field(default_factory=dict)

    def step(self, title: str, *commands: tuple[str | Path, ...]) -> None:
        """Run the commands of one step.

        Raises:
            RsuperBenchError: When a verb ends with an exit code; its own message is on stderr already.
        """
        from rsuper_bench.cli import app

        with self.timed(title):
            for command in commands:
                arguments = [str(part) for part in command]
                self.console.print(f"[dim]$ rsuper-bench {escape(shlex.join(arguments))}[/]", soft_wrap=True)
                code = app(arguments, standalone_mode=False)
                if code:
                    raise RsuperBenchError(f"'rsuper-bench {' '.join(arguments[:2])}' ended with exit code {code}")

    @contextmanager
    def timed(self, title: str) -> Iterator[None]:
        """Number and time whatever the block does."""
        self.console.print(f"\n[bold cyan]\\[{len(self.seconds) + 1}/{self.n_steps}][/] [bold]{escape(title)}[/]")
        started = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - started
        self.console.print(f"[dim]{self.seconds[title]:.0f} s[/]")
