"""Runs a command and ends it, with all its children, when the process that started this one is gone.

``python -I supervise.py COMMAND...`` with standard input held open by the parent: when that pipe closes, for whatever
reason (a kill -9 included, where no parent can clean up), the command's process group is stopped. It needs only the
standard library.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

PATIENCE_S = 20.0
_PR_SET_CHILD_SUBREAPER = 36


def _adopt_orphans() -> None:
    """Become the parent of grandchildren whose parent ends: nobody else may take their exit status in a container."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:  # all gone
        return False
    return True


def _stop(child: "subprocess.Popen[bytes]") -> None:
    """End the group: ask first, then make sure."""
    _signal_group(child.pid, signal.SIGTERM)
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        _reap()
        if not _signal_group(child.pid, 0):
            return
        time.sleep(0.1)
    _signal_group(child.pid, signal.SIGKILL)
    _reap()


def main(command: list[str]) -> int:
    """Run the command until it ends or standard input closes; its exit status, or 0 when it was stopped."""
    _adopt_orphans()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    ended = threading.Event()

    def wait_for_parent() -> None:
        while os.read(0, 1):
            pass
        ended.set()

    def wait_for_child() -> None:
        child.wait()
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    for target in (wait_for_parent, wait_for_child):
        threading.Thread(target=target, daemon=True).start()
    ended.wait()
    status = child.poll()
    _stop(child)
    return 0 if status is None else abs(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
