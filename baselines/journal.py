"""What a run writes while it trains: losses, events, overlays, resume state, and at the end the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from rsuper_bench.baselines.batch import Batch
from rsuper_bench.baselines.distributed import Team
from rsuper_bench.baselines.events import Events
from rsuper_bench.baselines.loss_log import (
    LOOK_EVERY,
    LOSS_LOG,
    LossLog,
    Measured,
    OnStep,
    StepLog,
    TrainingError,
    cut_log,
    read_log,
)
from rsuper_bench.baselines.overlays import draw_overlay, keep_overlays, overlays_of
from rsuper_bench.baselines.run_state import Run
from rsuper_bench.baselines.weights import are_of
from rsuper_bench.benchmark.errors import DataError, Problem


class Journal:
    """Writes for the process that leads; the others only look at their losses.

    As a context it saves on the way out: after a step, whatever ended the training, but never after a loss that was
    not finite.
    """

    def __init__(self, run: Run, team: Team, on_step: OnStep | None = None) -> None:
        self.run = run
        self.leads = team.leads
        self.on_step = on_step
        self.events: Events | None = None
        self.log = LossLog(1 if run.device.type == "cpu" else LOOK_EVERY, self._publish)
        self._tried = run.step  # the last step whose state was written, or failed to be

    def __enter__(self) -> Self:
        if self.leads:
            cut_log(self.run.folder / LOSS_LOG, self.run.step)
            keep_overlays(self.run.folder, self.run.step)
            self.events = Events(self.run.folder, read_log(self.run.folder / LOSS_LOG), overlays_of(self.run.folder))
        return self

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Say what to do when the disk is full.

        Raises:
            DataError: If it is.
        """
        try:
            yield
        except OSError as cause:
            where, reason = cause.filename or self.run.folder, cause.strerror or type(cause).__name__
            fix = "Free some space, then go on with --resume: the last saved state is whole."
            problem = Problem(str(where), f"cannot be written ({reason})", "room for what the run writes", fix)
            raise DataError(f"error: {problem}", [problem]) from None

    def add(self, measured: Measured) -> None:
        """Take the losses of a step that is about to be taken.

        Raises:
            TrainingError: If they are not finite; on a GPU that comes out a few steps later.
        """
        self.log.add(measured)

    def after_step(self, batch: Batch) -> None:
        """Report, draw and save when it is time."""
        with self._room():
            self._after_step(batch)

    def _after_step(self, batch: Batch) -> None:
        self.log.publish()
        every = self.run.recipe.overlay_every
        if self.leads and every is not None and self.run.step % every == 0:
            path = draw_overlay(self.run, batch)
            if self.events is not None:
                self.events.picture(self.run.step, path)
        if self.run.step % self.run.recipe.save_every == 0:
            self.save()

    def save(self) -> None:
        """Write losses and state, once all losses so far are known to be finite.

        Raises:
            TrainingError: If one is not.
            DataError: If the disk is full.
        """
        self.log.publish(now=True)
        self._tried = self.run.step
        if not self.leads:
            return
        with self._room():
            self.log.write(self.run.folder / LOSS_LOG)
            self.run.save()
            if self.events is not None:
                self.events.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, TrainingError):
                self._write_what_was_finite()
            elif self.run.whole and self.run.step > self._tried:
                self.save()
            finished = error is None and self.run.step == self.run.recipe.steps
            if finished and self.leads and not are_of(self.run.folder, self.run.recipe):
                with self._room():
                    self.run.write_weights(self.run.folder)
        finally:
            if self.events is not None:
                with suppress(OSError):  # they are made anew on resume; the disk was full, and that was said
                    self.events.close()

    def _write_what_was_finite(self) -> None:
        """For whoever looks for the cause. What is still unread may be an earlier step, and then is the cause."""
        try:
            self.log.publish(now=True)
        finally:
            if self.leads:
                self.log.write(self.run.folder / LOSS_LOG)

    def _publish(self, line: StepLog) -> None:
        if self.events is not None:
            self.events.step(line)
        if self.on_step is not None and self.leads:
            self.on_step(line)
