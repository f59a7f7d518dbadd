"""What a gate reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class GateFinding:
    """One reason not to publish. ``case_id`` is empty for the release as a whole; ``gate`` is a reason code.

    Findings end up in logs: none holds report text, a patient id or what a PHI scanner found.
    """

    case_id: str
    gate: str
    detail: str

    def __str__(self) -> str:
        return f"{self.gate}: {f'case {self.case_id}: ' if self.case_id else ''}{self.detail}"
