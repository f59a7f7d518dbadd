"""The board as CSV, JSON and Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from rsuper_bench.benchmark.files import csv_text, pretty_json
from rsuper_bench.benchmark.literature import STATEMENT, literature_readers
from rsuper_bench.benchmark.report import MEAN
from rsuper_bench.leaderboard.board import Board, Group, Row, score_of
from rsuper_bench.leaderboard.entry import Entry
from rsuper_bench.leaderboard.reported import PublishedFigure
from rsuper_bench.leaderboard.training import leaks
from rsuper_bench.leaderboard.wording import (
    METRICS,
    NOTHING,
    badges,
    figure,
    interval,
    metric_label,
    metric_unit,
    rank_interval,
    rank_text,
    shares_text,
    type_label,
)

_PARTS = ("value", "low", "high")
_LEAD = (
    "task",
    "fingerprint",
    "rank",
    "rank_last",
    "unranked",
    "team",
    "method",
    "url",
    "status",
    "reason",
    "provenance",
    "synthetic",
    "smoke",
    "n_cases",
    "n_patients",
    "training_data",
    "leaks",
    "primary",
)
_MARKDOWN = re.compile(r"[&<>|\\`*_\[\]#~$:@]|(?<=[wW]{3})\.")


def board_csv(board: Board) -> str:
    """One line an entry, withdrawn ones last; formula cells neutralised."""
    rows: list[tuple[Entry, Row | None]] = [(row.entry, row) for group in board.groups for row in group.rows]
    rows += [(entry, None) for entry in board.withdrawn]
    names = [MEAN, *sorted({name for entry, _ in rows for name in entry.scores} - {MEAN})]
    metrics = [metric for metric in METRICS if any(metric in entry.scores[MEAN] for entry, _ in rows)]
    columns = [f"{name}_{metric}_{part}" for name in names for metric in metrics for part in _PARTS]
    return csv_text([_csv_row(entry, row, names, metrics) for entry, row in rows], [*_LEAD, *columns])


def _csv_row(entry: Entry, row: Row | None, names: Sequence[str], metrics: Sequence[str]) -> dict[str, Any]:
    joined = {"training_data": "; ".join(entry.training_data), "leaks": "; ".join(leaks(entry))}
    cells = _identity(entry, row) | joined
    for name in names:
        for metric in metrics:
            score = score_of(entry, name, metric)
            for part in _PARTS:
                cells[f"{name}_{metric}_{part}"] = None if score is None else getattr(score, part)
    return {key: str(value).lower() if isinstance(value, bool) else value for key, value in cells.items()}


def _identity(entry: Entry, row: Row | None) -> dict[str, Any]:
    rank = row.rank if row is not None else None
    return {
        "task": entry.task,
        "fingerprint": entry.fingerprint,
        "rank": None if rank is None else rank.rank,
        "rank_last": None if rank is None else rank.last,
        "unranked": None if row is None else row.unranked,
        "team": entry.team,
        "method": entry.method,
        "url": entry.url,
        "status": entry.status.value,
        "reason": entry.reason,
        "provenance": entry.provenance.value,
        "synthetic": entry.data.synthetic,
        "smoke": entry.data.smoke,
        "n_cases": entry.data.n_cases,
        "n_patients": entry.data.n_patients,
        "training_data": list(entry.training_data),
        "leaks": leaks(entry),
        "primary": entry.task_definition.primary,
    }


def board_json(board: Board) -> str:
    """Everything the page shows, for programs. Undefined is null with a reason."""

    def entry_json(entry: Entry, row: Row | None) -> dict[str, Any]:
        scores = {
            name: {metric: score.model_dump(mode="json", exclude_none=True) for metric, score in metrics.items()}
            for name, metrics in entry.scores.items()
        }
        more = {
            "source": entry.source,
            "model_repo": entry.model_repo,
            "release": entry.data.release,
            "release_digest": entry.data.digest,
            "overlaps": [overlap.model_dump(mode="json") for overlap in entry.overlaps],
            "page": f"entries/{entry.key}.html" if row is not None else None,
        }
        return _identity(entry, row) | more | {"digests": entry.digests, "scores": scores}

    value = {
        "schema_version": 1,
        "groups": [
            {
                "task": group.task.name,
                "fingerprint": group.fingerprint,
                "primary": group.task.primary,
                "confidence": group.task.confidence,
                "synthetic": group.synthetic,
                "smoke": group.smoke,
                "statements": group.labels,
                "entries": [entry_json(row.entry, row) for row in group.rows],
            }
            for group in board.groups
        ],
        "withdrawn": [entry_json(entry, None) for entry in board.withdrawn],
        "reported_by_authors": board.reported.model_dump(mode="json"),
        "literature": {
            "statement": STATEMENT,
            "readers": [reader.model_dump(mode="json") for reader in literature_readers()],
        },
    }
    return pretty_json(value)


def board_markdown(board: Board) -> str:
    """The board as GitHub-flavoured Markdown, every name escaped."""
    lines = ["# Leaderboard", ""]
    for group in board.groups:
        lines += _group_markdown(group)
    if not board.groups:
        lines += ["No entries yet.", ""]
    if board.withdrawn:
        lines += ["## Withdrawn", ""]
        lines += _table(
            ["Method", "Team", "Task", "Reason"],
            [[entry.method, entry.team, entry.task, entry.reason or ""] for entry in board.withdrawn],
        )
    reported = board.reported
    lines += ["## Reported by the authors", "", f"{escape_markdown(reported.statement)}", ""]
    lines += _table(
        ["Test", "Tumor types", "Model", "Sensitivity %", "Specificity %", "F1 %"],
        [_reported_cells(row) for row in reported.figures],
    )
    lines += [f"- {escape_markdown(source.citation)}. <{source.url}>" for source in reported.sources.values()]
    return "\n".join(lines).rstrip("\n") + "\n"


def ranking_markdown(board: Board) -> str:
    """Only the ranked groups, to stand inside another Markdown file."""
    lines = [line for group in board.groups for line in _group_markdown(group, "###")]
    return "\n".join(lines or ["No entries yet."])


def _group_markdown(group: Group, level: str = "##") -> list[str]:
    primary = group.task.primary
    kinds = [str(kind) for kind in group.task.tumor_types]
    unit = f" ({metric_unit(primary)})" if metric_unit(primary) else ""
    lines = [f"{level} {group.task.name}", "", escape_markdown(group.task.description), ""]
    for label in group.labels:
        lines += [f"**{escape_markdown(label)}**", ""]
    measure = f"{metric_label(primary)}{unit}, mean over tumor types, with {group.task.confidence:.0%} intervals."
    ties = f"A rank is 1 + the number of entries that are clearly better. Fingerprint `{group.fingerprint}`."
    lines += [f"{measure} {ties}", ""]
    rows = []
    for row in group.rows:
        marks = ", ".join(mark for mark, _ in badges(row.entry))
        figures = []
        for name in (MEAN, *kinds):
            score = score_of(row.entry, name, primary)
            figures.append(NOTHING if score is None else f"{figure(score.value, primary)} {_bracketed(score, primary)}")
        place = rank_text(row.rank)
        if row.rank is not None and row.rank.last != row.rank.rank:
            place += f" ({rank_interval(row.rank)})"
        rows.append([place, row.entry.method, row.entry.team, *figures, marks])
    return lines + _table(["Rank", "Method", "Team", "Mean", *map(type_label, kinds), "Marks"], rows)


def _bracketed(score: Any, metric: str) -> str:
    text = interval(score, metric)
    return f"({text})" if text else ""


def _reported_cells(row: PublishedFigure) -> list[str]:
    shares = [shares_text(value) for value in (row.sensitivity, row.specificity, row.f1)]
    return [row.test, row.tumor_types, row.model, *shares]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    lines += [f"| {' | '.join(escape_markdown(cell).strip() for cell in row)} |" for row in rows]
    return [*lines, ""]


def escape_markdown(text: str) -> str:
    """Character references for whatever Markdown, HTML or automatic links would read; one line."""
    return _MARKDOWN.sub(lambda match: f"&#{ord(match.group())};", " ".join(text.split()))
