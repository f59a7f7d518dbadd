"""The table of the published protocol: sensitivity, specificity and F1 at each of 297 volume thresholds.

A case is called when its predicted volume is at least the threshold (METHOD 9, CONTRACTS). The thresholds are swept on
the evaluated cases themselves, so no row of the table is a frozen operating point.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.errors import Problem, SubmissionError
from rsuper_bench.benchmark.predictions_table import shown
from rsuper_bench.benchmark.report import EvaluationReport
from rsuper_bench.benchmark.sample import report_patients, report_samples
from rsuper_bench.benchmark.tumor_types import TumorType

PROTOCOL_FILE = "metrics.csv"
NEEDED = "a volume, which --protocol rsuper needs"
# In mm^3 and in the order of the published table, which holds some thresholds more than once.
THRESHOLDS_MM3 = (*range(10, 100, 10), *range(100, 1000, 10), *range(100, 10_000, 100), *range(1000, 100_000, 1000))
_SPELLED = {TumorType.PANCREAS: "pancreatic"}


@dataclass(frozen=True)
class SweptCounts:
    """Confusion counts at each threshold; ``(T,)`` each."""

    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    tn: NDArray[np.int64]
    fn: NDArray[np.int64]


def sweep(
    volume_mm3: NDArray[np.float64], positive: NDArray[np.bool_], thresholds_mm3: NDArray[np.float64]
) -> SweptCounts:
    """Count calls at every threshold with one sort.

    Args:
        volume_mm3: ``(N,)`` predicted volumes, no NaN; infinite where a missing prediction is scored the worst way.
        positive: ``(N,)`` reference.
        thresholds_mm3: ``(T,)`` in any order.
    """
    missed, spared = (
        np.searchsorted(np.sort(volume_mm3[chosen]), thresholds_mm3, side="left") for chosen in (positive, ~positive)
    )
    positives = int(positive.sum())
    negatives = len(positive) - positives
    return SweptCounts(tp=positives - missed, fp=negatives - spared, tn=spared, fn=missed)


def protocol_table(volumes: Mapping[TumorType, tuple[NDArray[np.float64], NDArray[np.bool_]]]) -> str:
    """The table as CSV text.

    Args:
        volumes: Predicted volumes in mm^3 and reference, ``(N,)`` each, by tumor type.
    """
    thresholds_mm3 = np.array(THRESHOLDS_MM3, dtype=np.float64)
    header = ["threshold"]
    columns: list[list[str]] = [[str(threshold) for threshold in THRESHOLDS_MM3]]
    for kind, (volume_mm3, positive) in volumes.items():
        organ = _SPELLED.get(kind, str(kind))
        header += [f"{organ}_sensitivity", f"{organ}_specificity", f"{organ}_f1"]
        counts = sweep(volume_mm3, positive, thresholds_mm3)
        tp, fp, tn, fn = (values.tolist() for values in (counts.tp, counts.fp, counts.tn, counts.fn))
        columns += [
            [_share(hit, hit + missed) for hit, missed in zip(tp, fn, strict=True)],
            [_share(spared, spared + alarm) for spared, alarm in zip(tn, fp, strict=True)],
            [_f1(*cell) for cell in zip(tp, fp, fn, strict=True)],
        ]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*columns, strict=True))
    return buffer.getvalue()


def _share(k: int, n: int) -> str:
    return f"{k / n:.1%} ({k}/{n})" if n else "N/A (0/0)"


def _f1(tp: int, fp: int, fn: int) -> str:
    total = 2 * tp + fp + fn
    return f"{2 * tp / total:.1%} (TP={tp}, FP={fp}, FN={fn})" if total else f"N/A (TP={tp}, FP={fp}, FN={fn})"


def report_protocol_table(report: EvaluationReport) -> str:
    """The table of a report, from its outcomes; missing predictions count the worst way at every threshold.

    Raises:
        SubmissionError: If a prediction has no volume.
    """
    missing = [item for item in report.outcomes if item.volume_mm3 is None and not item.imputed]
    if missing:
        found = (
            f"{len(missing)} predictions have no volume_mm3: {shown([f'{i.case_id} {i.tumor_type}' for i in missing])}"
        )
        raise SubmissionError.of([Problem("submission", found, NEEDED, "Add the column volume_mm3, or masks.")])
    samples = report_samples(report, report_patients(report))
    return protocol_table({kind: (sample.worst_volume_mm3, sample.positive) for kind, sample in samples.items()})
