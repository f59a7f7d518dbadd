"""How metrics and figures read on the board."""

from __future__ import annotations

import re

from rsuper_bench.benchmark.report import Score
from rsuper_bench.leaderboard.entry import Entry
from rsuper_bench.leaderboard.ranking import Rank
from rsuper_bench.leaderboard.reported import Shares
from rsuper_bench.leaderboard.training import leaks

NOTHING = "–"

# The metrics a board offers, in the order it offers them; the primary one of a task comes first.
METRICS = {
    "sensitivity_at_specificity_90": "Sensitivity at 90 % specificity",
    "specificity_at_sensitivity_90": "Specificity at 90 % sensitivity",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "sensitivity": "Sensitivity, frozen threshold",
    "specificity": "Specificity, frozen threshold",
    "f1": "F1, frozen threshold",
    "sensitivity_at_reader": "Sensitivity at the literature's specificity",
    "specificity_at_reader": "Specificity at the literature's sensitivity",
}
_PLAIN = frozenset({"auroc", "average_precision"})  # read as 0.87; everything else as per cent


def metric_label(metric: str) -> str:
    """Name of a metric in words."""
    return METRICS.get(metric, metric.replace("_", " "))


def metric_unit(metric: str) -> str:
    """``%``, or nothing."""
    return "" if metric in _PLAIN else "%"


def figure(value: float | None, metric: str) -> str:
    """One number: ``71.2`` (per cent) or ``0.712``."""
    if value is None:
        return NOTHING
    return f"{value:.3f}" if metric in _PLAIN else f"{value * 100:.1f}"


def interval(score: Score, metric: str) -> str:
    """``60.1–80.2``, or nothing when the report gives none."""
    if score.value is None or score.low is None or score.high is None:
        return ""
    return f"{figure(score.low, metric)}–{figure(score.high, metric)}"


def rank_text(rank: Rank | None) -> str:
    """``2``, or a dash for an entry without a rank."""
    return NOTHING if rank is None else str(rank.rank)


def rank_interval(rank: Rank | None) -> str:
    """``2–4``; ``2`` when the place is certain."""
    if rank is None:
        return ""
    return str(rank.rank) if rank.rank == rank.last else f"{rank.rank}–{rank.last}"


def shares_text(shares: Shares) -> str:
    """``80`` or ``66.7–88.4``, in per cent as published."""
    return "–".join(f"{share * 100:.1f}".removesuffix(".0") for share in shares) or NOTHING


def reader_figure(value: float | None, spread: str, interval_text: str) -> tuple[str, str]:
    """A literature figure in per cent and, below it, its interval; a range where the study gives no single value.

    Args:
        value: Share, or None.
        spread: ``0.67-0.78`` over readers or scans, or empty.
        interval_text: ``0.60-0.80``, or empty.
    """
    if value is None:
        return _per_cent(spread) or NOTHING, ""
    return figure(value, "sensitivity"), _per_cent(interval_text)


def _per_cent(shares: str) -> str:
    """``IQR 0.81-0.94`` as ``IQR 81.0–94.0``."""
    return re.sub(r"[0-9]*\.?[0-9]+", lambda share: f"{float(share.group()) * 100:.1f}", shares).replace("-", "–")


def type_label(name: str) -> str:
    """Tumor type as a heading: ``soft_tissue`` is ``Soft tissue``."""
    return name.replace("_", " ").capitalize()


def badges(entry: Entry) -> list[tuple[str, str]]:
    """Short marks beside an entry, and what they mean."""
    marks = []
    if entry.provenance.value == "verified":
        marks.append(("verified", "Scored again by the maintainers from the predictions."))
    else:
        marks.append(("reported", "Scored by whoever added the entry, with this project's evaluator."))
    if entry.data.smoke:
        marks.append(("smoke", "One anatomy is in several splits: not evidence."))
    if entry.data.synthetic:
        marks.append(("synthetic", "Scored on synthetic images, not on patients."))
    if leaks(entry):
        marks.append(("leak", "Evaluated cases, or their patients or anatomy, are in the training data."))
    if entry.missing_policy == "fail" and entry.coverage.get("missing", 0) > 0:
        marks.append(("incomplete", "Missing predictions were scored the worst way."))
    return marks
