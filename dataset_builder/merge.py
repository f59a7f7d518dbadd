"""Several releases -> one, so that masks of one data set and reports of another can train one network."""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from joblib import Parallel, delayed

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import digest_of
from rsuper_bench.benchmark.records import CaseRecord
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.release_info import ReleaseInfo, ReleaseKind
from rsuper_bench.dataset_builder.attach import carried_case, rejections_of
from rsuper_bench.dataset_builder.build import is_built, move_to_place
from rsuper_bench.dataset_builder.label_map import LABEL_MAP
from rsuper_bench.dataset_builder.release_writer import record_digest, write_release
from rsuper_bench.dataset_builder.staging import Staging

SOURCE = "merged"  # in ``release.json``; each case keeps the source it came from
_SHOWN = 5


def merge(
    releases: Sequence[Release],
    out: Path,
    *,
    name: str = SOURCE,
    version: str = "1.0.0",
    jobs: int = 1,
    on_case: Callable[[int, int], None] | None = None,
) -> str:
    """Put the cases of several full releases into one; each keeps its split, its findings and the bytes of its images.

    Cases that are done stay in the work folder, so that a second run goes on where the first was stopped.

    Args:
        releases: Two or more, whose order makes no difference.
        out: Folder to make.
        name: Of the new release.
        version: Of the new release.
        jobs: Cases at once; the bytes are the same for any number.
        on_case: Called after each case with the number of finished cases and of all.

    Returns:
        What was done, in one line.

    Raises:
        ConfigError: Fewer than two releases, one that does not carry all its images, or ``out`` holds something else.
        DataError: A case in two releases, or a patient or an anatomy in two splits (all problems at once).
    """
    started = time.time()
    ordered = sorted(releases, key=lambda release: (release.name, release.digest))
    _require_full(ordered)
    cases = [(release, record) for release in ordered for record in release.records()]
    smoke = any(release.smoke for release in ordered)
    if problems := [*_twice(cases), *([] if smoke else _in_two_splits(record for _, record in cases))]:
        raise DataError.of(problems)
    identity = digest_of([[release.digest for release in ordered], name, version])
    staging = Staging.beside(out)
    if is_built(out, identity):
        staging.remove()
        return f"{out} is merged already: {len(cases)} cases, nothing to do"
    digests = {record.case_id: digest_of([release.digest, record_digest(record)]) for release, record in cases}
    with staging.locked("merge"):
        work = (
            delayed(_stage)(release.folder, release.digest, record, staging, digests[record.case_id])
            for release, record in cases
        )
        for done, _ in enumerate(Parallel(n_jobs=jobs, return_as="generator_unordered")(work), start=1):
            if on_case is not None:
                on_case(done, len(cases))
        shutil.rmtree(staging.release, ignore_errors=True)
        splits = {record.case_id: record.split for _, record in cases}
        rejections = [item for release in ordered for item in rejections_of(release)]
        info = ReleaseInfo(name=name, version=version, source=SOURCE, seed=0, synthetic=False, smoke=smoke)
        write_release(staging, splits, digests, rejections, info)
        move_to_place(staging, out, identity, started, jobs)
    return ", ".join(f"{len(release.records())} cases of {release.name}" for release in ordered)


def _stage(folder: Path, release_digest: str, record: CaseRecord, staging: Staging, digest: str) -> None:
    if staging.read(record.case_id, digest) is None:
        staging.write(carried_case(_opened(folder, release_digest), record), digest)


@lru_cache(maxsize=16)
def _opened(folder: Path, _: str) -> Release:
    """A release, once a process: to send it with every case would take its whole table along."""
    return Release(folder)


def _require_full(releases: Sequence[Release]) -> None:
    problems = []
    if len(releases) < 2:
        problems.append(Problem("dataset merge", f"{len(releases)} release", "two or more", "Name the others too."))
    for release in releases:
        if release.info is None or release.info.kind is not ReleaseKind.FULL:
            fix = "Complete it first: rsuper-bench dataset attach."
            problems.append(Problem(str(release.folder), "does not carry all its images", "a full release", fix))
        elif release.label_map.to_json() != LABEL_MAP.to_json():
            fix = "Build it again with this version."
            problems.append(Problem(str(release.folder), "other numbers of masks", "those of this version", fix))
    if problems:
        raise ConfigError.of(problems)


def _twice(cases: Iterable[tuple[Release, CaseRecord]]) -> list[Problem]:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for release, record in cases:
        places[record.case_id].append(str(release.folder))
    twice = {case_id: found for case_id, found in places.items() if len(found) > 1}
    if not twice:
        return []
    found = f"{len(twice)} case ids in more than one release: {_some(twice)}"
    fix = "Merge a release once; rename cases of different patients that share an id."
    return [Problem(", ".join(sorted({place for found in twice.values() for place in found})), found, "none", fix)]


def _in_two_splits(records: Iterable[CaseRecord]) -> list[Problem]:
    """Patients and anatomies that are in two splits; cases stand for them, since a message names no patient."""
    groups: dict[str, defaultdict[str, list[CaseRecord]]] = {
        "patients": defaultdict(list),
        "anatomies": defaultdict(list),
    }
    for record in records:
        groups["patients"][record.patient_id].append(record)
        if record.derived_from is not None:
            groups["anatomies"][record.derived_from].append(record)
    fix = "Build one of the releases again with their splits, or without them."
    problems = []
    for what, found in groups.items():
        leaks = [cases for cases in found.values() if len({case.split for case in cases}) > 1]
        if leaks:
            shown = _some(case.case_id for cases in leaks for case in cases)
            message = f"{len(leaks)} {what} in two splits, with cases {shown}"
            problems.append(Problem("the releases together", message, "each in one", fix))
    return problems


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:_SHOWN]) + (", ..." if len(ordered) > _SHOWN else "")
