"""ROC curves as they are drawn: in a box of 100 by 100, with the radiologists of the literature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rsuper_bench.benchmark.literature import detection_reader, interval_ends, literature_readers
from rsuper_bench.benchmark.report import LiteratureReader
from rsuper_bench.benchmark.roc_curve import thinned
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.leaderboard.entry import Entry, RocPoint

MAX_DRAWN = 48  # corners of a curve in a small multiple


@dataclass(frozen=True)
class ReaderPoint:
    """The radiologists' operating point and, where the study gives them, its intervals; all in the box."""

    reader: LiteratureReader
    x: float
    y: float
    x_range: tuple[float, float] | None
    y_range: tuple[float, float] | None


@dataclass(frozen=True)
class Curve:
    """One method on one tumor type."""

    entry: Entry
    path: str


@dataclass(frozen=True)
class Panel:
    """One small multiple."""

    kind: TumorType
    curves: tuple[Curve, ...]
    reader: ReaderPoint | None
    positives: int
    negatives: int


def roc_panel(kind: TumorType, entries: Sequence[Entry], *, most: int) -> Panel | None:
    """Curves of the first entries that have one, up to ``most``; None when none has."""
    drawn = [entry for entry in entries if kind in entry.roc][:most]
    if not drawn:
        return None
    last = drawn[0].roc[kind][-1]
    curves = tuple(Curve(entry, curve_path(entry.roc[kind])) for entry in drawn)
    return Panel(kind, curves, reader_point(kind), positives=last.tp, negatives=last.fp)


def drawn_points(points: Sequence[RocPoint]) -> list[RocPoint]:
    """At most :data:`MAX_DRAWN` corners, evenly along the curve, with both ends."""
    if len(points) <= MAX_DRAWN:
        return list(points)
    return [RocPoint(*map(int, corner)) for corner in thinned(np.array(points), MAX_DRAWN)]


def curve_path(points: Sequence[RocPoint]) -> str:
    """Points of an SVG polyline."""
    negatives, positives = max(points[-1].fp, 1), max(points[-1].tp, 1)
    return " ".join(
        f"{_short(100 * point.fp / negatives)},{_short(100 - 100 * point.tp / positives)}"
        for point in drawn_points(points)
    )


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def reader_point(kind: TumorType) -> ReaderPoint | None:
    """Where the literature gives both numbers of detection per patient."""
    reader = detection_reader(literature_readers((kind,)), kind)
    if reader is None or reader.sensitivity is None or reader.specificity is None:
        return None
    sensitivity, specificity = interval_ends(reader.sensitivity_interval), interval_ends(reader.specificity_interval)
    return ReaderPoint(
        reader,
        x=100 - 100 * reader.specificity,
        y=100 - 100 * reader.sensitivity,
        x_range=None if specificity is None else (100 - 100 * specificity[1], 100 - 100 * specificity[0]),
        y_range=None if sensitivity is None else (100 - 100 * sensitivity[1], 100 - 100 * sensitivity[0]),
    )
