"""Loss terms, rates and overlays as TensorBoard events in ``RUN/tensorboard``."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from rsuper_bench.baselines.loss_log import StepLog

EVENTS = "tensorboard"
EVENTS_FILE = "events.out.tfevents.0"  # TensorBoard reads what is named so; its own names hold time and host
VERSION = "brain.Event:2"


class Events:
    """Writes events of a run. They repeat ``losses.jsonl`` and the overlays, and are made anew from them on resume.

    So a step that is done again never stands there twice, whatever moment the run was killed at.

    Args:
        folder: Of the run.
        log: Lines of the steps that are done.
        overlays: Step and file of the overlays that are there.
    """

    def __init__(self, folder: Path, log: Iterator[StepLog], overlays: Iterator[tuple[int, Path]]) -> None:
        shutil.rmtree(folder / EVENTS, ignore_errors=True)
        (folder / EVENTS).mkdir()
        # Not TensorBoard's own writer: its thread would meet a full disk where nobody can report it
        self._file = (folder / EVENTS / EVENTS_FILE).open("wb")
        self._records = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version=VERSION))
        for line in log:
            self.step(line)
        for step, picture in overlays:
            self.picture(step, picture)

    def step(self, line: StepLog) -> None:
        """Add the numbers of a step, all in one event."""
        values = {"loss": line.loss, "learning_rate": line.learning_rate, "gradient_norm": line.grad_norm}
        values |= {f"terms/{name}": value for name, value in line.terms.items()}
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
        self._add(summary, line.step)

    def picture(self, step: int, path: Path) -> None:
        """Add an overlay."""
        from PIL import Image

        with Image.open(path) as image:
            shown = Summary.Image(
                width=image.width, height=image.height, colorspace=3, encoded_image_string=path.read_bytes()
            )
        self._add(Summary(value=[Summary.Value(tag="overlay", image=shown)]), step)

    def flush(self) -> None:
        """Bring everything to disk."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close."""
        self._file.close()

    def _add(self, summary: Summary, step: int) -> None:
        self._write(Event(wall_time=time.time(), step=step, summary=summary))

    def _write(self, event: Event) -> None:
        self._records.write(event.SerializeToString())
