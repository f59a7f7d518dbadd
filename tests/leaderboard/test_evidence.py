"""A doctored figure is refused: whatever follows from counts, ROC corners and replicates is computed again."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score
from synthetic_reports import make_report

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.metrics import Curve, RankedCases, sensitivity_at_specificity, specificity_at_sensitivity
from rsuper_bench.benchmark.report import Counts, Outcome, Score
from rsuper_bench.benchmark.roc_curve import roc_corners, thinned
from rsuper_bench.benchmark.statistics.bootstrap import percentile_interval
from rsuper_bench.benchmark.task import load_task
from rsuper_bench.leaderboard.add import entry_of, write_entry
from rsuper_bench.leaderboard.evidence import _bounds, contradictions, is_thinned
from rsuper_bench.leaderboard.reading import read_entries

METRICS = ("auroc", "average_precision", "sensitivity_at_specificity_90", "specificity_at_sensitivity_80")


@pytest.fixture
def doctored(tmp_path):
    """Change one thing of an entry file and read it."""
    made = entry_of(make_report(0.7), team="T", method="M", url=None, report_digest="2" * 64)

    def read(change):
        write_entry(made, tmp_path / made.path)
        path = tmp_path / made.path
        entry = json.loads(path.read_text())
        change(entry)
        path.write_text(json.dumps(entry))
        return read_entries(tmp_path)

    return read


def raised(entry, kind, metric, step):
    """Raise one figure, and the mean with it so that only the evidence can tell."""
    entry["scores"][kind][metric]["value"] += step
    entry["scores"]["mean"][metric]["value"] += step / 3


@pytest.mark.parametrize(
    ("metric", "step"),
    [
        ("auroc", 1e-5),
        ("average_precision", 0.02),  # the corners leave it a range
        ("sensitivity_at_specificity_90", 1e-5),
        ("specificity_at_sensitivity_90", 1e-5),
        ("sensitivity", 1e-5),
        ("specificity", 1e-5),
        ("f1", 1e-5),
    ],
)
def test_a_raised_figure_is_refused(doctored, metric, step):
    assert len(doctored(lambda entry: None)) == 1
    with pytest.raises(DataError, match=rf"scores\.liver\.{metric} is .*follows from the counts and ROC corners"):
        doctored(lambda entry: raised(entry, "liver", metric, step))


def counts(entry, **changes):
    entry["counts"]["liver"] |= changes


def primary(entry, name="liver"):
    return entry["scores"][name]["sensitivity_at_specificity_90"]


def without_the_worst(entry, *, gone):
    """The mean of two types is larger than that of three."""
    primary(entry).update(value=None, low=None, high=None, reason="no positive cases")
    if gone:
        del entry["scores"]["liver"]["sensitivity_at_specificity_90"]
    others = [primary(entry, kind)["value"] for kind in ("kidney", "pancreas")]
    primary(entry, "mean").update(value=sum(others) / 2)


def redrawn(entry, change):
    """Other replicates, and their interval with them."""
    values = [change(value) for value in entry["replicates"]["values"]]
    low, high = percentile_interval(np.array(values), 0.95)
    entry["replicates"].update(values=values)
    primary(entry, "mean").update(low=low, high=high)


CHANGES = {
    r"liver\.\w+ is undefined, but follows from": lambda entry: without_the_worst(entry, gone=False),
    r"liver has no sensitivity_at_specificity_90, of which": lambda entry: without_the_worst(entry, gone=True),
    r"mean\.\w+ says that less is better": lambda entry: primary(entry, "mean").update(higher_is_better=False),
    r"outside all of its replicates": lambda entry: redrawn(entry, lambda value: min(value + 0.25, 1.0)),
    r"replicates of scores\.mean\.\w+ never vary": lambda entry: redrawn(entry, lambda _: 0.7),
    r"interval of scores\.mean\.sensitivity_at\w+ is not that": lambda e: primary(e, "mean").update(
        low=None, high=None
    ),
    r"excluded: not valid; expected greater than or equal to 0": lambda entry: counts(entry, excluded=-7),
    r"auroc\.n: not valid; expected less": lambda entry: entry["scores"]["liver"]["auroc"].update(k=1, n=10**400),
    r"index_digest: not valid": lambda entry: entry["replicates"].update(index_digest="x" * 5000),
    r"scores\.mean\.auroc is not the mean": lambda entry: entry["scores"]["mean"]["auroc"].update(value=0.99),
    r"the interval of scores\.mean\.\w+ is not that of the replicates": lambda entry: entry["scores"]["mean"][
        "sensitivity_at_specificity_90"
    ].update(low=0.69),
    r"interval of scores\.mean\.sensitivity_at_specificity_90 is not": lambda entry: entry["replicates"].update(
        values=[value + 0.05 for value in entry["replicates"]["values"]]
    ),
    r"counts\.liver: the calls do not add up": lambda entry: counts(entry, tp=99),
    r"counts\.liver: the calls are of no threshold": lambda entry: counts(entry, tp=100, fn=0, fp=0, tn=100),
    r"roc\.liver does not lead": lambda entry: entry["roc"]["liver"].pop(),
    r"roc\.liver is missing": lambda entry: entry["roc"].pop("liver"),
    r"roc\.liver is missing; counts": lambda entry: (entry["roc"].update(liver=[]), counts(entry, tp=99)),
    r"scores\.liver\.f1 has no counts of calls": lambda entry: counts(entry, tp=None),
    r"is not 3 of 200": lambda entry: entry["scores"]["liver"]["auroc"].update(k=3, n=200),
    r"counts more successes than cases": lambda entry: entry["scores"]["liver"]["auroc"].update(k=3, n=2),
    r"ends before it starts": lambda entry: entry["scores"]["liver"]["auroc"].update(low=0.9, high=0.8),
    r"counts are not of the tumor types": lambda entry: entry["counts"].pop("liver"),
    r"a verified entry says what": lambda entry: entry.update(provenance="verified"),
    r"less than or equal to 100000000": lambda entry: entry["roc"]["liver"].append([10**30, 10**30]),
}


@pytest.mark.parametrize("message", CHANGES)
def test_contradictions_are_named(doctored, message):
    with pytest.raises(DataError, match=message):
        doctored(CHANGES[message])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=60).filter(
        lambda cases: len({positive for _, positive in cases}) == 2
    )
)
def test_bounds_hold_what_the_evaluator_and_scikit_learn_compute(cases):
    """Scores with many ties: the corners give the exact figure, and a range for average precision."""
    scores = np.array([score / 12 for score, _ in cases])
    positive = np.array([flag for _, flag in cases])
    outcomes = [
        Outcome(case_id=f"c{n}", patient="p", tumor_type="liver", reference=int(flag), score=score)
        for n, (score, flag) in enumerate(zip(scores, positive, strict=True))
    ]
    (every,) = roc_corners(outcomes, by_volume=False).values()
    corners = every.tolist()
    assert not is_thinned(corners)
    table = Counts(positive=int(positive.sum()), negative=int((~positive).sum()), excluded=0)
    curve = Curve.of(RankedCases.of(scores, positive, np.arange(len(scores))), np.ones((len(scores), 1), np.int32))
    exact = {
        "auroc": roc_auc_score(positive, scores),
        "sensitivity_at_specificity_90": sensitivity_at_specificity(curve, 0.9)[0],
        "specificity_at_sensitivity_80": specificity_at_sensitivity(curve, 0.8)[0],
    }
    for metric, value in exact.items():
        assert _bounds(metric, table, corners) == pytest.approx((value, value), abs=1e-9)
    low, high = _bounds("average_precision", table, corners)
    assert low - 1e-9 <= average_precision_score(positive, scores) <= high + 1e-9


def test_a_thinned_curve_leaves_a_narrow_range():
    rng = np.random.default_rng(3)
    positive = rng.random(4000) < 0.5
    scores = np.clip(rng.normal(0.4 + 0.2 * positive, 0.2), 0, 1)
    outcomes = [
        Outcome(case_id=f"c{n}", patient="p", tumor_type="liver", reference=int(flag), score=score)
        for n, (score, flag) in enumerate(zip(scores, positive, strict=True))
    ]
    (every,) = roc_corners(outcomes, by_volume=False).values()
    corners = thinned(every).tolist()
    assert is_thinned(corners)
    table = Counts(positive=int(positive.sum()), negative=int((~positive).sum()), excluded=0)
    curve = Curve.of(RankedCases.of(scores, positive, np.arange(4000)), np.ones((4000, 1), np.int32))
    values = (
        roc_auc_score(positive, scores),
        average_precision_score(positive, scores),
        sensitivity_at_specificity(curve, 0.9)[0],
        specificity_at_sensitivity(curve, 0.8)[0],
    )
    for metric, value in zip(METRICS, values, strict=True):
        low, high = _bounds(metric, table, corners)
        assert low - 1e-9 <= value <= high + 1e-9
        assert high - low < 0.03


def test_undefined_figures_and_one_class_say_nothing():
    task = load_task("demo-phantom-v1")
    none = Score(value=None, reason="no positive cases")
    scores = {str(kind): {task.primary: none, "auroc": none} for kind in task.tumor_types}
    scores["mean"] = {task.primary: none, "auroc": none}
    empty = {kind: Counts(positive=0, negative=9, excluded=0, tp=0, fp=1, tn=8, fn=0) for kind in task.tumor_types}
    assert list(contradictions(task, scores, empty, {}, None)) == []
