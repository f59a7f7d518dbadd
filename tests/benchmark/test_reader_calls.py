"""Calls at the frozen threshold beside each reader's calls."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import make_record, write_release, write_submission

from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.reader_calls import PairedCalls, compare_calls
from rsuper_bench.benchmark.records import Presence, Split
from rsuper_bench.benchmark.report_markdown import report_markdown
from rsuper_bench.benchmark.scoring import Draws
from rsuper_bench.benchmark.statistics.paired import PairedCounts, newcombe_paired
from rsuper_bench.benchmark.statistics.wilson import wilson_interval
from rsuper_bench.benchmark.submission import load_submission
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.thresholds import calibrate
from rsuper_bench.benchmark.tumor_types import TumorType

LIVER = TumorType.LIVER
TASK = Task(name="liver-v1", description="", tumor_types=(LIVER,), bootstrap_replicates=200)


@pytest.fixture
def study(tmp_path):
    """12 positives of which the method calls 10, and 12 negatives of which it calls 3; the threshold is 0.5."""

    def run(readers: dict[str, list[int]], *, frozen=True, patient=None, header="call"):
        names = [f"c{index:02d}" for index in range(24)]
        states = [Presence.PRESENT] * 12 + [Presence.ABSENT] * 12
        records = [
            make_record(name, {LIVER: state}, patient=patient(index) if patient else None)
            for index, (name, state) in enumerate(zip(names, states, strict=True))
        ]
        validation = [
            make_record(f"v{index}", {LIVER: state}, split=Split.VALIDATION)
            for index, state in enumerate((Presence.PRESENT, Presence.ABSENT))
        ]
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        release = write_release(folder / "r", [*records, *validation])
        scores = [0.9] * 10 + [0.1] * 2 + [0.8] * 3 + [0.2] * 9
        rows = [(name, "liver", score) for name, score in zip(names, scores, strict=True)]
        submission = load_submission(write_submission(folder / "s", rows))
        fitted = write_submission(folder / "v", [("v0", "liver", 0.6), ("v1", "liver", 0.4)])
        thresholds = calibrate(load_submission(fitted), TASK, release) if frozen else None
        lines = [f"{name},{who},liver,{call}" for who, calls in readers.items() for name, call in zip(names, calls)]  # noqa: B905
        (folder / "reads.csv").write_text("\n".join([f"case_id,reader,tumor_type,{header}", *lines]) + "\n")
        return evaluate(submission, TASK, release, thresholds=thresholds, readers=folder / "reads.csv")

    return run


# Finds the first 2 positives and the last 2 (which the method misses); one false alarm, which the method has too.
READER = [1, 1] + [0] * 8 + [1, 1] + [1] + [0] * 11


def test_by_hand(study):
    (reader,) = study({"r": READER}).readers.study
    found = reader.frozen_sensitivity
    # Both right on 2, only the method on 8, only the reader on 2: P = 2 * (1 + 10 + 45) / 1024 = 0.109375.
    assert (found.only_method, found.only_reader, found.test) == (8, 2, "mcnemar-exact")
    assert found.p == pytest.approx(112 / 1024)
    assert found.p_holm == found.p
    assert (found.method.value, found.method.k, found.method.n) == (10 / 12, 10, 12)
    assert (found.method.low, found.method.high) == wilson_interval(10, 12)
    assert found.difference.value == pytest.approx(6 / 12)
    assert (found.difference.low, found.difference.high) == newcombe_paired(PairedCounts(2, 8, 2, 0))
    # On negatives: both right on 9, only the reader on 2: P = 2 / 4.
    found = reader.frozen_specificity
    assert (found.only_method, found.only_reader, found.p) == (0, 2, pytest.approx(0.5))
    assert found.difference.value == pytest.approx(9 / 12 - 11 / 12)


def test_p_values_are_corrected_over_readers(study):
    always = [1] * 12 + [0] * 12
    first, second = study({"a": READER, "b": always}).readers.study
    # b alone is right on 2 positives: P = 0.5; Holm: 2 * 0.109375 and max(0.21875, 0.5).
    assert first.frozen_sensitivity.p_holm == pytest.approx(224 / 1024)
    assert second.frozen_sensitivity.p == pytest.approx(0.5)
    assert second.frozen_sensitivity.p_holm == pytest.approx(0.5)


def test_a_reader_with_missing_reads_is_compared_on_those_read(study):
    (reader,) = study({"r": READER[:13]}).readers.study  # all positives, one negative
    assert reader.frozen_sensitivity.method.n == 12
    assert reader.frozen_specificity.method.n == 1
    assert "only 1 cases" in reader.frozen_specificity.difference.reason
    (reader,) = study({"r": READER[:12]}).readers.study
    assert reader.frozen_specificity is None
    assert reader.frozen_sensitivity.p == pytest.approx(112 / 1024)  # one class is enough


def test_nothing_frozen_or_no_calls_is_no_test(study):
    for report in (study({"r": READER}, frozen=False), study({"r": READER}, header="score")):
        assert report.readers.study[0].frozen_sensitivity is None
        assert "beside each reader's calls" not in report_markdown(report)


def test_cases_of_one_patient_are_exchanged_together(study):
    (reader,) = study({"r": READER}, patient=lambda index: f"p{index // 2}").readers.study
    found = reader.frozen_sensitivity
    assert (found.test, found.method.method) == ("permutation", "patient-bootstrap-logit")
    # Six patients of two cases; five differ, each by two: +2 four times and -2 once. |sum| >= 6 in 12 of 32.
    assert (found.only_method, found.only_reader) == (8, 2)
    assert found.p == pytest.approx(12 / 32, abs=0.1)
    assert found.difference.low < 0.5 < found.difference.high


def test_exchanges_agree_with_trying_all():
    gain = np.array([1, 1, 1, 1, 1, -1, 0, 0])
    right, other = gain >= 0, gain <= 0
    patient = np.array([0, 0, 1, 1, 2, 3, 4, 4])  # sums +2 +2 +1 -1 0
    drawn = np.full(20_000, np.nan)
    item = PairedCalls(right, other, patient, drawn, drawn)
    found = compare_calls({"x": item}, Draws(5, 20_000, "ab", 0), 0.95)["x"]
    sums = [a * 2 + b * 2 + c + d for a in (1, -1) for b in (1, -1) for c in (1, -1) for d in (1, -1)]
    assert found.p == pytest.approx(np.mean([abs(value) >= 4 for value in sums]), abs=0.01)
    assert found.difference.low is None
    assert found.difference.reason


def test_the_report_shows_them(study):
    text = report_markdown(study({"r": READER}))
    assert "**Calls at the frozen thresholds beside each reader's calls** (nothing was matched)" in text
    row = next(line for line in text.splitlines() if line.startswith("| r | liver | sensitivity"))
    assert "| 83.3 [55.2, 95.3] (10/12) | 50.0 [" in row
    assert row.endswith("| 8 | 2 | 0.1094 | 0.1094 |")
