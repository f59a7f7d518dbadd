"""Masks are read once, in any number of processes, and never again after a kill."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lesion_cases import LIVER, SHAPE, TASK, balls, lesion_release, mask_submission

from rsuper_bench.benchmark import case_masks, mask_reading
from rsuper_bench.benchmark.case_cache import CaseCache
from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.evaluation_folder import report_json, write_evaluation
from rsuper_bench.benchmark.evaluation_work import evaluating
from rsuper_bench.benchmark.mask_reading import Reading
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.report_markdown import report_markdown
from rsuper_bench.benchmark.report_page import report_page
from rsuper_bench.benchmark.submission import load_submission
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.benchmark.worst_cases import worst_cases

CASES = "abcdef"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Six cases, half of them with a lesion, and noisy predictions."""
    place = tmp_path_factory.mktemp("masks")
    rng = np.random.default_rng(0)
    drawn, predicted = {}, {}
    for index, case_id in enumerate(CASES):
        drawn[case_id] = balls(((6 + index, 6, 6), 5.0)) if index % 2 else np.zeros(SHAPE, np.float32)
        predicted[case_id] = np.clip(0.6 * drawn[case_id] + rng.random(SHAPE) ** 4, 0, 1)
    release = lesion_release(place / "r", drawn)
    return release, mask_submission(place / "s", predicted)


def run(folders, **options):
    release, submission = folders
    return evaluate(load_submission(submission), TASK, release, **options)


@pytest.fixture
def measured(monkeypatch):
    """The cases that are really measured."""
    seen = []

    def measure(work):
        seen.append(work.case_id)
        return case_masks.measure_case(work)

    monkeypatch.setattr(mask_reading, "measure_case", measure)
    return seen


def test_any_number_of_processes_gives_the_same_bytes(folders):
    assert report_json(run(folders, jobs=2)) == report_json(run(folders))


def test_each_mask_is_read_once(folders, monkeypatch):
    opened = []
    read = case_masks.read_nifti
    monkeypatch.setattr(case_masks, "read_nifti", lambda source, **kw: opened.append(kw["name"]) or read(source, **kw))
    report = run(folders)
    assert report.lesions[LIVER].n_cases == len(CASES)
    assert sorted(opened) == sorted(
        name for case_id in CASES for name in (f"case {case_id}: lesions", f"mask of {case_id} liver")
    )


STOPPED = """
import os, signal, sys
sys.path.insert(0, sys.argv[4])
from pathlib import Path
from lesion_cases import TASK
from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.evaluation_work import evaluating
from rsuper_bench.benchmark.mask_reading import Reading
from rsuper_bench.benchmark.submission import load_submission

def stop(done, total):
    if done == 4:
        os.kill(os.getpid(), signal.SIGKILL)

with evaluating(Path(sys.argv[3])) as cache:
    evaluate(load_submission(sys.argv[2]), TASK, sys.argv[1], reading=Reading(1, cache, stop))
"""


def test_a_killed_run_goes_on_where_it_was(folders, tmp_path, measured):
    release, submission = folders
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", STOPPED, str(release.folder), str(submission), str(tmp_path / "o"), here]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    work = tmp_path / ".o.evaluating" / "cases.jsonl"
    work.write_bytes(work.read_bytes() + b'{"key": "cut off')
    with evaluating(tmp_path / "o") as cache:
        assert len(cache) == 4
        again = run(folders, reading=Reading(1, cache))
        write_evaluation(again, tmp_path / "o")
    assert len(measured) == 2
    assert report_json(again) == report_json(run(folders))
    assert [path.name for path in tmp_path.iterdir()] == ["o"]


