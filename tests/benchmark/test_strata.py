"""Parts of the cases: who belongs where, and figures counted by hand."""

from __future__ import annotations

import pytest
from conftest import make_record, write_release, write_submission

from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.evaluation_folder import report_json, write_evaluation
from rsuper_bench.benchmark.records import CtInfo, Finding, Presence, Split
from rsuper_bench.benchmark.report import load_report
from rsuper_bench.benchmark.report_markdown import report_markdown
from rsuper_bench.benchmark.statistics.wilson import wilson_interval
from rsuper_bench.benchmark.stratum import Axis, case_stratum, order_of, size_stratum
from rsuper_bench.benchmark.submission import load_submission
from rsuper_bench.benchmark.task import TUMOR_KINDS, Task
from rsuper_bench.benchmark.thresholds import calibrate
from rsuper_bench.benchmark.tumor_types import TumorType

LIVER = TumorType.LIVER
TASK = Task(name="liver-v1", description="", tumor_types=(LIVER,), bootstrap_replicates=200, strata=tuple(Axis))


def finding(size_mm=None, **fields):
    return Finding(tumor_type=LIVER, kind="mass", diameters_mm=() if size_mm is None else (size_mm,)).model_copy(
        update=fields
    )


def case(case_id, size_mm=None, *, present=True, **fields):
    findings = (finding(size_mm),) if present else ()
    state = Presence.PRESENT if present else Presence.ABSENT
    return make_record(case_id, {LIVER: state}, findings=findings, **fields)


@pytest.mark.parametrize(
    ("size_mm", "stratum"),
    [(9.99, "<10 mm"), (10, "10-20 mm"), (19.9, "10-20 mm"), (20, "20-40 mm"), (40, "20-40 mm"), (40.1, ">40 mm")],
)
def test_bands_of_size(size_mm, stratum):
    assert size_stratum(case("c", size_mm), LIVER, TUMOR_KINDS) == stratum


def test_the_size_is_that_of_the_largest_tumor_that_counts():
    cyst, doubtful = finding(80, kind="cyst"), finding(60, certainty="uncertain")
    record = make_record("c", {LIVER: Presence.PRESENT}, findings=(finding(5), finding(15), finding(), cyst, doubtful))
    assert size_stratum(record, LIVER, TUMOR_KINDS) == "10-20 mm"
    assert size_stratum(record, LIVER, ("cyst",)) == ">40 mm"
    assert size_stratum(record, TumorType.KIDNEY, TUMOR_KINDS) == "unknown"
    assert size_stratum(case("c"), LIVER, TUMOR_KINDS) == "unknown"
    longest = make_record("c", {LIVER: Presence.PRESENT}, findings=(finding(diameters_mm=(8.0, 21.0, 3.0)),))
    assert size_stratum(longest, LIVER, TUMOR_KINDS) == "20-40 mm"


@pytest.mark.parametrize(
    ("age", "stratum"), [(0, "<40"), (39.9, "<40"), (40, "40-59"), (60, "60-74"), (74.9, "60-74"), (90, "75+")]
)
def test_bands_of_age(age, stratum):
    assert case_stratum(make_record("c", {}, age=age), Axis.AGE) == stratum


def test_what_is_not_said_is_unknown():
    record = make_record("c", {})
    assert [case_stratum(record, axis) for axis in (Axis.SEX, Axis.AGE, Axis.PHASE, Axis.SCANNER)] == ["unknown"] * 4
    assert case_stratum(record, Axis.SOURCE) == "made up"
    blank = record.model_copy(update={"ct": record.ct.model_copy(update={"scanner": "  "})})
    assert case_stratum(blank, Axis.SCANNER) == "unknown"


def test_bands_come_in_their_order():
    mixed = ["unknown", ">40 mm", "B", "<10 mm", "20-40 mm", "A", "10-20 mm"]
    assert sorted(mixed, key=order_of) == ["<10 mm", "10-20 mm", "20-40 mm", ">40 mm", "A", "B", "unknown"]


@pytest.fixture
def build(tmp_path):
    """A report of 12 small tumors (9 found), 3 large ones (all found), 10 healthy women (1 alarm), 12 men (3)."""

    def run(task=TASK, *, frozen=True, patient=None, **ct):
        records, scores = [], {}
        for index in range(37):
            name = f"c{index:02d}"
            present = index < 15
            if present:
                scores[name] = 0.9 if index < 9 or index >= 12 else 0.1
            else:
                scores[name] = 0.8 if index in (15, 25, 26, 27) else 0.2
            size_mm = (8 if index < 12 else 50) if present else None
            sex = "F" if index < 12 or 15 <= index < 25 else "M"
            who = patient(index) if patient else None
            records.append(case(name, size_mm, present=present, sex=sex, patient=who))
        if ct:
            records = [record.model_copy(update={"ct": record.ct.model_copy(update=ct)}) for record in records]
        fitted = [case(f"v{index}", present=index == 0, split=Split.VALIDATION) for index in range(2)]
        release = write_release(tmp_path / "r", [*records, *fitted])
        submission = load_submission(write_submission(tmp_path / "s", [(c, "liver", s) for c, s in scores.items()]))
        trained = write_submission(tmp_path / "v", [("v0", "liver", 0.6), ("v1", "liver", 0.4)])
        thresholds = calibrate(load_submission(trained), task, release) if frozen else None  # 0.5
        return evaluate(submission, task, release, thresholds=thresholds)

    return run


