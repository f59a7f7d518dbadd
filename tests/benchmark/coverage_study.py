"""How often the intervals of a report hold the truth: ``python tests/benchmark/coverage_study.py [RUNS]``.

Cohorts are simulated in which the truth is known: scores of negative cases are normal, those of positive cases the same
moved up, each case is positive with a fixed probability, and cases of one patient share half of their variance. Every
figure goes through the code that writes reports. Prints the tables of docs/statistics.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from rsuper_bench.benchmark.sample import Sample
from rsuper_bench.benchmark.scores import score_type
from rsuper_bench.benchmark.scoring import Counted, Measures, measure
from rsuper_bench.benchmark.statistics.bootstrap import chunk_sizes, patient_weights, percentile_interval
from rsuper_bench.benchmark.statistics.wilson import wilson_interval
from rsuper_bench.benchmark.tumor_types import TumorType

NORMAL = NormalDist()
POINTS = Measures(specificity=0.9, sensitivity=0.9, reader_specificity=None, reader_sensitivity=None)
METRICS = (
    "auroc",
    "average_precision",
    "sensitivity_at_specificity_90",
    "specificity_at_sensitivity_90",
    "sensitivity",
    "specificity",
    "balanced_accuracy",
    "f1",
)
REPLICATES = 400


@dataclass(frozen=True)
class Setting:
    """A cohort: expected numbers of positive and negative cases, AUROC, and cases a patient."""

    positives: int
    negatives: int
    auroc: float
    cases: int = 1

    @property
    def shift(self) -> float:
        """Distance of the two normal distributions."""
        return NORMAL.inv_cdf(self.auroc) * sqrt(2)

    def truth(self) -> dict[str, float]:
        """The figures of the whole population, at a threshold half-way between the two means."""
        d, hit = self.shift, NORMAL.cdf(self.shift / 2)
        prevalence = self.positives / (self.positives + self.negatives)
        matched = NORMAL.cdf(d - NORMAL.inv_cdf(0.9))
        quantiles = (np.arange(20_000) + 0.5) / 20_000
        false_alarms = np.array([NORMAL.cdf(-(NORMAL.inv_cdf(1 - q) + d)) for q in quantiles])
        precision = prevalence * quantiles / (prevalence * quantiles + (1 - prevalence) * false_alarms)
        return {
            "auroc": self.auroc,
            "average_precision": float(precision.mean()),
            "sensitivity_at_specificity_90": matched,
            "specificity_at_sensitivity_90": matched,
            "sensitivity": hit,
            "specificity": hit,
            "balanced_accuracy": hit,
            "f1": 2 * prevalence * hit / (prevalence * hit + (1 - prevalence) * (1 - hit) + prevalence),
        }

    def cohort(self, rng: np.random.Generator) -> Sample:
        """One cohort, as an evaluation sees it."""
        n = self.positives + self.negatives
        patient = np.arange(n) // self.cases
        positive = rng.random(n) < self.positives / n
        noise = rng.normal(size=n)
        if self.cases > 1:
            noise = np.sqrt(0.5) * noise + np.sqrt(0.5) * rng.normal(size=patient.max() + 1)[patient]
        score = noise + self.shift * positive
        nothing = np.zeros(n, dtype=bool)
        called = score >= self.shift / 2
        return Sample(TumorType.LIVER, (), patient, positive, score, np.full(n, np.nan), score, nothing, called)


@dataclass
class Coverage:
    """Shares of intervals that hold the truth, lie above it, and lie below it; NaN where there was none."""

    held: float
    above: float
    below: float
    percentile: float  # what the plain percentile bootstrap would have held


def coverage(setting: Setting, runs: int, seed: int = 0) -> dict[str, Coverage]:
    """Simulate a setting."""
    rng, truth = np.random.default_rng(seed), setting.truth()
    counts = {name: np.zeros(5) for name in METRICS}  # intervals, held, above, below, percentile
    for run in range(runs):
        sample = setting.cohort(rng)
        if not 0 < sample.positive.sum() < len(sample.positive):
            continue
        drawn = _draw(sample, np.random.SeedSequence([seed, run]))
        scores = score_type(sample, POINTS, drawn, 0.95)
        for name in METRICS:
            low, high = scores[name].low, scores[name].high
            if low is None or high is None:
                continue
            plain = percentile_interval(drawn[name], 0.95) or (np.nan, np.nan)
            held = low <= truth[name] <= high
            counts[name] += [1, held, low > truth[name], high < truth[name], plain[0] <= truth[name] <= plain[1]]
    return {name: Coverage(*(found[1:] / max(found[0], 1))) for name, found in counts.items()}


def _draw(sample: Sample, seed: np.random.SeedSequence) -> dict[str, NDArray[np.float64]]:
    patients = int(sample.patient.max()) + 1
    counted = Counted.of(sample, patients)
    sizes = chunk_sizes(REPLICATES)
    chunks = [
        measure(counted, POINTS, patient_weights(patients, size, stream))
        for size, stream in zip(sizes, seed.spawn(len(sizes)), strict=True)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in METRICS}


def wilson_coverage(n: int, share: float) -> float:
    """Exact coverage of Wilson's interval."""
    k = np.arange(n + 1)
    ends = np.array([wilson_interval(int(value), n) for value in k])
    return float(binom.pmf(k, n, share)[(ends[:, 0] <= share) & (share <= ends[:, 1])].sum())


WITHIN = (
    Setting(30, 30, 0.8),
    Setting(30, 30, 0.95),
    Setting(30, 300, 0.8),
    Setting(30, 300, 0.95),
    Setting(100, 100, 0.9),
    Setting(300, 300, 0.95),
    Setting(30, 60, 0.85, cases=3),
    Setting(60, 120, 0.95, cases=3),
    Setting(100, 500, 0.9, cases=2),
)
OUTSIDE = (
    Setting(5, 50, 0.9),
    Setting(10, 10, 0.8),
    Setting(10, 100, 0.9),
    Setting(15, 30, 0.9, cases=3),
    Setting(100, 100, 0.99),
)


def main(runs: int) -> None:
    """Print both tables."""
    for settings in (WITHIN, OUTSIDE):
        print("| positives | negatives | AUROC | cases a patient | " + " | ".join(METRICS) + " |")
        print("|---:|---:|---:|---:|" + "---:|" * len(METRICS))
        for setting in settings:
            found = coverage(setting, runs)
            cells = [f"{100 * item.held:.1f} ({100 * item.percentile:.1f})" for item in found.values()]
            head = [str(setting.positives), str(setting.negatives), f"{setting.auroc:g}", str(setting.cases)]
            print("| " + " | ".join([*head, *cells]) + " |", flush=True)
        print()
    print("| cases | mean over shares 0.05 to 0.95 | lowest | highest |\n|---:|---:|---:|---:|")
    for n in (10, 30, 100, 300):
        exact = [100 * wilson_coverage(n, share) for share in np.linspace(0.05, 0.95, 181)]
        print(f"| {n} | {np.mean(exact):.1f} | {min(exact):.1f} | {max(exact):.1f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
