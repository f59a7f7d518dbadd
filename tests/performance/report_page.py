"""Size, time and memory of report.html at 100 and at 25 000 cases: ``python tests/performance/report_page.py``.

Every tumor type, two readers, every stratum; each size in a process of its own. All cases are synthetic.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmark"))

from page_reports import made_up, with_cases

from rsuper_bench.benchmark.report_page import report_page
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.benchmark.worst_cases import worst_cases

CASES = (100, 25_000)


def measure(cases: int) -> dict[str, float]:
    """One page, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        report = with_cases(made_up(Path(folder), tuple(TumorType), n=120, readers=2), cases)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    size = len(report_page(report, worst_cases(report)).encode())
    seconds = time.process_time() - started
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"kilobytes": size / 1000, "processor_seconds": seconds, "peak_grows_by_mb": grown / 1024}


def main() -> None:
    """Print each size, then the ratios."""
    found = []
    for cases in CASES:
        command = [sys.executable, __file__, str(cases)]
        found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print(f"{cases} cases x {len(TumorType)} types:", ", ".join(f"{k} {v:.1f}" for k, v in found[-1].items()))
    for name in ("kilobytes", "processor_seconds"):
        print(f"{CASES[1] // CASES[0]} times as many cases: {name} x {found[1][name] / found[0][name]:.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
    else:
        main()
