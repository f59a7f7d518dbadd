"""``dataset extract`` and ``dataset agreement`` as a user calls them."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import pytest

from rsuper_bench import cli
from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.records import Extractor, ReportFindings
from rsuper_bench.dataset_builder.extraction.findings_file import write_findings
from rsuper_bench.dataset_builder.extraction.quotes import quoted_disagreements
from rsuper_bench.dataset_builder.extraction.reports_file import ReportRow

DATA = os.environ.get("RSUPER_BENCH_DATA")


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the command line; gives exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rsuper-bench", "dataset", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def write_csv(path: Path, header: list[str], *rows: list[str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_reports_to_findings_to_agreement(tmp_path, call):
    reports = write_csv(
        tmp_path / "reports.csv",
        ["id", "site", "report"],
        ["001", "x", "The liver is normal.\n2.1 cm cyst in the left kidney, previously 1.8 cm."],
        ["NA", "y", "No renal mass. 3 cm liver metastasis."],
    )
    labels = write_csv(
        tmp_path / "labels.csv",
        ["id", "liver_lesion", "kidney_lesion", "kidney_largest_mm", "liver_largest_mm", "note"],
        ["001", "0", "1", "21", "", ""],
        ["NA", "1", "0", "", "30", ""],
    )
    findings, result = tmp_path / "F.jsonl", tmp_path / "A.json"
    code, out, _ = call("extract", reports, "--extractor", "rules", "--out", findings)
    assert code == 0
    assert str(findings) in out
    records = [json.loads(line) for line in findings.read_text().splitlines()]
    assert [record["case_id"] for record in records] == ["001", "NA"]  # text, in file order
    assert records[0]["findings"][0]["diameters_mm"] == [21.0]
    assert records[0]["extractor"]["name"] == "rules"
    assert "previously" not in findings.read_text()
    code, out, _ = call("agreement", findings, labels, "--out", result)
    assert code == 0
    assert "kidney" in out
    content = json.loads(result.read_text())
    assert content["micro"]["tp"] == 2
    assert content["micro"]["tn"] == 2
    assert content["micro"]["f1"]["value"] == 1
    assert content["by_type"]["kidney"]["size"] == {"n": 1, "exact": 1, "within_1mm": 1}
    assert content["disagreements"] == []


def test_findings_are_labels_too(tmp_path, call):
    reports = write_csv(tmp_path / "r.csv", ["case_id", "report"], ["a", "2 cm cyst in the left kidney."])
    findings, result = tmp_path / "F.jsonl", tmp_path / "A.json"
    call("extract", reports, "--out", findings)
    code, out, _ = call("agreement", findings, findings, "--out", result)
    assert code == 0
    assert "diameters_mm" in out
    side = json.loads(result.read_text())["fields"]["side"]
    assert (side["n"], side["agree"], side["value"]) == (1, 1, 1.0)


def test_same_reports_same_bytes(tmp_path, call):
    reports = write_csv(
        tmp_path / "r.csv", ["case_id", "report"], ["a", "Hepatic and renal cysts."], ["b", "Normal liver."]
    )
    call("extract", reports, "--out", tmp_path / "1.jsonl")
    call("extract", reports, "--out", tmp_path / "2.jsonl")
    assert (tmp_path / "1.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()


def test_pathology_column(tmp_path, call):
    reports = write_csv(
        tmp_path / "r.csv",
        ["case_id", "report", "pathology_report"],
        ["a", "2 cm mass in the left kidney.", "Kidney, biopsy: renal cell carcinoma."],
        ["b", "2 cm mass in the left kidney.", ""],
    )
    call("extract", reports, "--out", tmp_path / "F.jsonl")
    records = [json.loads(line) for line in (tmp_path / "F.jsonl").read_text().splitlines()]
    assert [record["findings"][0]["malignancy_source"] for record in records] == ["pathology", None]


def test_all_problems_at_once_and_nothing_written(tmp_path, call):
    reports = write_csv(
        tmp_path / "r.csv", ["id", "report"], ["a", "secret text"], ["a", "secret text"], ["../b", "x"], ["c", "  "]
    )
    code, out, err = call("extract", reports, "--out", tmp_path / "F.jsonl")
    assert code == 1
    assert err.count("error:") == 2
    assert "already in row 2" in err
    assert "unsafe id" in err
    assert "secret" not in out + err
    assert not (tmp_path / "F.jsonl").exists()


def test_reports_that_cannot_be_read_are_named_and_the_rest_is_read(tmp_path, call):
    path = tmp_path / "r.csv"
    foreign = "Die Leber ist normal und homogen, ohne Nachweis fokaler Raumforderungen. Milz und Pankreas normal."
    rows = [
        b"a,2 cm cyst in the left kidney.",
        b"b,",
        b"c,\x00\x01\xff\xfe secret \x00\x02\xff",
        f'd,"{foreign}"'.encode(),
    ]
    path.write_bytes(b"id,report\n" + b"\n".join(rows) + b"\n")
    code, out, err = call("extract", path, "--out", tmp_path / "F.jsonl")
    assert code == 1
    assert all(
        f"{case}: not read ({why})" in err for case, why in (("b", "empty"), ("c", "not_text"), ("d", "not_english"))
    )
    assert "secret" not in out + err
    assert "Leber" not in out + err
    records = [json.loads(line) for line in (tmp_path / "F.jsonl").read_text().splitlines()]
    assert [record["flags"] for record in records] == [
        [],
        ["failed:empty"],
        ["failed:not_text"],
        ["failed:not_english"],
    ]
    assert records[0]["presence"]["kidney"] == "present"


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    record = ReportFindings(case_id="a", presence={}, extractor=Extractor(name="rules", version="0"))

    def no_room(path, mode="r", **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", no_room)
    with pytest.raises(DataError, match=r"F\.jsonl: cannot be written \(No space left on device\)"):
        write_findings(tmp_path / "F.jsonl", [record])
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_missing_columns(tmp_path, call):
    reports = write_csv(tmp_path / "r.csv", ["name", "text"], ["a", "x"])
    code, _, err = call("extract", reports, "--out", tmp_path / "F.jsonl")
    assert code == 1
    assert "no id column" in err
    assert "no column 'report'" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--extractor", "llm"], "neither --endpoint nor --serve"),
        (["--endpoint", "http://localhost:1"], "asks no server"),
        (["--serve", "model"], "asks no server"),
        (["--model", "model"], "--model: 'rules' asks no server"),
        (["--cache", "folder"], "asks no server"),
        (["--extractor", "rule"], "Did you mean 'rules'"),
    ],
)
def test_wrong_calls(tmp_path, call, options, message):
    reports = write_csv(tmp_path / "r.csv", ["case_id", "report"], ["a", "Normal liver."])
    code, _, err = call("extract", reports, "--out", tmp_path / "F.jsonl", *options)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"case_id,report\n", b'case_id,report\na,"open\n'])
def test_unreadable_tables(tmp_path, call, content):
    (tmp_path / "r.csv").write_bytes(content)
    code, _, err = call("extract", tmp_path / "r.csv", "--out", tmp_path / "F.jsonl")
    assert code == 1
    assert err.startswith("error:")


@pytest.mark.real_data
@pytest.mark.skipif(not DATA, reason="RSUPER_BENCH_DATA names no folder of real data")
def test_forty_real_reports(tmp_path, call):
    reports = Path(str(DATA)) / "reports"
    code, _, _ = call("extract", reports / "reports.csv", "--out", tmp_path / "F.jsonl")
    assert code == 0
    code, _, _ = call("agreement", tmp_path / "F.jsonl", reports / "reports_labels.csv", "--out", tmp_path / "A.json")
    assert code == 0
    micro = json.loads((tmp_path / "A.json").read_text())["micro"]
    assert micro["f1"]["value"] >= 0.95
    assert micro["size"]["exact"] >= 0.95 * micro["size"]["n"]


def disagreeing(tmp_path, call):
    reports = write_csv(tmp_path / "r.csv", ["case_id", "report"], ["a", "There is a 2 cm cyst in the left kidney."])
    findings, labels = tmp_path / "F.jsonl", tmp_path / "gold.jsonl"
    call("extract", reports, "--out", findings)
    labels.write_text(
        json.dumps(
            {
                "case_id": "a",
                "presence": {"kidney": "present"},
                "findings": [{"tumor_type": "kidney", "kind": "mass", "side": "left", "diameters_mm": [20]}],
            }
        )
    )
    return reports, findings, labels


def test_report_text_is_shown_only_when_asked(tmp_path, call):
    reports, findings, labels = disagreeing(tmp_path, call)
    result = tmp_path / "A.json"
    code, out, err = call("agreement", findings, labels, "--out", result)
    assert code == 0
    assert "[cyst]" not in out + err
    quiet = result.read_bytes()
    code, out, _ = call("agreement", findings, labels, "--out", result, "--show-text", reports)
    assert code == 0
    assert "2 cm [cyst] in the left" in " ".join(out.split())
    assert result.read_bytes() == quiet  # the file never holds text
    assert b"in the" not in quiet


def test_agreement_replaces_nothing_that_it_reads(tmp_path, call):
    reports, findings, labels = disagreeing(tmp_path, call)
    before = [path.read_bytes() for path in (reports, findings, labels)]
    for path in (reports, findings, labels):
        code, _, err = call("agreement", findings, labels, "--out", path, "--show-text", reports)
        assert code == 2
        assert "is a file that is read" in err
    assert [path.read_bytes() for path in (reports, findings, labels)] == before


def test_cases_left_out_are_said(tmp_path, call):
    reports, findings, _ = disagreeing(tmp_path, call)
    labels = write_csv(tmp_path / "labels.csv", ["id", "kidney_lesion"], ["a", "1"])
    write_csv(reports, ["case_id", "report"], ["a", "A 2 cm cyst in the left kidney."], ["b", "Normal liver."])
    call("extract", reports, "--out", findings)
    code, out, _ = call("agreement", findings, labels, "--out", tmp_path / "A.json")
    assert code == 0
    assert "1 cases of" in out
    assert "no labels" in out


def test_a_table_of_a_german_excel(tmp_path, call):
    (tmp_path / "r.csv").write_text("case_id;report\na;Normal liver.\n")
    code, _, err = call("extract", tmp_path / "r.csv", "--out", tmp_path / "F.jsonl")
    assert code == 1
    assert "columns separated by ';' or tabs" in err
    assert "Normal" not in err


def test_a_table_in_another_encoding_is_said_to_be_one(tmp_path, call):
    text = "case_id,report\na,The liver is normal. No r\u00e9sum\u00e9. The spleen is normal.\nb,Normal spleen.\n"
    (tmp_path / "r.csv").write_bytes(text.encode("latin-1"))
    code, _, err = call("extract", tmp_path / "r.csv", "--out", tmp_path / "F.jsonl")
    assert code == 0
    assert "1 reports hold bytes that are no UTF-8 text" in " ".join(err.split())
    flags = [json.loads(line)["flags"] for line in (tmp_path / "F.jsonl").read_text().splitlines()]
    assert ["damaged_text" in each for each in flags] == [True, False]


def test_shown_text_sends_no_commands_to_the_terminal():
    row = ReportRow("a", "\x1b]0;owned\x07 2 cm cyst \x1b[31m in the left kidney")
    item = {
        "case_id": "a",
        "tumor_type": "kidney",
        "field": "kind",
        "found": "cyst",
        "expected": "mass",
        "span": [16, 20],
    }
    (line,) = quoted_disagreements([item], [row])
    assert line.isprintable()
    assert "[cyst]" in line


def test_text_of_other_reports_is_refused(tmp_path, call):
    _, findings, labels = disagreeing(tmp_path, call)
    for row in (["b", "Another report."], ["a", "Short."]):
        other = write_csv(tmp_path / "other.csv", ["case_id", "report"], row)
        code, _, err = call("agreement", findings, labels, "--out", tmp_path / "A.json", "--show-text", other)
        assert code == 1
        assert "case a" in err
        assert "Short" not in err
        assert not (tmp_path / "A.json").exists()
