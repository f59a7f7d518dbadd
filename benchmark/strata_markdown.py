"""Strata of the cases as Markdown: one table an axis."""

from __future__ import annotations

from collections.abc import Mapping

from rsuper_bench.benchmark.markdown import NOT_DEFINED, escape, markdown_table, score_cell
from rsuper_bench.benchmark.report import Score, StratumScores
from rsuper_bench.benchmark.stratum import UNKNOWN, Axis
from rsuper_bench.benchmark.tumor_types import TumorType

_HEADER = ["stratum", "tumor type", "positive", "negative", "sensitivity, %", "specificity, %", "AUROC"]
_NOTES = {
    Axis.SIZE: "By the largest reported diameter; each size is set against all negative cases, which have no size.",
}


def strata_markdown(strata: Mapping[Axis, Mapping[str, Mapping[TumorType, StratumScores]]]) -> str:
    """Strata with at least one figure, and how many have none."""
    parts = ["At the thresholds of all cases. A figure of fewer than 10 cases is left out; report.json has its counts."]
    for axis, found in strata.items():
        if set(found) <= {UNKNOWN}:
            parts.append(f"**{axis}**: unknown for every case.")
            continue
        if len(found) == 1 and axis is not Axis.SIZE:
            parts.append(f"**{axis}**: {_name(next(iter(found)))} for every case, so the figures are those above.")
            continue
        pairs = [(stratum, kind, scores) for stratum, kinds in found.items() for kind, scores in kinds.items()]
        shown = [item for item in pairs if any(score.value is not None for score in _figures(item[2]))]
        parts.append(f"**{axis}**")
        if shown:
            parts.append(markdown_table(_HEADER, [_row(*item) for item in shown]))
        if len(shown) < len(pairs):
            parts.append(f"{len(pairs) - len(shown)} of {len(pairs)} strata by tumor type have no figure.")
        if axis in _NOTES:
            parts.append(_NOTES[axis])
    return "\n\n".join(parts)


def _name(stratum: str) -> str:
    return escape(stratum.replace("_", " "))


def _figures(scores: StratumScores) -> tuple[Score, Score, Score]:
    return scores.sensitivity, scores.specificity, scores.auroc


def _row(stratum: str, kind: TumorType, scores: StratumScores) -> list[str]:
    return [
        _name(stratum),
        kind.replace("_", " "),
        str(scores.positive),
        str(scores.negative),
        _cell(scores.sensitivity),
        _cell(scores.specificity),
        _cell(scores.auroc, as_percent=False),
    ]


def _cell(score: Score, *, as_percent: bool = True) -> str:
    if score.value is None and score.k is not None and score.n is not None:
        return f"{NOT_DEFINED} ({score.k}/{score.n})"
    return score_cell(score, as_percent=as_percent)
