"""Readers of the same cases beside the method."""

from __future__ import annotations

import pytest
from conftest import make_record, write_release, write_submission

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.records import Presence
from rsuper_bench.benchmark.report_markdown import report_markdown
from rsuper_bench.benchmark.submission import load_submission
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.tumor_types import TumorType

LIVER = TumorType.LIVER
TASK = Task(name="liver-v1", description="", tumor_types=(LIVER,), bootstrap_replicates=200)
STATES = [Presence.PRESENT] * 4 + [Presence.ABSENT] * 5 + [Presence.UNCERTAIN]


@pytest.fixture
def study(tmp_path):
    """Ten cases: four positive, five negative, one excluded; the method misses one and has one false alarm."""
    records = [make_record(f"c{index}", {LIVER: state}) for index, state in enumerate(STATES)]
    release = write_release(tmp_path / "r", records)
    scores = [0.9, 0.8, 0.7, 0.05, 0.75, 0.1, 0.1, 0.1, 0.1, 0.5]
    rows = [(f"c{index}", "liver", score) for index, score in enumerate(scores)]
    submission = load_submission(write_submission(tmp_path / "s", rows))

    def run(table: str):
        path = tmp_path / "readers.csv"
        path.write_text(table)
        return evaluate(submission, TASK, release, readers=path)

    return run


def reads(calls, header="case_id,reader,tumor_type,call", reader="r1"):
    return "\n".join([header, *(f"c{index},{reader},liver,{call}" for index, call in enumerate(calls))]) + "\n"


def test_by_hand(study):
    # The reader finds 2 of 4 with 1 false alarm among 5; at 80 % specificity the method finds 3 of 4.
    found = study(reads([1, 1, 0, 0, 1, 0, 0, 0, 0, 1])).readers.study
    assert len(found) == 1
    reader = found[0]
    assert (reader.n_cases, reader.n_excluded) == (9, 1)
    assert (reader.sensitivity.k, reader.sensitivity.n, reader.sensitivity.method) == (2, 4, "wilson")
    assert (reader.specificity.k, reader.specificity.n) == (4, 5)
    assert reader.method_sensitivity.value == pytest.approx(3 / 4)
    assert reader.method_specificity.value == pytest.approx(1)  # two of four are above every negative
    assert reader.sensitivity_difference.value == pytest.approx(1 / 4)
    assert reader.specificity_difference.value == pytest.approx(1 / 5)
    assert reader.sensitivity_difference.low <= 1 / 4 <= reader.sensitivity_difference.high


def test_a_reader_is_compared_on_what_that_reader_read(study):
    found = study(reads([1, 1])).readers.study[0]  # two positive cases only
    assert found.n_cases == 2
    assert found.sensitivity.value is None
    assert "one class only" in found.sensitivity.reason


def test_sessions_are_apart(study):
    table = "case_id,reader,tumor_type,call,session\nc0,r1,liver,1,a\nc0,r1,liver,0,b\n"
    assert [(item.reader, item.session) for item in study(table).readers.study] == [("r1", "a"), ("r1", "b")]


def test_bad_reads_are_listed_together(study):
    rows = ["zz,r1,liver,1", "c0,r1,livr,1", "c0,r1,liver,yes", "c1,r1,liver,1", "c1,r1,liver,0", "c2,,liver,1"]
    table = "\n".join(["case_id,reader,tumor_type,call", *rows])
    with pytest.raises(DataError) as caught:
        study(table)
    text = str(caught.value)
    for part in (
        "not in the split (row 2)",
        "unknown tumor type (row 3)",
        "not 0 or 1 (row 4)",
        "second read",
        "reader name (row 7)",
    ):
        assert part in text


def test_another_literature_table(study):
    table = "tumor_type,task,unit,sensitivity,specificity,grade,citation\nliver,detection,patient,0.5,0.8,own,A study\n"
    found = study(table)
    assert found.readers.literature[0].citation == "A study"
    assert found.scores["liver"]["sensitivity_at_reader"].value == pytest.approx(3 / 4)
    with pytest.raises(DataError, match="sensitivity: not valid"):
        study(table.replace("0.5", "87"))


def test_the_report_shows_them(study):
    text = report_markdown(study(reads([1, 1, 0, 0, 1, 0, 0, 0, 0, 1], reader="<i>")))
    assert "## Radiologists who read the same cases" in text
    assert "| &lt;i&gt; | liver | 9 |" in text
    assert "read the same cases. The method" in text


def test_a_reader_who_calls_like_the_method_is_not_above_it(tmp_path, small_release, test_rows):
    kind = TumorType.KIDNEY
    submission = load_submission(write_submission(tmp_path / "s", test_rows))
    calls = {case: int(float(score) >= 0.6) for case, name, score in test_rows if name == kind}
    table = "\n".join(["case_id,reader,tumor_type,call", *(f"{case},r,{kind},{call}" for case, call in calls.items())])
    (tmp_path / "r.csv").write_text(table)
    task = Task(name="kidney-v1", description="", tumor_types=(kind,), bootstrap_replicates=200)
    reader = evaluate(submission, task, small_release, readers=tmp_path / "r.csv").readers.study[0]
    # The reader's own threshold is one the method could take: matching cannot lose, in the sample or in a replicate.
    assert reader.sensitivity_difference.value >= 0
    assert reader.sensitivity_difference.low >= 0
    assert reader.specificity_difference.low >= 0
