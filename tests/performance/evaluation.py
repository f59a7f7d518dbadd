"""Time the evaluator: ``python tests/performance/evaluation.py [sweep|bootstrap|whole|workers|compare]`` (all).

- sweep: 25 000 cases x 3 organs x 297 volume thresholds, beside a plain loop over rows; the tables must be equal.
- bootstrap: 25 000 cases x 17 tumor types, every figure with 2 000 replicates over patients, on two threads.
- whole: ``rsuper-bench evaluate`` on a synthetic table of 25 000 cases and every tumor type, files included.
- workers: the digest of ``report.json`` at 1, 2 and 4 jobs.
- compare: ``rsuper-bench compare`` on two such reports.

Times are of the wall and of the processor; peak memory is of the process. All cases are synthetic.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmark"))

from conftest import make_record, write_release

from rsuper_bench.benchmark.records import Presence
from rsuper_bench.benchmark.rsuper_protocol import THRESHOLDS_MM3, protocol_table
from rsuper_bench.benchmark.sample import Sample
from rsuper_bench.benchmark.scores import score_type
from rsuper_bench.benchmark.scoring import Draws, Measures, draw_replicates
from rsuper_bench.benchmark.tumor_types import TumorType

CASES = 25_000
PREVALENCE = 0.1
POINTS = Measures(specificity=0.9, sensitivity=0.9, reader_specificity=0.95, reader_sensitivity=0.8)


class Clock:
    """Wall and processor time of a block."""

    def __enter__(self) -> Clock:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu

    def __str__(self) -> str:
        return f"{self.wall:.3f} s ({self.cpu:.3f} s of processor)"


def peak_gb() -> float:
    """Peak memory of this process in GB (not GiB)."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def row_loop(volumes: dict[TumorType, tuple[np.ndarray, np.ndarray]]) -> str:
    """The table as a loop over rows makes it."""
    names = {kind: "pancreatic" if kind is TumorType.PANCREAS else str(kind) for kind in volumes}
    figures = ("sensitivity", "specificity", "f1")
    lines = [",".join(["threshold", *(f"{names[kind]}_{figure}" for kind in volumes for figure in figures)])]
    for threshold in THRESHOLDS_MM3:
        cells = [str(threshold)]
        for volume, positive in volumes.values():
            tp = fp = tn = fn = 0
            for v, p in zip(volume, positive, strict=True):
                if v >= threshold:
                    tp, fp = tp + int(p), fp + int(not p)
                else:
                    tn, fn = tn + int(not p), fn + int(p)
            cells += [f"{k / n:.1%} ({k}/{n})" if n else "N/A (0/0)" for k, n in ((tp, tp + fn), (tn, tn + fp))]
            total = 2 * tp + fp + fn
            cells.append(f'"{f"{2 * tp / total:.1%}" if total else "N/A"} (TP={tp}, FP={fp}, FN={fn})"')
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def some_volumes(n: int) -> dict[TumorType, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    kinds = (TumorType.LIVER, TumorType.KIDNEY, TumorType.PANCREAS)
    return {
        kind: (np.where(rng.random(n) < 0.5, 0, np.exp(rng.normal(6, 3, n))), rng.random(n) < PREVALENCE)
        for kind in kinds
    }


def sweep() -> None:
    small, large = some_volumes(500), some_volumes(CASES)
    with Clock() as slow:
        expected = row_loop(small)
    assert protocol_table(small) == expected
    times = []
    for _ in range(5):
        with Clock() as fast:
            protocol_table(large)
        times.append(fast)
    best = min(times, key=lambda item: item.wall)
    with Clock() as fast_small:
        protocol_table(small)
    print(
        f"sweep: row loop, 500 cases: {slow}; here: {fast_small}, equal to the byte, {slow.cpu / fast_small.cpu:.0f} x"
    )
    print(f"sweep: here, {CASES} cases x 3 organs x {len(THRESHOLDS_MM3)} thresholds: {best}")


def bootstrap(kinds: int = 17) -> None:
    rng = np.random.default_rng(1)
    patient = np.arange(CASES) // 2
    nothing = np.zeros(CASES, dtype=bool)
    samples = {}
    for index in range(kinds):
        positive = rng.random(CASES) < PREVALENCE
        score = np.round(1 / (1 + np.exp(-rng.normal(size=CASES) - 1.5 * positive)), 4)
        no_volume = np.full(CASES, np.nan)
        kind = list(TumorType)[index % len(TumorType)]
        samples[f"{index}"] = Sample(kind, (), patient, positive, score, no_volume, score, nothing, score > 0.8)
    draws = Draws(int(patient.max()) + 1, 2000, "0", 0)
    with Clock() as clock:
        drawn = draw_replicates(samples, dict.fromkeys(samples, POINTS), draws, jobs=2)  # type: ignore[arg-type]
        for name, sample in samples.items():
            score_type(sample, POINTS, drawn[name], 0.95)  # type: ignore[index]
    print(f"bootstrap: {CASES} cases x {kinds} types x 2000 replicates, 2 threads: {clock}, peak {peak_gb():.2f} GB")


def synthetic(folder: Path) -> tuple[Path, Path, Path]:
    """A release of 25 000 cases of 12 500 patients, a submission of scores, and a task of every type."""
    import json

    rng = np.random.default_rng(2)
    kinds = list(TumorType)
    present = rng.random((CASES, len(kinds))) < PREVALENCE
    states = {True: Presence.PRESENT, False: Presence.ABSENT}
    records = [
        make_record(f"c{i:05d}", {k: states[bool(p)] for k, p in zip(kinds, row, strict=True)}, patient=f"p{i // 2}")
        for i, row in enumerate(present)
    ]
    release = write_release(folder / "release", records)
    scores = 1 / (1 + np.exp(-rng.normal(size=present.shape) - 1.5 * present))
    submission = folder / "submission"
    submission.mkdir()
    (submission / "submission.yaml").write_text("team: synthetic\nmethod: synthetic\n")
    rows = (f"c{i:05d},{k},{s:.4f}\n" for i, row in enumerate(scores) for k, s in zip(kinds, row, strict=True))
    (submission / "predictions.csv").write_text("case_id,tumor_type,score\n" + "".join(rows))
    task = folder / "task.json"
    task.write_text(json.dumps({"name": "all-v1", "description": "", "tumor_types": [str(kind) for kind in kinds]}))
    return release.folder, submission, task


_CHILD = """
import resource, sys, time
from rsuper_bench.cli import app
start = time.perf_counter()
try:
    app(sys.argv[1:], standalone_mode=False)
finally:
    use = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{time.perf_counter() - start:.1f} {use.ru_utime + use.ru_stime:.1f} {use.ru_maxrss * 1024 / 1e9:.2f}")
"""


def in_child(*verb: str) -> str:
    """Run a verb in a process of its own: its wall and processor time, and its peak memory."""
    done = subprocess.run([sys.executable, "-c", _CHILD, *verb], check=True, capture_output=True, text=True)
    wall, cpu, peak = done.stdout.splitlines()[-1].split()
    return f"{wall} s ({cpu} s of processor), {peak} GB"


def whole(*jobs: int, compared: bool = False) -> None:
    what = f"{CASES} cases x {len(TumorType)} types"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        release, submission, task = (str(path) for path in synthetic(folder))
        common = ["evaluate", submission, "--data", release, "--task", task]
        for number in jobs:
            out = folder / f"out{number}"
            cost = in_child(*common, "--jobs", str(number), "--out", str(out))
            digest = hashlib.sha256((out / "report.json").read_bytes()).hexdigest()[:16]
            print(f"whole: evaluate {what}, {number} jobs: {cost}, report {digest}", flush=True)
        if compared:
            reports = [str(folder / f"out{jobs[0]}")] * 2
            print(
                f"compare: {what}, 2 jobs: {in_child('compare', *reports, '--jobs', '2', '--out', str(folder / 'c'))}"
            )


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["sweep", "bootstrap", "workers", "compare"]
    for part, work in (("sweep", sweep), ("bootstrap", bootstrap)):
        if part in wanted:
            work()
    if {"whole", "workers", "compare"} & set(wanted):
        whole(*((1, 2, 4) if "workers" in wanted else (2,)), compared="compare" in wanted)
