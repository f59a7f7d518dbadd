"""Evaluation as a whole: what it promises whatever is submitted."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from conftest import THREE, make_record, noisy_scores, random_records, write_release, write_submission
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from rsuper_bench.benchmark.errors import ConfigError, SubmissionError
from rsuper_bench.benchmark.evaluation import SMOKE, SYNTHETIC, evaluate
from rsuper_bench.benchmark.evaluation_folder import report_json
from rsuper_bench.benchmark.literature import detection_reader, literature_readers
from rsuper_bench.benchmark.records import Presence, Split
from rsuper_bench.benchmark.reference import release_task
from rsuper_bench.benchmark.report import SubmissionInfo
from rsuper_bench.benchmark.rsuper_protocol import report_protocol_table
from rsuper_bench.benchmark.submission import CaseType, Prediction, Submission, load_submission
from rsuper_bench.benchmark.task import CallRule, Task
from rsuper_bench.benchmark.thresholds import calibrate
from rsuper_bench.benchmark.tumor_types import TumorType

LIVER = TumorType.LIVER


@pytest.fixture(scope="session")
def task(small_release):
    return release_task(small_release).model_copy(update={"bootstrap_replicates": 300})


@pytest.fixture(scope="session")
def frozen(small_release, task, validation_rows):
    return calibrate(in_memory(validation_rows), task, small_release)


def in_memory(rows, volumes=None):
    predictions = {
        CaseType(case, TumorType(kind)): Prediction(float(score), None if volumes is None else volumes[case, kind])
        for case, kind, score in rows
    }
    return Submission(SubmissionInfo(team="team", method="method"), predictions, {}, has_table=True)


def with_volumes(rows):
    return in_memory(rows, {(case, kind): 3000 * float(score) for case, kind, score in rows})


@pytest.fixture(scope="session")
def readers_table(small_release, tmp_path_factory):
    """Two readers who call a third of the cases each, whatever is there."""
    path = tmp_path_factory.mktemp("readers") / "readers.csv"
    cases = [record.case_id for record in small_release.records(Split.TEST)]
    rows = [f"{case},r{r},liver,{int((i + r) % 3 == 0)}" for r in (0, 1) for i, case in enumerate(cases)]
    path.write_text("\n".join(["case_id,reader,tumor_type,call", *rows]) + "\n")
    return path


@pytest.fixture(scope="session")
def report(small_release, task, frozen, test_rows):
    return evaluate(in_memory(test_rows), task, small_release, thresholds=frozen)


def test_areas_agree_with_scikit_learn(report):
    for kind in THREE:
        outcomes = [item for item in report.outcomes if item.tumor_type is kind]
        truth, score = [item.reference for item in outcomes], [item.score for item in outcomes]
        scores = report.scores[kind]
        assert scores["auroc"].value == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
        assert scores["average_precision"].value == pytest.approx(average_precision_score(truth, score), abs=1e-12)


def test_calls_follow_from_the_frozen_thresholds(report, frozen):
    for kind in THREE:
        outcomes = [item for item in report.outcomes if item.tumor_type is kind]
        assert all(item.call == (item.score >= frozen.values[kind]) for item in outcomes)
        hits = [item.call for item in outcomes if item.reference == 1]
        score = report.scores[kind]["sensitivity"]
        assert (score.k, score.n, score.method) == (sum(hits), len(hits), "wilson")
        counts = report.counts[kind]
        assert (counts.tp, counts.tp + counts.fn) == (sum(hits), counts.positive)
        assert counts.fp + counts.tn == counts.negative


def test_every_case_is_scored_or_excluded(report, small_release):
    cases = {record.case_id for record in small_release.records(Split.TEST)}
    for kind in THREE:
        scored = {item.case_id for item in report.outcomes if item.tumor_type is kind}
        excluded = {item.case_id for item in report.excluded if item.tumor_type is kind}
        assert scored | excluded == cases
        assert not scored & excluded
    assert {item.reason for item in report.excluded} == {"not_stated", "uncertain"}


def test_the_mean_is_the_mean_of_types(report):
    for name, mean in report.scores["mean"].items():
        assert mean.value == pytest.approx(np.mean([report.scores[kind][name].value for kind in THREE]))
    assert report.replicates is not None
    assert report.scores["mean"][report.replicates.metric].low == pytest.approx(
        np.quantile(report.replicates.values, 0.025), abs=1e-6
    )


def test_intervals_hold_their_values(report):
    for scores in report.scores.values():
        for score in scores.values():
            assert score.value is not None
            assert score.low is not None
            assert score.high is not None
            assert 0 <= score.low <= score.value <= score.high <= 1


def test_bytes_do_not_depend_on_threads(small_release, task, frozen, test_rows, report):
    again = evaluate(in_memory(test_rows[::-1]), task, small_release, thresholds=frozen, jobs=4)
    assert report_json(again) == report_json(report)
    other = evaluate(in_memory(test_rows), task, small_release, thresholds=frozen, seed=1)
    assert other.replicates.values != report.replicates.values
    assert other.scores["liver"]["auroc"] == report.scores["liver"]["auroc"]  # no randomness in it


def test_replicates_of_two_submissions_are_paired(small_release, task, report, test_rows):
    other = evaluate(in_memory([(*row[:2], round(float(row[2]), 1)) for row in test_rows]), task, small_release)
    assert other.fingerprint == report.fingerprint
    assert other.replicates.index_digest == report.replicates.index_digest
    mine, theirs = np.array(report.replicates.values), np.array(other.replicates.values)
    shuffled = np.random.default_rng(0).permutation(theirs)
    assert (mine - theirs).std() < 0.5 * (mine - shuffled).std()  # the same patients were drawn


def test_the_fingerprint_follows_the_truth(tmp_path, small_records, small_release, task):
    flipped = next(record for record in small_records if record.split is Split.TEST and LIVER in record.presence)
    state = Presence.ABSENT if flipped.presence[LIVER] is Presence.PRESENT else Presence.PRESENT
    changed = flipped.model_copy(update={"presence": {**flipped.presence, LIVER: state}})
    release = write_release(tmp_path / "r", [changed if record is flipped else record for record in small_records])
    rows = noisy_scores(5, small_release.records(Split.TEST))
    prints = {evaluate(in_memory(rows), task, where).fingerprint for where in (small_release, release)}
    assert len(prints) == 2


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), ties=st.booleans(), dropped=st.sets(st.integers(0, 59), min_size=1, max_size=8))
def test_leaving_a_case_out_never_helps(small_release, task, frozen, readers_table, seed, ties, dropped):
    cheap = task.model_copy(update={"bootstrap_replicates": 100})
    test = small_release.records(Split.TEST)
    rows = noisy_scores(seed, test)
    if ties:
        rows = [(case, kind, round(float(score) * 2) / 2) for case, kind, score in rows]
    left_out = {test[index].case_id for index in dropped}
    kept = [row for row in rows if row[0] not in left_out]
    given = {"thresholds": frozen, "readers": readers_table, "protocol": "rsuper", "missing": "fail"}
    whole, part = (evaluate(with_volumes(found), cheap, small_release, **given) for found in (rows, kept))
    for mine, theirs in zip(part.readers.study, whole.readers.study, strict=True):
        assert mine.method_sensitivity.value <= theirs.method_sensitivity.value + 1e-12
        assert mine.method_specificity.value <= theirs.method_specificity.value + 1e-12
        assert mine.frozen_sensitivity.method.value <= theirs.frozen_sensitivity.method.value
        assert mine.frozen_specificity.difference.value <= theirs.frozen_specificity.difference.value
    assert any(len(found) > 1 for found in whole.strata.values())
    for axis, found in whole.strata.items():
        for stratum, kinds in found.items():
            for kind, theirs in kinds.items():
                for name in ("sensitivity", "specificity", "auroc"):
                    lower, higher = (getattr(item, name) for item in (part.strata[axis][stratum][kind], theirs))
                    assert (lower.value is None) == (higher.value is None)
                    assert (lower.value or 0) <= (higher.value or 0) + 1e-12, (axis, stratum, name)
                    assert (lower.k or 0) <= (higher.k or 0)
    tables = [list(csv.DictReader(report_protocol_table(report).splitlines())) for report in (part, whole)]
    for mine, theirs in zip(*tables, strict=True):
        for column in mine.keys() - {"threshold"}:
            assert float(mine[column].split("%")[0]) <= float(theirs[column].split("%")[0]), column
    for kind, scores in part.scores.items():
        for name, score in scores.items():
            assert score.value <= whole.scores[kind][name].value + 1e-12, (kind, name)
    assert part.coverage["imputed"] == sum(item.imputed for item in part.outcomes)
    assert part.coverage["evaluated"] == whole.coverage["evaluated"]


def test_missing_cases_are_refused_by_default(small_release, task, test_rows):
    with pytest.raises(SubmissionError, match=r"1 of 60 cases of release-types-v1 have no \w+ score: case_test_0000"):
        evaluate(in_memory(test_rows[1:]), task, small_release)


def test_nothing_submitted_is_the_worst(small_release, task, frozen, test_rows):
    empty = evaluate(in_memory([]), task, small_release, thresholds=frozen, missing="fail")
    for name in ("auroc", "sensitivity", "specificity", "sensitivity_at_specificity_90", "f1"):
        assert empty.scores["mean"][name].value == 0
    assert empty.coverage["predicted"] == 0


def test_several_cases_of_a_patient_are_clustered(tmp_path):
    records = random_records(5, 60, Split.TEST, cases_a_patient=3)
    release = write_release(tmp_path / "r", records)
    rows = noisy_scores(6, records)
    task = release_task(release).model_copy(update={"bootstrap_replicates": 200})
    found = evaluate(in_memory(rows), task, release)
    assert found.data.n_patients == 20
    assert found.scores["liver"]["auroc"].method == "patient-bootstrap-logit"


def test_copies_of_a_patient_do_not_narrow_the_interval(tmp_path):
    """Three identical CTs a patient: as sure as one CT a patient, not as three times as many patients."""
    single = random_records(5, 60, Split.TEST)
    copies = [
        record.model_copy(update={"case_id": f"{record.case_id}_{number}"}) for record in single for number in range(3)
    ]
    rows = noisy_scores(6, single)
    repeated = [(f"{case}_{number}", kind, score) for case, kind, score in rows for number in range(3)]
    widths = []
    for name, records, scores in (("single", single, rows), ("copies", copies, repeated)):
        release = write_release(tmp_path / name, records)
        found = evaluate(in_memory(scores), release_task(release), release).scores["liver"]["auroc"]
        widths.append(found.high - found.low)
    assert widths[1] == pytest.approx(widths[0], rel=0.15)


def test_perfection_is_not_certainty(tmp_path):
    records = random_records(5, 60, Split.TEST, cases_a_patient=2)
    release = write_release(tmp_path / "r", records)
    rows = [(record.case_id, "liver", float(record.presence_of(LIVER) is Presence.PRESENT)) for record in records]
    task = Task(name="liver-v1", description="", tumor_types=(LIVER,), bootstrap_replicates=100)
    scores = evaluate(in_memory(rows), task, release).scores["liver"]
    for name in ("auroc", "sensitivity_at_specificity_90", "specificity_at_sensitivity_90"):
        assert scores[name].value == 1
        assert scores[name].low < 0.95
    assert scores["average_precision"].low is None
    assert "do not vary" in scores["average_precision"].reason


def test_undefined_is_null_with_a_reason(tmp_path):
    records = [make_record(case, {LIVER: Presence.ABSENT, TumorType.ADRENAL: Presence.NOT_STATED}) for case in "ab"]
    release = write_release(tmp_path / "r", records)
    task = Task(name="two-v1", description="", tumor_types=(LIVER, TumorType.ADRENAL), bootstrap_replicates=100)
    rows = [(case, kind, 0.5) for case in "ab" for kind in ("liver", "adrenal")]
    found = evaluate(in_memory(rows), task, release)
    assert found.scores["liver"]["auroc"].reason == "no positive cases"
    assert found.scores["adrenal"]["auroc"].reason == "no positive cases"
    assert found.scores["liver"]["sensitivity"].reason == "no frozen threshold for this type"
    assert found.scores["mean"]["auroc"].reason == "undefined for every tumor type"
    assert "NaN" not in report_json(found)


def test_small_classes_are_flagged(tmp_path):
    states = [Presence.PRESENT] * 3 + [Presence.ABSENT] * 20
    records = [make_record(f"c{index:02d}", {LIVER: state}) for index, state in enumerate(states)]
    release = write_release(tmp_path / "r", records)
    rows = [(record.case_id, "liver", index / 30) for index, record in enumerate(records)]
    found = evaluate(in_memory(rows), release_task(release), release)
    assert found.scores["liver"]["auroc"].reason == "only 3 positive cases: small-sample interval"
    twenty = write_release(tmp_path / "r2", random_records(5, 60, Split.TEST, kinds=(LIVER,)))
    found = evaluate(in_memory(noisy_scores(6, twenty.records(), (LIVER,))), release_task(twenty), twenty)
    assert 10 <= found.counts[LIVER].positive < 30
    assert found.scores["liver"]["auroc"].reason is None
    matched = found.scores["liver"]["specificity_at_sensitivity_90"].reason
    assert (
        matched
        == f"only {found.counts[LIVER].positive} positive cases set the operating point: the interval may be too short"
    )


def test_calls_by_volume(small_release, task, test_rows, validation_rows):
    by_volume = task.model_copy(update={"call_rule": CallRule.VOLUME})

    thresholds = calibrate(with_volumes(validation_rows), by_volume, small_release)
    found = evaluate(with_volumes(test_rows), by_volume, small_release, thresholds=thresholds)
    liver = [item for item in found.outcomes if item.tumor_type is LIVER]
    assert all(item.call == (item.volume_mm3 >= thresholds.values[LIVER]) for item in liver)


def test_what_the_figures_do_not_show_is_said(tmp_path):
    records = random_records(5, 30, Split.TEST, synthetic=True)
    anatomies = [record.model_copy(update={"derived_from": "one"}) for record in records]
    other = make_record("v", {LIVER: Presence.PRESENT}, split=Split.VALIDATION, derived_from="one")
    plain, smoke = write_release(tmp_path / "a", records), write_release(tmp_path / "b", [*anatomies, other])
    rows = noisy_scores(6, records)
    task = release_task(plain).model_copy(update={"bootstrap_replicates": 100})
    assert SYNTHETIC in evaluate(in_memory(rows), task, plain).statements
    found = evaluate(in_memory(rows), task, smoke)
    assert found.statements[0] == SMOKE
    assert "only as orientation" in found.readers.statement


def test_matched_to_the_literature_only_where_it_may_be(report):
    # Gallbladder's figure is of characterisation and adrenal's of glands: no match for detection in patients.
    assert report.scores["kidney"]["sensitivity_at_reader"].n == report.counts[TumorType.KIDNEY].positive
    readers = literature_readers()
    assert len(readers) == 43
    assert detection_reader(readers, TumorType.GALLBLADDER) is None
    assert detection_reader(readers, TumorType.ADRENAL) is None
    assert detection_reader(readers, TumorType.PROSTATE).sensitivity is None
    assert detection_reader(readers, TumorType.KIDNEY).specificity == 0.98


def test_an_unknown_primary_metric_is_refused(small_release, task, test_rows):
    with pytest.raises(ConfigError, match="'aurok'"):
        evaluate(in_memory(test_rows), task.model_copy(update={"primary": "aurok"}), small_release)


def test_identifiers_of_patients_stay_out(report):
    assert "p_case" not in report_json(report)


def test_the_python_way(small_release, tmp_path, test_rows):
    from rsuper_bench import benchmark

    folder = write_submission(tmp_path / "s", test_rows)
    task = Task(name="liver-v1", description="", tumor_types=(LIVER,), bootstrap_replicates=100)
    found = benchmark.evaluate(benchmark.load_submission(folder), task, small_release.folder, seed=3)
    assert found.seed == 3
    assert load_submission(folder).digest == found.digests["submission"]
