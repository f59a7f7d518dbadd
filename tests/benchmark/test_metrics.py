"""Case-level figures: by hand, against scikit-learn, against brute force, and as a bootstrap sees them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from rsuper_bench.benchmark import metrics
from rsuper_bench.benchmark.metrics import CallCounts, Curve, RankedCases

cases = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=30).filter(
    lambda items: 0 < sum(positive for _, positive in items) < len(items)
)


def curve_of(scores, positive, weights=None, patient=None, *, untied=False):
    scores = np.asarray(scores, dtype=float)
    patient = np.arange(len(scores)) if patient is None else np.asarray(patient)
    ranked = RankedCases.of(scores, np.asarray(positive, dtype=bool), patient)
    weights = np.ones((patient.max() + 1, 1), dtype=np.int32) if weights is None else weights
    return Curve.of(ranked.ties_broken_worst() if untied else ranked, weights)


def operating_points(scores, positive):
    """Sensitivity and specificity of every threshold, one after the other."""
    scores, positive = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    for threshold in [np.inf, *scores]:
        called = scores >= threshold
        yield (called & positive).sum() / positive.sum(), (~called & ~positive).sum() / (~positive).sum()


def test_by_hand():
    # From high to low: + - + - -; a positive beats 3 and 2 of 3 negatives.
    curve = curve_of([0.9, 0.8, 0.7, 0.2, 0.1], [1, 0, 1, 0, 0])
    assert metrics.auroc(curve) == pytest.approx([5 / 6])
    assert metrics.average_precision(curve) == pytest.approx([(1 / 1 + 2 / 3) / 2])
    assert metrics.sensitivity_at_specificity(curve, 0.9) == pytest.approx([1 / 2])
    assert metrics.sensitivity_at_specificity(curve, 0.6) == pytest.approx([1])
    assert metrics.specificity_at_sensitivity(curve, 0.9) == pytest.approx([2 / 3])
    assert metrics.specificity_at_sensitivity(curve, 0.5) == pytest.approx([1])


def test_a_target_met_on_paper_is_met():
    # 3 false alarms among 30 negatives are 90 % specificity, though 0.1 * 30 > 3 in floating point.
    scores = [0.9] * 3 + [0.8] + [0.1] * 27
    positive = [0] * 3 + [1] + [0] * 27
    assert metrics.sensitivity_at_specificity(curve_of(scores, positive), 0.9) == pytest.approx([1])


@given(cases)
def test_areas_agree_with_scikit_learn(items):
    scores, positive = zip(*items, strict=True)
    curve = curve_of(scores, positive)
    assert metrics.auroc(curve)[0] == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert metrics.average_precision(curve)[0] == pytest.approx(average_precision_score(positive, scores), abs=1e-12)


@given(cases, st.sets(st.integers(0, 30)))
def test_no_missing_prediction_raises_average_precision(items, missing):
    scores, positive = zip(*items, strict=True)
    worst = [-np.inf if label else np.inf for label in positive]
    left = [worst[index] if index in missing else score for index, score in enumerate(scores)]
    before = metrics.average_precision(curve_of(scores, positive))[0]
    after = metrics.average_precision(curve_of(left, positive, untied=True))[0]
    assert after <= before + 1e-12


def test_ties_let_a_falling_positive_raise_average_precision():
    # On paper: (1/2 + 5 * 6/7) / 6 before, (5 * 5/6 + 6/7) / 6 after the first positive has fallen to the end.
    positive = [1, 0, 1, 1, 1, 1, 1]
    before = metrics.average_precision(curve_of([0.9, 0.9, *[0.5] * 5], positive))[0]
    after = metrics.average_precision(curve_of([0.1, 0.9, *[0.5] * 5], positive))[0]
    assert (before, after) == (pytest.approx((1 / 2 + 30 / 7) / 6), pytest.approx((25 / 6 + 6 / 7) / 6))
    assert after > before
    # Without ties 1/2 + 2/3 + 3/4 + 4/5 + 5/6 + 6/7, whichever of the positives is last.
    untied = metrics.average_precision(curve_of([0.1, 0.9, *[0.5] * 5], positive, untied=True))[0]
    assert untied == pytest.approx(sum(k / (k + 1) for k in range(1, 7)) / 6)


@given(cases, st.sampled_from([0, 0.5, 0.8, 0.9, 0.95, 1.0]))
def test_matched_points_are_the_best_of_all_thresholds(items, target):
    scores, positive = zip(*items, strict=True)
    curve = curve_of(scores, positive)
    points = list(operating_points(scores, positive))
    best_sensitivity = max(sens for sens, spec in points if spec >= target - 1e-9)
    best_specificity = max(spec for sens, spec in points if sens >= target - 1e-9)
    assert metrics.sensitivity_at_specificity(curve, target)[0] == pytest.approx(best_sensitivity)
    assert metrics.specificity_at_sensitivity(curve, target)[0] == pytest.approx(best_specificity)


@given(cases, st.integers(0, 2**32 - 1))
def test_a_weight_is_that_many_copies(items, seed):
    scores, positive = zip(*items, strict=True)
    rng = np.random.default_rng(seed)
    patient = np.sort(rng.integers(0, len(items), len(items)))
    weights = rng.integers(0, 4, size=(patient.max() + 1, 1)).astype(np.int32)
    copies = weights[:, 0][patient]
    repeated = np.repeat(np.array(scores, dtype=float), copies), np.repeat(np.array(positive), copies)
    weighted = curve_of(scores, positive, weights, patient)
    if not repeated[1].any() or repeated[1].all():
        assert np.isnan(metrics.auroc(weighted)[0])
        return
    plain = curve_of(*repeated)
    for figure in (
        metrics.auroc,
        metrics.average_precision,
        lambda curve: metrics.sensitivity_at_specificity(curve, 0.8),
        lambda curve: metrics.specificity_at_sensitivity(curve, 0.8),
    ):
        assert figure(weighted)[0] == pytest.approx(figure(plain)[0], abs=1e-12)


@pytest.mark.parametrize("positive", [[0, 0], [1, 1]])
def test_one_class_is_undefined(positive):
    curve = curve_of([0.3, 0.4], positive)
    assert np.isnan(metrics.auroc(curve)[0])
    assert np.isnan(metrics.sensitivity_at_specificity(curve, 0.9)[0])
    assert np.isnan(metrics.specificity_at_sensitivity(curve, 0.9)[0])


@given(cases, st.integers(0, 9))
def test_calls_agree_with_counting(items, threshold):
    scores, positive = (np.array(column) for column in zip(*items, strict=True))
    called = scores >= threshold
    counts = CallCounts.of(called, positive, np.arange(len(items)), np.ones((len(items), 1), dtype=np.int32))
    assert counts.sensitivity()[0] == pytest.approx((called & positive).sum() / positive.sum())
    assert counts.specificity()[0] == pytest.approx((~called & ~positive).sum() / (~positive).sum())
    assert counts.f1()[0] == pytest.approx(f1_score(positive, called, zero_division=0))
    assert counts.balanced_accuracy()[0] == pytest.approx((counts.sensitivity()[0] + counts.specificity()[0]) / 2)
