"""The work folder of an evaluation: its lock, and the cases that are finished.

It lies beside the out folder (``.NAME.evaluating``), as that of a build does, and goes when the evaluation is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from rsuper_bench.benchmark.case_cache import CACHE_FILE, CaseCache
from rsuper_bench.benchmark.errors import DataError, Problem

_LOCK = "lock"


@contextmanager
def evaluating(out: Path) -> Iterator[CaseCache]:
    """Hold an out folder against a second evaluation, and go on with the cases that an earlier one finished.

    May be entered again inside itself. Finished cases stay when the block fails, and go when it ends well.

    Raises:
        DataError: If another evaluation holds the folder.
    """
    out = out.absolute()
    folder = out.parent / f".{out.name}.evaluating"
    made = [folder, *(place for place in folder.parents if not place.exists())]
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK, timeout=0, is_singleton=True)
    again = lock.is_locked
    try:
        lock.acquire()
    except Timeout:
        found, fix = "another evaluation is at work here", "Wait for it, or name another folder."
        raise DataError.of([Problem(f"--out {out}", found, "one at a time", fix)]) from None
    try:
        yield CaseCache(folder / CACHE_FILE)
        if not again:
            (folder / CACHE_FILE).unlink(missing_ok=True)
    finally:
        if not again:
            # While it is held: whoever comes next makes a lock of its own.
            (folder / _LOCK).unlink(missing_ok=True)
        lock.release()
        for place in made:
            with suppress(OSError):  # not empty: the evaluation, finished cases, or another's lock
                place.rmdir()
