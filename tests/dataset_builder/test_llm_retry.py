"""When to ask again: by hand, with a clock of our own."""

from datetime import UTC, datetime

import pytest

from rsuper_bench.dataset_builder.extraction.llm.retry import RetryPolicy, retry_after_s

POLICY = RetryPolicy(attempts=5, first_wait_s=1, longest_wait_s=4, longest_retry_after_s=100)


@pytest.mark.parametrize(("attempt", "limit_s"), [(1, 1), (2, 2), (3, 4), (4, 4)])
def test_waits_double_up_to_a_limit(attempt, limit_s):
    waits = [POLICY.wait_s(f"job{number}", attempt, None) for number in range(50)]
    assert all(limit_s / 2 <= wait <= limit_s for wait in waits)
    assert max(waits) - min(waits) > limit_s / 4  # they do not come back all at once


def test_the_last_attempt_is_the_last():
    assert POLICY.wait_s("job", 5, None) is None


def test_same_seed_same_wait():
    assert POLICY.wait_s("job", 2, None) == POLICY.wait_s("job", 2, None)
    assert POLICY.wait_s("job", 2, None) != RetryPolicy(seed=1, first_wait_s=1).wait_s("job", 2, None)


def test_a_server_that_asks_for_a_pause_gets_it():
    assert 30 <= POLICY.wait_s("job", 1, 30.0) <= 31
    assert POLICY.wait_s("job", 1, 101.0) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("7", 7),
        ("1.5", 1.5),
        ("-3", 0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("Thu, 26 Nov 2026 12:00:30 GMT", 30),
        ("Thu, 26 Nov 2026 11:00:00 GMT", 0),
        ("26 Nov 2026 12:00:30", None),  # no time zone
    ],
)
def test_retry_after(header, expected):
    assert retry_after_s(header, lambda: datetime(2026, 11, 26, 12, tzinfo=UTC)) == expected
