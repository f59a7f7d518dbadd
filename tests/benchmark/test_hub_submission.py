"""A submission that lies in a dataset repo: read by an unmodified client from a Hub on the loopback interface."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))
from hubserver import Repo, StoredFile, client_environment, serving

CODE = "import sys; from rsuper_bench.cli import main; sys.argv[0] = 'rsuper-bench'; main()"


@pytest.fixture
def hub():
    with serving() as hub:
        yield hub


def bench(hub, home, *arguments):
    return subprocess.run(
        [sys.executable, "-c", CODE, *map(str, arguments)],
        env=client_environment(hub, home),
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=240,
    )


def put(hub, name, folder):
    tree = {path.name: StoredFile(path.read_bytes(), large=False) for path in folder.iterdir()}
    hub.repos[name] = repo = Repo(name)
    repo.tags["v1"] = repo.commit(tree, "main")


@pytest.mark.slow
def test_a_dataset_repo_is_a_submission(hub, small_release, submit, test_rows, tmp_path):
    put(hub, "team/submission", submit(test_rows))
    put(hub, "team/broken", submit(test_rows[1:], name="broken"))
    data = ("--data", small_release.folder, "--split", "test")
    valid = bench(hub, tmp_path / "hf", "validate", "team/submission@v1", *data)
    assert valid.returncode == 0, valid.stderr
    assert "team/submission@v1: valid" in valid.stdout
    for name, part in (
        ("team/broken", "have no"),
        ("team/nothing", "not a folder, and the Hub gave"),
    ):
        refused = bench(hub, tmp_path / "hf", "validate", name, *data)
        assert refused.returncode == 1
        assert part in refused.stderr
        assert "Traceback" not in refused.stderr
