"""The same joblib code on a Dask cluster: cases go to whatever workers there are, and survive one that is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from joblib import parallel_config

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem

CONNECT_SECONDS = 20


@contextmanager
def on_cluster(address: str | None) -> Iterator[None]:
    """Run ``joblib.Parallel`` inside the block on a cluster; on this machine when there is no address.

    Scheduler, workers and this process need one version of rsuper-bench, and a file system they share: cases are
    staged beside the out folder. The bytes are those of one machine.

    Args:
        address: Of a running scheduler, such as ``tcp://host:8786``.

    Raises:
        ConfigError: Dask is not installed, or the address is none.
        DataError: No scheduler answers, or it has no worker.
    """
    if address is None:
        yield
        return
    try:
        from distributed import Client
    except ImportError:
        fix = "pip install -e '.[cluster]' in the clone"
        raise ConfigError.of([Problem("--cluster", "dask.distributed is not installed", "it is", fix)]) from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError) as cause:
        found = f"no scheduler answers at {address[:80]!a} ({type(cause).__name__})"
        fix = "Start one with `dask scheduler`, and workers with `dask worker ADDRESS`."
        raise DataError.of([Problem("--cluster", found, "the address of a scheduler", fix)]) from None
    with client:
        if not client.scheduler_info()["workers"]:
            fix = "Start some with `dask worker ADDRESS`."
            raise DataError.of([Problem("--cluster", "the scheduler has no worker", "one or more", fix)])
        with client.as_current(), parallel_config(backend="dask", wait_for_workers_timeout=CONNECT_SECONDS):
            yield
