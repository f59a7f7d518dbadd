"""The one family of errors a user sees; the command line catches it once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

SHOWN_PROBLEMS = 50


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input: where it is, what was found, what was expected, what to do.

    None of the four fields may hold report text or a patient identifier: they end up in logs.
    """

    where: str
    found: str
    expected: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.found}; expected {self.expected}.\n       {self.fix}"


class RsuperBenchError(Exception):
    """Anything the user can mend. ``exit_code`` is 1 (the data has problems) or 2 (the call was wrong)."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> RsuperBenchError:
        """Make one error that lists every problem (the first 50, and how many more)."""
        shown = [f"error: {problem}" for problem in problems[:SHOWN_PROBLEMS]]
        if len(problems) > SHOWN_PROBLEMS:
            shown.append(f"... and {len(problems) - SHOWN_PROBLEMS} more problems")
        return cls("\n".join(shown), problems)


class DataError(RsuperBenchError):
    """A release, a source folder or a volume is not what it should be."""


class SubmissionError(RsuperBenchError):
    """A submission is incomplete or malformed."""


class ConfigError(RsuperBenchError):
    """A recipe, a task, an option or a call is wrong."""

    exit_code: ClassVar[int] = 2
