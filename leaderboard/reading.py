"""Reading a folder of entries: every problem at once, whatever was put there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.model_problems import model_problems
from rsuper_bench.benchmark.submission import read_submission
from rsuper_bench.leaderboard.entry import ENTRY_SUFFIX, MAX_ENTRY_BYTES, Entry

ATTACHED_SUFFIX = ".submission"  # <task>.submission/ beside <task>.json holds the predictions it was made from
ATTACHED_FILES = frozenset({"submission.yaml", "predictions.csv", "predictions.parquet", "thresholds.json"})
MAX_ATTACHED_BYTES = 20 * 1024**2
_NOTES = (".md", ".txt")  # explanations beside the entries are welcome


def read_entries(folder: Path) -> list[Entry]:
    """Read every entry below a folder, sorted by path.

    Raises:
        ConfigError: If the folder does not exist.
        DataError: Listing every malformed, misplaced or foreign file.
    """
    if not folder.is_dir():
        raise ConfigError.of(
            [Problem(str(folder), "no such folder", "a folder of entries", "Make one with leaderboard add.")]
        )
    entries, problems = [], []
    for path, relative in _candidates(folder):
        if path.parent.suffix == ATTACHED_SUFFIX:
            problems += _attached_problems(path, relative)
            continue
        found = read_entry(path, relative)
        if isinstance(found, Entry):
            entries.append(found)
        else:
            problems += found
    if problems:
        raise DataError.of(problems)
    return entries


def _candidates(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files that are neither hidden nor notes, in an order that does not depend on the file system."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    for relative in sorted(paths):
        path = paths[relative]
        hidden = any(part.startswith(".") for part in relative.split("/"))
        if hidden or (path.is_dir() and not path.is_symlink()) or path.suffix in _NOTES:
            continue
        yield path, relative


def attached_submission(path: Path) -> Path | None:
    """Folder of the predictions beside an entry file; None when there is none."""
    folder = path.with_suffix(ATTACHED_SUFFIX)
    return folder if folder.is_dir() else None


def attached_problems(folder: Path, entries: Iterable[Entry]) -> list[Problem]:
    """Predictions that lie beside an entry and are not those it was made from."""
    problems = []
    for entry in entries:
        beside = attached_submission(folder / entry.path)
        if beside is None:
            continue
        where = _shown(beside.relative_to(folder).as_posix())
        submission, found = read_submission(beside)
        if submission is None or found:
            problems += [replace(problem, where=f"{where}: {_shown(problem.where)}") for problem in found]
        elif submission.digest != entry.digests.get("submission"):
            expected, fix = "the predictions the entry was made from", "Attach those, or evaluate these and add again."
            problems.append(Problem(where, f"digest {submission.digest[:12]}", expected, fix))
    return problems


def _attached_problems(path: Path, relative: str) -> list[Problem]:
    where = _shown(relative)
    if path.is_symlink() or not path.is_file():
        return [Problem(where, "not a plain file", "a file of predictions", "Remove it.")]
    if path.name not in ATTACHED_FILES:
        return [Problem(where, "not part of a submission", f"one of {', '.join(sorted(ATTACHED_FILES))}", "Remove it.")]
    if path.stat().st_size > MAX_ATTACHED_BYTES:
        found = f"{path.stat().st_size / 1024**2:.1f} MiB"
        return [Problem(where, found, f"at most {MAX_ATTACHED_BYTES // 1024**2} MiB", "Keep them elsewhere.")]
    if not path.parent.with_suffix(ENTRY_SUFFIX).is_file():
        return [Problem(where, "predictions without an entry", "an entry beside them", "Add it, or remove them.")]
    return []


def read_entry(path: Path, relative: str) -> Entry | list[Problem]:
    """Read one file, or say what is wrong with it; ``relative`` is its place below the folder of entries."""
    where = _shown(relative)
    if path.is_symlink() or not path.is_file():
        return [Problem(where, "not a plain file", "an entry file", "Remove it.")]
    if path.suffix != ENTRY_SUFFIX:
        return [Problem(where, "not an entry", "<team>__<method>/<task>.json", "Remove it.")]
    size = path.stat().st_size
    if size > MAX_ENTRY_BYTES:
        found = f"{size / 1024**2:.1f} MiB"
        return [Problem(where, found, f"at most {MAX_ENTRY_BYTES // 1024**2} MiB", "Make it with leaderboard add.")]
    try:
        data = path.read_bytes()
        check_json(data)
    except ValueError as cause:
        return [Problem(where, f"not valid JSON ({cause})", "an entry", "Make it with leaderboard add.")]
    except OSError as cause:
        return [Problem(where, f"cannot be read ({cause.strerror})", "a readable file", "Check its rights.")]
    try:
        entry = Entry.model_validate_json(data, strict=True)
    except ValidationError as cause:
        # keys of a stranger's file end up in `where`: as harmless and as short as the path
        return [replace(problem, where=_shown(problem.where)) for problem in model_problems(cause, Entry, where)]
    if entry.path != relative:
        return [
            Problem(
                where,
                "not in its place",
                entry.path,
                "Names and task decide the path, so that nothing is listed twice: move or remove the file.",
            )
        ]
    return entry


def check_json(data: bytes) -> None:
    """Check the JSON of a stranger: UTF-8, each key once, no NaN, no bottomless nesting.

    Raises:
        ValueError: With a reason that quotes nothing from the text.
    """
    try:
        json.loads(data.decode("utf-8"), object_pairs_hook=_each_key_once, parse_constant=_no_constant)
    except UnicodeDecodeError as cause:
        raise ValueError(f"byte {cause.start} is not UTF-8") from None
    except json.JSONDecodeError as cause:
        raise ValueError(f"line {cause.lineno}, column {cause.colno}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return value


def _no_constant(_: str) -> Any:
    raise ValueError("NaN or Infinity; undefined is null with a reason")


def _shown(relative: str) -> str:
    """A path that cannot play tricks on a terminal."""
    shown = relative if relative.isprintable() and relative.isascii() else ascii(relative)
    return shown if len(shown) <= 200 else f"{shown[:200]}..."
