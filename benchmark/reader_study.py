"""Radiologists who read the same cases: each beside the method at that reader's own operating point.

The method is compared on exactly the cases a reader read. Its threshold is matched to the reader on those cases, and
matched again in each bootstrap replicate; the difference is paired, since both are of the same patients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark import metrics
from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import read_table
from rsuper_bench.benchmark.predictions_table import shown
from rsuper_bench.benchmark.reference import Reference
from rsuper_bench.benchmark.report import Score, StudyReader
from rsuper_bench.benchmark.sample import Sample
from rsuper_bench.benchmark.scoring import BOOTSTRAP, replicate_weights
from rsuper_bench.benchmark.statistics.bootstrap import percentile_interval
from rsuper_bench.benchmark.statistics.wilson import wilson_interval
from rsuper_bench.benchmark.tumor_types import TumorType

STATEMENT = (
    "The readers of the study read the same cases. The method is shown at each reader's own specificity and "
    "sensitivity, on the cases that reader read; differences are paired, method minus reader."
)
Floats = NDArray[np.float64]
Reads = dict[tuple[str, TumorType], dict[str, bool]]


def is_reader_study(path: Path) -> bool:
    """Whether a table holds reads of cases; otherwise it is a table of literature figures."""
    with path.open("rb") as file:
        header = file.readline(4096).decode("utf-8", "replace")
    columns = {column.strip().strip('"\ufeff') for column in header.split(",")}
    return "reader" in columns or "call" in columns


def read_calls(path: Path, reference: Reference) -> Reads:
    """Read a table of ``case_id, reader, tumor_type, call`` with an optional ``session``.

    Returns:
        Calls by case, for each reader (``reader/session`` where there are sessions) and tumor type of the task.

    Raises:
        DataError: Listing every bad row.
    """
    rows = read_table(path, ["case_id", "reader", "tumor_type", "call"], optional=["session"])
    problems: dict[tuple[str, str, str], list[str]] = {}
    reads: Reads = {}
    kinds = {str(kind): kind for kind in TumorType}
    for line, row in enumerate(rows, start=2):
        case_id, session = row["case_id"], row.get("session", "")
        reader = f"{row['reader']}/{session}" if session else row["reader"]

        def complain(found: str, expected: str, fix: str, number: int = line) -> None:
            problems.setdefault((found, expected, fix), []).append(f"row {number}")

        if case_id not in reference.records:
            complain("a case that is not in the split", f"cases of {reference.split}", "Remove it.")
        elif not reader or len(reader) > 64 or not reader.isprintable():
            complain("no usable reader name", "a short pseudonym", "Name the reader.")
        elif row["tumor_type"] not in kinds:
            complain("an unknown tumor type", f"one of {', '.join(kinds)}", "Correct it.")
        elif row["call"].strip() not in ("0", "1"):
            complain("a call that is not 0 or 1", "0 (no tumor) or 1 (tumor)", "Correct it.")
        elif case_id in reads.get((reader, kinds[row["tumor_type"]]), {}):
            complain("a second read of one case", "one read a case, type and session", "Add a session column.")
        else:
            reads.setdefault((reader, kinds[row["tumor_type"]]), {})[case_id] = row["call"].strip() == "1"
    if problems:
        raise DataError.of(
            [
                Problem(path.name, f"{found} ({shown(lines)})", expected, fix)
                for (found, expected, fix), lines in problems.items()
            ]
        )
    wanted = set(reference.task.tumor_types)
    return {key: calls for key, calls in sorted(reads.items()) if key[1] in wanted}


@dataclass(frozen=True)
class _Pair:
    """One reader and the method on the cases both have; arrays ``(N,)``."""

    called: NDArray[np.bool_]
    positive: NDArray[np.bool_]
    patient: NDArray[np.intp]
    ranked: metrics.RankedCases


def study_readers(
    reads: Reads, samples: Mapping[TumorType, Sample], reference: Reference, seed: int
) -> list[StudyReader]:
    """Each reader and tumor type beside the method."""
    return [_compare(reader, samples[kind], calls, reference, seed) for (reader, kind), calls in reads.items()]


def _compare(reader: str, sample: Sample, calls: Mapping[str, bool], reference: Reference, seed: int) -> StudyReader:
    chosen = np.array([case_id in calls for case_id in sample.case_ids], dtype=bool)
    called = np.array([calls[case_id] for case_id in sample.case_ids if case_id in calls], dtype=bool)
    positive, patient = sample.positive[chosen], sample.patient[chosen]
    pair = _Pair(called, positive, patient, metrics.RankedCases.of(sample.decision[chosen], positive, patient))
    own = _figures(pair, np.ones((1, len(reference.patients)), dtype=np.int32))
    chunks = [_figures(pair, weights) for weights in replicate_weights(reference, seed)]
    drawn = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in own}
    totals = {"sensitivity": int(positive.sum()), "specificity": int((~positive).sum())}
    confidence = reference.task.confidence
    independent = len(np.unique(patient)) == len(patient)

    def score(name: str) -> Score:
        value = float(own[name][0])
        figure = name.rsplit("_", 1)[-1]
        n = totals[figure]
        if np.isnan(value):
            return Score(value=None, reason="the cases this reader read are of one class only")
        k = None if name.startswith("difference") else round(value * n)
        if k is not None and independent and not name.startswith("method"):
            low, high = wilson_interval(k, n, confidence)
            return Score(value=value, low=low, high=high, k=k, n=n, method="wilson")
        interval = percentile_interval(drawn[name], confidence)
        if interval is None:
            return Score(value=value, k=k, n=n, method=BOOTSTRAP, reason="no interval: too few replicates")
        return Score(value=value, low=interval[0], high=interval[1], k=k, n=n, method=BOOTSTRAP)

    return StudyReader(
        reader=reader,
        tumor_type=sample.tumor_type,
        n_cases=len(called),
        n_excluded=len(calls) - len(called),
        sensitivity=score("sensitivity"),
        specificity=score("specificity"),
        method_sensitivity=score("method_sensitivity"),
        method_specificity=score("method_specificity"),
        sensitivity_difference=score("difference_sensitivity"),
        specificity_difference=score("difference_specificity"),
    )


def _figures(pair: _Pair, weights: NDArray[np.int32]) -> dict[str, Floats]:
    """Reader, method matched to the reader, and their difference, in each replicate."""
    counts = metrics.CallCounts.of(pair.called, pair.positive, pair.patient, weights)
    both = (counts.tp + counts.fn > 0) & (counts.tn + counts.fp > 0)
    sensitivity = np.where(both, counts.sensitivity(), np.nan)
    specificity = np.where(both, counts.specificity(), np.nan)
    curve = metrics.Curve.of(pair.ranked, weights)
    method_sensitivity = metrics.sensitivity_at_specificity(curve, np.nan_to_num(specificity))
    method_specificity = metrics.specificity_at_sensitivity(curve, np.nan_to_num(sensitivity))
    return {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "method_sensitivity": method_sensitivity,
        "method_specificity": method_specificity,
        "difference_sensitivity": method_sensitivity - sensitivity,
        "difference_specificity": method_specificity - specificity,
    }
