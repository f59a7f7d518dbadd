"""The board: entries grouped by what they were measured on, and ranked inside each group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.report import Score
from rsuper_bench.benchmark.task import Task
from rsuper_bench.leaderboard.entry import Entry, Status
from rsuper_bench.leaderboard.ranking import Rank, clearly_better, not_told_apart, ranks
from rsuper_bench.leaderboard.reported import Reported, published_figures

_Draws = tuple[int, str, int]  # seed, index digest and number of replicates


@dataclass(frozen=True)
class Row:
    """One listed entry, with its rank or the reason why it has none.

    Attributes:
        tied: Entries that cannot be told apart from this one, in path order.
    """

    entry: Entry
    rank: Rank | None
    unranked: str | None = None
    tied: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Group:
    """Entries of one fingerprint: the same task and the same truth, so that they can be compared.

    Attributes:
        better: ``(E, E)`` over the ranked rows in their order: whether the first is clearly better than the second.
    """

    task: Task
    fingerprint: str
    synthetic: bool
    smoke: bool
    rows: tuple[Row, ...]
    better: NDArray[np.bool_] = field(repr=False, compare=False)

    @property
    def key(self) -> str:
        """Anchor of the group on the page."""
        return f"{self.task.name}-{self.fingerprint}"

    @property
    def ranked(self) -> tuple[Row, ...]:
        """Rows that have a rank, best first."""
        return tuple(row for row in self.rows if row.rank is not None)

    @property
    def labels(self) -> tuple[str, ...]:
        """What the figures do not show, for every place they appear."""
        labels = []
        if self.smoke:
            labels.append("Smoke test: one anatomy is in several splits, so these figures are not evidence.")
        if self.synthetic:
            labels.append("Synthetic images: phantoms and planted lesions are not patients.")
        return tuple(labels)


@dataclass(frozen=True)
class Board:
    """Everything the page shows."""

    groups: tuple[Group, ...]
    withdrawn: tuple[Entry, ...]
    reported: Reported


def make_board(entries: Iterable[Entry]) -> Board:
    """Group and rank entries; their order does not matter.

    Raises:
        DataError: If two entries are of the same team, method and task, or entries of one fingerprint describe the
            task differently.
    """
    ordered = sorted(entries, key=lambda entry: entry.path)
    problems = _duplicates(ordered)
    groups: dict[str, list[Entry]] = {}
    for entry in ordered:
        if entry.status is Status.LISTED:
            groups.setdefault(entry.fingerprint, []).append(entry)
    for fingerprint, members in groups.items():
        problems += _disagreements(fingerprint, members)
    if problems:
        raise DataError.of(problems)
    made = [_group(fingerprint, members) for fingerprint, members in groups.items()]
    return Board(
        groups=tuple(
            sorted(made, key=lambda group: (group.smoke, group.synthetic, group.task.name, group.fingerprint))
        ),
        withdrawn=tuple(entry for entry in ordered if entry.status is Status.WITHDRAWN),
        reported=published_figures(),
    )


def _group(fingerprint: str, members: Sequence[Entry]) -> Group:
    task = members[0].task_definition
    reasons = _unranked(members)
    ranked = [entry for entry in members if entry.path not in reasons]
    sign = 1.0 if all(entry.primary.higher_is_better for entry in members) else -1.0
    better = clearly_better(_replicates(ranked, sign), confidence=task.confidence)
    tied = not_told_apart(better)
    unranked = [Row(entry, None, reasons[entry.path]) for entry in members if entry.path in reasons]
    placed = [
        Row(entry, rank, tied=tuple(ranked[other] for other in np.flatnonzero(tied[index])))
        for index, (entry, rank) in enumerate(zip(ranked, ranks(better), strict=True))
    ]
    order = sorted(range(len(placed)), key=lambda index: _order(placed[index], sign))
    return Group(
        task=task,
        fingerprint=fingerprint,
        synthetic=any(entry.data.synthetic for entry in members),
        smoke=any(entry.data.smoke for entry in members),
        rows=(*(placed[index] for index in order), *sorted(unranked, key=lambda row: _order(row, sign))),
        better=better[np.ix_(order, order)],
    )


def _order(row: Row, sign: float) -> tuple[int, float, str]:
    """Rank, then value; the path breaks what is left."""
    place = row.rank.rank if row.rank is not None else 0
    value = row.entry.primary.value
    return (place, -sign * value if value is not None else 0.0, row.entry.path)


def _replicates(ranked: Sequence[Entry], sign: float) -> NDArray[np.float64]:
    """``(E, R)`` replicates, larger is better, NaN where undefined."""
    values = [entry.replicates.values for entry in ranked if entry.replicates is not None]
    return sign * np.array(values, dtype=np.float64).reshape(len(ranked), -1)


def _unranked(members: Sequence[Entry]) -> dict[str, str]:
    """Reasons by path. Replicates are compared one by one, so all must come from the same draws of patients."""
    common = _common_draws(members)
    reasons = {}
    for entry in members:
        if entry.primary.value is None:
            reasons[entry.path] = f"the primary metric is undefined: {entry.primary.reason}"
        elif entry.replicates is None:
            reasons[entry.path] = "its report holds no bootstrap replicates"
        elif _draws(entry) != common:
            reasons[entry.path] = "its bootstrap draws differ from those of the other entries (evaluate with --seed 0)"
    return reasons


def _draws(entry: Entry) -> _Draws | None:
    drawn = entry.replicates
    return None if drawn is None else (drawn.seed, drawn.index_digest, len(drawn.values))


def _common_draws(members: Sequence[Entry]) -> _Draws | None:
    """The draws that most entries share; of equally many, the smallest (seed 0 is the default of ``evaluate``)."""
    counts = Counter(draws for entry in members if (draws := _draws(entry)) is not None)
    return min(counts, key=lambda draws: (-counts[draws], draws), default=None)


def _duplicates(ordered: Sequence[Entry]) -> list[Problem]:
    seen: dict[str, Entry] = {}
    problems = []
    for entry in ordered:
        if entry.path in seen:
            problems.append(Problem(entry.path, "stands twice", "each team, method and task once", "Remove one."))
        seen.setdefault(entry.path, entry)
    return problems


def _disagreements(fingerprint: str, members: Sequence[Entry]) -> list[Problem]:
    """Equal fingerprints mean equal tasks and equal truth; a file that says otherwise was edited by hand."""

    def defined(entry: Entry) -> object:
        return entry.task_definition.model_dump(exclude={"description"}), entry.digests.get("reference")

    common = Counter(repr(defined(entry)) for entry in members)
    usual = min(common, key=lambda text: (-common[text], text))
    return [
        Problem(
            entry.path,
            f"its task or reference differs from the others of fingerprint {fingerprint}",
            "equal fingerprint, equal task and truth",
            "Evaluate again and add the new report.",
        )
        for entry in members
        if repr(defined(entry)) != usual
    ]


def score_of(entry: Entry, name: str, metric: str) -> Score | None:
    """A score of an entry, or None when its report has none of that name."""
    return entry.scores.get(name, {}).get(metric)
