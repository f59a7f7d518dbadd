"""Lesion figures: by hand, against naive forms, and when there are none."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import write_submission
from hypothesis import given, settings
from hypothesis import strategies as st
from lesion_cases import LIVER, SHAPE, TASK, balls, lesion_release, mask_submission

from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.evaluation_folder import report_json
from rsuper_bench.benchmark.lesion_figures import PerCase, Share
from rsuper_bench.benchmark.lesion_record import DrawnLesion, LesionOutcome
from rsuper_bench.benchmark.lesion_scores import LesionSample, score_lesions
from rsuper_bench.benchmark.report import EvaluationReport
from rsuper_bench.benchmark.report_markdown import report_markdown
from rsuper_bench.benchmark.submission import load_submission

NOTHING = np.zeros(SHAPE, np.float32)
SMALL, LARGE = ((5, 5, 5), 3.0), ((15, 12, 9), 8.0)


def outcome(case, found=(), missed=0, false_alarms=(), *, patient=None, **fields):
    """Lesions found at these confidences, and missed ones."""
    lesions = [DrawnLesion(diameter_mm=15, volume_mm3=100, confidence=one, overlap=0.5) for one in found]
    lesions += [DrawnLesion(diameter_mm=5, volume_mm3=100)] * missed
    values = {"false_alarms": tuple(sorted(false_alarms, reverse=True)), "reference_mm3": 100.0 * len(lesions)}
    values |= {"case_id": case, "patient": patient or case, "tumor_type": LIVER, "lesions": tuple(lesions)}
    return LesionOutcome(**values | fields)


def scored(outcomes, threshold=0.5, **counts):
    drawn = sum(item.lesions is not None for item in outcomes)
    numbers = {"n_drawn": drawn, "n_undrawn": len(outcomes) - drawn} | counts
    sample = LesionSample(tuple(outcomes), threshold=threshold, **numbers)
    return score_lesions(sample, confidence=0.95, replicates=200, fingerprint="ab12", seed=0)


def test_froc_by_hand():
    # Four cases, five lesions: found at 0.9, 0.6 and 0.3; false alarms at 0.8, 0.6, 0.5, 0.2.
    cases = [
        outcome("a", [0.9], 1, [0.8]),
        outcome("b", [0.6], 1, [0.6, 0.5]),
        outcome("c", [0.3]),
        outcome("d", false_alarms=[0.2]),
    ]
    found = scored(cases)
    assert [(p.threshold, p.fp_per_case, p.sensitivity) for p in found.froc.points] == [
        (0.9, 0.0, 0.2),
        (0.6, 0.5, 0.4),  # the false alarm of equal confidence counts
        (0.3, 0.75, 0.6),
    ]
    values = {rate: score.value for rate, score in found.froc.at_rates.items()}
    assert values == {"0.125": 0.2, "0.25": 0.2, "0.5": 0.4, "1": 0.6, "2": 0.6, "4": 0.6, "8": 0.6}
    assert found.froc.mean.value == pytest.approx((0.2 + 0.2 + 0.4 + 4 * 0.6) / 7)
    assert (found.n_cases, found.n_lesions, found.n_candidates, found.n_false_alarms) == (4, 5, 7, 3)
    assert (found.sensitivity.k, found.sensitivity.n) == (2, 5)
    assert (found.by_size["10-20 mm"].k, found.by_size["10-20 mm"].n) == (2, 3)
    assert (found.by_size["<10 mm"].k, found.by_size["<10 mm"].n) == (0, 2)
    assert found.by_size[">40 mm"].reason == "no lesion of this size"


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_froc_against_a_loop_over_thresholds(seed):
    rng = np.random.default_rng(seed)
    steps = np.arange(1, 11) / 10
    cases = [
        outcome(
            f"c{i}",
            rng.choice(steps, rng.integers(0, 3)),
            int(rng.integers(0, 2)),
            rng.choice(steps, rng.integers(0, 4)),
        )
        for i in range(6)
    ]
    hits = [lesion.confidence for case in cases for lesion in case.lesions if lesion.confidence]
    alarms = [one for case in cases for one in case.false_alarms]
    n = sum(len(case.lesions) for case in cases)
    found = scored(cases).froc
    if not n:
        assert found.points == ()
        assert found.reason
        return
    for rate, score in found.at_rates.items():
        reachable = [0] + [
            sum(hit >= t for hit in hits) for t in steps if sum(a >= t for a in alarms) <= float(rate) * len(cases)
        ]
        assert score.value == pytest.approx(max(reachable) / n)


def test_averages_by_hand():
    full = {"surface_dice_3mm": 1.0, "hd95_mm": 2.0, "predicted_mm3": 150.0}
    cases = [
        outcome("a", [0.9], dice=0.5, **full),
        outcome("b", [0.9], dice=0.9, **full | {"predicted_mm3": 40.0}),
        outcome("c", [], 1, dice=0.0, surface_dice_3mm=0.0, hd95_mm=50.0),
        outcome("d"),  # neither drawn nor predicted
        outcome("e", false_alarms=[0.7, 0.2], dice=0.0, surface_dice_3mm=0.0, hd95_mm=50.0, predicted_mm3=30.0),
    ]
    found = scored(cases)
    assert found.dice.mean.value == pytest.approx(1.4 / 4)
    assert found.dice.mean.n == 4
    assert found.dice.median.value == pytest.approx(0.25)
    assert found.hd95_mm.median.value == 26
    assert found.volume_error_mm3.mean.value == pytest.approx((50 - 60 - 100 + 30) / 4)
    assert found.absolute_volume_error_mm3.mean.value == pytest.approx((50 + 60 + 100 + 30) / 4)
    assert found.count_error.mean.value == pytest.approx((0 + 0 - 1 + 1) / 4)
    assert (found.n_both_empty, found.n_missed, found.n_false_alarm_cases) == (1, 1, 1)
    assert found.dice.mean.low < found.dice.mean.value < found.dice.mean.high
    assert found.hd95_mm.mean.higher_is_better is False


def test_a_missing_mask_makes_figures_undefined():
    cases = [outcome("a", [0.9], dice=0.5, surface_dice_3mm=1.0, hd95_mm=2.0)]
    found = scored(cases, n_drawn=2)
    why = "masks of 1 of 2 cases with lesion masks: figures need all of them"
    assert found.sensitivity.reason == found.dice.mean.reason == found.froc.reason == why
    assert found.n_cases == 0


def test_unknown_size_is_a_positive_case_without_a_mask():
    cases = [outcome("a", [0.9]), outcome("b", lesions=None, top_confidence=0.6), outcome("c", lesions=None)]
    found = scored(cases)
    assert (found.by_size["unknown"].k, found.by_size["unknown"].n) == (1, 2)
    assert found.n_lesions == 1
    left_out = scored(cases[:2], n_undrawn=2).by_size["unknown"]
    assert left_out.value is None
    assert "1 of 2 positive cases" in left_out.reason


def test_lesions_of_one_patient_are_drawn_together():
    alone = [outcome(f"c{i}", [0.9] if i % 2 else [], 0 if i % 2 else 1) for i in range(30)]
    together = [outcome(f"c{i}", [0.9] * 5 if i % 2 else [], 0 if i % 2 else 5, patient=f"p{i}") for i in range(6)]
    one, other = scored(alone).sensitivity, scored(together).sensitivity
    assert one.n == other.n == 30
    assert one.method == "wilson"
    assert other.method == "patient-bootstrap-logit"
    assert other.high - other.low > one.high - one.low


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 5)), min_size=1, max_size=12), st.integers(0, 2**31))
def test_replicates_are_those_of_the_expanded_sample(rows, seed):
    patient = np.array([row[0] for row in rows], dtype=np.intp)
    values = np.array([row[1] for row in rows], dtype=np.float64)
    weights = np.random.default_rng(seed).integers(0, 3, (4, 5)).astype(np.int32)
    data = PerCase(values, patient, 4)
    share = Share(values > 0, patient, 4).of(weights)
    for column in range(5):
        expanded = np.repeat(values, weights[patient, column])
        if not len(expanded):
            assert np.isnan([data.mean(weights)[column], data.median(weights)[column], share[column]]).all()
            continue
        assert data.mean(weights)[column] == pytest.approx(expanded.mean())
        assert data.median(weights)[column] == pytest.approx(np.median(expanded))
        assert share[column] == pytest.approx((expanded > 0).mean())


def test_from_masks_to_figures(tmp_path):
    drawn = {"a": balls(SMALL, LARGE), "b": balls(SMALL), "c": NOTHING, "d": NOTHING, "e": None}
    predicted = {
        "a": balls(LARGE),  # the small one is missed
        "b": balls(((15, 12, 9), 5.0), base=balls(((5, 5, 5), 4.0), value=0.8), value=0.4),  # found, and one made up
        "c": NOTHING,
        "d": balls(LARGE, value=0.7),
        "e": balls(SMALL, value=0.55),
    }
    release = lesion_release(tmp_path / "r", drawn)
    report = evaluate(load_submission(mask_submission(tmp_path / "s", predicted)), TASK, release)
    found = report.lesions[LIVER]
    assert (found.n_cases, found.n_lesions, found.n_candidates) == (4, 3, 4)
    assert (found.sensitivity.k, found.sensitivity.n) == (2, 3)
    assert (found.n_both_empty, found.n_missed, found.n_false_alarm_cases, found.n_false_alarms) == (1, 0, 1, 1)
    assert {size: (score.k, score.n) for size, score in found.by_size.items() if score.n} == {
        "<10 mm": (1, 2),
        "10-20 mm": (1, 1),
        "unknown": (1, 1),
    }
    assert [item.case_id for item in report.lesion_outcomes] == list("abcde")
    assert report.lesion_outcomes[0].lesions[0].confidence == 1
    assert report.lesion_policies
    text = report_markdown(report)
    assert "| liver | 3 | 0.5 | 66.7 [" in text
    assert "one that is missing makes them undefined" in text
    again = EvaluationReport.model_validate_json(report_json(report))
    assert again == report


def test_frozen_thresholds_call_candidates_of_masks(tmp_path):
    from rsuper_bench.benchmark.lesion_evaluation import evaluate_lesions
    from rsuper_bench.benchmark.records import Split
    from rsuper_bench.benchmark.reference import build_reference
    from rsuper_bench.benchmark.validation import check_submission

    release = lesion_release(tmp_path / "r", {"a": balls(SMALL), "b": NOTHING})
    submission = load_submission(
        mask_submission(tmp_path / "s", {"a": balls(SMALL, value=0.3), "b": balls(SMALL, value=0.2)})
    )
    reference = build_reference(release, Split.TEST, TASK)
    lesions = check_submission(submission, reference, release, lesions=True).lesions
    for has_table, hits in ((False, 1), (True, 0)):
        part = evaluate_lesions(lesions, reference, {LIVER: 0.25}, has_table=has_table, seed=0)
        assert part.scores[LIVER].sensitivity.k == hits


def test_a_threshold_that_calls_no_case_calls_no_candidate(tmp_path):
    """``calibrate`` puts it just above the highest score, which may be 1."""
    release = lesion_release(tmp_path / "r", {"a": balls(SMALL), "b": NOTHING})
    submission = load_submission(mask_submission(tmp_path / "s", {"a": balls(SMALL), "b": NOTHING}))
    nobody = {LIVER: float(np.nextafter(1.0, 2.0))}
    report = evaluate(submission, TASK, release, calls_at=nobody)
    assert (report.counts[LIVER].tp, report.lesions[LIVER].sensitivity.k) == (0, 0)
    assert report.lesions[LIVER].threshold == nobody[LIVER]


def test_why_there_are_no_figures(tmp_path, small_release):
    release = lesion_release(tmp_path / "r", {"a": balls(SMALL), "b": NOTHING})
    scores = load_submission(write_submission(tmp_path / "s", [("a", "liver", 1), ("b", "liver", 0)]))
    report = evaluate(scores, TASK, release)
    assert report.lesions is None
    assert report.lesions_reason == "the submission has no masks of cases with lesion masks"
    assert report.lesion_outcomes == ()
    assert "No lesion figures: the submission has no masks" in report_markdown(report)
