"""Worked example on real reads: each of LIDC's four readers against the other three (docs/statistics.md)."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from conftest import make_record, write_release, write_submission
from statsmodels.stats.proportion import proportion_confint

from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.records import Presence
from rsuper_bench.benchmark.report_markdown import report_markdown
from rsuper_bench.benchmark.submission import load_submission
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.tumor_types import TumorType

DATA = Path(os.environ.get("RSUPER_BENCH_DATA", "nowhere")) / "detection"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not (DATA / "lidc_scans_a.csv").exists(), reason="needs RSUPER_BENCH_DATA"),
]
PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"
READERS = ("1", "2", "3", "4")
TASK = Task(
    name="lung-v1", description="Nodules of 3 mm or more", tumor_types=(TumorType.LUNG,), bootstrap_replicates=2000
)


@pytest.fixture(scope="module")
def scans():
    """Each scan's marks of 3 mm or more by reader, and its largest. The key is xml: 11 series have two of them."""
    with (DATA / "lidc_scans_a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["xml"] for row in rows}) == len(rows) == 518
    assert len({row["series_uid"] for row in rows}) == 507
    return {
        row["xml"].replace("/", "-"): (row["series_uid"], {r: int(row[f"n_ge3mm_reader{r}"]) for r in READERS})
        for row in rows
    }


def marked_by(counts, reader):
    return counts[reader] > 0


def study_of(scans, reader, folder):
    """The reader's calls and counts of nodules, judged by what at least two of the other three marked."""
    others = [other for other in READERS if other != reader]
    states = {True: Presence.PRESENT, False: Presence.ABSENT}
    records = [
        make_record(
            case, {TumorType.LUNG: states[sum(marked_by(counts, o) for o in others) >= 2]}, patient=f"p{series}"
        )
        for case, (series, counts) in scans.items()
    ]
    release = write_release(folder / "release", records)
    # There is no method here: the submission is one of the other three, whose marks are a third of the truth.
    rows = [(case, "lung", min(counts[others[0]], 10) / 10) for case, (_, counts) in scans.items()]
    submission = load_submission(write_submission(folder / "submission", rows))
    lines = ["case_id,reader,tumor_type,call,score"]
    lines += [f"{case},reader {reader},lung,{int(marked_by(c, reader))},{c[reader]}" for case, (_, c) in scans.items()]
    (folder / "readers.csv").write_text("\n".join(lines) + "\n")
    return evaluate(submission, TASK, release, readers=folder / "readers.csv")


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_against_the_other_three(scans, reader, tmp_path):
    report = study_of(scans, reader, tmp_path)
    found = report.readers.study[0]
    truth = {case: sum(marked_by(c, o) for o in READERS if o != reader) >= 2 for case, (_, c) in scans.items()}
    hits = sum(truth[case] and marked_by(c, reader) for case, (_, c) in scans.items())
    spared = sum(not truth[case] and not marked_by(c, reader) for case, (_, c) in scans.items())
    positives = sum(truth.values())
    assert found.n_cases == 518
    assert (found.sensitivity.k, found.sensitivity.n) == (hits, positives)
    assert (found.specificity.k, found.specificity.n) == (spared, 518 - positives)
    # 11 series were read twice, so reads are drawn by series; with so few of them Wilson's interval is close.
    assert found.sensitivity.method == "patient-bootstrap-logit"
    wilson = proportion_confint(hits, positives, method="wilson")
    assert (found.sensitivity.low, found.sensitivity.high) == pytest.approx(wilson, abs=0.015)
    shares = " | ".join(
        f"{100 * item.value:.1f} [{100 * item.low:.1f}, {100 * item.high:.1f}] ({item.k}/{item.n})"
        for item in (found.sensitivity, found.specificity)
    )
    area = f"{found.auroc.value:.3f} [{found.auroc.low:.3f}, {found.auroc.high:.3f}]"
    assert f"| {reader} | {shares} | {area} |" in PAGE.read_text("utf-8")
    assert found.auroc_difference.value == pytest.approx(found.method_auroc.value - found.auroc.value)
    assert found.test is not None
    assert found.test.verdict in ("above", "within", "below", None)
    text = report_markdown(report)
    assert "## Radiologists who read the same cases" in text
    assert f"reader {reader}" in text
