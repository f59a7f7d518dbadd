"""An overlay and the user's own download -> the complete release. Every part is checked before it goes in."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import csv_text, digest_of, read_text, sha256_bytes, sha256_file, write_text
from rsuper_bench.benchmark.records import CaseRecord
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.release_info import ReleaseInfo, ReleaseKind
from rsuper_bench.dataset_builder.build import is_built, move_to_place
from rsuper_bench.dataset_builder.prepared_case import PreparedCase, files_of, texts_of, volumes_of
from rsuper_bench.dataset_builder.preview import preview_png
from rsuper_bench.dataset_builder.raw_case import CaseKey, RawCase, Source
from rsuper_bench.dataset_builder.rejection import CheckedSource, Reason, Rejection
from rsuper_bench.dataset_builder.release_writer import WITHHELD, write_release
from rsuper_bench.dataset_builder.sources import SOURCES, SourceOptions, open_source
from rsuper_bench.dataset_builder.staging import Staging


def attach(
    overlay: Release,
    scans: Path,
    out: Path,
    *,
    config: Path | None = None,
    jobs: int = 1,
    on_case: Callable[[int, int], None] | None = None,
) -> str:
    """Join an overlay or an attributes-only release with the scans, masks and reports it was made from.

    The download is read by the source that the release was built from, so it has the layout of that source. Each part
    must have the sha256 that the manifest gives; the result has the bytes of a full release. Cases that are done stay
    in the work folder, so that a second run checks only what was missing.

    Args:
        overlay: What was published.
        scans: The user's own download.
        out: Folder to make.
        config: The source's own options.
        jobs: Cases at once.
        on_case: Called after each case with the number of finished cases and of all.

    Returns:
        What was done, in one line.

    Raises:
        ConfigError: The release is complete already, or ``out`` holds something else.
        DataError: Listing every file that is missing or differs.
    """
    started = time.time()
    info = _incomplete(overlay)
    if not scans.is_dir():
        raise ConfigError.of([Problem("--scans", f"no such folder {scans}", "your download", "Check the path.")])
    source = _source(info, scans, config)
    keys = {key.case_id: key for key in source.keys()}  # noqa: SIM118
    lines = _manifest(overlay)
    digests = {
        case_id: digest_of(
            [line, keys[case_id].input_digest if case_id in keys else "", config and sha256_file(config)]
        )
        for case_id, line in lines.items()
    }
    identity = digest_of([overlay.digest, info.model_dump(mode="json"), digests])
    staging = Staging.beside(out)
    if is_built(out, identity):
        staging.remove()
        return f"{out} is complete already: {len(lines)} cases, nothing to do"
    with staging.locked("attach"):
        work = (
            delayed(_stage)(overlay, record, lines[record.case_id], source, keys, staging, digests[record.case_id])
            for record in overlay.records()
        )
        problems: list[tuple[str, Problem]] = []
        for done, found in enumerate(Parallel(n_jobs=jobs, return_as="generator")(work), start=1):
            problems += found
            if on_case is not None:
                on_case(done, len(lines))
        if problems:
            raise DataError.of(_explained(problems, source, out))
        shutil.rmtree(staging.release, ignore_errors=True)
        splits = {record.case_id: record.split for record in overlay.records()}
        full = info.model_copy(update={"kind": ReleaseKind.FULL, "files": {}})
        write_release(staging, splits, digests, rejections_of(overlay), full)
        move_to_place(staging, out, identity, started, jobs)
    _problems_file(out).unlink(missing_ok=True)
    n = sum(bool(line.get("withheld")) for line in lines.values())
    return f"{len(lines)} cases, {n} of them from {scans}; every part has the sha256 of the manifest"


def _incomplete(overlay: Release) -> ReleaseInfo:
    info = overlay.info
    if info is None or info.kind is ReleaseKind.FULL:
        found = "a release that carries all its images" if info else "no release.json"
        fix = "Use the release as it is." if info else "Build or download the release again."
        raise ConfigError.of([Problem(str(overlay.folder), found, "an overlay or attributes-only release", fix)])
    return info


def _source(info: ReleaseInfo, scans: Path, config: Path | None) -> Source:
    kind = SOURCES.get(info.source)
    if kind is None or "input" not in kind.needs:
        fix = "Build the release again with the command it was built with."
        raise ConfigError.of([Problem(f"source {info.source}", "reads no download", "a source with --input", fix)])
    # What the source refuses is listed with all else that is missing.
    options = SourceOptions(seed=info.seed, input=scans, config=config, reject_bad="reject_bad" in kind.takes)
    return open_source(info.source, options)


def _manifest(overlay: Release) -> dict[str, dict[str, Any]]:
    """The lines of the manifest, checked against the table."""
    path = overlay.folder / "manifest.jsonl"
    try:
        lines = {line["case_id"]: line for line in map(json.loads, read_text(path).splitlines())}
        changed = [
            record.case_id
            for record in overlay.records()
            if record.case_id not in lines or lines[record.case_id]["record"] != digest_of(record)
        ]
    except (ValueError, KeyError, TypeError) as cause:
        fix = "Download the release again."
        raise DataError.of([Problem(str(path), f"damaged ({type(cause).__name__})", "as built", fix)]) from None
    if changed or len(lines) != len(overlay.records()):
        found = f"does not fit the table of attributes ({', '.join(changed[:5]) or 'more or fewer cases'})"
        raise DataError.of([Problem(str(path), found, "one line a case", "Download the release again.")])
    return lines


def _stage(
    overlay: Release,
    record: CaseRecord,
    line: dict[str, Any],
    source: Source,
    keys: dict[str, CaseKey],
    staging: Staging,
    digest: str,
) -> list[tuple[str, Problem]]:
    """Put one complete case into the work folder, unless it is there already; what is wrong with it otherwise."""
    if staging.read(record.case_id, digest) is not None:
        return []
    try:
        if not line.get("withheld"):
            case = carried_case(overlay, record)
        elif record.case_id in keys:
            case = _joined(record, source.make(keys[record.case_id]), line.get("voxels", {}))
        else:
            fix = "Download it, then run the command again."
            problem = Problem(f"case {record.case_id}", "missing or unusable in --scans", "its files", fix)
            return [(record.case_id, problem)]
    except DataError as cause:
        return [(record.case_id, problem) for problem in cause.problems]
    problems = _differences(case, record, line)
    if not problems:
        staging.write(case, digest)
    return [(record.case_id, problem) for problem in problems]


def carried_case(release: Release, record: CaseRecord) -> PreparedCase:
    """A case with the bytes that a release carries of it."""
    row = release.columns(record.case_id, WITHHELD)
    files = {name: row[name]["bytes"] for name in ("ct", "organs", "lesions") if row[name] is not None}
    return PreparedCase(record, row["report"], row["pathology_report"], files, row["preview"]["bytes"])


def _joined(record: CaseRecord, raw: RawCase, voxels: dict[str, str]) -> PreparedCase:
    """The user's images under the record of the overlay.

    The same voxels may be compressed to other bytes by another zlib: they are the same scan, and the record then gives
    the digest of the bytes that are really there.
    """
    ct, organs, lesions = volumes_of(raw)
    files = files_of(ct, organs, lesions)
    if sha256_bytes(gzip.decompress(files["ct"])) == voxels.get("ct"):
        record = record.model_copy(update={"ct": record.ct.model_copy(update={"sha256": sha256_bytes(files["ct"])})})
    return PreparedCase(record, *texts_of(raw), files, preview_png(ct, organs, lesions))


def _differences(case: PreparedCase, record: CaseRecord, line: dict[str, Any]) -> list[Problem]:
    """One problem for each part that is missing, too many, or not the one the manifest vouches for."""
    expected = {name: entry["sha256"] for name, entry in line["files"].items()}
    found, voxels = case.digests(), line.get("voxels", {})
    problems = []
    for name in sorted(expected.keys() | found.keys()):
        same = found.get(name) == expected.get(name)
        if not same and name in voxels and name in case.files:
            same = sha256_bytes(gzip.decompress(case.files[name])) == voxels[name]
        if not same:
            what = "differs" if name in expected and name in found else "missing" if name in expected else "too many"
            fix = "Get the version of the data that the release was built from."
            problem = Problem(f"case {record.case_id}: {name}", what, "the sha256 of the manifest", fix)
            problems.append(problem)
    return problems


def _explained(problems: list[tuple[str, Problem]], source: Source, out: Path) -> list[Problem]:
    """The problems, with what the source itself says of cases it cannot use; many of them go to a file too."""
    told = {item.input_id: item for item in source.rejections()} if isinstance(source, CheckedSource) else {}
    listed = [
        Problem(problem.where, f"{problem.found}: {told[case_id].detail}", problem.expected, problem.fix)
        if case_id in told
        else problem
        for case_id, problem in sorted(problems, key=lambda item: (item[0], item[1].where))
    ]
    path = _problems_file(out)
    rows = [{"where": problem.where, "found": problem.found, "expected": problem.expected} for problem in listed]
    write_text(path, csv_text(rows, ["where", "found", "expected"]))
    n = len({case_id for case_id, _ in problems})
    fix = "Mend them and run the command again: what is right already is not read again."
    return [
        Problem(str(path), f"{n} cases cannot be joined; the file lists all {len(listed)} problems", "none", fix),
        *listed,
    ]


def _problems_file(out: Path) -> Path:
    return out.absolute().parent / f"{out.name}.problems.csv"


def rejections_of(release: Release) -> list[Rejection]:
    """The rows of ``rejected.csv``.

    Raises:
        DataError: When it is damaged.
    """
    text = read_text(release.folder / "rejected.csv")
    try:
        return [
            Rejection(row["input_id"], Reason(row["reason"]), row["detail"])
            for row in csv.DictReader(io.StringIO(text, newline=""), strict=True)
        ]
    except (ValueError, KeyError, csv.Error) as cause:
        where = str(release.folder / "rejected.csv")
        fix = "Download the release again."
        raise DataError.of([Problem(where, f"damaged ({type(cause).__name__})", "as built", fix)]) from None
