"""The published table of volume thresholds, to the byte."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from conftest import make_record, noisy_scores, write_release, write_submission
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from rsuper_bench.benchmark.errors import RsuperBenchError, SubmissionError
from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.nifti import Volume, nifti_bytes, write_nifti
from rsuper_bench.benchmark.records import Presence, Split
from rsuper_bench.benchmark.rsuper_protocol import THRESHOLDS_MM3, protocol_table, report_protocol_table, sweep
from rsuper_bench.benchmark.submission import load_submission
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.cli import app

LIVER, PANCREAS = TumorType.LIVER, TumorType.PANCREAS


def by_hand(rows, thresholds=THRESHOLDS_MM3):
    """The table the slow and obvious way: every case at every threshold, cell by cell."""
    lines = [
        "threshold,"
        + ",".join(f"{organ}_{figure}" for organ in rows for figure in ("sensitivity", "specificity", "f1"))
    ]
    for threshold in thresholds:
        cells = [str(threshold)]
        for cases in rows.values():
            tp = sum(positive and volume >= threshold for volume, positive in cases)
            fn = sum(positive and volume < threshold for volume, positive in cases)
            fp = sum(not positive and volume >= threshold for volume, positive in cases)
            tn = sum(not positive and volume < threshold for volume, positive in cases)
            for k, n in ((tp, tp + fn), (tn, tn + fp)):
                cells.append("N/A (0/0)" if n == 0 else f"{100 * k / n:.1f}% ({k}/{n})")
            f1 = "N/A" if 2 * tp + fp + fn == 0 else f"{200 * tp / (2 * tp + fp + fn):.1f}%"
            cells.append(f'"{f1} (TP={tp}, FP={fp}, FN={fn})"')
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def table_of(rows):
    names = {"liver": LIVER, "pancreatic": PANCREAS, "kidney": TumorType.KIDNEY}
    return protocol_table(
        {
            names[organ]: (np.array([v for v, _ in cases], dtype=float), np.array([p for _, p in cases], dtype=bool))
            for organ, cases in rows.items()
        }
    )


def test_the_thresholds_in_their_order():
    assert len(THRESHOLDS_MM3) == 297
    assert THRESHOLDS_MM3[:9] == (10, 20, 30, 40, 50, 60, 70, 80, 90)
    assert THRESHOLDS_MM3[9:99] == tuple(range(100, 1000, 10))
    assert THRESHOLDS_MM3[99:198] == tuple(range(100, 10_000, 100))
    assert THRESHOLDS_MM3[198:] == tuple(range(1000, 100_000, 1000))


def test_cells_of_the_contract():
    # 168 true positives, 83 false positives and 29 missed: F1 = 336 / 448 = 75.0 %.
    liver = [(1000, True)] * 168 + [(0, True)] * 29 + [(1000, False)] * 83
    text = table_of({"liver": liver})
    header, first = text.splitlines()[:2]
    assert header == "threshold,liver_sensitivity,liver_specificity,liver_f1"
    assert first == '10,85.3% (168/197),0.0% (0/83),"75.0% (TP=168, FP=83, FN=29)"'
    rows = list(csv.DictReader(table_of({"pancreatic": [(50, True)] * 33 + [(9, True)] * 5}).splitlines()))
    assert rows[0]["pancreatic_sensitivity"] == "86.8% (33/38)"
    assert rows[0]["pancreatic_specificity"] == "N/A (0/0)"
    assert rows[4]["pancreatic_sensitivity"] == "86.8% (33/38)"  # 50 mm^3 is at least 50 mm^3
    assert rows[5]["pancreatic_sensitivity"] == "0.0% (0/38)"


volumes = st.one_of(st.sampled_from([0.0, 9.999, 10.0, 100.0, 5000.0, 99_000.0, 1e9]), st.floats(0, 2e5))
many = st.lists(st.tuples(volumes, st.booleans()), max_size=30)


@given(many, many)
def test_agrees_with_counting(liver, pancreas):
    rows = {"liver": liver, "pancreatic": pancreas}
    assert table_of(rows) == by_hand(rows)


def test_a_missing_prediction_is_wrong_at_every_threshold():
    counts = sweep(np.array([-np.inf, np.inf]), np.array([True, False]), np.array(THRESHOLDS_MM3, dtype=float))
    assert not counts.tp.any()
    assert not counts.tn.any()


@pytest.fixture
def release(tmp_path):
    """Two cases with 12^3 CTs at 1 mm: one with a liver tumor."""
    states = {"a": Presence.PRESENT, "b": Presence.ABSENT}
    image = nifti_bytes(Volume(np.zeros((12, 12, 12), np.int16), np.eye(4)))
    records = []
    for case, state in states.items():
        record = make_record(case, {LIVER: state})
        records.append(record.model_copy(update={"ct": record.ct.model_copy(update={"shape": (12, 12, 12)})}))
    return write_release(tmp_path / "r", records, dict.fromkeys(states, image))


TASK = Task(name="liver-v1", description="", tumor_types=(LIVER,), bootstrap_replicates=100)


def test_from_masks_and_from_volumes(release, tmp_path):
    masks, table = tmp_path / "masks", tmp_path / "table"
    mask = np.zeros((12, 12, 12), np.uint8)
    mask[2:8, 2:8, 2:8] = 1
    for case, data in (("a", mask), ("b", mask * 0)):
        write_nifti(masks / case / "predictions" / "liver_lesion.nii.gz", Volume(data, np.eye(4)))
    (masks / "submission.yaml").write_text("team: t\nmethod: m\n")
    # A 6 mm cube eroded once and dilated twice, inside the cube: 216 mm^3 less nothing.
    from_masks = report_protocol_table(evaluate(load_submission(masks), TASK, release, protocol="rsuper"))
    write_submission(table, [])
    (table / "predictions.csv").write_text("case_id,tumor_type,score,volume_mm3\na,liver,1,216\nb,liver,0,0\n")
    from_volumes = report_protocol_table(evaluate(load_submission(table), TASK, release, protocol="rsuper"))
    assert from_masks == from_volumes == by_hand({"liver": [(216, True), (0, False)]})
    assert "\n210,100.0% (1/1),100.0% (1/1)," in from_masks
    assert "\n220,0.0% (0/1),100.0% (1/1)," in from_masks


def test_the_protocol_needs_volumes(small_release, test_rows, submit):
    submission = load_submission(submit(test_rows))
    with pytest.raises(SubmissionError, match="which --protocol rsuper needs"):
        evaluate(submission, TASK, small_release, protocol="rsuper")
    with pytest.raises(SubmissionError, match="have no volume_mm3"):
        report_protocol_table(evaluate(submission, TASK, small_release))


def test_the_verb_writes_the_table(small_release, submit, tmp_path):
    rows = noisy_scores(3, small_release.records(Split.TEST), (LIVER,))
    folder = submit(rows[1:])
    lines = ["case_id,tumor_type,score,volume_mm3", *(f"{c},{k},{s},{1000 * s:.1f}" for c, k, s in rows[1:])]
    (folder / "predictions.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "task.json").write_text(TASK.model_dump_json())
    out = tmp_path / "out"
    call = ["evaluate", folder, "--data", small_release.folder, "--task", tmp_path / "task.json", "--missing", "fail"]

    def run(*more):
        result = CliRunner().invoke(app, [str(part) for part in (*call, *more, "--out", out)])
        assert not isinstance(result.exception, RsuperBenchError), result.exception
        return result.output

    assert "none of them frozen" in run("--protocol", "rsuper")
    table = list(csv.DictReader((out / "metrics.csv").open(newline="")))
    positives = sum(r.presence_of(LIVER) is Presence.PRESENT for r in small_release.records(Split.TEST))
    assert len(table) == 297
    assert table[0]["liver_sensitivity"].endswith(f"/{positives})")
    run()  # without the protocol: no table of an earlier evaluation stays
    assert not (out / "metrics.csv").exists()
