"""Mutated submissions: scored as they say, or refused with one clear error (all: tests/fuzz/submissions.py)."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

from clean import make_release
from hostile import MUTATIONS, HostileError, attempt

SCRIPT = Path(__file__).parents[1] / "fuzz" / "submissions.py"
COUNTER = itertools.count()


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return make_release(tmp_path_factory.mktemp("fuzz") / "release")


@pytest.mark.parametrize("turn", range(3))
def test_every_mutation(release, tmp_path, turn):
    start = turn * len(MUTATIONS)
    verdicts = [attempt(number, tmp_path / str(number), release)[0] for number in range(start, start + len(MUTATIONS))]
    assert {"scored", "refused"} == set(verdicts)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(10_000, 10**9))
def test_any_mutation(release, tmp_path, number):
    attempt(number, tmp_path / str(next(COUNTER)), release)


def test_a_silent_score_would_be_seen(release, tmp_path, monkeypatch):
    """The check itself: an evaluator that drops what it does not understand is caught."""
    from rsuper_bench.benchmark import predictions_table

    def lenient(_self, text, _column, _line, _what, _allowed):
        try:
            return min(max(float(text.replace(",", ".") or 0), 0.0), 1.0)
        except ValueError:
            return 0.0

    monkeypatch.setattr(predictions_table._Complaints, "number", lenient)
    first = next(index for index, mutation in enumerate(MUTATIONS) if mutation.__name__ == "decimal_commas")
    numbers = range(first, first + 8 * len(MUTATIONS), len(MUTATIONS))

    def attempt_all():
        for number in numbers:
            attempt(number, tmp_path / str(number), release)

    with pytest.raises(HostileError, match="scored, and should be refused"):
        attempt_all()


@pytest.mark.slow
def test_thousands():
    """The script alone tries 2 500."""
    done = subprocess.run([sys.executable, str(SCRIPT), "2000"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
