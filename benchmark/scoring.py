"""Figures with intervals: which metric is measured how, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark import metrics
from rsuper_bench.benchmark.reference import Reference
from rsuper_bench.benchmark.report import LiteratureReader, Score
from rsuper_bench.benchmark.sample import Sample
from rsuper_bench.benchmark.statistics.bootstrap import chunk_sizes, patient_weights, percentile_interval
from rsuper_bench.benchmark.statistics.delong import auroc_interval, newcombe_interval
from rsuper_bench.benchmark.statistics.wilson import wilson_interval
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.tumor_types import TumorType

FEW = 10  # classes smaller than this are flagged
BOOTSTRAP = "patient-bootstrap"
Floats = NDArray[np.float64]
Drawn = dict[str, Floats]


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


_Stream = tuple[int, np.random.SeedSequence]


def _streams(reference: Reference, seed: int) -> list[_Stream]:
    """Size and seed of each chunk of replicates: the same for every submission."""
    sizes = chunk_sizes(reference.task.bootstrap_replicates)
    root = np.random.SeedSequence([seed, int(reference.fingerprint, 16)])
    return list(zip(sizes, root.spawn(len(sizes)), strict=True))


def replicate_weights(reference: Reference, seed: int) -> Iterator[NDArray[np.int32]]:
    """How often each patient was drawn, chunk by chunk: the draws of :func:`draw_replicates`."""
    for size, stream in _streams(reference, seed):
        yield patient_weights(len(reference.patients), size, stream)


def draw_replicates(
    samples: Mapping[TumorType, Sample],
    measures: Mapping[TumorType, Measures],
    reference: Reference,
    *,
    seed: int,
    jobs: int = 1,
) -> dict[TumorType, Drawn]:
    """Bootstrap every metric of every type over one index of patients.

    The patients drawn depend on the seed and the fingerprint alone, never on the submission: replicate i of two
    reports is the same draw, and their difference is paired.
    """
    chunks_of = _streams(reference, seed)
    ranked = {kind: metrics.RankedCases.of(one.decision, one.positive, one.patient) for kind, one in samples.items()}

    def draw(chunk: _Stream) -> dict[TumorType, Drawn]:
        weights = patient_weights(len(reference.patients), *chunk)
        return {kind: measure(samples[kind], ranked[kind], measures[kind], weights) for kind in samples}

    if not reference.patients:
        return {kind: {name: np.empty(0) for name in measures[kind].names} for kind in samples}
    with ThreadPoolExecutor(max(jobs, 1)) as pool:  # numpy releases the interpreter lock
        chunks = list(pool.map(draw, chunks_of))
    return {
        kind: {name: np.concatenate([chunk[kind][name] for chunk in chunks]) for name in measures[kind].names}
        for kind in samples
    }


def measure(sample: Sample, ranked: metrics.RankedCases, points: Measures, weights: NDArray[np.int32]) -> Drawn:
    """Every metric in each replicate: name to ``(R,)``, NaN where undefined."""
    curve = metrics.Curve.of(ranked, weights)
    undefined = np.full(len(weights), np.nan)
    values = dict.fromkeys(points.names, undefined)
    values["auroc"] = metrics.auroc(curve)
    # With ties, average precision can rise when a positive falls; what is missing must never help.
    untied = metrics.Curve.of(ranked.ties_broken_worst(), weights) if sample.imputed.any() else curve
    values["average_precision"] = metrics.average_precision(untied)
    values[points.sensitivity_name] = metrics.sensitivity_at_specificity(curve, points.specificity)
    values[points.specificity_name] = metrics.specificity_at_sensitivity(curve, points.sensitivity)
    if points.reader_specificity is not None:
        values["sensitivity_at_reader"] = metrics.sensitivity_at_specificity(curve, points.reader_specificity)
    if points.reader_sensitivity is not None:
        values["specificity_at_reader"] = metrics.specificity_at_sensitivity(curve, points.reader_sensitivity)
    if sample.called is not None:
        calls = metrics.CallCounts.of(sample.called, sample.positive, sample.patient, weights)
        values["sensitivity"] = calls.sensitivity()
        values["specificity"] = calls.specificity()
        values["balanced_accuracy"] = calls.balanced_accuracy()
        values["f1"] = calls.f1()
    return values


def score_type(sample: Sample, points: Measures, drawn: Drawn, confidence: float) -> dict[str, Score]:
    """Figures of one tumor type with their intervals."""
    ranked = metrics.RankedCases.of(sample.decision, sample.positive, sample.patient)
    patients = int(sample.patient.max()) + 1 if len(sample.patient) else 1
    values = measure(sample, ranked, points, np.ones((1, patients), dtype=np.int32))
    scores = {}
    for name in points.names:
        value = float(values[name][0])
        if np.isnan(value):
            scores[name] = Score(value=None, reason=_why_undefined(name, sample))
        else:
            scores[name] = _with_interval(name, value, sample, drawn[name], confidence)
    return scores


def _why_undefined(name: str, sample: Sample) -> str:
    positives = int(sample.positive.sum())
    threshold_only = name in ("sensitivity", "specificity", "balanced_accuracy", "f1")
    if threshold_only and sample.called is None:
        return "no frozen threshold for this type"
    if not positives and name != "specificity":
        return "no positive cases"
    if positives == len(sample.positive) and name != "sensitivity":
        return "no negative cases"
    return "the literature table has no primary figure of detection per patient for it"


def _with_interval(name: str, value: float, sample: Sample, drawn: Floats, confidence: float) -> Score:
    positives = int(sample.positive.sum())
    negatives = len(sample.positive) - positives
    few = [f"{count} {word}" for count, word in ((positives, "positive"), (negatives, "negative")) if count < FEW]
    reason = f"only {' and '.join(few)} cases: small-sample interval" if few else None
    if name == "auroc" and sample.one_case_a_patient:
        low, high, method = auroc_interval(
            sample.decision[sample.positive], sample.decision[~sample.positive], confidence
        )
        return Score(value=value, low=low, high=high, n=positives + negatives, method=method, reason=reason)
    about_positives = name.startswith("sensitivity")
    is_share = about_positives or name.startswith("specificity")
    n = (positives if about_positives else negatives) if is_share else positives + negatives
    k = round(value * n) if is_share else None
    if k is not None and name in ("sensitivity", "specificity") and sample.one_case_a_patient:
        low, high = wilson_interval(k, n, confidence)
        return Score(value=value, low=low, high=high, k=k, n=n, method="wilson", reason=reason)
    interval = percentile_interval(drawn, confidence)
    if interval is not None and interval[0] < interval[1]:
        return Score(value=value, low=interval[0], high=interval[1], k=k, n=n, method=BOOTSTRAP, reason=reason)
    # Replicates that never vary (a figure of 0 or 1) would claim certainty: fall back to a method that does not.
    patients = len(np.unique(sample.patient[sample.positive == about_positives])) if is_share else 0
    if is_share and patients:
        low, high = wilson_interval(round(value * patients), patients, confidence)
        return Score(value=value, low=low, high=high, k=k, n=n, method="wilson-over-patients", reason=reason)
    if name == "auroc":
        both = [len(np.unique(sample.patient[sample.positive == label])) for label in (True, False)]
        low, high = newcombe_interval(value, both[0], both[1], confidence)
        return Score(value=value, low=low, high=high, n=n, method="newcombe-5-over-patients", reason=reason)
    why = "no interval: the bootstrap replicates do not vary" if interval else "no interval: too few replicates"
    return Score(value=value, k=k, n=n, method=BOOTSTRAP, reason=f"{why}; {reason}" if reason else why)


def score_mean(
    scores: Mapping[str, Mapping[str, Score]], drawn: Mapping[TumorType, Drawn], task: Task
) -> tuple[dict[str, Score], Drawn]:
    """Unweighted mean over the tumor types in which a metric is defined, with its replicates.

    Which types those are follows from the truth and the thresholds alone, so no submission can choose them. A type
    that a replicate happens to leave without positives is left out of that replicate's mean.
    """
    means: dict[str, Score] = {}
    replicates: Drawn = {}
    for name in scores[str(task.tumor_types[0])]:
        values = {kind: scores[str(kind)][name].value for kind in task.tumor_types}
        defined = {kind: value for kind, value in values.items() if value is not None}
        if not defined:
            means[name] = Score(value=None, reason="undefined for every tumor type")
            replicates[name] = np.full(task.bootstrap_replicates, np.nan)
            continue
        stacked = np.stack([drawn[kind][name] for kind in defined])
        present = ~np.isnan(stacked)
        total = np.where(present, stacked, 0).sum(0)
        replicates[name] = np.where(present.any(0), total / np.maximum(present.sum(0), 1), np.nan)
        interval = percentile_interval(replicates[name], task.confidence)
        varies = interval is not None and interval[0] < interval[1]
        reasons = []
        if len(defined) < len(values):
            left_out = ", ".join(str(kind) for kind in values if kind not in defined)
            reasons.append(f"mean over {len(defined)} of {len(values)} tumor types; undefined: {left_out}")
        if not varies:
            reasons.append("no interval: the bootstrap replicates do not vary")
        means[name] = Score(
            value=float(np.mean(list(defined.values()))),
            low=interval[0] if interval and varies else None,
            high=interval[1] if interval and varies else None,
            n=len(defined),
            method=BOOTSTRAP,
            reason="; ".join(reasons) or None,
        )
    return means, replicates
