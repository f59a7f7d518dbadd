"""Which metrics a tumor type is measured by, and their values in every bootstrap replicate."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from rsuper_bench.benchmark import metrics
from rsuper_bench.benchmark.report import LiteratureReader
from rsuper_bench.benchmark.sample import Sample
from rsuper_bench.benchmark.statistics.bootstrap import chunk_sizes, patient_weights
from rsuper_bench.benchmark.task import Task

Floats = NDArray[np.float64]
Drawn = dict[str, Floats]
_Result = TypeVar("_Result")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Measures:
    """Operating points of one tumor type; a reader's point is None where the literature has no figure."""

    specificity: float
    sensitivity: float
    reader_specificity: float | None
    reader_sensitivity: float | None

    @property
    def sensitivity_name(self) -> str:
        """Name of the sensitivity at the task's specificity."""
        return f"sensitivity_at_specificity_{100 * self.specificity:g}"

    @property
    def specificity_name(self) -> str:
        """Name of the specificity at the task's sensitivity."""
        return f"specificity_at_sensitivity_{100 * self.sensitivity:g}"

    @property
    def names(self) -> tuple[str, ...]:
        """Every metric, in the order of the report."""
        return (
            "sensitivity",
            "specificity",
            "balanced_accuracy",
            "f1",
            "auroc",
            "average_precision",
            self.sensitivity_name,
            self.specificity_name,
            "sensitivity_at_reader",
            "specificity_at_reader",
        )


def measures_of(task: Task, reader: LiteratureReader | None) -> Measures:
    """Operating points of a task beside a literature figure."""
    return Measures(
        specificity=task.operating_points.get("specificity", 0.9),
        sensitivity=task.operating_points.get("sensitivity", 0.9),
        reader_specificity=reader.specificity if reader else None,
        reader_sensitivity=reader.sensitivity if reader else None,
    )


Stream = tuple[int, np.random.SeedSequence]


@dataclass(frozen=True)
class Draws:
    """Which patients every replicate draws: a matter of seed and fingerprint alone, never of a submission.

    So replicate i of two reports of one fingerprint is the same draw, and their difference is paired.
    """

    n_patients: int
    replicates: int
    fingerprint: str
    seed: int

    @property
    def entropy(self) -> tuple[int, int]:
        """What all random numbers follow from."""
        return self.seed, int(self.fingerprint, 16)

    def streams(self) -> list[Stream]:
        """Size and seed of each chunk of replicates."""
        sizes = chunk_sizes(self.replicates)
        root = np.random.SeedSequence(self.entropy)
        return list(zip(sizes, root.spawn(len(sizes)), strict=True))


@dataclass(frozen=True)
class Counted:
    """What each replicate of a sample is counted from, made once: cases laid out by rank and by call."""

    ranked: csr_array
    untied: csr_array
    calls: csr_array | None

    @classmethod
    def of(cls, sample: Sample, n_patients: int) -> Counted:
        """Lay out a sample over an index of patients."""
        cases = metrics.RankedCases.of(sample.decision, sample.positive, sample.patient)
        ranked = cases.segments(n_patients)
        # With ties, average precision can rise when a positive falls; what is missing must never help.
        untied = cases.ties_broken_worst().segments(n_patients) if sample.imputed.any() else ranked
        calls = None
        if sample.called is not None:
            calls = metrics.CallCounts.table(sample.called, sample.positive, sample.patient, n_patients)
        return cls(ranked, untied, calls)


def draw_replicates(
    samples: Mapping[Key, Sample], measures: Mapping[Key, Measures], draws: Draws, *, jobs: int = 1
) -> dict[Key, Drawn]:
    """Bootstrap every metric of every sample (one a tumor type, or parts of them) over one index of patients."""
    if not draws.n_patients:
        return {kind: {name: np.empty(0) for name in measures[kind].names} for kind in samples}
    counted = {kind: Counted.of(sample, draws.n_patients) for kind, sample in samples.items()}

    def draw(stream: Stream) -> dict[Key, Drawn]:
        weights = patient_weights(draws.n_patients, *stream)
        return {kind: measure(counted[kind], measures[kind], weights) for kind in samples}

    chunks = map_chunks(draw, draws.streams(), jobs)
    return {
        kind: {name: np.concatenate([chunk[kind][name] for chunk in chunks]) for name in measures[kind].names}
        for kind in samples
    }


def map_chunks(work: Callable[[Stream], _Result], streams: list[Stream], jobs: int) -> list[_Result]:
    """Results in the order of the chunks, whichever thread made them; numpy and scipy release the interpreter lock."""
    with ThreadPoolExecutor(max(jobs, 1)) as pool:
        return list(pool.map(work, streams))


def measure(counted: Counted, points: Measures, weights: NDArray[np.int32]) -> Drawn:
    """Every metric in each replicate: name to ``(R,)``, NaN where undefined."""
    curve = metrics.Curve.from_segments(counted.ranked, weights)
    undefined = np.full(weights.shape[1], np.nan)
    values = dict.fromkeys(points.names, undefined)
    values["auroc"] = metrics.auroc(curve)
    untied = curve if counted.untied is counted.ranked else metrics.Curve.from_segments(counted.untied, weights)
    values["average_precision"] = metrics.average_precision(untied)
    values[points.sensitivity_name] = metrics.sensitivity_at_specificity(curve, points.specificity)
    values[points.specificity_name] = metrics.specificity_at_sensitivity(curve, points.sensitivity)
    if points.reader_specificity is not None:
        values["sensitivity_at_reader"] = metrics.sensitivity_at_specificity(curve, points.reader_specificity)
    if points.reader_sensitivity is not None:
        values["specificity_at_reader"] = metrics.specificity_at_sensitivity(curve, points.reader_sensitivity)
    if counted.calls is not None:
        calls = metrics.CallCounts.from_table(counted.calls, weights)
        values["sensitivity"] = calls.sensitivity()
        values["specificity"] = calls.specificity()
        values["balanced_accuracy"] = calls.balanced_accuracy()
        values["f1"] = calls.f1()
    return values
