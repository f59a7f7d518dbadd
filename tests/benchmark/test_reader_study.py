"""Readers of the same cases beside the method."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from conftest import make_record, write_release, write_submission

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.reader_judgement import judge
from rsuper_bench.benchmark.reader_study import study_readers
from rsuper_bench.benchmark.reads import Read, ReadKey
from rsuper_bench.benchmark.records import Presence
from rsuper_bench.benchmark.report_markdown import report_markdown
from rsuper_bench.benchmark.sample import Sample
from rsuper_bench.benchmark.scoring import Draws
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

    def run(table: str, **options):
        path = tmp_path / "readers.csv"
        path.write_text(table)
        return evaluate(submission, TASK, release, readers=path, **options)

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
    assert reader.sensitivity.reason == "only 4 positive and 5 negative cases: small-sample interval"


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
    assert "| &lt;i&gt; | liver | 9 † |" in text
    assert "† Fewer than 10 cases of one class" in text
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


def test_scores_have_an_area(study):
    # The reader's scores put 2 of 4 positives above all negatives, and two level with one of five of them.
    scores = [5, 4, 2, 2, 2, 1, 1, 1, 1, 3]
    lines = [f"c{index},r1,liver,{score}" for index, score in enumerate(scores)]
    found = study("\n".join(["case_id,reader,tumor_type,score", *lines]) + "\n").readers.study[0]
    # Pairs won: 2 x 5 and 2 x 4.5 of 20; the method wins 5, 5 and 4 and loses all five of the fourth.
    assert found.auroc.value == pytest.approx(19 / 20)
    assert found.method_auroc.value == pytest.approx(14 / 20)
    assert found.auroc_difference.value == pytest.approx(-5 / 20)
    assert (found.auroc.method, found.auroc_difference.method) == ("logit-delong", "delong")
    assert found.sensitivity.reason == "this reader gave no calls"
    assert found.test is None


def test_calls_and_scores_together(study):
    lines = [f"c{index},r1,liver,{call},{5 * call}" for index, call in enumerate([1, 1, 0, 0, 1, 0, 0, 0, 0, 1])]
    found = study("\n".join(["case_id,reader,tumor_type,call,score", *lines]) + "\n").readers.study[0]
    assert found.sensitivity.value == 1 / 2
    assert found.auroc.value == pytest.approx((1 / 2 + 4 / 5) / 2)  # one operating point: mean of both shares


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("case_id,reader,tumor_type\nc0,r1,liver\n", "neither 'call' nor 'score'"),
        ("case_id,reader,tumor_type,score\nc0,r1,liver,nan\n", "not a finite number"),
        ("case_id,reader,tumor_type,score\nc0,r1,liver,\n", "not a finite number"),
        ("case_id,reader,tumor_type,score\nc0,r1,liver,1_0\n", "not a finite number"),
        ("case_id,reader,tumor_type,call\n", "a header without reads"),
        ("case_id;reader;tumor_type;call\nc0;r1;liver;1\n", "separated by ';' or tabs"),
        ("case_id\treader\ttumor_type\tcall\nc0\tr1\tliver\t1\n", "separated by ';' or tabs"),
        ("case_id,reader,tumor_type,call,mood\nc0,r1,liver,1,good\n", "unknown column 'mood'"),
        ("case_id,reader,tumor_type,call,session\nc0,r1,liver,1," + "x" * 70 + "\n", "no usable session name"),
    ],
)
def test_unusable_tables_are_refused(study, table, message):
    with pytest.raises(DataError, match=message):
        study(table)


def test_reads_of_cases_that_do_not_count_are_still_shown(study, tmp_path):
    (reader,) = study("case_id,reader,tumor_type,call\nc9,r1,liver,1\n").readers.study
    assert (reader.n_cases, reader.n_excluded, reader.sensitivity.value, reader.test) == (0, 1, None, None)
    records = [make_record(case, {LIVER: Presence.UNCERTAIN}) for case in "ab"]
    release = write_release(tmp_path / "nothing", records)
    submission = load_submission(write_submission(tmp_path / "n", [(case, "liver", 0.5) for case in "ab"]))
    (tmp_path / "n.csv").write_text("case_id,reader,tumor_type,call\na,r1,liver,1\na,r2,liver,1\n")
    found = evaluate(submission, TASK, release, readers=tmp_path / "n.csv").readers
    assert [item.n_excluded for item in found.study] == [1, 1]
    assert found.panels[0].sensitivity.value is None


def test_reads_of_other_types_are_refused(study):
    with pytest.raises(DataError, match="reads of other tumor types only"):
        study("case_id,reader,tumor_type,call\nc1,r1,kidney,1\n")


@pytest.mark.parametrize("margin", [float("nan"), -0.1, 2])
def test_a_margin_is_a_share(small_release, test_rows, submit, margin):
    with pytest.raises(ConfigError, match="--margin"):
        evaluate(load_submission(submit(test_rows)), TASK, small_release, margin=margin)


def several(calls_of):
    rows = [f"c{i},{reader},liver,{call}" for reader, calls in calls_of.items() for i, call in enumerate(calls)]
    return "\n".join(["case_id,reader,tumor_type,call", *rows]) + "\n"


CALLS = {"r1": [1, 1, 0, 0, 1, 0, 0, 0, 0, 1], "r2": [1, 1, 1, 0, 0, 0, 0, 0, 0, 1]}


def test_readers_together_are_the_mean_of_each(study):
    found = study(several(CALLS)).readers
    (panel,) = found.panels
    assert panel.readers == ("r1", "r2")
    for name in ("sensitivity", "specificity", "method_sensitivity", "sensitivity_difference"):
        each = [getattr(reader, name).value for reader in found.study]
        assert getattr(panel, name).value == pytest.approx(sum(each) / 2)
    assert panel.sensitivity.method == "patient-and-reader-bootstrap-percentile"
    assert "too few to speak of other readers" in panel.note
    assert panel.test is not None


def test_sessions_are_never_pooled(study):
    rows = [f"c{index},{reader},liver,1,{session}" for index in range(9) for reader in "pq" for session in "ab"]
    found = study("\n".join(["case_id,reader,tumor_type,call,session", *rows]) + "\n").readers
    assert [(panel.session, panel.readers) for panel in found.panels] == [("a", ("p", "q")), ("b", ("p", "q"))]
    assert len(found.study) == 4


def test_the_panel_is_in_the_report(study):
    text = report_markdown(study(several(CALLS)))
    assert "**Readers of a session together**" in text
    assert "| all | liver | 2 |" in text
    assert "2 readers: too few" in text


def test_verdicts_say_no_more_than_interval_and_test():
    rng = np.random.default_rng(0)

    def drawn(value, spread):
        return np.clip(rng.normal(value, spread, 2000), -1, 1)

    above, below, within, wide, inferior = judge(
        [drawn(0.2, 0.03), drawn(-0.2, 0.03), drawn(0.0, 0.01), drawn(0.0, 0.2), drawn(-0.06, 0.01)], 0.95, 0.05
    )
    assert (above.verdict, above.noninferior, above.superior) == ("above", True, True)
    assert (below.verdict, below.noninferior, below.superior) == ("below", False, False)
    assert (within.verdict, within.noninferior, within.superior) == ("within", True, False)
    assert (wide.verdict, wide.noninferior, wide.superior) == (None, False, False)
    assert (inferior.verdict, inferior.noninferior) == ("below", False)
    assert above.p_different_holm >= above.p_different


def test_many_readers_make_a_lone_finding_less_sure():
    rng = np.random.default_rng(1)
    lone = rng.normal(0.1, 0.046, 2000)  # about p = 0.03
    assert judge([lone], 0.95, 0.05)[0].verdict == "above"
    assert judge([lone, *[rng.normal(0, 0.05, 2000) for _ in range(4)]], 0.95, 0.05)[0].verdict is None
    assert judge([np.full(2000, np.nan)], 0.95, 0.05) == [None]


def matched(rng, m, n, readers, cases=1):
    """A method and readers of one operating point on its ROC curve: 70 % sensitivity and 90 % specificity."""
    total = m + n
    positive, patient = rng.permutation(np.arange(total) < m), np.arange(total) // cases
    d = NormalDist().inv_cdf(0.7) + NormalDist().inv_cdf(0.9)
    common = np.sqrt(0.4) * rng.normal(size=total) + d * positive
    decision = common + np.sqrt(0.6) * rng.normal(size=total)
    calls = [common + np.sqrt(0.6) * rng.normal(size=total) >= NormalDist().inv_cdf(0.9) for _ in range(readers)]
    ids = tuple(f"c{index}" for index in range(total))
    nothing = np.zeros(total, dtype=bool)
    sample = Sample(LIVER, ids, patient, positive, decision, np.full(total, np.nan), decision, nothing, None)
    reads = {
        ReadKey(LIVER, "", f"r{index}"): {case: Read(bool(c), np.nan) for case, c in zip(ids, called, strict=True)}
        for index, called in enumerate(calls)
    }
    return reads, {LIVER: sample}, Draws(int(patient.max()) + 1, 400, "0", int(rng.integers(2**31)))


@pytest.mark.slow
def test_a_method_as_good_as_the_reader_is_seldom_called_otherwise():
    rng, runs, levels = np.random.default_rng(5), 300, []
    for _ in range(runs):
        reads, samples, draws = matched(rng, 60, 120, readers=1)
        (reader,), _ = study_readers(reads, samples, draws)
        levels.append(reader.test.p_different)
    assert np.mean(np.array(levels) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


@pytest.mark.slow
def test_a_method_worse_by_the_margin_is_seldom_called_not_inferior():
    rng, runs, wrong = np.random.default_rng(6), 300, 0
    for _ in range(runs):
        reads, samples, draws = matched(rng, 60, 120, readers=1)
        # Equally good, tested against a margin of 0: never being "not inferior" is a matter of chance of 2.5 %.
        (reader,), _ = study_readers(reads, samples, draws, margin=0.0)
        wrong += reader.test.noninferior
    assert wrong / runs <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / runs)


@pytest.mark.slow
def test_panels_hold_their_level():
    rng, runs, levels = np.random.default_rng(7), 120, []
    for _ in range(runs):
        reads, samples, draws = matched(rng, 50, 100, readers=6)
        _, (panel,) = study_readers(reads, samples, draws)
        levels.append(panel.test.p_different)
    assert np.mean(np.array(levels) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
