"""How long a board takes to build, and how large its page gets: python tests/performance/board.py [ENTRIES].

The entries are made up (one synthetic report, its replicates and names varied); reading, checking, ranking and writing
are what `rsuper-bench leaderboard build` does. Names are as long as names may be.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "leaderboard"))
from synthetic_reports import make_report

from rsuper_bench.leaderboard.add import entry_of, write_entry
from rsuper_bench.leaderboard.build import build_site

PAGE_LIMIT_BYTES = 1_000_000


def write_entries(folder, number):
    """Entries on the seven types with 2 000 replicates each, all of one fingerprint."""
    for index in range(number):
        level = 0.5 + 0.45 * np.random.default_rng(index).random()
        report = make_report(level, task="seven-tumors-v1", seed=index, noise=0.03, draws=2000, cases=60)
        team = f"A team of an institute with a long name, number {index % 40:02d}".ljust(80, "x")
        method = f"A method with a name of some length, number {index:04d}".ljust(80, "y")
        entry = entry_of(report, team=team, method=method, url="https://example.org", report_digest="2" * 64)
        write_entry(entry, folder / entry.path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("entries", nargs="?", type=int, default=1000)
    number = parser.parse_args().entries
    with tempfile.TemporaryDirectory() as place:
        entries, site = Path(place) / "entries", Path(place) / "site"
        write_entries(entries, number)
        started = time.process_time()
        clock = time.monotonic()
        index = build_site(entries, site)
        print(f"{number} entries: {time.monotonic() - clock:.1f} s wall, {time.process_time() - started:.1f} s CPU")
        pages = {path.relative_to(site): path.stat().st_size for path in site.rglob("*.html")}
        largest = max(pages, key=pages.get)
        print(
            f"index page {index.stat().st_size:,} bytes; largest of {len(pages)}: {largest}, {pages[largest]:,} bytes"
        )
        if max(pages.values()) > PAGE_LIMIT_BYTES:
            sys.exit(f"error: a page is larger than {PAGE_LIMIT_BYTES:,} bytes")


if __name__ == "__main__":
    main()
