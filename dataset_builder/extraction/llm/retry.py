"""When to ask a server again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from rsuper_bench.benchmark.files import sha256_bytes


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off with jitter.

    Attributes:
        attempts: Requests for one report, at most.
        first_wait_s: Longest first wait; it doubles with every further one.
        longest_wait_s: The wait doubles up to here.
        longest_retry_after_s: A server that asks for a longer pause than this is given up on.
        seed: Of the jitter. Same seed, job and attempt, same wait, whatever else runs.
    """

    attempts: int = 8
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    longest_retry_after_s: float = 600.0
    seed: int = 0

    def wait_s(self, job: str, attempt: int, retry_after_s: float | None) -> float | None:
        """Seconds to wait after a failed attempt, or None to give up.

        Args:
            job: What is asked for; each has its own jitter, so that they do not come back all at once.
            attempt: 1 for the first.
            retry_after_s: What the server asked for; the wait is never shorter.
        """
        if attempt >= self.attempts:
            return None
        if retry_after_s is not None and retry_after_s > self.longest_retry_after_s:
            return None
        limit_s = min(self.first_wait_s * 2.0 ** (attempt - 1), self.longest_wait_s)
        share = int(sha256_bytes(f"{self.seed}:{job}:{attempt}".encode())[:8], 16) / 2**32
        return limit_s * (0.5 + 0.5 * share) + (retry_after_s or 0.0)


def retry_after_s(header: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """Seconds a ``Retry-After`` header asks for, which holds seconds or a date; None where it holds neither."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header) - now()).total_seconds()
        except (TypeError, ValueError):  # no date, or one without a time zone
            return None
    return max(0.0, seconds) if seconds < float("inf") else None
