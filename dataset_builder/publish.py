"""A release -> a dataset repository on the Hub: gated, in one commit, tagged by version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import sha256_file
from rsuper_bench.benchmark.hub_push import Target, hub_api, hub_errors, push_files
from rsuper_bench.benchmark.release import Release

if TYPE_CHECKING:
    from huggingface_hub import HfApi

DOCUMENTS = (
    "README.md",
    "manifest.jsonl",
    "rejected.csv",
    "label_map.json",
    "croissant.json",
    "release.json",
    "run.json",
)
Gating = Literal["no", "auto", "manual"]


@dataclass(frozen=True)
class Departure:
    """What would leave the machine.

    Attributes:
        files: Path in the release and size in bytes of every file; nothing else is sent.
        tag: ``v`` and the version of the release.
        gating: Whether and how the Hub asks readers to agree to the terms first.
    """

    release: Release
    repo: str
    files: tuple[tuple[str, int], ...]
    tag: str
    gating: Gating
    private: bool

    @property
    def n_bytes(self) -> int:
        """Of all files."""
        return sum(size for _, size in self.files)


def plan_departure(release: Release, repo: str, *, gating: Gating | None = None, private: bool = False) -> Departure:
    """List what would leave.

    Args:
        release: The release.
        repo: ``org/name``.
        gating: By default ``manual`` when any case is of a patient, else ``no``.
        private: Make a new repository private.

    Raises:
        DataError: If the release does not say which files it has.
    """
    if release.info is None:
        raise DataError.of(
            [
                Problem(
                    str(release.folder),
                    "no release.json",
                    "a release made by `rsuper-bench dataset build`",
                    "Build it.",
                )
            ]
        )
    names = [*DOCUMENTS, *sorted(release.info.files)]
    missing = [name for name in names if not (release.folder / name).is_file()]
    if missing:
        fix = "Build the release again."
        raise DataError.of(
            [Problem(str(release.folder / name), "no such file", "a whole release", fix) for name in missing]
        )
    if gating is None:
        gating = "no" if all(record.synthetic for record in release.records()) else "manual"
    files = tuple((name, (release.folder / name).stat().st_size) for name in names)
    return Departure(release, repo, files, f"v{release.info.version}", gating, private)


def publish(departure: Departure) -> str:
    """Send a release. The caller has run the gates.

    The settings come first, then every file in one commit, and the tag last. A stopped upload goes on when the command
    runs again.

    Returns:
        Address of the tagged version.

    Raises:
        ConfigError: The repository holds something else, or this version with other files.
        DataError: The Hub refuses, or cannot be reached; a token is never part of the message.
    """
    api = hub_api()
    target = Target(departure.repo, "dataset", "release.json", "an earlier version")
    repo: dict[str, Any] = {"repo_id": departure.repo, "repo_type": "dataset"}
    with hub_errors(target.where):
        api.create_repo(**repo, private=departure.private or None, exist_ok=True)
        # Before any file is there to be read.
        api.update_repo_settings(**repo, gated=False if departure.gating == "no" else departure.gating)
        tags = {ref.name: ref.target_commit for ref in api.list_repo_refs(**repo).tags}
        if departure.tag in tags:
            _check_published(api, departure, tags[departure.tag])
            return _address(api, departure)
        files = {name: departure.release.folder / name for name in sorted(name for name, _ in departure.files)}
        message = f"Publish {departure.release.name} {departure.tag}"
        commit = push_files(api, target, files, message=message, stale=lambda there: there - {".gitattributes"})
        api.create_tag(**repo, tag=departure.tag, revision=commit)
    return _address(api, departure)


def _check_published(api: HfApi, departure: Departure, revision: str) -> None:
    """A version is published once: the same files again are fine, others are not."""
    from huggingface_hub.hf_api import RepoFile

    names = [name for name, _ in departure.files if name.endswith(".parquet")]
    entries = api.get_paths_info(departure.repo, names, repo_type="dataset", revision=revision)
    there = {entry.path: entry.lfs.sha256 for entry in entries if isinstance(entry, RepoFile) and entry.lfs}
    same = all(there.get(name) == sha256_file(departure.release.folder / name) for name in names)
    if not same:
        found = f"{departure.tag} is there already, with other files"
        expected, fix = "a version that is not published yet", "Build with a higher --version."
        raise ConfigError.of([Problem(f"--repo {departure.repo}", found, expected, fix)])


def _address(api: HfApi, departure: Departure) -> str:
    return f"{api.endpoint}/datasets/{departure.repo}/tree/{departure.tag}"
