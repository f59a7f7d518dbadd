"""Thousands of mutated submissions: ``python tests/fuzz/submissions.py [number] [first]`` (2500, 0).

Each is one of some forty mutations with its own random numbers: tables, parquet, masks, zips, names, YAML. All go
through the evaluator in this process; one in a hundred through the command line too. Bombs that unpack to hundreds of
megabytes come at the end. Memory is limited to 3 GiB (RLIMIT_AS). Exit 1 when anything was neither scored as it says
nor refused with one clear error.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from clean import TASK, make_release
from hostile import HEAVY, HostileError, attempt, mutate

LIMIT_BYTES = 3 * 1024**3
LONGEST_SECONDS = 30.0  # of the processor
CLI_EVERY = 100


def attempt_cli(number: int, place: Path, data: Path) -> str | None:
    """The same through the command line: what is wrong, or None."""
    place.mkdir()
    _, path, expected = mutate(number, place)
    (place / "task.yaml").write_text(
        f"name: {TASK.name}\ndescription: ''\ntumor_types: [liver, kidney]\nbootstrap_replicates: 100\n"
    )
    out = place / "out"
    command = [sys.executable, "-m", "rsuper_bench", "evaluate", str(path), "--data", str(data), "--out", str(out)]
    command += ["--task", str(place / "task.yaml"), "--missing", expected.missing]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    scored = (out / "report.json").exists()
    if "Traceback" in done.stderr:
        return f"traceback: {done.stderr[-400:]}"
    if done.returncode not in (0, 1) or scored != (done.returncode == 0):
        return f"exit {done.returncode}, report {'written' if scored else 'not written'}: {done.stderr[-400:]}"
    if out.exists() != scored:
        return "half-written"
    if scored == (expected.values is None) and not expected.may_refuse:
        return f"{'scored' if scored else 'refused'}, against what was expected: {done.stderr[-400:]}"
    return None


def main() -> None:
    """Try them all and print what became of them."""
    number, first = (int(text) for text in [*sys.argv[1:], *("2500", "0")[len(sys.argv) - 1 :]])
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    verdicts: Counter[str] = Counter()
    failures: list[str] = []
    slowest, started = 0.0, time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        release = make_release(Path(place) / "release")
        jobs = [(index, False) for index in range(first, first + number)]
        jobs += [(index, True) for index in range(2 * len(HEAVY))]
        for index, heavy in jobs:
            try:
                verdict, seconds = attempt(index, Path(place) / f"{index}-{heavy}", release, heavy=heavy)
            except HostileError as error:
                failures.append(str(error))
                print(failures[-1][:600], flush=True)
                continue
            verdicts[verdict] += 1
            slowest = max(slowest, seconds)
            if seconds > LONGEST_SECONDS:
                failures.append(f"{index}, heavy {heavy}: took {seconds:.0f} s")
                print(failures[-1], flush=True)
        from_cli = 0
        for index in range(first, first + number, CLI_EVERY):
            problem = attempt_cli(index + index // CLI_EVERY, Path(place) / f"cli-{index}", release.folder)
            from_cli += 1
            if problem:
                failures.append(f"command line {index + index // CLI_EVERY}: {problem}")
                print(failures[-1], flush=True)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    total = sum(verdicts.values()) + from_cli
    print(
        f"{total} submissions: {verdicts['scored']} scored as they say, {verdicts['refused']} refused with one error, "
        f"{from_cli} through the command line, {len(failures)} failures; slowest {slowest:.1f} s of the processor, "
        f"peak {peak_mib:.0f} MiB, {time.monotonic() - started:.0f} s in all"
    )
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
