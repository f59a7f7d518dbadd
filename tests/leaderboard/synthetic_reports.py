"""Synthetic evaluation reports, made through the model: every figure follows from the outcomes, as in real ones."""

import numpy as np

from rsuper_bench.benchmark.files import digest_of
from rsuper_bench.benchmark.reference import report_fingerprint
from rsuper_bench.benchmark.report import (
    MEAN,
    Counts,
    DataInfo,
    EvaluationReport,
    Exclusion,
    Outcome,
    Readers,
    Replicates,
    Score,
    SubmissionInfo,
)
from rsuper_bench.benchmark.sample import report_patients, report_samples
from rsuper_bench.benchmark.scoring import Counted, measure, measures_of
from rsuper_bench.benchmark.statistics.bootstrap import percentile_interval
from rsuper_bench.benchmark.task import load_task

METRICS = (
    "sensitivity_at_specificity_90",
    "specificity_at_sensitivity_90",
    "auroc",
    "average_precision",
    "sensitivity",
    "specificity",
    "f1",
)


def make_report(
    level=0.7,
    *,
    task="demo-phantom-v1",
    seed=0,
    noise=0.01,
    draws=200,
    fingerprint=None,
    submission=None,
    cases=200,
    synthetic=None,
    smoke=False,
    calls=True,
    **changes,
):
    """A report whose primary metric is about ``level`` for every type; ``noise`` is what is not shared by methods."""
    definition = load_task(task)
    common = np.random.default_rng(7).normal(0, 0.05, draws)  # the same patients are hard for every method
    own = np.random.default_rng([seed, round(level * 1e6)])
    offsets = np.linspace(-0.04, 0.04, len(definition.tumor_types))
    outcomes = [
        outcome
        for kind, offset in zip(definition.tumor_types, offsets, strict=True)
        for outcome in outcomes_of(kind, float(np.clip(level + offset, 0, 1)), cases, own, calls=calls)
    ]
    fields = {
        "task": definition.name,
        "fingerprint": fingerprint or "0" * 12,
        "task_definition": definition,
        "submission": submission
        or SubmissionInfo(
            team="Team in the file", method="Method in the file", training_data=("Phantoms, training split",)
        ),
        "data": DataInfo(
            release="phantoms",
            digest="0" * 64,
            split="test",
            n_cases=cases,
            n_patients=cases,
            synthetic=definition.synthetic if synthetic is None else synthetic,
            smoke=smoke,
        ),
        "seed": 0,
        "missing_policy": "error",
        "thresholds": dict.fromkeys(definition.tumor_types, 0.5) if calls else None,
        "scores": {},
        "counts": {kind: counts_of(outcomes, kind) for kind in definition.tumor_types},
        "readers": Readers(statement="Literature."),
        "coverage": {"evaluated": cases, "missing": 0},
        "excluded": (Exclusion(case_id="case-x", tumor_type=definition.tumor_types[0], reason="uncertain"),),
        "outcomes": tuple(outcomes),
        "digests": {"submission": digest_of([seed, level]), "release": "0" * 64, "reference": "1" * 64},
        "provenance": {"rsuper_bench": "0.1.0", "commit": None},
    }
    bare = EvaluationReport.model_validate(fields)
    fields["fingerprint"] = fingerprint or report_fingerprint(bare)
    scores = scores_of(bare)
    primary = scores[MEAN][definition.primary]
    values = np.round(np.clip(primary.value + common + own.normal(0, noise, draws), 0, 1), 6)
    low, high = percentile_interval(values, definition.confidence)
    scores[MEAN][definition.primary] = primary.model_copy(update={"low": low, "high": high})
    replicates = Replicates(metric=definition.primary, seed=0, index_digest="a" * 64, values=tuple(map(float, values)))
    return EvaluationReport.model_validate(fields | {"scores": scores, "replicates": replicates} | changes)


def outcomes_of(kind, level, cases, rng, *, calls):
    """Half of the cases positive; ``level`` of those above every negative, the others among them."""
    positives = cases // 2
    found = round(level * positives)
    scores = {0: rng.uniform(0.1, 0.6, cases - positives), 1: rng.uniform(0.1, 0.6, positives)}
    scores[1][:found] = rng.uniform(0.7, 1, found)
    scores[1][found:] = rng.uniform(0, 0.1, positives - found)
    return [
        Outcome(
            case_id=f"case-{number:03d}",
            patient=f"{number:016x}",
            tumor_type=kind,
            reference=number % 2,
            score=float(scores[number % 2][number // 2]),
            call=int(scores[number % 2][number // 2] >= 0.5) if calls else None,
        )
        for number in range(cases)
    ]


def counts_of(outcomes, kind):
    pairs = [(item.reference, item.call) for item in outcomes if item.tumor_type is kind]
    called = (
        {}
        if pairs[0][1] is None
        else {
            name: pairs.count(pair) for name, pair in {"tp": (1, 1), "fp": (0, 1), "tn": (0, 0), "fn": (1, 0)}.items()
        }
    )
    positive = sum(reference for reference, _ in pairs)
    return Counts(positive=positive, negative=len(pairs) - positive, excluded=1, **called)


def scores_of(report):
    """Figures from the outcomes; the intervals are made up."""
    patients = report_patients(report)
    measures = measures_of(report.task_definition, None)
    scores = {}
    for kind, sample in report_samples(report, patients).items():
        counted = Counted.of(sample, len(patients))
        values = measure(counted, measures, np.ones((len(patients), 1), dtype=np.int32))
        scores[str(kind)] = {metric: score(values[metric][0]) for metric in METRICS}
    scores[MEAN] = {
        metric: score(
            np.mean([np.nan if (one := by_metric[metric].value) is None else one for by_metric in scores.values()])
        )
        for metric in METRICS
    }
    return scores


def score(value):
    if np.isnan(value):
        return Score(value=None, reason="no frozen threshold for this type")
    return Score(value=float(value), low=max(0.0, float(value) - 0.1), high=min(1.0, float(value) + 0.1))
