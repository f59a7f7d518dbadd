"""One process at a time works for an out folder: its lock, in a work folder beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from rsuper_bench.benchmark.errors import DataError, Problem

_LOCK = "lock"


@dataclass(frozen=True)
class Held:
    """A work folder that is held; ``again`` when this process held it before."""

    folder: Path
    again: bool


@contextmanager
def holding(out: Path, doing: str, what: str) -> Iterator[Held]:
    """Hold an out folder against a second process of the same kind.

    May be entered again inside itself. The work folder goes at the end if nothing is left in it.

    Args:
        out: The out folder; a link is followed, so that two names of one folder are one.
        doing: Ends the name of the work folder: ``.NAME.evaluating``.
        what: In the message: ``another evaluation is at work here``.

    Raises:
        DataError: If another process holds it.
    """
    out = out.resolve()
    folder = out.parent / f".{out.name}.{doing}"
    made = [folder, *(place for place in folder.parents if not place.exists())]
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK, timeout=0, is_singleton=True)
    again = lock.is_locked
    try:
        lock.acquire()
    except Timeout:
        found, fix = f"another {what} is at work here", "Wait for it, or name another folder."
        raise DataError.of([Problem(f"--out {out}", found, "one at a time", fix)]) from None
    try:
        yield Held(folder, again)
    finally:
        if not again:
            # While it is held: whoever comes next makes a lock of its own.
            (folder / _LOCK).unlink(missing_ok=True)
        lock.release()
        for place in made:
            with suppress(OSError):  # not empty: what was written, what is kept, or another's lock
                place.rmdir()
