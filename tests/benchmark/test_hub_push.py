"""What every push to the Hub has in common; the loopback server tries the verbs themselves."""

from types import SimpleNamespace

import pytest

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.hub_push import Target, hub_errors, push_files

TARGET = Target("org/name", "model", "weights.safetensors", "earlier weights")


class Hub:
    """Holds names of files, and remembers commits."""

    def __init__(self, *there):
        self.there, self.commits = list(there), []

    def repo_info(self, repo, *, repo_type):
        return SimpleNamespace(sha="looked-at")

    def list_repo_files(self, repo, *, repo_type, revision):
        assert revision == "looked-at"
        return self.there

    def create_commit(self, repo, operations, *, repo_type, commit_message, parent_commit):
        self.commits.append(([(type(item).__name__, item.path_in_repo) for item in operations], parent_commit))
        return SimpleNamespace(oid="made")


def push(hub, **more):
    return push_files(hub, TARGET, {"README.md": b"card", "weights.safetensors": b"w"}, message="Push", **more)


def test_one_commit_on_what_was_looked_at_adds_files_and_removes_stale_ones():
    hub = Hub("weights.safetensors", "old.txt", "README.md")
    assert push(hub, stale=lambda there: there | {"not there"}) == "made"
    added = [("CommitOperationAdd", "README.md"), ("CommitOperationAdd", "weights.safetensors")]
    assert hub.commits == [([*added, ("CommitOperationDelete", "old.txt")], "looked-at")]
    push(hub)
    assert hub.commits[1] == (added, "looked-at")


def test_a_new_repository_is_taken_and_one_of_somebody_else_is_not():
    assert push(Hub(".gitattributes", "README.md")) == "made"
    taken = Hub("README.md", "thesis.pdf")
    with pytest.raises(ConfigError, match=r"--repo org/name: the repository holds 2 files and no weights\.safetensors"):
        push(taken, stale=lambda there: there)
    assert taken.commits == []


def test_what_the_network_says_is_one_line_and_our_own_mistakes_stay_loud():
    with pytest.raises(DataError, match="the Hub gave TimeoutError; expected") as caught, hub_errors("--repo org/name"):
        raise TimeoutError("https://user:hf_secret@hub")
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="as it was"), hub_errors("--repo org/name"):
        raise ConfigError("as it was")
    with pytest.raises(KeyError), hub_errors("--repo org/name"):
        raise KeyError("a slip")