def test_a_case_that_changed_is_measured_again(folders, tmp_path, measured):
    release, submission = folders
    cache = CaseCache(tmp_path / "cases.jsonl")
    first = run(folders, reading=Reading(1, cache))
    assert measured == list(CASES)
    copy = mask_submission(tmp_path / "s", {case_id: np.zeros(SHAPE) for case_id in "c"})
    for case_id in set(CASES) - {"c"}:
        target = copy / "masks" / case_id / "liver.nii.gz"
        target.parent.mkdir()
        target.write_bytes((submission / "masks" / case_id / "liver.nii.gz").read_bytes())
    cache = CaseCache(tmp_path / "cases.jsonl")
    again = run((release, copy), reading=Reading(1, cache))
    assert measured == [*CASES, "c"]
    assert again.outcomes[0] == first.outcomes[0]
    assert again.outcomes[2].score == 0


def test_a_refused_mask_is_not_kept(folders, tmp_path):
    release, _ = folders
    bad = mask_submission(tmp_path / "s", {case_id: np.full(SHAPE, 2.0) for case_id in CASES})
    cache = CaseCache(tmp_path / "cases.jsonl")
    with pytest.raises(Exception, match=r"outside \[0, 1\]"):
        run((release, bad), reading=Reading(1, cache))
    assert not (tmp_path / "cases.jsonl").exists()


HOLD = """
import sys, time
from pathlib import Path
from rsuper_bench.benchmark.evaluation_work import evaluating
with evaluating(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_evaluations_in_one_folder(folders, tmp_path):
    report = run(folders)
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "o")], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(DataError, match="another evaluation is at work here"):
                write_evaluation(report, tmp_path / "o")
            assert not (tmp_path / "o").exists()
        finally:
            holder.kill()
    write_evaluation(report, tmp_path / "o")  # a killed holder holds nothing
    assert (tmp_path / "o" / "report.json").exists()


def test_a_refused_evaluation_leaves_nothing(tmp_path):
    with pytest.raises(DataError), evaluating(tmp_path / "new" / "o"):
        raise DataError("refused")
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_gives_the_same_bytes(folders):
    distributed = pytest.importorskip("distributed")

    from rsuper_bench.dataset_builder.cluster import on_cluster

    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None
        ) as cluster,
        on_cluster(cluster.scheduler_address),
    ):
        report = run(folders, reading=Reading(-1))
    assert report_json(report) == report_json(run(folders))


def test_a_zip_is_not_for_a_cluster(folders, tmp_path):
    from typer.testing import CliRunner

    from rsuper_bench.benchmark.errors import ConfigError
    from rsuper_bench.cli import app

    (tmp_path / "s.zip").write_bytes(b"PK")
    command = ["evaluate", str(tmp_path / "s.zip"), "--data", str(folders[0].folder), "--out", str(tmp_path / "o")]
    result = CliRunner().invoke(app, [*command, "--cluster", "tcp://127.0.0.1:1"])
    assert isinstance(result.exception, ConfigError)
    assert "a folder that all workers see" in str(result.exception)


def test_a_mask_that_contradicts_the_table_is_no_reference(folders, tmp_path):
    release, submission = folders
    copy = tmp_path / "copy"
    shutil.copytree(release.folder, copy)
    (copy / "label_map.json").write_text('{"organs": {}, "lesions": {"9": "liver"}}')
    with pytest.raises(DataError, match=r"case b: the table says 5\d+\.?\d* mm\^3 of liver lesions, the mask none"):
        run((Release(copy), submission))


def test_a_type_without_anything_to_find(folders):
    kinds = (LIVER, TumorType.KIDNEY)
    release, submission = folders
    task = TASK.model_copy(update={"tumor_types": kinds})
    report = evaluate(load_submission(submission), task, release, missing="fail")
    assert report.lesions[LIVER].n_cases == len(CASES)
    kidney = report.lesions[TumorType.KIDNEY]
    assert kidney.n_cases == 0
    assert kidney.dice.mean.reason == kidney.froc.reason == "no case has a lesion mask of this type"
    assert "kidney: no case has a lesion mask of this type." in report_markdown(report)
    assert "Kidney: no figures, no case has a lesion mask of this type." in report_page(report, worst_cases(report))
