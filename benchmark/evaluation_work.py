"""The work folder of an evaluation: its lock, and the cases that are finished.

It lies beside the out folder (``.NAME.evaluating``), as that of a build does, and goes when the evaluation is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rsuper_bench.benchmark.case_cache import CACHE_FILE, CaseCache
from rsuper_bench.benchmark.out_lock import holding


@contextmanager
def evaluating(out: Path) -> Iterator[CaseCache]:
    """Hold an out folder against a second evaluation, and go on with the cases that an earlier one finished.

    May be entered again inside itself. Finished cases stay when the block fails, and go when it ends well.

    Raises:
        DataError: If another evaluation holds the folder.
    """
    with holding(out, "evaluating", "evaluation") as held:
        yield CaseCache(held.folder / CACHE_FILE)
        if not held.again:
            (held.folder / CACHE_FILE).unlink(missing_ok=True)
