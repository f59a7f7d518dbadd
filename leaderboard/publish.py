"""A built site -> a static Space or dataset repository on the Hub; figures -> the model repositories of entries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import check_model, sha256_bytes
from rsuper_bench.benchmark.hub_push import NOBODYS, Target, hub_api, hub_errors, push_files
from rsuper_bench.benchmark.report import Score
from rsuper_bench.leaderboard.build import INDEX_FILE, PAGES, TYPES
from rsuper_bench.leaderboard.entry import HUB_REPO
from rsuper_bench.leaderboard.hub_results import results_yaml
from rsuper_bench.leaderboard.reading import check_json

if TYPE_CHECKING:
    from huggingface_hub import HfApi

SiteKind = Literal["space", "dataset"]
BOARD_FILE = "board.json"
TOP_FILES = (INDEX_FILE, "board.csv", BOARD_FILE, "BOARD.md")
MAX_SITE_BYTES = 2 * 1024**3
# Files of a repository that are nobody's work; one with others, and without board.json, is not ours to replace.
_NOBODYS = NOBODYS | {INDEX_FILE, "style.css"}
_CARDS = {
    "space": """---
title: rsuper-bench leaderboard
emoji: 🔎
colorFrom: green
colorTo: blue
sdk: static
app_file: index.html
pinned: false
---
""",
    "dataset": """---
pretty_name: rsuper-bench leaderboard
configs:
- config_name: board
  data_files: board.csv
---
""",
}


class _Loose(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class BoardEntry(_Loose):
    """What publishing needs of an entry in ``board.json``."""

    task: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=100)]
    primary: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.]{1,80}$")]
    provenance: Literal["reported", "verified"]
    synthetic: bool
    model_repo: Annotated[str, StringConstraints(pattern=HUB_REPO)] | None = None
    scores: dict[Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")], dict[str, Score]]


class _BoardGroup(_Loose):
    entries: tuple[BoardEntry, ...]


class _BoardFile(_Loose):
    schema_version: Annotated[int, Field(ge=1, le=1)]
    groups: tuple[_BoardGroup, ...]


@dataclass(frozen=True)
class Publication:
    """What would leave the machine.

    Attributes:
        files: Path in the repository and bytes of every file of the site, its card included.
        results: Model repository -> path in it -> text of evaluation results.
    """

    repo: str
    kind: SiteKind
    private: bool
    files: dict[str, bytes]
    results: dict[str, dict[str, str]]


def plan_publication(
    site: Path, repo: str, *, kind: SiteKind = "space", private: bool = False, benchmark: str | None = None
) -> Publication:
    """List what would be sent, and make the evaluation results.

    Args:
        site: Folder that ``build_site`` wrote.
        repo: ``org/name``.
        kind: A static Space, or a dataset repository.
        private: Make a new repository private.
        benchmark: Dataset repository of the benchmark; without it, no evaluation results are made.

    Raises:
        ConfigError: If a name is no ``org/name``.
        DataError: If the folder is no built site.
    """
    wrong = [
        Problem(option, ascii((name or "")[:100]), "org/name", "Correct the option.")
        for option, name in (("--repo", repo), ("--benchmark", benchmark))
        if name is not None and not _is_repo(name)
    ]
    if wrong:
        raise ConfigError.of(wrong)
    names = [*TOP_FILES, *(f"{folder}/{path.name}" for folder in (PAGES, TYPES) for path in _pages(site / folder))]
    missing = [name for name in names if (site / name).is_symlink() or not (site / name).is_file()]
    if missing:
        fix = "Run rsuper-bench leaderboard build."
        raise DataError.of([Problem(str(site / name), "no such file", "a built site", fix) for name in missing])
    if sum((site / name).stat().st_size for name in names) > MAX_SITE_BYTES:
        raise DataError.of([Problem(str(site), "more than 2 GiB", "a built site", "Look at what is in it.")])
    files = {name: (site / name).read_bytes() for name in names}
    entries = _read_board(site / BOARD_FILE, files[BOARD_FILE])
    files["README.md"] = (_CARDS[kind] + "\n" + files["BOARD.md"].decode()).encode()
    results: dict[str, dict[str, str]] = {}
    source = f"https://huggingface.co/{kind}s/{repo}"
    for entry in entries:
        if entry.model_repo is not None and benchmark is not None:
            text = results_yaml(entry.task, entry.primary, entry.scores, _notes(entry), benchmark, source)
            results.setdefault(entry.model_repo, {})[f".eval_results/rsuper-bench-{entry.task}.yaml"] = text
    return Publication(repo, kind, private, dict(sorted(files.items())), dict(sorted(results.items())))


def _is_repo(name: str) -> bool:
    return re.fullmatch(HUB_REPO, name) is not None


def _pages(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.html")) if folder.is_dir() else []


def _read_board(path: Path, data: bytes) -> list[BoardEntry]:
    try:
        check_json(data)
    except ValueError as cause:
        fix = "Run rsuper-bench leaderboard build."
        raise DataError.of([Problem(str(path), f"not valid JSON ({cause})", "a built site", fix)]) from None
    board = check_model(json.loads(data), _BoardFile, str(path), DataError)
    return [entry for group in board.groups for entry in group.entries]


def _notes(entry: BoardEntry) -> str:
    """How far the figures can be trusted, beside the figures."""
    made = (
        "scored again from the predictions" if entry.provenance == "verified" else "scored by whoever added the entry"
    )
    return f"{made}; synthetic images, not patients" if entry.synthetic else made


def send(plan: Publication, api: HfApi | None = None) -> Iterator[str]:
    """Send the site in one commit, then open a pull request in each model repository whose figures are not there yet.

    Args:
        plan: What to send.
        api: Hub to send it to; by default that of the environment.

    Yields:
        The address of each thing sent.

    Raises:
        ConfigError: The repository holds something else.
        DataError: The Hub refuses, or cannot be reached; a token is never part of the message.
    """
    api = api or hub_api()
    target = Target(plan.repo, plan.kind, BOARD_FILE, "a board", _NOBODYS)
    with hub_errors(target.where):
        sdk = "static" if plan.kind == "space" else None
        api.create_repo(plan.repo, repo_type=plan.kind, private=plan.private or None, exist_ok=True, space_sdk=sdk)
        push_files(api, target, plan.files, message="Build the board", stale=_pages_of)
    yield f"{api.endpoint}/{plan.kind}s/{plan.repo}"
    for model, files in plan.results.items():
        with hub_errors(f"model {model}"):
            address = _suggest(api, model, files)
        if address is not None:
            yield address


def _pages_of(there: set[str]) -> list[str]:
    """Pages of an earlier board."""
    return [name for name in there if name.startswith((f"{PAGES}/", f"{TYPES}/"))]


def _suggest(api: HfApi, model: str, files: dict[str, str]) -> str | None:
    """Open a pull request with evaluation results, unless they are there or suggested already."""
    from huggingface_hub import CommitOperationAdd

    digest = sha256_bytes("".join(f"{name}\0{text}" for name, text in sorted(files.items())).encode())
    title = f"Add rsuper-bench evaluation results ({digest[:12]})"
    if any(found.title == title for found in api.get_repo_discussions(model, discussion_type="pull_request")):
        return None
    commit = api.create_commit(
        model,
        [CommitOperationAdd(name, text.encode()) for name, text in sorted(files.items())],
        commit_message=title,
        create_pr=True,
    )
    return commit.pr_url
