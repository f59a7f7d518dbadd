"""The board: entries grouped by what they were measured on, and ranked inside each group."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.report import Score
from rsuper_bench.benchmark.task import Task
from rsuper_bench.leaderboard.entry import Entry, Provenance, Status
from rsuper_bench.leaderboard.ranking import Rank, clearly_better, not_told_apart, ranks
from rsuper_bench.leaderboard.reported import Reported, published_figures

_Vote = TypeVar("_Vote", bound=Hashable)
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
    better = clearly_better(_replicates(ranked), confidence=task.confidence)
    tied = not_told_apart(better)
    unranked = [Row(entry, None, reasons[entry.path]) for entry in members if entry.path in reasons]
    placed = [
        Row(entry, rank, tied=tuple(ranked[other] for other in np.flatnonzero(tied[index])))
        for index, (entry, rank) in enumerate(zip(ranked, ranks(better), strict=True))
    ]
    order = sorted(range(len(placed)), key=lambda index: _order(placed[index]))
    return Group(
        task=task,
        fingerprint=fingerprint,
        synthetic=any(entry.data.synthetic for entry in members),
        smoke=any(entry.data.smoke for entry in members),
        rows=(*(placed[index] for index in order), *sorted(unranked, key=_order)),
        better=better[np.ix_(order, order)],
    )


def _order(row: Row) -> tuple[int, float, str]:
    """Rank, then value; the path breaks what is left."""
    place = row.rank.rank if row.rank is not None else 0
    value = row.entry.primary.value
    return (place, -value if value is not None else 0.0, row.entry.path)


def _replicates(ranked: Sequence[Entry]) -> NDArray[np.float64]:
    """``(E, R)`` replicates, NaN where undefined; ``(0, 0)`` where nothing is ranked."""
    values = [entry.replicates.values for entry in ranked if entry.replicates is not None]
    return np.array(values, dtype=np.float64) if values else np.zeros((0, 0))


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
    """The draws that most verified entries share, then most entries, then the smallest (seed 0 is the default).

    Verified ones first: else a handful of entries with draws of their own would take the rank from all others.
    """
    votes = [(entry, draws) for entry in members if (draws := _draws(entry)) is not None]
    return min(_weights(votes).items(), key=lambda item: (item[1], item[0]), default=(None, ()))[0]


def _weights(votes: Iterable[tuple[Entry, _Vote]]) -> dict[_Vote, tuple[int, int]]:
    """Verified entries and entries behind each vote, both negative: the smallest has most."""
    found: dict[_Vote, tuple[int, int]] = {}
    for entry, vote in votes:
        verified, entries = found.get(vote, (0, 0))
        found[vote] = (verified - (entry.provenance is Provenance.VERIFIED), entries - 1)
    return found


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

    def defined(entry: Entry) -> str:
        cases = {kind: (counts.positive, counts.negative, counts.excluded) for kind, counts in entry.counts.items()}
        number = (entry.data.n_cases, entry.data.n_patients)
        task = entry.task_definition.model_dump(exclude={"description"})
        return repr((task, entry.digests.get("reference"), sorted(cases.items()), number))

    weights = _weights((entry, defined(entry)) for entry in members)
    usual = min(weights, key=lambda text: (weights[text], text))
    return [
        Problem(
            entry.path,
            f"its task, reference or numbers of cases differ from the others of fingerprint {fingerprint}",
            "equal fingerprint, equal task and truth",
            "Evaluate again and add the new report.",
        )
        for entry in members
        if defined(entry) != usual
    ]


def score_of(entry: Entry, name: str, metric: str) -> Score | None:
    """A score of an entry, or None when its report has none of that name."""
    return entry.scores.get(name, {}).get(metric)