def test_by_size_by_hand(build):
    sizes = build().strata[Axis.SIZE]
    assert list(sizes) == ["<10 mm", ">40 mm"]
    small, large = sizes["<10 mm"][LIVER], sizes[">40 mm"][LIVER]
    assert (small.positive, small.negative, large.positive, large.negative) == (12, 22, 3, 22)
    found = small.sensitivity
    assert (found.value, found.k, found.n, found.method) == (0.75, 9, 12, "wilson")
    assert (found.low, found.high) == wilson_interval(9, 12)
    # 9 positives at 0.9 beat all 22; 3 at 0.1 beat none.
    assert small.auroc.value == pytest.approx(9 / 12)
    assert (large.sensitivity.value, large.sensitivity.k, large.sensitivity.n) == (None, 3, 3)
    assert large.sensitivity.reason == "fewer than 10 cases: too few for a figure"
    assert (large.auroc.value, large.auroc.n) == (None, 25)
    assert small.specificity.value is None
    assert small.specificity.reason == "a case without a tumor has no size"


def test_by_sex_by_hand(build):
    sexes = build().strata[Axis.SEX]
    women, men = sexes["F"][LIVER], sexes["M"][LIVER]
    assert (women.positive, women.negative, men.positive, men.negative) == (12, 10, 3, 12)
    assert (women.specificity.value, women.specificity.k, women.specificity.n) == (0.9, 9, 10)
    assert (men.specificity.value, men.specificity.k, men.specificity.n) == (0.75, 9, 12)
    assert (men.sensitivity.value, men.sensitivity.k, men.sensitivity.n) == (None, 3, 3)
    assert women.sensitivity.k == 9
    assert men.auroc.value is None


def test_one_stratum_is_the_whole(build):
    report = build()
    for axis in (Axis.AGE, Axis.PHASE, Axis.SCANNER, Axis.SOURCE):
        ((stratum, found),) = report.strata[axis].items()
        assert stratum == ("made up" if axis is Axis.SOURCE else "unknown")
        for name in ("sensitivity", "specificity", "auroc"):
            assert getattr(found[LIVER], name) == report.scores["liver"][name]


def test_several_cases_of_a_patient_are_drawn_together(build):
    report = build(patient=lambda index: f"p{index // 2}")
    (found,) = report.strata[Axis.SOURCE].values()
    assert found[LIVER].sensitivity.method == "patient-bootstrap-logit"
    assert found[LIVER].sensitivity == report.scores["liver"]["sensitivity"]
    assert found[LIVER].auroc == report.scores["liver"]["auroc"]
    women = report.strata[Axis.SEX]["F"][LIVER]
    assert women.specificity.method == "patient-bootstrap-logit"
    assert women.specificity.low < 0.9 < women.specificity.high


def test_without_thresholds_there_are_areas_only(build):
    women = build(frozen=False).strata[Axis.SEX]["F"][LIVER]
    assert women.sensitivity.reason == "no frozen threshold for this type"
    assert women.auroc.value is not None


def test_strata_move_nothing_else(build, tmp_path):
    report = build()
    assert TASK.model_copy(update={"strata": ()}).fingerprint == TASK.fingerprint
    write_evaluation(report, tmp_path / "o")
    again = load_report(tmp_path / "o")
    assert again == report
    assert report_json(again) == report_json(report)


def test_no_strata_are_asked_for(build):
    report = build(TASK.model_copy(update={"strata": ()}))
    assert report.strata == {}
    assert "Parts of the cases" not in report_markdown(report)


def test_the_report_shows_them(build):
    text = report_markdown(build(scanner="<b>|x|"))
    assert "| <10 mm | liver | 12 | 22 | 75.0 [46.8, 91.1] (9/12) | – |" in text.replace("&lt;", "<")
    assert "| M | liver | 3 | 12 | – (3/3) | 75.0" in text
    assert ">40 mm" not in text.replace("&gt;", ">")  # no figure: counted instead
    assert "1 of 2 strata by tumor type have no figure." in text
    assert "**age**: unknown for every case." in text
    assert "**scanner**: &lt;b&gt;\\|x\\| for every case, so the figures are those above." in text


def test_a_scanner_is_any_text():
    ct = CtInfo(
        file="c", sha256="0" * 64, shape=(1, 1, 1), spacing_mm=(1, 1, 1), orientation="RAS", scanner=" Some 64-slice "
    )
    assert case_stratum(make_record("c", {}, ct=ct), Axis.SCANNER) == "Some 64-slice"


@pytest.mark.parametrize("strata", [["size", "size"], ["height"]])
def test_unknown_strata_are_refused(strata):
    with pytest.raises(ValueError, match=r"stands twice|Input should be"):
        Task(name="t-v1", description="", tumor_types=(LIVER,), strata=strata)
