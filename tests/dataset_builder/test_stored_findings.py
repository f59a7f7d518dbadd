"""A release from findings that a language model read before."""

import csv
import json
import sys

import numpy as np
import pytest
from fake_llm_server import FakeLlmServer, Reply, answer_honestly, report

from rsuper_bench import cli
from rsuper_bench.benchmark.nifti import Volume, write_nifti
from rsuper_bench.benchmark.release import open_release
from rsuper_bench.dataset_builder.extraction.findings_file import read_findings

CASES = ("a", "b", "c")


@pytest.fixture
def call(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rsuper-bench", "dataset", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, capsys.readouterr().err

    return run


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "input"
    for case in CASES:
        data = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
        write_nifti(root / case / "ct.nii.gz", Volume(data, np.diag([2.0, 2, 3, 1])))
    with (root / "cases.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["case_id", "patient_id", "report", "ct"])
        for number, case in enumerate(CASES):
            writer.writerow([case, f"patient-{case}", f"\n {report(number)}", f"{case}/ct.nii.gz"])
    return root


def extract(call, folder, out, behave=answer_honestly):
    with FakeLlmServer(behave) as server:
        return call("extract", folder / "cases.csv", "--extractor", "llm", "--endpoint", server.endpoint, "--out", out)


def build(call, folder, findings, out):
    return call("build", "--source", "folder", "--input", folder, "--findings", findings, "--out", out)


def test_a_release_holds_the_findings_of_the_file(tmp_path, call, folder):
    findings = tmp_path / "F.jsonl"
    assert extract(call, folder, findings)[0] == 0
    code, err = build(call, folder, findings, tmp_path / "release")
    assert code == 0, err
    release = open_release(str(tmp_path / "release"))
    built = {record.case_id: record for record in release.records()}
    assert set(built) == set(CASES)
    for case, stored in read_findings(findings).items():
        assert built[case].findings == stored.findings
        assert built[case].extractor == stored.extractor
        assert built[case].extractor.name == "llm"
        text = release.columns(case, ["report"])["report"]
        start, end = stored.findings[0].evidence["attenuation"]
        assert text[start:end] == "hypodense"


def test_reports_that_were_never_read_are_no_silent_reports(tmp_path, call, folder):
    findings = tmp_path / "F.jsonl"
    behave = lambda request: Reply(status=400) if request.text.strip() == report(1) else answer_honestly(request)  # noqa: E731
    assert extract(call, folder, findings, behave)[0] == 1
    code, err = build(call, folder, findings, tmp_path / "release")
    assert code == 1
    assert "b: was not read (failed:refused_400)" in err
    assert not (tmp_path / "release").exists()


def test_findings_of_other_reports_are_refused(tmp_path, call, folder):
    findings = tmp_path / "F.jsonl"
    extract(call, folder, findings)
    first, second, third = map(json.loads, findings.read_text().splitlines())
    first["case_id"] = "z"
    third["findings"][0]["evidence"]["kind"] = [4000, 4004]
    findings.write_text("".join(json.dumps(record) + "\n" for record in (first, second, third)))
    code, err = build(call, folder, findings, tmp_path / "release")
    assert code == 1
    assert "a: no line" in err
    assert "c: spans beyond the end of the report" in err
    assert not (tmp_path / "release").exists()
