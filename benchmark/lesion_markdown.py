"""Lesion figures as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rsuper_bench.benchmark.lesion_record import FROC_RATES, LESION_SIZES, LesionScores
from rsuper_bench.benchmark.markdown import NOT_DEFINED, TextTable, markdown_table, score_cell
from rsuper_bench.benchmark.score import Score
from rsuper_bench.benchmark.tumor_types import TumorType

_SHOWN_RATES = tuple(f"{rate:g}" for rate in FROC_RATES)


def lesions_markdown(lesions: Mapping[TumorType, LesionScores], policies: Sequence[str]) -> str:
    """Tables of the types with a figure, why others have none, and what the figures mean."""
    parts = []
    for table in lesion_tables(lesions):
        bold, comma, aside = table.title.partition(",")
        parts += [f"**{bold}**{comma}{aside}", markdown_table(table.header, table.rows)]
    parts += [_left_out(kind, scores) for kind, scores in lesions.items() if not scores.n_cases]
    return "\n\n".join([*parts, "\n".join(f"- {policy}" for policy in policies)])


def lesion_tables(lesions: Mapping[TumorType, LesionScores]) -> list[TextTable]:
    """Lesions found by size and by false alarms, masks of whole cases, and numbers of cases, of types that have any."""
    shown = {kind: scores for kind, scores in lesions.items() if scores.n_cases}
    return [_found(shown), _froc(shown), _overlap(shown), _cases(shown)] if shown else []


def _name(kind: TumorType) -> str:
    return kind.replace("_", " ")


def _found(lesions: Mapping[TumorType, LesionScores]) -> TextTable:
    header = ["tumor type", "lesions", "called from", "all", *LESION_SIZES]
    return TextTable(
        "Lesions found in per cent, by largest diameter",
        header,
        [
            [
                _name(kind),
                str(scores.n_lesions),
                f"{scores.threshold:.3g}",
                score_cell(scores.sensitivity),
                *[score_cell(scores.by_size[size]) for size in LESION_SIZES],
            ]
            for kind, scores in lesions.items()
        ],
        [],
    )


def _froc(lesions: Mapping[TumorType, LesionScores]) -> TextTable:
    return TextTable(
        "Lesions found in per cent, at so many false alarms a case (FROC)",
        ["tumor type", *_SHOWN_RATES, "mean"],
        [
            [
                _name(kind),
                *[score_cell(scores.froc.at_rates.get(rate), counts=False) for rate in _SHOWN_RATES],
                score_cell(scores.froc.mean, counts=False),
            ]
            for kind, scores in lesions.items()
        ],
        [],
    )


def _overlap(lesions: Mapping[TumorType, LesionScores]) -> TextTable:
    header = ["tumor type", "n", "Dice", "surface Dice 3 mm", "HD95, mm", "HD95, mm, median"]
    header += ["volume error, mm³", "volume error, mm³, median", "count error"]
    return TextTable(
        "Masks of whole cases, mean [interval]; HD95 and volume error also as median",
        header,
        [
            [
                _name(kind),
                str(scores.dice.mean.n or 0),
                score_cell(scores.dice.mean, as_percent=False),
                score_cell(scores.surface_dice_3mm.mean, as_percent=False),
                _plain(scores.hd95_mm.mean, 1),
                _plain(scores.hd95_mm.median, 1),
                _plain(scores.volume_error_mm3.mean, 0),
                _plain(scores.volume_error_mm3.median, 0),
                _plain(scores.count_error.mean, 2),
            ]
            for kind, scores in lesions.items()
        ],
        [],
    )


def _cases(lesions: Mapping[TumorType, LesionScores]) -> TextTable:
    header = ["tumor type", "cases", "patients", "neither drawn nor predicted", "missed", "made up", "false alarms"]
    rows = [
        [
            _name(kind),
            *[
                str(number)
                for number in (
                    scores.n_cases,
                    scores.n_patients,
                    scores.n_both_empty,
                    scores.n_missed,
                    scores.n_false_alarm_cases,
                    scores.n_false_alarms,
                )
            ],
        ]
        for kind, scores in lesions.items()
    ]
    return TextTable("Numbers of cases", header, rows, [])


def _left_out(kind: TumorType, scores: LesionScores) -> str:
    return f"{_name(kind)}: {scores.froc.reason}."


def _plain(score: Score, digits: int) -> str:
    """A figure that is no share, with its interval."""
    if score.value is None:
        return NOT_DEFINED
    text = f"{score.value:.{digits}f}"
    if score.low is not None and score.high is not None:
        text += f" [{score.low:.{digits}f}, {score.high:.{digits}f}]"
    return text
