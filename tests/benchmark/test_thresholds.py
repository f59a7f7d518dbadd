"""Choosing thresholds, and refusing those that have seen the test."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from conftest import make_record, write_release, write_submission
from hypothesis import given
from hypothesis import strategies as st

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.evaluation import OTHER_TASK, evaluate
from rsuper_bench.benchmark.records import Presence, Split
from rsuper_bench.benchmark.reference import patient_hash, release_task
from rsuper_bench.benchmark.submission import load_submission
from rsuper_bench.benchmark.task import CallRule, NotStated, Task
from rsuper_bench.benchmark.thresholds import (
    Rule,
    best_threshold,
    calibrate,
    load_thresholds,
    parse_rule,
    save_thresholds,
)
from rsuper_bench.benchmark.tumor_types import TumorType

LIVER = TumorType.LIVER
TASK = Task(name="liver-v1", description="", tumor_types=(LIVER,), bootstrap_replicates=100)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # scores + 0.9, - 0.8, + 0.7, + 0.6, - 0.2, - 0.1
        ("youden", 0.4),  # 3/3 and 2/3: J = 2/3
        ("specificity=1", 0.85),  # 1/3 sensitivity
        ("specificity=0.6", 0.4),
        ("sensitivity=0.3", 0.85),
        ("sensitivity=1.0", 0.4),
        ("sensitivity=.5", 0.4),  # 0.65 has the same specificity and misses one more
    ],
)
def test_thresholds_by_hand(rule, expected):
    decision = np.array([0.1, 0.2, 0.6, 0.7, 0.8, 0.9])
    positive = np.array([0, 0, 1, 1, 0, 1], dtype=bool)
    assert best_threshold(decision, positive, parse_rule(rule)) == pytest.approx(expected)


def test_no_call_when_nothing_can_be_called():
    # The highest score is a negative's: at 100 % specificity no case may be called.
    value = best_threshold(np.array([1.0, 0.5]), np.array([False, True]), Rule("specificity", 1.0))
    assert value > 1


def test_neighbouring_floats_are_kept_apart():
    low = 0.5
    high = float(np.nextafter(low, 1))
    value = best_threshold(np.array([low, high]), np.array([False, True]), Rule("youden"))
    assert low < value <= high


cases = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=25).filter(
    lambda items: 0 < sum(positive for _, positive in items) < len(items)
)


@given(cases, st.sampled_from(["youden", "specificity=0.9", "specificity=0.5", "sensitivity=0.9", "sensitivity=0.5"]))
def test_no_threshold_is_better(items, text):
    decision, positive = (np.array(column) for column in zip(*items, strict=True))
    decision = decision / 8
    rule = parse_rule(text)

    def merit(threshold):
        called = decision >= threshold
        sensitivity = (called & positive).sum() / positive.sum()
        specificity = (~called & ~positive).sum() / (~positive).sum()
        if rule.name == "youden":
            return sensitivity + specificity, 0
        if rule.name == "specificity":
            return (sensitivity, specificity) if specificity >= rule.target - 1e-9 else (-1, -1)
        return (specificity, sensitivity) if sensitivity >= rule.target - 1e-9 else (-1, -1)

    best = max(merit(threshold) for threshold in [*decision, 2.0])
    assert merit(best_threshold(decision, positive, rule)) == pytest.approx(best)


@pytest.mark.parametrize(
    "text", ["best", "specificity", "specificity=1.1", "specificity=x", "youden=0.5", "", "sensitivity=-0.1"]
)
def test_unknown_rules(text):
    with pytest.raises(ConfigError, match="youden, specificity"):
        parse_rule(text)


@pytest.fixture(scope="session")
def fitted(small_release, validation_rows, tmp_path_factory):

    folder = write_submission(tmp_path_factory.mktemp("validation") / "sub", validation_rows)
    return calibrate(load_submission(folder), release_task(small_release), small_release)


def test_the_file_says_what_it_was_fitted_on(fitted, small_release, tmp_path):
    save_thresholds(fitted, tmp_path / "T.json")
    again = load_thresholds(tmp_path / "T.json")
    assert again == fitted
    validation = small_release.records(Split.VALIDATION)
    assert again.fitted_on.case_ids == tuple(record.case_id for record in validation)
    assert set(again.fitted_on.patients) == {patient_hash(record.patient_id) for record in validation}
    assert set(again.fitted_on.contents) == {record.ct.sha256 for record in validation}
    assert "p_case" not in (tmp_path / "T.json").read_text()
    for item in again.thresholds.values():
        assert item.sensitivity.k is not None
        assert item.sensitivity.value == pytest.approx(item.sensitivity.k / item.sensitivity.n)


def test_one_class_has_no_threshold(tmp_path, submit):
    records = [make_record(case, {LIVER: Presence.ABSENT}, split=Split.VALIDATION) for case in "ab"]
    records.append(make_record("t", {LIVER: Presence.PRESENT}))
    release = write_release(tmp_path / "r", records)
    found = calibrate(load_submission(submit([("a", "liver", 0.2), ("b", "liver", 0.4)])), TASK, release)
    assert found.thresholds[LIVER].value is None
    assert found.thresholds[LIVER].reason == "no positive cases"
    report = evaluate(load_submission(submit([("t", "liver", 0.5)], "test")), TASK, release, thresholds=found)
    assert report.scores["liver"]["sensitivity"].reason == "no frozen threshold for this type"


def meeting_release(tmp_path, **changes):
    """Validation case v and test cases t and u, where t shares something with v."""
    shared = make_record("v", {LIVER: Presence.PRESENT}, split=Split.VALIDATION, patient="p1")
    other = make_record("w", {LIVER: Presence.ABSENT}, split=Split.VALIDATION, patient="p2")
    test = make_record("t", {LIVER: Presence.PRESENT}, patient=changes.get("patient", "p3"))
    if changes.get("content"):
        test = test.model_copy(update={"ct": shared.ct})
    return write_release(tmp_path / "r", [shared, other, test, make_record("u", {LIVER: Presence.ABSENT})])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patient": "p1"}, "fitted on 1 patients whose cases are in this split: t"),
        ({"content": True}, "fitted on 1 images that are in this split: t"),
    ],
)
def test_thresholds_that_meet_the_test_are_refused(tmp_path, submit, changes, message):
    release = meeting_release(tmp_path, **changes)
    validation = submit([("v", "liver", 0.8), ("w", "liver", 0.2)], "validation")
    test = load_submission(submit([("t", "liver", 0.8), ("u", "liver", 0.2)], "test"))
    fitted = calibrate(load_submission(validation), TASK, release)
    with pytest.raises(DataError, match=message):
        evaluate(test, TASK, release, thresholds=fitted)


def test_thresholds_of_the_same_split_are_refused(fitted, small_release, validation_rows, submit):
    read = load_submission(submit(validation_rows))
    with pytest.raises(DataError, match="fitted on 40 cases of this split") as caught:
        evaluate(read, release_task(small_release), small_release, split="validation", thresholds=fitted)
    assert len(caught.value.problems) == 3


def test_a_threshold_on_scores_is_none_on_volumes(fitted, small_release, test_rows, submit):
    task = release_task(small_release).model_copy(update={"call_rule": CallRule.VOLUME})
    with pytest.raises(DataError, match="fitted on the score"):
        evaluate(load_submission(submit(test_rows)), task, small_release, thresholds=fitted)


def test_calibration_wants_every_case(small_release, validation_rows, submit):
    from rsuper_bench.benchmark.errors import SubmissionError

    with pytest.raises(SubmissionError, match="1 of 40 cases"):
        calibrate(load_submission(submit(validation_rows[1:])), release_task(small_release), small_release)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"case_ids": ("gone",)}, "not that of the validation split it names"),
        ({"patients": ("0" * 16,)}, "not that of the validation split it names"),
        ({"contents": ("0" * 64,)}, "not that of the validation split it names"),
        ({"split": Split.TEST}, "not that of the test split it names"),
        ({"split": Split.TRAIN}, "not that of the train split it names"),
    ],
)
def test_a_list_of_cases_that_was_changed_is_refused(fitted, small_release, test_rows, submit, changes, message):
    forged = fitted.model_copy(update={"fitted_on": fitted.fitted_on.model_copy(update=changes)})
    with pytest.raises(DataError, match=message):
        evaluate(load_submission(submit(test_rows)), release_task(small_release), small_release, thresholds=forged)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_threshold_is_a_finite_number(fitted, tmp_path, value):
    save_thresholds(fitted, tmp_path / "T.json")
    text = (tmp_path / "T.json").read_text()
    (tmp_path / "T.json").write_text(re.sub(r'("value": )[0-9.e-]+', rf"\g<1>{value}", text, count=1))
    with pytest.raises(DataError, match=r"thresholds\.\w+\.value: not valid"):
        load_thresholds(tmp_path / "T.json")


@pytest.mark.parametrize("name", ["case_ids", "patients", "contents"])
def test_thresholds_were_fitted_on_something(fitted, tmp_path, name):
    value = fitted.model_dump(mode="json")
    value["fitted_on"][name] = []
    (tmp_path / "T.json").write_text(json.dumps(value))
    with pytest.raises(DataError, match=f"fitted_on.{name}: not valid"):
        load_thresholds(tmp_path / "T.json")


def test_thresholds_of_another_task_are_named_as_such(fitted, small_release, test_rows, submit):
    task = release_task(small_release).model_copy(update={"not_stated": NotStated.NEGATIVE})
    report = evaluate(load_submission(submit(test_rows)), task, small_release, thresholds=fitted)
    assert OTHER_TASK in report.statements
