"""Synthetic evaluation reports, made through the model."""

import numpy as np

from rsuper_bench.benchmark.files import digest_of
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
from rsuper_bench.benchmark.task import load_task

METRICS = ("sensitivity_at_specificity_90", "auroc", "sensitivity", "specificity")


def make_report(
    level=0.7,
    *,
    task="demo-phantom-v1",
    seed=0,
    noise=0.01,
    draws=200,
    fingerprint=None,
    submission=None,
    cases=40,
    synthetic=None,
    smoke=False,
    **changes,
):
    """A report whose primary metric is about ``level`` for every type; ``noise`` is what is not shared by methods."""
    definition = load_task(task)
    fingerprint = fingerprint or digest_of({"task": definition.fingerprint})[:12]
    common = np.random.default_rng(7).normal(0, 0.05, draws)  # the same patients are hard for every method
    own = np.random.default_rng([seed, round(level * 1e6)])
    values = np.clip(level + common + own.normal(0, noise, draws), 0, 1)

    def score(value, n=cases // 2):
        return Score(value=value, low=max(0.0, value - 0.1), high=min(1.0, value + 0.1), k=round(value * n), n=n)

    offsets = np.linspace(-0.04, 0.04, len(definition.tumor_types))
    scores = {
        str(kind): {metric: score(round(float(np.clip(level + offset, 0, 1)), 6)) for metric in METRICS}
        for kind, offset in zip(definition.tumor_types, offsets, strict=True)
    }
    scores[MEAN] = {
        metric: score(float(np.mean([scores[str(kind)][metric].value for kind in definition.tumor_types])))
        for metric in METRICS
    }
    outcomes = [
        Outcome(
            case_id=f"case-{number:03d}",
            patient=f"{number:016x}",
            tumor_type=kind,
            reference=number % 2,
            score=float(np.clip(own.normal(0.4 + (number % 2) * level * 0.4, 0.2), 0, 1)),
        )
        for kind in definition.tumor_types
        for number in range(cases)
    ]
    fields = {
        "task": definition.name,
        "fingerprint": fingerprint,
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
        "scores": scores,
        "counts": {
            kind: Counts(positive=cases // 2, negative=cases - cases // 2, excluded=1)
            for kind in definition.tumor_types
        },
        "readers": Readers(statement="Literature."),
        "coverage": {"evaluated": cases, "missing": 0},
        "excluded": (Exclusion(case_id="case-x", tumor_type=definition.tumor_types[0], reason="uncertain"),),
        "outcomes": tuple(outcomes),
        "replicates": Replicates(
            metric=definition.primary, seed=0, index_digest="a" * 64, values=tuple(map(float, values))
        ),
        "digests": {"submission": digest_of([seed, level]), "reference": "1" * 64, "thresholds": None},
        "provenance": {"rsuper_bench": "0.1.0", "commit": None},
    }
    return EvaluationReport.model_validate(fields | changes)
