"""Counts of an agreement, and the shares and intervals that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.statistics.bootstrap import chunk_sizes, patient_weights, percentile_interval
from rsuper_bench.benchmark.statistics.wilson import wilson_interval

F1_METHOD = "Wilson interval of tp/(tp+fp+fn), mapped to F1; 95 %"
SHARE_METHOD = "Wilson interval; 95 %"
BOOTSTRAP_METHOD = "percentiles of 2000 bootstrap draws of whole reports; 95 %"
NEAR_FIELD = "diameters_within_1mm"  # scored beside diameters_mm; a disagreement is listed once, as diameters_mm
FIELDS = (
    "kind",
    "count",
    "diameters_mm",
    NEAR_FIELD,
    "location",
    "side",
    "attenuation",
    "malignancy",
    "certainty",
    "series",
    "image",
)
REPLICATES = 2000
CONFIDENCE = 0.95


@dataclass(slots=True)
class FieldTally:
    """One field over pairs of findings.

    Attributes:
        n: Pairs.
        agree: Pairs with the same value.
        stated: Pairs in which at least one side states a value.
        stated_agree: Those of them with the same value.
    """

    n: int = 0
    agree: int = 0
    stated: int = 0
    stated_agree: int = 0

    def add(self, other: FieldTally) -> None:
        """Add the counts of another tally."""
        self.n += other.n
        self.agree += other.agree
        self.stated += other.stated
        self.stated_agree += other.stated_agree

    def as_json(self) -> dict[str, Any]:
        """The form of A.json."""
        return {
            "n": self.n,
            "agree": self.agree,
            **share(self.agree, self.n),
            "where_stated": {"n": self.stated, "agree": self.stated_agree, **share(self.stated_agree, self.stated)},
        }


@dataclass(slots=True)
class Tally:
    """Counts of one type, or of all types together.

    Attributes:
        tp: Called present and present; ``fp``, ``fn``, ``tn`` likewise.
        skipped: The label is uncertain.
        same_words: Labels with the same one of the four words of presence; of ``words``.
        sized: Positive labels with a size; ``exact`` and ``within_1mm`` of them have that largest size.
        found: Findings of the types that are scored; ``wanted`` those of the labels, ``paired`` those of both.
        fields: Field -> pairs that agree in it.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0
    skipped: int = 0
    words: int = 0
    same_words: int = 0
    sized: int = 0
    exact: int = 0
    within_1mm: int = 0
    found: int = 0
    wanted: int = 0
    paired: int = 0
    fields: dict[str, FieldTally] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Add the counts of another tally."""
        for name in Tally.__slots__:
            if name != "fields":
                setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, tally in other.fields.items():
            self.fields.setdefault(name, FieldTally()).add(tally)

    def as_json(self) -> dict[str, Any]:
        """The form of A.json."""
        content: dict[str, Any] = {
            "tp": self.tp,
            "fp": self.fp,
            "fn": self.fn,
            "tn": self.tn,
            "skipped": self.skipped,
            "f1": f1_score(self.tp, self.fp, self.fn),
            "precision": share(self.tp, self.tp + self.fp),
            "sensitivity": share(self.tp, self.tp + self.fn),
            "specificity": share(self.tn, self.tn + self.fp),
            "presence": {"n": self.words, "agree": self.same_words, **share(self.same_words, self.words)},
            "size": {"n": self.sized, "exact": self.exact, "within_1mm": self.within_1mm},
            "size_exact": share(self.exact, self.sized),
            "size_within_1mm": share(self.within_1mm, self.sized),
        }
        if self.fields:
            content["findings"] = {"found": self.found, "expected": self.wanted, "paired": self.paired}
            content["findings"]["f1"] = f1_score(self.paired, self.found - self.paired, self.wanted - self.paired)
            content["fields"] = {name: self.fields[name].as_json() for name in FIELDS if name in self.fields}
        return content


def share(k: int, n: int) -> dict[str, Any]:
    """A proportion with its Wilson interval; null with a reason where there is nothing to count."""
    if n == 0:
        return {"value": None, "low": None, "high": None, "reason": "nothing to count"}
    low, high = wilson_interval(k, n, CONFIDENCE)
    return {"value": round(k / n, 6), "low": round(low, 6), "high": round(high, 6)}


def f1_score(tp: int, fp: int, fn: int) -> dict[str, Any]:
    """F1 with a 95 % interval that does not collapse when all are right.

    F1 = 2 J / (1 + J) with J = tp / (tp + fp + fn), and grows with J, so the Wilson interval of the proportion J maps
    to one of F1. Reports count as independent. Check: 9, 1, 0 -> J = 0.9, F1 = 0.9474.

    Returns:
        value, low, high; null with a reason where there is nothing to find and nothing was found.
    """
    n = tp + fp + fn
    if n == 0:
        return {"value": None, "low": None, "high": None, "reason": "no positive label and no positive finding"}
    value, low, high = (2 * part / (1 + part) for part in (tp / n, *wilson_interval(tp, n, CONFIDENCE)))
    return {"value": round(value, 6), "low": round(low, 6), "high": round(high, 6)}


def f1_of_draws(counts: Sequence[Sequence[Sequence[int]]], *, seed: int = 0) -> dict[str, Any]:
    """Micro and macro F1 with intervals from drawing whole reports: the types of one report are not independent.

    Args:
        counts: ``(reports, types, 3)``: tp, fp and fn of each report and type.
        seed: Seed of the draws.

    Returns:
        ``micro`` and ``macro``, each with value, low, high; macro is the mean over the types with anything to find.
    """
    if not counts:
        return {name: {"value": None, "low": None, "high": None} for name in ("micro", "macro")}
    table = np.asarray(counts, dtype=np.float64)  # counts stay exact, and products of float matrices are fast
    chunks = chunk_sizes(REPLICATES)
    streams = np.random.SeedSequence(seed).spawn(len(chunks))
    drawn = [
        np.tensordot(patient_weights(len(table), size, stream).T, table, axes=1)
        for size, stream in zip(chunks, streams, strict=True)
    ]
    whole = table.sum(axis=0)[np.newaxis]
    replicates = np.concatenate(drawn)
    result: dict[str, Any] = {}
    for name, figure in (("micro", _micro_f1), ("macro", _macro_f1)):
        value = float(figure(whole)[0])
        interval = None if np.isnan(value) else percentile_interval(figure(replicates), CONFIDENCE)
        low, high = interval or (None, None)
        result[name] = {
            key: None if number is None or np.isnan(number) else round(number, 6)
            for key, number in (("value", value), ("low", low), ("high", high))
        }
    return result


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    positives = 2 * counts[..., 0] + counts[..., 1] + counts[..., 2]
    return np.where(positives > 0, 2 * counts[..., 0] / np.maximum(positives, 1.0), np.nan)


def _micro_f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return _f1(counts.sum(axis=1))


def _macro_f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    by_type = _f1(counts)
    defined = ~np.isnan(by_type)
    total = np.where(defined, by_type, 0.0).sum(axis=1)
    n = defined.sum(axis=1)
    return np.where(n > 0, total / np.maximum(n, 1.0), np.nan)
