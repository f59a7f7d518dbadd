"""Ctrl-C and a cluster's SIGTERM: the step at work is finished and saved, then training stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether someone has asked to stop."""

    asked = False


@contextmanager
def stop_between_steps(*, alone: bool) -> Iterator[Stop]:
    """Note a first SIGINT or SIGTERM instead of being interrupted in the middle of a step; a second one interrupts.

    Only the main thread can take signals; elsewhere nothing changes.

    Args:
        alone: False where other processes train too: they would stop at another step, so the last save has to do.
    """
    stop = Stop()
    if not alone or threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(_number: int, _frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
