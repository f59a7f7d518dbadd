"""Several readers of one session together: figures of readers like these, not of these alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.reader_judgement import judge
from rsuper_bench.benchmark.reader_record import ReaderTest, StudyPanel
from rsuper_bench.benchmark.report import Score
from rsuper_bench.benchmark.scoring import Drawn, Draws
from rsuper_bench.benchmark.statistics.bootstrap import percentile_interval

if TYPE_CHECKING:
    from rsuper_bench.benchmark.reader_study import Compared

METHOD = "patient-and-reader-bootstrap-percentile"
FEW_READERS = 5
_READERS = (0x5EAD,)  # spawn key of the draws of readers, apart from the draws of patients
_AREAS = ("auroc", "method_auroc", "difference_auroc")


def study_panels(
    compared: Sequence[Compared], draws: Draws, confidence: float, margin: float
) -> tuple[StudyPanel, ...]:
    """One panel a tumor type and session that has at least two readers."""
    groups = [list(items) for _, items in groupby(compared, key=lambda item: (item.key.tumor_type, item.key.session))]
    groups = [group for group in groups if len(group) > 1]
    drawn = [_drawn(group, draws) for group in groups]
    tests = judge([item["difference_sensitivity"] for item in drawn], confidence, margin)
    return tuple(
        _panel(group, replicates, test, confidence)
        for group, replicates, test in zip(groups, drawn, tests, strict=True)
    )


def _drawn(group: Sequence[Compared], draws: Draws) -> Drawn:
    """Mean over as many readers drawn with replacement, in each replicate of patients."""
    rng = np.random.default_rng(np.random.SeedSequence(draws.entropy, spawn_key=_READERS))
    chosen = rng.integers(len(group), size=(len(group), draws.replicates))
    return {
        name: np.take_along_axis(np.stack([item.drawn[name] for item in group]), chosen, axis=0).mean(0)
        for name in group[0].own
    }


def _panel(group: Sequence[Compared], drawn: Drawn, test: ReaderTest | None, confidence: float) -> StudyPanel:
    def score(name: str) -> Score:
        return _score(np.array([item.own[name][0] for item in group]), drawn[name], confidence)

    scored = all(item.pair.scored is not None for item in group)
    areas = dict(zip(("auroc", "method_auroc", "auroc_difference"), map(score, _AREAS), strict=True)) if scored else {}
    few = f"{len(group)} readers: too few to speak of other readers; see each reader"
    return StudyPanel(
        tumor_type=group[0].key.tumor_type,
        session=group[0].key.session,
        readers=tuple(item.key.reader for item in group),
        sensitivity=score("sensitivity"),
        specificity=score("specificity"),
        method_sensitivity=score("method_sensitivity"),
        method_specificity=score("method_specificity"),
        sensitivity_difference=score("difference_sensitivity"),
        specificity_difference=score("difference_specificity"),
        test=test,
        note=few if len(group) < FEW_READERS else None,
        **areas,
    )


def _score(values: NDArray[np.float64], drawn: NDArray[np.float64], confidence: float) -> Score:
    if np.isnan(values).any():
        return Score(value=None, reason="undefined for at least one reader")
    interval = percentile_interval(drawn, confidence)
    low, high = interval or (None, None)
    reason = None if interval else "no interval: too few replicates are defined"
    return Score(value=float(values.mean()), low=low, high=high, n=len(values), method=METHOD, reason=reason)
