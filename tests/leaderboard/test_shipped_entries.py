"""The entries in the repository: readable, verified, labelled, and with the predictions they were made from."""

from pathlib import Path

import pytest

from rsuper_bench.leaderboard.build import build_site, check_site
from rsuper_bench.leaderboard.reading import attached_submission, read_entries
from rsuper_bench.leaderboard.wording import badges

ROOT = Path(__file__).parents[2]
ENTRIES = ROOT / "leaderboard" / "submissions"


@pytest.fixture(scope="module")
def entries():
    return read_entries(ENTRIES)


def test_the_demo_baselines_are_there_and_verified(entries):
    demo = [entry for entry in entries if entry.team == "rsuper-bench demo"]
    assert {entry.method for entry in demo} == {"mask_only", "report_only", "combined"}
    for entry in demo:
        assert {"verified", "synthetic"} <= set(dict(badges(entry)))
        assert entry.verification.thresholds is not None
        assert attached_submission(ENTRIES / entry.path) is not None
        assert [overlap.shared_patients for overlap in entry.overlaps] == [0]
        assert (ENTRIES / entry.path).stat().st_size < 50_000


def test_no_entry_leaks(entries):
    assert [entry.path for entry in entries if "leak" in dict(badges(entry))] == []


def test_the_board_builds_and_the_check_passes(tmp_path):
    carried = "<!-- board: begin" in (ROOT / "README.md").read_text("utf-8")
    build_site(ENTRIES, tmp_path / "site")
    assert check_site(ENTRIES, tmp_path / "site", readme=ROOT / "README.md" if carried else None) == []
