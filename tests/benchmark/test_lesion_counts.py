"""Published tables of lesion counts as the truth."""

from __future__ import annotations

import pytest
from conftest import make_record, write_release, write_submission
from test_evaluation import in_memory
from typer.testing import CliRunner

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.evaluation import COUNTED, evaluate
from rsuper_bench.benchmark.lesion_counts import read_lesion_counts
from rsuper_bench.benchmark.records import NotEvaluable, Presence
from rsuper_bench.benchmark.report import load_report
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.cli import app

LIVER, PANCREAS = TumorType.LIVER, TumorType.PANCREAS
TASK = Task(name="two-v1", description="", tumor_types=(LIVER, PANCREAS), bootstrap_replicates=100)
TABLE = """BDMAP ID,age,number of liver lesion instances,number of pancreatic lesion instances,report
a,60,2,0,"text, with a comma"
b,,0,1.0,
c,50,0,,
other,1,1,1,
"""


@pytest.fixture
def release(tmp_path):
    """Four cases whose reports say that nothing is there; the last has no row, the first no pancreas."""
    none = {LIVER: Presence.ABSENT, PANCREAS: Presence.ABSENT}
    resected = make_record("a", {LIVER: Presence.ABSENT}, not_evaluable={PANCREAS: NotEvaluable.RESECTED})
    records = [resected, *(make_record(case, none) for case in "bcd")]
    return write_release(tmp_path / "r", records)


@pytest.fixture
def table(tmp_path):
    (tmp_path / "metadata.csv").write_text(TABLE)
    return tmp_path / "metadata.csv"


ROWS = [(case, kind, 0.5) for case in "abcd" for kind in ("liver", "pancreas")]


def test_counts_are_the_truth(release, table):
    report = evaluate(in_memory(ROWS), TASK, release, counts=read_lesion_counts(table))
    truth = {(item.case_id, str(item.tumor_type)): item.reference for item in report.outcomes}
    assert truth == {("a", "liver"): 1, ("b", "liver"): 0, ("c", "liver"): 0, ("b", "pancreas"): 1}
    reasons = {(item.case_id, str(item.tumor_type)): item.reason for item in report.excluded}
    assert reasons == {
        ("d", "liver"): "not_counted",
        ("a", "pancreas"): "resected",
        ("c", "pancreas"): "not_counted",
        ("d", "pancreas"): "not_counted",
    }
    assert COUNTED in report.statements
    assert report.digests["lesion_counts"]
    assert report.fingerprint != evaluate(in_memory(ROWS), TASK, release).fingerprint


def test_the_verbs_take_a_table(release, table, tmp_path):
    submission = write_submission(tmp_path / "s", ROWS)
    (tmp_path / "task.json").write_text(TASK.model_dump_json())
    common = ["--data", release.folder, "--split", "test", "--task", tmp_path / "task.json", "--reference", table]
    for verb, out in (
        ("validate", []),
        ("calibrate", ["--out", tmp_path / "T.json"]),
        ("evaluate", ["--out", tmp_path / "o"]),
    ):
        result = CliRunner().invoke(app, [str(part) for part in (verb, submission, *common, *out)])
        assert result.exit_code == 0, result.exception
    assert load_report(tmp_path / "o").counts[LIVER].positive == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case_id,liver\na,1\n", "no column that counts lesions"),
        ("name,number of liver lesion instances\na,1\n", "no column of case ids"),
        ("case_id,number of liver lesion instances\na,1\na,0\n", r"cases that stand twice: row 3 \(first in row 2\)"),
        ("case_id,number of liver lesion instances\na,-1\nb,few\n", "no counts: row 2 liver, row 3 liver"),
        ("case_id,number of liver lesion instances\na,1\n,1\n ,0\n", "without a case id: row 3, row 4"),
        ("case_id,number of liver lesion instances\n", "a header without rows"),
        ("case_id;number of liver lesion instances\na;1\n", "separated by ';' or tabs"),
        ("case_id,number of liver lesion instances\na,0.5\nb,1e3\nc,inf\n", "row 2 liver, row 3 liver, row 4 liver"),
        (
            "case_id,number of pancreas lesion instances,number of pancreatic lesion instances\na,1,1\n",
            "a second column that counts pancreas",
        ),
    ],
)
def test_unusable_tables_are_refused(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_lesion_counts(tmp_path / "t.csv")


def test_a_table_of_other_types_or_cases_is_refused(release, tmp_path):
    (tmp_path / "t.csv").write_text("case_id,number of liver lesion instances\nz,1\n")
    with pytest.raises(DataError) as caught:
        evaluate(in_memory(ROWS), TASK, release, counts=read_lesion_counts(tmp_path / "t.csv"))
    assert "no count of pancreas" in str(caught.value)
    assert "none of the cases of the split" in str(caught.value)


def test_ids_stay_text(tmp_path):
    (tmp_path / "t.csv").write_text("case_id,number of liver lesion instances\n001,1\n1,0\nNA,2\n")
    counts = read_lesion_counts(tmp_path / "t.csv")
    assert [counts.positive(case, LIVER) for case in ("001", "1", "NA", "2")] == [True, False, True, None]


def test_counts_that_passed_through_a_spreadsheet(tmp_path):
    text = "\ufeffcase_id,number of liver lesion instances\r\na,2.0\r\nb, 0 \r\nc,\r\nd,NaN\r\n"
    (tmp_path / "t.csv").write_bytes(text.encode())
    counts = read_lesion_counts(tmp_path / "t.csv")
    assert [counts.positive(case, LIVER) for case in "abcd"] == [True, False, None, None]
