"""What the scanners report: a kind and a place, never the text itself."""

from __future__ import annotations

from typing import NamedTuple


class Hit(NamedTuple):
    """One suspicious span: character ``start`` to ``end`` of what was scanned."""

    start: int
    end: int
    kind: str


def merged(hits: list[Hit]) -> list[Hit]:
    """Hits in order, without those that lie inside another."""
    kept: list[Hit] = []
    for hit in sorted(set(hits), key=lambda hit: (hit.start, -hit.end, hit.kind)):
        if not kept or hit.end > kept[-1].end:
            kept.append(hit)
    return kept
