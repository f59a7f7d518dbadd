"""Share of a server's capacity that report reading uses: ``python tests/performance/llm_extraction.py``.

The server is local, answers every request after a fixed time and works on a fixed number at once, so that its capacity
is known: slots / latency. It runs in a process of its own. Start-up and the last, partly filled round are counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "dataset_builder"))

from fake_llm_server import MODEL, FakeLlmServer, Reply, honest, report

from rsuper_bench.dataset_builder.extraction.llm.cache import AnswerCache
from rsuper_bench.dataset_builder.extraction.llm.run import read_reports_with_llm
from rsuper_bench.dataset_builder.extraction.llm.settings import LlmSettings
from rsuper_bench.dataset_builder.extraction.reports_file import ReportRow

FILLER = " The bones are unremarkable."


def serve(latency_s: float, slots: int, pipe: Connection) -> None:
    with FakeLlmServer(lambda request: Reply(honest(request.text), delay_s=latency_s), capacity=slots) as server:
        pipe.send(server.endpoint)
        pipe.recv()
        pipe.send(len(server.asked))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.5, help="seconds the server takes for an answer")
    parser.add_argument("--slots", type=int, default=24, help="answers it works on at once")
    parser.add_argument("--reports", type=int, default=960)
    parser.add_argument("--concurrency", type=int, default=LlmSettings(endpoint="", model="").concurrency)
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(options.latency, options.slots, theirs), daemon=True
    )
    server.start()
    settings = LlmSettings(endpoint=ours.recv(), model=MODEL, concurrency=options.concurrency)
    rows = [ReportRow(f"case_{n}", f"{report(n % 400)}{FILLER * 40} {n}") for n in range(options.reports)]
    with tempfile.TemporaryDirectory() as folder:
        start, start_cpu = time.perf_counter(), time.process_time()
        run = read_reports_with_llm(rows, settings, AnswerCache(Path(folder)))
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
    ours.send("stop")
    if run.failures or ours.recv() != len(rows):
        raise SystemExit(f"not every report was asked for once and answered: {run.traffic}, {len(run.failures)} failed")
    capacity = options.slots / options.latency
    rate = len(rows) / seconds
    print(
        f"{rate:.1f} of {capacity:.1f} reports/s: {rate / capacity:.1%} of the server's capacity"
        f" ({options.concurrency} in flight, {len(rows)} reports of {len(rows[0].report)} characters,"
        f" {1000 * cpu_seconds / len(rows):.1f} ms of processor time a report)"
    )


if __name__ == "__main__":
    main()
