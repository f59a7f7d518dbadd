"""Cases of a source -> a release. Stopped at any moment, the same command goes on and ends with the same bytes."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import digest_of, pretty_json, read_model, sha256_file, write_text
from rsuper_bench.benchmark.records import Record, Split
from rsuper_bench.benchmark.release_info import RELEASE_FILE, ReleaseInfo, ReleaseKind
from rsuper_bench.dataset_builder.cluster import on_cluster
from rsuper_bench.dataset_builder.prepared_case import ReportReader, prepare_case
from rsuper_bench.dataset_builder.raw_case import CaseKey, Source
from rsuper_bench.dataset_builder.rejection import CaseError, CheckedSource, Reason, Rejection, detail_of
from rsuper_bench.dataset_builder.release_writer import write_release
from rsuper_bench.dataset_builder.splits import DEFAULT_FRACTIONS, draw_splits, leaking_anatomies
from rsuper_bench.dataset_builder.staging import StagedCase, Staging
from rsuper_bench.dataset_builder.summary import Summary

RUN_FILE = "run.json"
STAGING_VERSION = 2  # raised when a staged case is no longer what an earlier version staged
_PACKAGES = ("rsuper-bench", "datasets", "nibabel", "numpy", "pillow", "pyarrow", "scipy")


class RunInfo(Record):
    """``run.json``: when and with what a release was built. Outside every digest.

    Attributes:
        build: Digest of the command's meaning and of its input; a second run with the same one has nothing to do.
    """

    build: str
    started: datetime
    seconds: float
    jobs: int
    versions: dict[str, str]


@dataclass(frozen=True)
class BuildPlan:
    """Everything a build needs to know.

    Attributes:
        source: Where cases come from.
        source_name: Its name on the command line.
        context: JSON-able; what all cases depend on (config, seed).
        extractor: Reads the reports.
        out: Release folder; made as a whole at the end, or not at all.
        seed: Of the splits.
        smoke: Let one anatomy be in several splits, and mark the release.
        strict: An unusable case stops the build; otherwise it goes to ``rejected.csv``.
        shard: ``(i, n)``: make every n-th case from the i-th (1 <= i <= n) and stop; a build without a shard goes on
            from what all shards have made.
        cluster: Address of a Dask scheduler that makes the cases, instead of this machine.
        name: Of the release.
        version: Of the release.
        kind: How much of its cases the release carries.
    """

    source: Source
    source_name: str
    context: Mapping[str, Any]
    extractor: ReportReader
    out: Path
    seed: int = 0
    smoke: bool = False
    strict: bool = False
    jobs: int = 1
    shard: tuple[int, int] | None = None
    cluster: str | None = None
    fractions: Mapping[Split, float] = field(default_factory=lambda: DEFAULT_FRACTIONS)
    name: str = ""
    version: str = "1.0.0"
    kind: ReleaseKind = ReleaseKind.FULL


@dataclass(frozen=True)
class BuildResult:
    """What a build did. ``summary`` is None when there was nothing left to do, or only a shard was made."""

    state: str
    n_cases: int
    rejections: tuple[Rejection, ...] = ()
    summary: Summary | None = None


def build(plan: BuildPlan, on_case: Callable[[int, int], None] | None = None) -> BuildResult:
    """Build a release.

    Args:
        plan: What to build.
        on_case: Called after each case with the number of finished cases and of all.

    Raises:
        ConfigError: The folder holds something else.
        DataError: The source, a split or (if strict) a case cannot be used; the out folder is as it was.
    """
    started = time.time()
    keys = sorted(plan.source.keys(), key=lambda key: key.case_id)
    refused = tuple(plan.source.rejections()) if isinstance(plan.source, CheckedSource) else ()
    if not keys:
        raise DataError.of([Problem(f"source {plan.source_name}", "no usable case", "at least one", "Add cases.")])
    splits = draw_splits(keys, seed=plan.seed, fractions=plan.fractions, smoke=plan.smoke)
    digests = {key.case_id: _case_digest(plan, key, splits[key.case_id]) for key in keys}
    identity = digest_of(
        [
            digests,
            plan.smoke,
            plan.name,
            plan.version,
            plan.kind,
            [(item.input_id, item.reason, item.detail) for item in refused],
        ]
    )
    staging = Staging.beside(plan.out)
    if is_built(plan.out, identity):
        staging.remove()
        return BuildResult("already built", len(keys), refused)
    try:
        with staging.locked("build" if plan.shard is None else f"shard-{plan.shard[0]}-of-{plan.shard[1]}"):
            return _build(plan, keys, splits, digests, identity, staging, refused, started, on_case)
    except OSError as cause:
        raise DataError.of(
            [
                Problem(
                    str(cause.filename or plan.out),
                    f"cannot be written or read ({cause.strerror or cause})",
                    "room and the right to write beside the out folder",
                    "Free some space or name another folder; the build then goes on where it was.",
                )
            ]
        ) from cause


def _build(
    plan: BuildPlan,
    keys: Sequence[CaseKey],
    splits: Mapping[str, Split],
    digests: Mapping[str, str],
    identity: str,
    staging: Staging,
    refused: tuple[Rejection, ...],
    started: float,
    on_case: Callable[[int, int], None] | None,
) -> BuildResult:
    mine = keys if plan.shard is None else keys[plan.shard[0] - 1 :: plan.shard[1]]
    rejected = []
    work = (
        delayed(stage_case)(plan.source, key, splits[key.case_id], plan.extractor, staging, digests[key.case_id])
        for key in mine
    )
    with on_cluster(plan.cluster):
        # A cluster takes as many cases as it has workers; --jobs is for this machine.
        parallel = Parallel(n_jobs=plan.jobs if plan.cluster is None else -1, return_as="generator_unordered")
        for done, rejection in enumerate(parallel(work), start=1):
            if rejection is not None:
                rejected.append(rejection)
            if on_case is not None:
                on_case(done, len(mine))
    rejected.sort(key=lambda item: item.input_id)
    if rejected and plan.strict:
        raise DataError.of([_as_problem(item) for item in rejected])
    if plan.shard is not None:
        return BuildResult("shard", len(mine), (*refused, *rejected))
    if len(rejected) == len(keys):
        raise DataError.of([_as_problem(item) for item in rejected])
    shutil.rmtree(staging.release, ignore_errors=True)
    info = ReleaseInfo(
        name=plan.name or plan.source_name,
        version=plan.version,
        kind=plan.kind,
        source=plan.source_name,
        seed=plan.seed,
        synthetic=False,
        smoke=plan.smoke,
    )
    summary = write_release(staging, splits, digests, refused, info)
    if not plan.smoke:
        _refuse_leaks(summary)
    move_to_place(staging, plan.out, identity, started, plan.jobs)
    return BuildResult("built", summary.n_cases, (*refused, *rejected), summary)


def move_to_place(staging: Staging, out: Path, identity: str, started: float, jobs: int) -> None:
    """Give a finished release its ``run.json`` and its place, and remove the work folder."""
    run = RunInfo(
        build=identity,
        started=datetime.fromtimestamp(started, UTC),
        seconds=round(time.time() - started, 3),
        jobs=jobs,
        versions={"python": platform.python_version()} | {package: version(package) for package in _PACKAGES},
    )
    write_text(staging.release / RUN_FILE, pretty_json(run))
    staging.release.replace(out.absolute())
    staging.remove()


def stage_case(
    source: Source, key: CaseKey, split: Split, extractor: ReportReader, staging: Staging, digest: str
) -> Rejection | None:
    """Make one case and put it into the work folder, unless it is there already.

    Returns:
        Why the case cannot be used, or None.
    """
    staged = staging.read(key.case_id, digest)
    if staged is None:
        staged = _make(source, key, split, extractor, staging, digest)
    return staged.rejection


def _make(
    source: Source, key: CaseKey, split: Split, extractor: ReportReader, staging: Staging, digest: str
) -> StagedCase:
    try:
        raw = source.make(key)
        if (raw.case_id, raw.patient_id) != (key.case_id, key.patient_id):
            raise ValueError(f"source made another case than {key.case_id}")
        return staging.write(prepare_case(raw, split, extractor), digest)
    except CaseError as cause:
        return staging.reject(key.case_id, digest, cause.reason, detail_of(cause))
    except DataError as cause:
        return staging.reject(key.case_id, digest, Reason.UNUSABLE, detail_of(cause))


def _case_digest(plan: BuildPlan, key: CaseKey, split: Split) -> str:
    """Everything the staged case follows from."""
    return digest_of(
        {
            "staging": STAGING_VERSION,
            "version": version("rsuper-bench"),
            "source": plan.source_name,
            "context": dict(plan.context),
            "case": [key.case_id, key.patient_id, key.derived_from, key.input_digest, split],
            "extractor": plan.extractor.info.model_dump(mode="json"),
        }
    )


def is_built(out: Path, identity: str) -> bool:
    """Whether the release stands there already; anything else in its place is refused."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    fix = "Name another folder, or remove this one."
    if not (out.is_dir() and (out / RUN_FILE).is_file() and (out / RELEASE_FILE).is_file()):
        raise ConfigError.of([Problem(f"--out {out}", "holds something else", "a new or empty folder", fix)])
    if read_model(out / RUN_FILE, RunInfo, DataError).build != identity:
        raise ConfigError.of([Problem(f"--out {out}", "holds another release", "a new or empty folder", fix)])
    files = read_model(out / RELEASE_FILE, ReleaseInfo, DataError).files
    changed = [name for name, digest in files.items() if not _is_file(out / name, digest)]
    if changed:
        fix = "Remove the folder and run the command again."
        raise DataError.of([Problem(str(out / name), "missing or changed", "as built", fix) for name in changed])
    return True


def _is_file(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_file(path) == digest


def _refuse_leaks(summary: Summary) -> None:
    """The keys told the anatomies before; this is for sources that only the finished case tells them of."""
    problems = leaking_anatomies(summary.anatomies)
    if problems:
        raise DataError.of(problems)


def _as_problem(item: Rejection) -> Problem:
    expected = "a usable case"
    return Problem(item.detail, str(item.reason), expected, "Mend it, or pass --reject-bad to go on without it.")
