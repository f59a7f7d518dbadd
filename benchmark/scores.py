"""Figures with intervals: how sure each one is, and the mean over tumor types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.report import Score
from rsuper_bench.benchmark.sample import Sample
from rsuper_bench.benchmark.scoring import Counted, Drawn, Measures, measure
from rsuper_bench.benchmark.statistics.bootstrap import logit_interval, percentile_interval
from rsuper_bench.benchmark.statistics.delong import auroc_interval, newcombe_interval
from rsuper_bench.benchmark.statistics.wilson import wilson_interval
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.tumor_types import TumorType

FEW = 10  # classes smaller than this are flagged
FEW_MATCHED = 30  # and, where a class sets the operating point, classes smaller than this
PERCENTILE = "patient-bootstrap-percentile"
LOGIT = "patient-bootstrap-logit"
Floats = NDArray[np.float64]


def score_type(
    sample: Sample, points: Measures, drawn: Drawn, confidence: float, names: Iterable[str] | None = None
) -> dict[str, Score]:
    """Figures of one tumor type with their intervals: those named, or all."""
    patients = int(sample.patient.max()) + 1 if len(sample.patient) else 1
    values = measure(Counted.of(sample, patients), points, np.ones((patients, 1), dtype=np.int32))
    scores = {}
    for name in points.names if names is None else names:
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
    reason = small_sample(positives, negatives) or _few_matched(name, positives, negatives)
    about_positives = name.startswith("sensitivity")
    is_share = about_positives or name.startswith("specificity")
    n = (positives if about_positives else negatives) if is_share else positives + negatives
    k = round(value * n) if is_share else None

    def score(interval: tuple[float, float], method: str) -> Score:
        return Score(value=value, low=interval[0], high=interval[1], k=k, n=n, method=method, reason=reason)

    if name == "auroc" and sample.one_case_a_patient:
        low, high, method = auroc_interval(
            sample.decision[sample.positive], sample.decision[~sample.positive], confidence
        )
        return score((low, high), method)
    if k is not None and name in ("sensitivity", "specificity") and sample.one_case_a_patient:
        return score(wilson_interval(k, n, confidence), "wilson")
    patients = sample.patients_with(positive=about_positives) if is_share else sample.smaller_class
    interval, method = bootstrap_interval(name, value, drawn, confidence, patients - 1)
    if interval is not None:
        return score(interval, method)
    # Replicates that never vary (a figure of 0 or 1) would claim certainty: fall back to a method that does not.
    if is_share and patients:
        return score(wilson_interval(round(value * patients), patients, confidence), "wilson-over-patients")
    if name == "auroc":
        both = [sample.patients_with(positive=label) for label in (True, False)]
        return score(newcombe_interval(value, both[0], both[1], confidence), "newcombe-5-over-patients")
    why = f"no interval: {_why_no_interval(drawn)}"
    return Score(value=value, k=k, n=n, method=method, reason=f"{why}; {reason}" if reason else why)


def small_sample(positives: int, negatives: int) -> str | None:
    """A warning when a class is too small for its interval to hold what it promises (docs/statistics.md)."""
    few = [f"{count} {word}" for count, word in ((positives, "positive"), (negatives, "negative")) if count < FEW]
    return f"only {' and '.join(few)} cases: small-sample interval" if few else None


def _few_matched(name: str, positives: int, negatives: int) -> str | None:
    """A warning when few cases set a matched operating point, by which the interval comes out too short."""
    if "_at_" not in name:
        return None
    count, word = (negatives, "negative") if name.startswith("sensitivity") else (positives, "positive")
    if count >= FEW_MATCHED:
        return None
    return f"only {count} {word} cases set the operating point: the interval may be too short"


def bootstrap_interval(
    name: str, value: float, drawn: Floats, confidence: float, df: int
) -> tuple[tuple[float, float] | None, str]:
    """Interval of a figure from its replicates, and the name of the method.

    Matched operating points move in steps, by which the percentiles cover; all others are smooth shares, for which
    the logit interval covers better (docs/statistics.md has both, side by side).
    """
    if "_at_" not in name:
        return logit_interval(value, drawn, confidence, df), LOGIT
    interval = percentile_interval(drawn, confidence)
    return interval if interval is not None and interval[0] < interval[1] else None, PERCENTILE


def _why_no_interval(drawn: Floats) -> str:
    varies = len(np.unique(drawn[~np.isnan(drawn)])) > 1
    return "too few replicates are defined" if varies else "the bootstrap replicates do not vary"


def score_mean(
    scores: Mapping[str, Mapping[str, Score]],
    samples: Mapping[TumorType, Sample],
    drawn: Mapping[TumorType, Drawn],
    task: Task,
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
        replicates[name] = mean_over([drawn[kind][name] for kind in defined])
        value = float(np.mean(list(defined.values())))
        interval, method = bootstrap_interval(
            name, value, replicates[name], task.confidence, mean_df(samples[kind] for kind in defined)
        )
        reasons = []
        if len(defined) < len(values):
            left_out = ", ".join(str(kind) for kind in values if kind not in defined)
            reasons.append(f"mean over {len(defined)} of {len(values)} tumor types; undefined: {left_out}")
        if interval is None:
            reasons.append(f"no interval: {_why_no_interval(replicates[name])}")
        low, high = interval or (None, None)
        reason = "; ".join(reasons) or None
        means[name] = Score(value=value, low=low, high=high, n=len(defined), method=method, reason=reason)
    return means, replicates


def mean_df(samples: Iterable[Sample]) -> int:
    """Degrees of freedom of a mean over tumor types: those of the types together."""
    return sum(max(sample.smaller_class - 1, 0) for sample in samples)


def mean_over(columns: Iterable[Floats]) -> Floats:
    """Mean of ``(R,)`` columns, over those that are defined in each replicate."""
    stacked = np.stack(list(columns))
    present = ~np.isnan(stacked)
    total = np.where(present, stacked, 0).sum(0)
    return np.where(present.any(0), total / np.maximum(present.sum(0), 1), np.nan)
