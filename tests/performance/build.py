"""Time a build and its memory: ``python tests/performance/build.py [--cases 100 1000] [--size 128] [--jobs 1]``.

Each size of release is built in a process of its own from synthetic cases of one grid (noise and two boxes, so that
making them costs little and compressing them as much as a CT). It prints cases per second, the peak memory of the
process, and both as ratios to the first: a ratio of memory near 1 says that memory does not grow with the cases.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.build import BuildPlan, build
from rsuper_bench.dataset_builder.extraction import make_extractor
from rsuper_bench.dataset_builder.label_map import LESION_NUMBER, ORGAN_NUMBER
from rsuper_bench.dataset_builder.raw_case import CaseKey, RawCase


@dataclass(frozen=True)
class BoxSource:
    """Cases of noise with a liver and a lesion, all of one grid."""

    n: int
    size: int

    def keys(self) -> list[CaseKey]:
        return [CaseKey(f"case-{index:05d}", f"patient-{index:05d}") for index in range(self.n)]

    def make(self, key: CaseKey) -> RawCase:
        size, rng = self.size, np.random.default_rng(int(key.case_id[-5:]))
        affine = np.diag([2.0, 2.0, 2.0, 1.0])
        organs, lesions = np.zeros((2, size, size, size), np.uint8)
        organs[size // 4 : size // 2, size // 4 : size // 2, size // 4 : size // 2] = ORGAN_NUMBER["liver"]
        lesions[size // 3 : size // 2, size // 3 : size // 2, size // 3 : size // 2] = LESION_NUMBER[TumorType.LIVER]
        return RawCase(
            case_id=key.case_id,
            patient_id=key.patient_id,
            source="boxes",
            licence="CC0-1.0",
            redistributable=True,
            ct=Volume((40 + 12 * rng.standard_normal((size, size, size), np.float32)).astype(np.int16), affine),
            report="FINDINGS: There is a 20 mm hypodense mass in the liver. The spleen is normal.",
            organs=Volume(organs, affine),
            lesions=Volume(lesions, affine),
            lesion_types=(TumorType.LIVER,),
            synthetic=True,
        )


def measure(n: int, size: int, jobs: int, folder: Path) -> dict[str, float]:
    """Build one release in this process."""
    started = time.perf_counter()
    build(BuildPlan(BoxSource(n, size), "boxes", {}, make_extractor("rules"), folder / "release", jobs=jobs))
    seconds = time.perf_counter() - started
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    n_bytes = sum(path.stat().st_size for path in (folder / "release").rglob("*") if path.is_file())
    return {"n": n, "cases_per_s": n / seconds, "peak_mib": peak_kib / 1024, "release_mib": n_bytes / 2**20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--size", type=int, default=128, help="voxels along each axis")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--one", action="store_true", help="measure one size in this process and print JSON")
    options = parser.parse_args()
    if options.one:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(options.cases[0], options.size, options.jobs, Path(folder))))
        return
    first = None
    for n in options.cases:
        shared = ["--size", str(options.size), "--jobs", str(options.jobs)]
        command = [sys.executable, __file__, "--one", "--cases", str(n), *shared]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        first = first or row
        rate, peak = row["cases_per_s"], row["peak_mib"]
        print(
            f"{n:6d} cases of {options.size}^3: {rate:.2f} cases/s (x{rate / first['cases_per_s']:.2f}), "
            f"peak {peak:.0f} MiB (x{peak / first['peak_mib']:.2f}), release {row['release_mib']:.0f} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
