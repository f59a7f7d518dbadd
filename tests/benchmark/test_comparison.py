"""Comparing two reports: paired, honest about chance, and refused where they are not of the same cases."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from conftest import THREE, noisy_scores, random_records, write_release
from test_evaluation import in_memory
from typer.testing import CliRunner

from rsuper_bench.benchmark import comparison_folder
from rsuper_bench.benchmark.comparison import compare
from rsuper_bench.benchmark.comparison_folder import comparing, comparison_markdown, write_comparison
from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.evaluation_folder import write_evaluation
from rsuper_bench.benchmark.files import pretty_json
from rsuper_bench.benchmark.records import Presence, Split
from rsuper_bench.benchmark.reference import release_task
from rsuper_bench.benchmark.report import load_report
from rsuper_bench.benchmark.statistics.paired import PairedCounts, mcnemar
from rsuper_bench.benchmark.task import CallRule, Task
from rsuper_bench.benchmark.thresholds import calibrate
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.cli import app

LIVER = TumorType.LIVER


@pytest.fixture(scope="module")
def task(small_release):
    return release_task(small_release).model_copy(update={"bootstrap_replicates": 300})


@pytest.fixture(scope="module")
def reports(small_release, task, test_rows, validation_rows):
    """A method, one that is worse in the liver, and one that is the first on another scale."""
    frozen = calibrate(in_memory(validation_rows), task, small_release)
    rng = np.random.default_rng(8)
    worse = [(c, k, round(float(rng.random()), 4) if k == LIVER else s) for c, k, s in test_rows]
    scaled = [(c, k, float(s) ** 3) for c, k, s in test_rows]
    squeezed = calibrate(in_memory([(c, k, float(s) ** 3) for c, k, s in validation_rows]), task, small_release)
    return [
        evaluate(in_memory(rows), task, small_release, thresholds=thresholds)
        for rows, thresholds in ((test_rows, frozen), (worse, frozen), (scaled, squeezed))
    ]


def test_differences_are_those_of_the_reports(reports):
    found = compare(reports[0], reports[1])
    for kind, items in found.differences.items():
        for name, item in items.items():
            mine, theirs = (report.scores[kind][name].value for report in reports[:2])
            assert item.a == pytest.approx(mine)
            assert item.difference == pytest.approx(mine - theirs)
            assert item.low <= item.difference + 1e-12
            assert item.difference <= item.high + 1e-12
            assert 0 < item.p <= 1


def test_a_method_is_clearly_better_only_where_it_is(reports):
    found = compare(reports[0], reports[1])
    assert found.differences[LIVER]["auroc"].higher == "a"
    assert found.differences[LIVER]["auroc"].test == "delong"
    for kind in ("kidney", "pancreas"):
        item = found.differences[kind]["auroc"]
        assert (item.difference, item.p, item.p_holm, item.higher) == (0, 1, 1, None)
    assert found.differences[LIVER]["auroc"].p_holm == pytest.approx(3 * found.differences[LIVER]["auroc"].p)


def test_the_other_way_round_is_the_same_with_other_signs(reports):
    one, two = compare(reports[0], reports[1]), compare(reports[1], reports[0])
    for kind, items in one.differences.items():
        for name, item in items.items():
            other = two.differences[kind][name]
            assert other.difference == pytest.approx(-item.difference)
            assert (other.low, other.high) == pytest.approx((-item.high, -item.low), abs=1e-9)
            assert other.p == pytest.approx(item.p, abs=0.12)


def test_the_scale_of_the_scores_is_of_no_matter(reports):
    found = compare(reports[0], reports[2])
    for kind in THREE:
        for name in ("auroc", "average_precision", "sensitivity_at_specificity_90"):
            item = found.differences[kind][name]
            assert (item.difference, item.low, item.high, item.p) == (0, 0, 0, 1)


def test_exchanges_compare_ranks(reports):
    plain, cubed = (compare(report, reports[1]).differences[LIVER] for report in (reports[0], reports[2]))
    for name in ("average_precision", "sensitivity_at_specificity_90"):
        assert plain[name].test == "permutation"
        assert cubed[name].p == plain[name].p


def test_calls_are_tested_on_what_only_one_got_right(reports):
    found = compare(reports[0], reports[1]).differences[LIVER]["sensitivity"]
    calls = [{o.case_id: o.call for o in r.outcomes if o.tumor_type is LIVER and o.reference} for r in reports[:2]]
    pairs = [(calls[0][case], calls[1][case]) for case in calls[0]]
    counts = PairedCounts(*[sum(pair == wanted for pair in pairs) for wanted in ((1, 1), (1, 0), (0, 1), (0, 0))])
    assert found.p == pytest.approx(mcnemar(counts))
    assert (found.test, found.method) == ("mcnemar-exact", "newcombe-10")


def test_bytes_do_not_depend_on_threads(reports):
    assert pretty_json(compare(*reports[:2], jobs=3)) == pretty_json(compare(*reports[:2]))
    assert pretty_json(compare(*reports[:2], seed=1)) != pretty_json(compare(*reports[:2]))


def test_cases_of_one_patient_are_exchanged_together(tmp_path):
    records = random_records(5, 90, Split.TEST, kinds=(LIVER,), cases_a_patient=3)
    release = write_release(tmp_path / "r", records)
    task = Task(name="liver-v1", description="", tumor_types=(LIVER,), bootstrap_replicates=200)
    reports = [evaluate(in_memory(noisy_scores(seed, records, (LIVER,))), task, release) for seed in (6, 7)]
    item = compare(*reports).differences["liver"]["auroc"]
    assert (item.test, item.method) == ("permutation", "patient-bootstrap-normal")
    assert compare(*reports).differences["liver"]["sensitivity"].reason == "undefined in at least one of the reports"


def test_reports_of_other_cases_are_refused(small_records, reports, task, tmp_path):
    state = {Presence.PRESENT: Presence.ABSENT, Presence.ABSENT: Presence.PRESENT}
    flipped = [
        record.model_copy(update={"presence": {k: state.get(v, v) for k, v in record.presence.items()}})
        for record in small_records
    ]
    release = write_release(tmp_path / "r", flipped)
    other = evaluate(in_memory(noisy_scores(1, release.records(Split.TEST))), task, release)
    with pytest.raises(DataError, match="REPORT_B: fingerprint"):
        compare(reports[0], other)
    forged = other.model_copy(update={"fingerprint": reports[0].fingerprint})
    with pytest.raises(DataError, match="REPORT_B: a fingerprint that is not that of its task and truth"):
        compare(reports[0], forged)
    doubled = reports[1].model_copy(update={"outcomes": reports[1].outcomes + reports[1].outcomes[:2]})
    with pytest.raises(DataError, match="REPORT_B: a fingerprint that is not that of its task and truth"):
        compare(reports[0], doubled)


def test_reports_nobody_wrote_are_refused(reports):
    first = reports[0]
    strange = first.outcomes[0].model_copy(update={"tumor_type": TumorType.LUNG})
    forged = first.model_copy(update={"outcomes": (strange, *first.outcomes[1:]), "fingerprint": "nothing"})
    with pytest.raises(DataError) as caught:
        compare(forged, forged)
    assert "1 outcomes of types outside its task" in str(caught.value)
    assert "a fingerprint that is not that of its task and truth" in str(caught.value)
    by_volume = first.task_definition.model_copy(update={"call_rule": CallRule.VOLUME})
    with pytest.raises(DataError, match="without the volume by which its task calls"):
        compare(first, first.model_copy(update={"task_definition": by_volume}))


@pytest.mark.parametrize(
    "change",
    [
        lambda item: {"patient": "0" * 16},
        lambda item: {"reference": 1 - item.reference},
        lambda item: {"case_id": "another"},
    ],
)
def test_one_changed_outcome_is_found(reports, change):
    first, second = reports[:2]
    item = second.outcomes[0]
    changed = (item.model_copy(update=change(item)), *second.outcomes[1:])
    with pytest.raises(DataError, match="REPORT_B"):
        compare(first, second.model_copy(update={"outcomes": changed}))


def test_an_excluded_case_cannot_be_taken_out_or_put_in(reports):
    first, second = reports[:2]
    for excluded in (second.excluded[1:], (*second.excluded, second.excluded[0])):
        with pytest.raises(DataError, match="not that of its task and truth"):
            compare(first, second.model_copy(update={"excluded": excluded}))


def test_another_definition_under_one_name_is_found(reports):
    first, second = reports[:2]
    changed = second.task_definition.model_copy(update={"operating_points": {"specificity": 0.5}})
    with pytest.raises(DataError, match="not that of its task and truth"):
        compare(first, second.model_copy(update={"task_definition": changed}))
    described = second.task_definition.model_copy(update={"description": "other words", "strata": ()})
    compare(first, second.model_copy(update={"task_definition": described}))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "2"])
def test_a_report_holds_numbers_only(reports, tmp_path, number):
    write_evaluation(reports[0], tmp_path / "a")
    path = tmp_path / "a" / "report.json"
    text, found = re.subn(r'("reference":[01],"score":)[0-9.e-]+', rf"\g<1>{number}", path.read_text(), count=1)
    assert found == 1
    path.write_text(text)
    with pytest.raises(DataError, match=r"outcomes\.0\.score"):
        load_report(path)


@pytest.mark.parametrize(("end", "line"), [(-20, r":\d+: cannot be parsed"), (0, ":1: cannot be parsed")])
def test_a_truncated_report_is_one_message(reports, tmp_path, end, line):
    write_evaluation(reports[0], tmp_path / "a")
    path = tmp_path / "a" / "report.json"
    path.write_text(path.read_text()[:end])
    with pytest.raises(DataError, match=line):
        load_report(path)


def test_the_markdown_says_which_is_which(reports):
    text = comparison_markdown(compare(*reports[:2]))
    assert text.startswith("# method (team) beside method (team) on release-types-v1")
    assert "## sensitivity at specificity 90" in text
    assert "| liver |" in text
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1


def test_names_are_harmless(reports, tmp_path):
    hostile = "a|b<script>\x1b[2J\nc"
    info = reports[0].submission.model_copy(update={"method": hostile, "team": hostile})
    forged = reports[0].model_copy(update={"submission": info, "statements": (hostile,)})
    write_evaluation(forged, tmp_path / "a")
    result = CliRunner().invoke(app, ["compare", *[str(tmp_path / "a")] * 2, "--out", str(tmp_path / "o")])
    assert result.exit_code == 0, result.exception
    assert "\x1b" not in result.output
    assert "<script>" not in (tmp_path / "o" / "compare.md").read_text()


def test_the_verb(reports, tmp_path):
    for name, report in zip("ab", reports, strict=False):
        write_evaluation(report, tmp_path / name)
    out = tmp_path / "out"
    call = ["compare", str(tmp_path / "a"), str(tmp_path / "b" / "report.json"), "--out", str(out)]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.exception
    assert "mean auroc" in result.output
    found = json.loads((out / "compare.json").read_text())
    assert found["differences"]["liver"]["auroc"]["higher"] == "a"
    assert {path.name for path in out.iterdir()} == {"compare.json", "compare.md"}
    missing = CliRunner().invoke(app, [*call[:2], str(tmp_path / "nowhere"), *call[3:]])
    assert isinstance(missing.exception, DataError)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/compare.md").write_text("notes")
    refused = CliRunner().invoke(app, [*call[:4], str(tmp_path / "mine")])
    assert isinstance(refused.exception, ConfigError)


HOLD = """
import sys
from pathlib import Path
from rsuper_bench.benchmark.comparison_folder import comparing
with comparing(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_comparisons_in_one_folder(reports, tmp_path):
    found = compare(*reports[:2])
    (tmp_path / "real").mkdir()
    (tmp_path / "o").symlink_to("real")  # another name of the same folder
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "real"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        try:
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(DataError, match="another comparison is at work here"):
                write_comparison(found, tmp_path / "o")
            assert list((tmp_path / "real").iterdir()) == []
        finally:
            holder.kill()
    write_comparison(found, tmp_path / "o")  # a killed holder holds nothing
    assert {path.name for path in (tmp_path / "real").iterdir()} == {"compare.json", "compare.md"}
    assert {path.name for path in tmp_path.iterdir()} == {"o", "real"}


@pytest.mark.parametrize("name", ["compare.md", "compare.json"])
def test_a_comparison_that_cannot_be_written_leaves_the_one_before(reports, tmp_path, monkeypatch, name):
    write_comparison(compare(*reports[:2]), tmp_path / "o")
    before = {path.name: path.read_bytes() for path in (tmp_path / "o").iterdir()}
    whole = comparison_folder.write_text

    def full(path, text):
        if path.name == name:
            raise OSError(28, "No space left on device")
        whole(path, text)

    monkeypatch.setattr(comparison_folder, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write_comparison(compare(reports[0], reports[2]), tmp_path / "o")
    assert {path.name: path.read_bytes() for path in (tmp_path / "o").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["o"]


def test_a_refused_comparison_leaves_nothing(tmp_path):
    with pytest.raises(DataError), comparing(tmp_path / "new" / "o"):
        raise DataError("refused")
    assert list(tmp_path.iterdir()) == []


SHM = "/dev/shm"  # noqa: S108 - a disk of its own on Linux


@pytest.mark.skipif(not Path(SHM).is_dir(), reason="no second disk to write to")
def test_a_folder_on_another_disk_is_written_too(reports, tmp_path):
    with tempfile.TemporaryDirectory(dir=SHM) as disk:
        (tmp_path / "o").symlink_to(disk)
        write_evaluation(reports[0], tmp_path / "o" / "a")
        (tmp_path / "a").symlink_to(Path(disk) / "a")
        write_evaluation(reports[0], tmp_path / "a")  # over the one before
        write_comparison(compare(*reports[:2]), tmp_path / "o")
        assert {path.name for path in Path(disk).iterdir()} == {"a", "compare.json", "compare.md"}
        assert load_report(tmp_path / "a").scores == reports[0].scores
