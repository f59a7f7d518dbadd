"""Splits by patient, and by anatomy: nobody is in two of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.records import Split
from rsuper_bench.dataset_builder.raw_case import CaseKey

DEFAULT_FRACTIONS: Mapping[Split, float] = {Split.TRAIN: 0.7, Split.VALIDATION: 0.1, Split.TEST: 0.2}
_FILL_ORDER = (Split.TRAIN, Split.TEST, Split.VALIDATION)  # who gets one of few patients first


@dataclass
class _Group:
    """Cases that must stay together."""

    keys: list[CaseKey] = field(default_factory=list)

    @property
    def fixed(self) -> set[Split]:
        return {key.split for key in self.keys if key.split is not None}

    @property
    def label(self) -> str:
        return min(key.patient_id for key in self.keys)


def draw_splits(
    keys: Sequence[CaseKey],
    *,
    seed: int,
    fractions: Mapping[Split, float] = DEFAULT_FRACTIONS,
    smoke: bool = False,
) -> dict[str, Split]:
    """Give every case a split.

    Cases of one patient, and cases derived from one anatomy, form a group that is never divided. A group with a
    split of its own keeps it; the others are put in the order of a hash of the seed and the patient id and cut at the
    fractions, so the sizes are exact to one group. To keep the splits of a release when cases are added to it, hand
    them over as explicit splits.

    Args:
        keys: All cases.
        seed: Seed of the order.
        fractions: Share of the groups without a split of their own.
        smoke: Let one anatomy be in several splits; the release is then marked as no evidence.

    Returns:
        Case id -> split.

    Raises:
        DataError: A patient or an anatomy in two splits, or fewer anatomies than splits (all problems at once).
    """
    check_fractions(fractions)
    groups = _groups(keys, together_by_anatomy=not smoke)
    problems = _conflicts(groups)
    if problems:
        raise DataError.of(problems)
    drawn = {key.case_id: split for group in groups for split in group.fixed for key in group.keys}
    free = sorted((group for group in groups if not group.fixed), key=lambda group: (_hash(seed, group), group.label))
    wanted = [split for split in Split if fractions[split] > 0]
    derived = [key for group in free for key in group.keys if key.derived_from is not None]
    if derived and not smoke and len(groups) < len(wanted):
        raise DataError.of([_too_few_anatomies(derived, len(groups), len(wanted))])
    sizes = _sizes(len(free), fractions)
    order = iter(free)
    for split in Split:
        for _ in range(sizes[split]):
            drawn |= {key.case_id: split for key in next(order).keys}
    return drawn


def check_fractions(fractions: Mapping[Split, float]) -> None:
    """Refuse fractions that are not shares of one.

    Raises:
        ConfigError: With what was found.
    """
    values = [fractions[split] for split in Split]
    if not (min(values) >= 0 and abs(sum(values) - 1) <= 1e-6):  # NaN is refused too
        shown = " ".join(f"{value:g}" for value in values)
        raise ConfigError.of(
            [Problem("--fractions", shown, "train, validation and test shares that add up to 1", "Correct the shares.")]
        )


def leaking_anatomies(anatomies: Mapping[str, Mapping[Split, str]]) -> list[Problem]:
    """One problem for each anatomy that stands in more than one split.

    Args:
        anatomies: Anatomy -> a case of it in each split.
    """
    return [
        _conflict("derived from one anatomy", list(found.items())) for found in anatomies.values() if len(found) > 1
    ]


def _groups(keys: Sequence[CaseKey], *, together_by_anatomy: bool) -> list[_Group]:
    """Connected components of "same patient" and, if asked, "same anatomy"."""
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for key in keys:
        patient = root(("patient", key.patient_id))
        if together_by_anatomy:
            # A case that others are derived from is itself of that anatomy.
            parent[root(("anatomy", key.derived_from or key.case_id))] = patient
    groups: dict[tuple[str, str], _Group] = {}
    for key in keys:
        groups.setdefault(root(("patient", key.patient_id)), _Group()).keys.append(key)
    return list(groups.values())


def _conflicts(groups: Sequence[_Group]) -> list[Problem]:
    problems = []
    for group in groups:
        if len(group.fixed) > 1:
            example = {key.split: key for key in reversed(group.keys) if key.split is not None}
            patients = {key.patient_id for key in example.values()}
            what = "of one patient" if len(patients) == 1 else "derived from one anatomy"
            problems.append(_conflict(what, [(split, example[split].case_id) for split in Split if split in example]))
    return problems


def _conflict(what: str, found: Sequence[tuple[Split, str]]) -> Problem:
    shown = ", ".join(f"case {case_id} in {split}" for split, case_id in found)
    return Problem(
        "splits",
        f"{shown} are {what}",
        "one split for all of them",
        "Put them into one split"
        + ("." if "patient" in what else ", or pass --smoke to try the software; the release is then no evidence."),
    )


def _too_few_anatomies(derived: Sequence[CaseKey], n_groups: int, n_splits: int) -> Problem:
    return Problem(
        "splits",
        f"{len(derived)} cases come from {n_groups} anatom{'y' if n_groups == 1 else 'ies'}",
        f"at least {n_splits} anatomies, so that no split shares one",
        "Add CTs of other patients, or pass --smoke to try the software; the release is then marked as no evidence.",
    )


def _hash(seed: int, group: _Group) -> str:
    return hashlib.sha256(f"{seed}/{group.label}".encode()).hexdigest()


def _sizes(n: int, fractions: Mapping[Split, float]) -> dict[Split, int]:
    """Largest remainders; no wanted split stays empty while another has two."""
    sizes = {split: int(n * fractions[split] + 1e-9) for split in Split}
    by_remainder = sorted(Split, key=lambda split: (sizes[split] - n * fractions[split], _FILL_ORDER.index(split)))
    for split in by_remainder[: n - sum(sizes.values())]:
        sizes[split] += 1
    for split in _FILL_ORDER:
        largest = max(_FILL_ORDER, key=lambda other: sizes[other])
        if fractions[split] > 0 and sizes[split] == 0 and sizes[largest] > 1:
            sizes[largest] -= 1
            sizes[split] += 1
    return sizes
