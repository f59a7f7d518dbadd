"""A release -> a dataset repository on the Hub: gated, in one commit, tagged by version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem, RsuperBenchError
from rsuper_bench.benchmark.files import sha256_file
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
# Files of a repository that are nobody's work; one with others, and without release.json, is not ours to replace.
_NOBODYS = (".gitattributes", "README.md")
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

    Every file goes into one commit on top of the state that was looked at, so that a reader sees the old version or
    the new one. Large files that the Hub has already are not sent again: a stopped upload goes on when the command
    runs again. The tag comes last.

    Returns:
        Address of the tagged version.

    Raises:
        ConfigError: The repository holds something else, or this version with other files.
        DataError: The Hub refuses, or cannot be reached; a token is never part of the message.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    api = HfApi(library_name="rsuper-bench")
    repo: dict[str, Any] = {"repo_id": departure.repo, "repo_type": "dataset"}
    try:
        api.create_repo(**repo, private=departure.private or None, exist_ok=True)
        # Before any file is there to be read.
        api.update_repo_settings(**repo, gated=False if departure.gating == "no" else departure.gating)
        tags = {ref.name: ref.target_commit for ref in api.list_repo_refs(**repo).tags}
        if departure.tag in tags:
            _check_published(api, departure, tags[departure.tag])
            return _address(api, departure)
        head = api.repo_info(**repo).sha
        there = set(api.list_repo_files(**repo, revision=head))
        if "release.json" not in there and there - set(_NOBODYS):
            found = f"the repository holds {len(there)} files and no release.json"
            raise _wrong_repo(departure, found, "a new repository, or one with an earlier version", "Name another one.")
        names = {name for name, _ in departure.files}
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(CommitOperationAdd(name, str(departure.release.folder / name)) for name in sorted(names)),
            *(CommitOperationDelete(name) for name in sorted(there - names - {".gitattributes"})),
        ]
        message = f"Publish {departure.release.name} {departure.tag}"
        commit = api.create_commit(**repo, operations=operations, commit_message=message, parent_commit=head)
        api.create_tag(**repo, tag=departure.tag, revision=commit.oid)
    except HfHubHTTPError as cause:
        raise _refused(departure, f"{type(cause).__name__}, status {cause.response.status_code}") from None
    except (OSError, RuntimeError) as cause:
        raise _refused(departure, type(cause).__name__) from None
    except Exception as cause:
        if not type(cause).__module__.startswith(("httpx", "httpcore", "requests", "urllib3", "hf_xet")):
            raise
        raise _refused(departure, type(cause).__name__) from None
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
        raise _wrong_repo(departure, found, "a version that is not published yet", "Build with a higher --version.")


def _address(api: HfApi, departure: Departure) -> str:
    return f"{api.endpoint}/datasets/{departure.repo}/tree/{departure.tag}"


def _wrong_repo(departure: Departure, found: str, expected: str, fix: str) -> RsuperBenchError:
    return ConfigError.of([Problem(f"--repo {departure.repo}", found, expected, fix)])


def _refused(departure: Departure, found: str) -> RsuperBenchError:
    fix = "Check the name, your rights (hf auth whoami) and the network; the same command goes on where it was."
    return DataError.of([Problem(f"--repo {departure.repo}", f"the Hub gave {found}", "that it takes the files", fix)])
