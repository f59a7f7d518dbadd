"""What a server sent, taken apart; anything may be in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


class GaveUpError(Exception):
    """No answer to one report. ``reason`` is a short code without any text of the report.

    ``server_away`` says that the server may be the cause, not the report: many of these in a row end the run.
    """

    def __init__(self, reason: str, *, server_away: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.server_away = server_away


class AskAgainError(Exception):
    """A fault that may pass."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Reply:
    """The first choice of a completion, and what it cost in tokens. ``is_cut`` when it ended at the limit."""

    content: str = field(repr=False)
    is_cut: bool
    prompt_tokens: int
    answer_tokens: int


def read_reply(data: bytes) -> Reply:
    """Take a completion apart.

    Raises:
        AskAgainError: If it is none: the server is not well.
        GaveUpError: If the model declined.
    """
    try:
        reply: Any = json.loads(data)
        choice = reply["choices"][0]
        content = choice["message"]["content"]
        declined = choice.get("finish_reason") == "content_filter" or choice["message"].get("refusal")
        is_cut = choice.get("finish_reason") == "length"
        usage = reply.get("usage") or {}
        tokens = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        raise AskAgainError("not_a_completion") from None
    if declined:
        raise GaveUpError("declined")
    return Reply(content if isinstance(content, str) else "", is_cut, *tokens)


def parsed(content: str) -> Any:
    """JSON; bare control characters in strings, which constrained decoding may write, are let through.

    Raises:
        ValueError: If it is no JSON.
    """
    return json.loads(content, strict=False, parse_constant=_no_constant)


def _no_constant(_name: str) -> None:
    raise ValueError("NaN and Infinity are no JSON")
