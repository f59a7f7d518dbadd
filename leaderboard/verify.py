"""Scoring an entry again from the predictions it was made from."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.lesion_counts import read_lesion_counts
from rsuper_bench.benchmark.release import Release, open_release
from rsuper_bench.benchmark.submission import load_submission
from rsuper_bench.benchmark.thresholds import load_thresholds
from rsuper_bench.leaderboard.add import entry_of, write_entry
from rsuper_bench.leaderboard.entry import Entry, Provenance, Verification
from rsuper_bench.leaderboard.overlap import overlap_with
from rsuper_bench.leaderboard.reading import read_entry

DIGITS = 9  # figures are compared to nine decimals: another processor may differ in the last bits of a sum
REPLICATE_STEP = 1.5e-6  # replicates are stored with six decimals, and may round to either side

# What the submission, the release and the task decide; the rest is what people say of themselves.
_FIGURES = (
    "task",
    "fingerprint",
    "data",
    "missing_policy",
    "seed",
    "counts",
    "coverage",
    "scores",
    "roc",
    "thresholds",
    "replicates",
    "training_data",
)
_DIGESTS = ("submission", "release", "reference", "literature", "lesion_counts", "readers")


def verify_entry(
    path: Path,
    submission: str | Path,
    data: str | Path,
    *,
    thresholds: Path | None = None,
    counts: Path | None = None,
    readers: Path | None = None,
    trained_on: Sequence[Release] = (),
    write: bool = True,
    jobs: int = 1,
) -> Entry:
    """Score the predictions of an entry again and mark it verified when every figure is the same.

    Args:
        path: The entry file.
        submission: Its predictions.
        data: The release it was evaluated on.
        thresholds: File of its frozen thresholds. Without it, calls are made at the values the entry states, and
            where those were fitted is not checked.
        counts: Table of lesion counts, if the entry was evaluated on one.
        readers: File of readers, if the entry was evaluated with one.
        trained_on: Releases the method was trained on; what they share with the evaluated cases is counted.
        write: Mark the entry; otherwise nothing is changed.
        jobs: Threads.

    Returns:
        The verified entry.

    Raises:
        DataError: Listing every figure that differs; nothing is changed then.
    """
    entry = _read(path)
    read, release = load_submission(submission), open_release(data)
    found = {"submission": read.digest, "release": release.digest}
    wrong = [problem for name, digest in found.items() for problem in _digest_problem(entry, name, digest)]
    frozen = None if thresholds is None else load_thresholds(thresholds)
    if frozen is not None:
        wrong += _digest_problem(entry, "thresholds", frozen.digest)
    wrong += _absent(entry, counts, readers)
    if wrong:
        raise DataError.of(wrong)
    report = evaluate(
        read,
        entry.task_definition,
        release,
        split=entry.data.split,
        counts=None if counts is None else read_lesion_counts(counts),
        thresholds=frozen,
        calls_at=None if frozen is not None else entry.thresholds,
        readers=readers,
        missing=entry.missing_policy,
        seed=entry.seed,
        jobs=jobs,
    )
    again = entry_of(report, team=entry.team, method=entry.method, url=entry.url, report_digest="0" * 64)
    differences = list(_differences(entry, again))
    if differences:
        raise DataError.of(differences)
    images = {record.ct.sha256 for record in release.records(entry.data.split)}
    overlaps = [overlap_with(training, report, images=images) for training in trained_on]
    verified = _marked(entry, report.provenance, frozen_digest=None if frozen is None else frozen.digest)
    if overlaps:
        verified = Entry.model_validate(verified.model_dump() | {"overlaps": [item.model_dump() for item in overlaps]})
    if write:
        write_entry(verified, path)
    return verified


def _read(path: Path) -> Entry:
    found = read_entry(path, f"{path.absolute().parent.name}/{path.name}")
    if isinstance(found, Entry):
        return found
    raise DataError.of(found)


def _marked(entry: Entry, versions: Mapping[str, str | None], *, frozen_digest: str | None) -> Entry:
    verification = Verification.model_validate(
        {name: entry.digests[name] for name in ("submission", "release", "reference")}
        | {
            "thresholds": frozen_digest,
            "rsuper_bench": versions.get("rsuper_bench") or "unknown",
            "python": versions.get("python") or platform.python_version(),
            "numpy": versions.get("numpy") or np.__version__,
        }
    )
    changes = {"provenance": Provenance.VERIFIED, "verification": verification.model_dump()}
    return Entry.model_validate(entry.model_dump() | changes)


def _digest_problem(entry: Entry, name: str, digest: str) -> list[Problem]:
    stated = entry.digests.get(name)
    if stated == digest:
        return []
    found, expected = f"digest {digest[:12]}", f"{stated[:12]}, as the entry says" if stated else "none in the entry"
    return [Problem(name, found, expected, f"Name the {name} the entry was made from.")]


def _absent(entry: Entry, counts: Path | None, readers: Path | None) -> Iterator[Problem]:
    for name, option, given in (("lesion_counts", "--reference", counts), ("readers", "--readers", readers)):
        if entry.digests.get(name) is not None and given is None:
            yield Problem(option, "not given", "the table that the entry was evaluated with", "Add the option.")


def _differences(entry: Entry, again: Entry) -> Iterator[Problem]:
    """Every leaf of the figures that is not the same, by its place in the file."""
    before, after = entry.model_dump(mode="json"), again.model_dump(mode="json")
    for name in _FIGURES:
        yield from _compare(name, before[name], after[name])
    for name in _DIGESTS:
        yield from _compare(f"digests.{name}", before["digests"].get(name), after["digests"].get(name))
    for statement in again.statements:
        if statement not in entry.statements:
            yield Problem("statements", "one is missing", f"'{statement}'", _FIX)


def _compare(where: str, stated: Any, scored: Any) -> Iterator[Problem]:
    if isinstance(stated, dict) and isinstance(scored, dict):
        for key in [*stated, *(key for key in scored if key not in stated)]:
            yield from _compare(f"{where}.{key}", stated.get(key), scored.get(key))
    elif where == "replicates.values" or where.startswith("roc."):
        wrong = 0 if len(stated or ()) == len(scored or ()) else abs(len(stated or ()) - len(scored or ()))
        wrong += sum(not _same(where, *pair) for pair in zip(stated or (), scored or (), strict=False))
        if wrong:
            yield Problem(where, f"{wrong} values differ", "those of the predictions", _FIX)
    elif not _same(where, stated, scored):
        yield Problem(where, f"the entry says {_shown(stated)}", f"{_shown(scored)}, scored again", _FIX)


_FIX = "Evaluate again and add the new report; figures are never edited."


def _same(where: str, stated: Any, scored: Any) -> bool:
    if isinstance(stated, float) and isinstance(scored, (int, float)) and not isinstance(scored, bool):
        step = REPLICATE_STEP if where.startswith("replicates.") else 10.0**-DIGITS
        return abs(stated - scored) <= step * max(1.0, abs(scored))
    return bool(stated == scored)


def _shown(value: Any) -> str:
    return ascii(value)[:80]
