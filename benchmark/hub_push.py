"""Files -> a repository on the Hub: in one commit, never over somebody else's work, with one line for a refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem, RsuperBenchError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

# Files of a repository that are nobody's work.
NOBODYS = frozenset({".gitattributes", "README.md"})


@dataclass(frozen=True)
class Target:
    """Where files go, and by which file a repository is known as ours.

    Attributes:
        repo: ``org/name``.
        kind: As the Hub calls it.
        marker: Once pushed, there is a file of that name. A repository without it that holds more than ``nobodys`` is
            somebody else's, and is not touched.
        expected: What it may hold, in words: ``earlier weights``.
        nobodys: Files that a new repository may have.
    """

    repo: str
    kind: Literal["model", "dataset", "space"]
    marker: str
    expected: str
    nobodys: frozenset[str] = NOBODYS

    @property
    def where(self) -> str:
        """In messages."""
        return f"--repo {self.repo}"


def hub_api() -> HfApi:
    """The Hub of the environment, without bars that would mix with ours."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    return HfApi(library_name="rsuper-bench")


def push_files(
    api: HfApi,
    target: Target,
    files: Mapping[str, Path | bytes],
    *,
    message: str,
    stale: Callable[[set[str]], Iterable[str]] = lambda _: (),
) -> str:
    """Send files in one commit on top of the state that was looked at: a reader sees the old version or the new one.

    Large files that the Hub has already are not sent again, so a stopped upload goes on when it is called again.

    Args:
        api: From :func:`hub_api`.
        target: An existing repository.
        files: Name in the repository -> path on disk, or the bytes.
        message: Of the commit.
        stale: Of the names that are there -> those that go.

    Returns:
        The commit.

    Raises:
        ConfigError: The repository holds something else; nothing is sent.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    head = api.repo_info(target.repo, repo_type=target.kind).sha
    there = set(api.list_repo_files(target.repo, repo_type=target.kind, revision=head))
    if target.marker not in there and there - target.nobodys:
        found = f"the repository holds {len(there)} files and no {target.marker}"
        expected = f"a new repository, or one with {target.expected}"
        raise ConfigError.of([Problem(target.where, found, expected, "Name another one.")])
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        *(
            CommitOperationAdd(name, content if isinstance(content, bytes) else str(content))
            for name, content in files.items()
        ),
        *(CommitOperationDelete(name) for name in sorted(set(stale(there)) & there - files.keys())),
    ]
    commit = api.create_commit(
        target.repo, operations, repo_type=target.kind, commit_message=message, parent_commit=head
    )
    return str(commit.oid)


@contextmanager
def hub_errors(where: str) -> Iterator[None]:
    """What the Hub and the network say, as one line without an address that could hold a token.

    Raises:
        DataError: If one of them refuses.
    """
    from huggingface_hub.errors import HfHubHTTPError

    def refused(found: str) -> RsuperBenchError:
        fix = "Check the name, your rights (hf auth whoami) and the network; the same command goes on where it was."
        return DataError.of([Problem(where, f"the Hub gave {found}", "that it takes the files", fix)])

    try:
        yield
    except HfHubHTTPError as cause:
        raise refused(f"{type(cause).__name__}, status {cause.response.status_code}") from None
    except (OSError, RuntimeError) as cause:
        raise refused(type(cause).__name__) from None
    except Exception as cause:
        if not type(cause).__module__.startswith(("httpx", "httpcore", "requests", "urllib3", "hf_xet")):
            raise
        raise refused(type(cause).__name__) from None
