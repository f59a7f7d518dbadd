"""``dataset extract --extractor llm`` as a user calls it, killed in the middle included."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_llm_server import MODEL, FakeLlmServer, Reply, answer_honestly, honest, quoted, report

from rsuper_bench import cli
from rsuper_bench.commands import llm_extraction
from rsuper_bench.dataset_builder.extraction.llm.cache import AnswerCache

TISSUE = "Kidney, biopsy: renal cell carcinoma."


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the command line; gives exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rsuper-bench", "dataset", "extract", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def write_reports(path: Path, n: int = 4, **columns: list[str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["case_id", "report", *columns])
        for number in range(n):
            writer.writerow([f"case_{number:03d}", report(number), *(values[number] for values in columns.values())])
    return path


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_reports_to_findings(tmp_path, call):
    reports, out = write_reports(tmp_path / "r.csv"), tmp_path / "F.jsonl"
    with FakeLlmServer() as server:
        code, shown, err = call(reports, "--extractor", "llm", "--endpoint", server.endpoint, "--out", out)
    assert code == 0
    assert [record["case_id"] for record in records(out)] == [f"case_{number:03d}" for number in range(4)]
    assert records(out)[1]["findings"][0]["diameters_mm"] == [11.0]
    assert records(out)[1]["extractor"]["model"] == MODEL
    assert "texts: 4 asked for, 0 from the cache; requests: 4" in shown
    assert "does not back them: none" in shown
    assert "leave this machine" not in err
    assert "hypodense" not in out.read_text() + shown + err


def test_the_key_comes_from_the_environment_and_goes_nowhere_else(tmp_path, call, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret-key")
    reports, out = write_reports(tmp_path / "r.csv"), tmp_path / "F.jsonl"
    options = ["--extractor", "llm", "--api-key-env", "MY_KEY", "--out", out]
    with FakeLlmServer() as server:
        code, shown, err = call(reports, "--endpoint", server.endpoint, *options)
        assert {request.headers["Authorization"] for request in server.asked} == {"Bearer secret-key"}
    with FakeLlmServer(models_status=401) as server:
        refused, _, why = call(reports, "--endpoint", server.endpoint, *options)
    assert (code, refused) == (0, 2)
    assert "refuses the key" in why
    everything = shown + err + why + "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "secret-key" not in everything


def test_failures_are_listed_and_the_rest_is_written(tmp_path, call):
    reports, out = write_reports(tmp_path / "r.csv"), tmp_path / "F.jsonl"

    def behave(request):
        return Reply(status=400) if request.text == report(2) else answer_honestly(request)

    with FakeLlmServer(behave) as server:
        options = ["--extractor", "llm", "--endpoint", server.endpoint, "--out", out]
        code, _, err = call(reports, *options)
        assert code == 1
        assert "case_002: no answer (refused_400)" in err
        assert [len(record["findings"]) for record in records(out)] == [1, 1, 0, 1]
        assert records(out)[2]["flags"] == ["failed:refused_400"]
        server.behave = answer_honestly
        code, shown, _ = call(reports, *options)
    assert code == 0
    assert "texts: 1 asked for, 3 from the cache" in shown


def test_values_left_out_are_shown(tmp_path, call):
    def lie(request):
        answer = honest(request.text)
        answer["findings"][0]["kind"] = quoted("not there", "mass")
        answer["findings"][0]["size"]["tenths_mm"] = [1]
        return Reply(answer)

    reports = write_reports(tmp_path / "r.csv")
    with FakeLlmServer(lie) as server:
        _, shown, _ = call(reports, "--extractor", "llm", "--endpoint", server.endpoint, "--out", tmp_path / "F.jsonl")
    assert "diameters_mm 4 (quote does not state the value), kind 4 (quote not in the report)" in " ".join(
        shown.split()
    )


@pytest.mark.parametrize("extractor", ["llm", "rules"])
def test_pathology_within_days(tmp_path, call, extractor):
    columns = {
        "pathology_report": [TISSUE] * 3 + [""],
        "report_date": ["2024-01-01", "2024-01-01", "2024-01-01", ""],
        "pathology_date": ["2024-01-31", "2024-02-01", "", ""],
    }
    rows = [f"A 2.{number} cm mass in the left kidney." for number in range(4)]
    reports = tmp_path / "r.csv"
    with reports.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [["case_id", "report", *columns], *zip("abcd", rows, *columns.values(), strict=True)]
        )

    def behave(request):
        if request.text != TISSUE:
            return answer_honestly(request)
        diagnosis = {"organ": quoted("Kidney", "kidney"), "malignancy": quoted("carcinoma", "malignant")}
        return Reply({"diagnoses": [diagnosis]})

    with FakeLlmServer(behave) as server:
        source = ["--endpoint", server.endpoint] if extractor == "llm" else []
        for days, expected in [
            (["--pathology-days", "30"], ["pathology", None, "pathology", None]),
            ([], ["pathology"] * 3 + [None]),
        ]:
            code, _, _ = call(reports, "--extractor", extractor, *source, *days, "--out", tmp_path / "F.jsonl")
            assert code == 0
            found = records(tmp_path / "F.jsonl")
            assert [record["findings"][0]["malignancy_source"] for record in found] == expected
            if days:
                assert "pathology_out_of_window" in found[1]["flags"]
                assert "pathology_date_unknown" in found[2]["flags"]
    assert "2024" not in (tmp_path / "F.jsonl").read_text()


def test_dates_that_are_none_are_all_listed(tmp_path, call):
    reports = write_reports(tmp_path / "r.csv", report_date=["31.1.2024", "", "2024-02-30", "2024-01-01"])
    code, _, err = call(reports, "--out", tmp_path / "F.jsonl")
    assert code == 1
    assert err.count("not a date") == 2
    assert "31.1.2024" not in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "neither --endpoint nor --serve"),
        (["--endpoint", "http://localhost:1", "--serve", "m"], "both --endpoint and --serve"),
        (["--serve", "m", "--model", "n"], "stands beside --serve"),
        (["--endpoint", "localhost:1"], "not the address of a server"),
        (["--endpoint", "http://me:secret@localhost:1"], "keys do not belong in it"),
        (["--serve", "m", "--serve-python", "/nowhere/python"], "no vLLM there"),
        (["--serve", "m", "--serve-python", "/nowhere/python", "--serve-args", "'"], "quotes that do not match"),
        (["--serve", "m", "--serve-args", "--port=1 --host x"], "sets --host, --port"),
        (["--endpoint", "http://localhost:1", "--api-key-env", "NO_SUCH_KEY"], "no such environment variable"),
        (["--endpoint", "http://localhost:1", "--cache", __file__], "is a file"),
        (["--endpoint", "http://localhost:1", "--serve-args", "--x"], "stands without --serve"),
    ],
)
def test_wrong_calls(tmp_path, call, options, message):
    reports = write_reports(tmp_path / "r.csv")
    code, _, err = call(reports, "--extractor", "llm", "--out", tmp_path / "F.jsonl", *options)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert "secret" not in err
    assert not (tmp_path / "F.jsonl").exists()


def test_the_reports_are_not_replaced(tmp_path, call):
    reports = write_reports(tmp_path / "r.csv")
    before = reports.read_bytes()
    for out in (reports, tmp_path / "nowhere" / ".." / "r.csv"):
        (tmp_path / "nowhere").mkdir(exist_ok=True)
        code, _, err = call(reports, "--out", out)
        assert code == 2
        assert "is a file that is read" in err
    assert reports.read_bytes() == before


def test_a_cache_in_the_place_of_out(tmp_path, call):
    reports, out = write_reports(tmp_path / "r.csv"), tmp_path / "F.jsonl"
    options = ["--extractor", "llm", "--endpoint", "http://localhost:1", "--out", out, "--cache", out]
    code, _, err = call(reports, *options)
    assert code == 2
    assert "is the file of --out" in err
    assert not out.exists()


def test_a_report_that_is_never_sent_is_not_worth_another_run(tmp_path, call):
    reports, out = tmp_path / "r.csv", tmp_path / "F.jsonl"
    reports.write_text("case_id,report\na," + "liver " * 20_000 + "\n")
    with FakeLlmServer() as server:
        code, _, err = call(reports, "--extractor", "llm", "--endpoint", server.endpoint, "--out", out)
    assert code == 1
    assert "no answer (too_long)" in err
    assert "Shorten or correct the report" in " ".join(err.split())
    assert "Run the same command" not in err


def test_nobody_at_the_address(tmp_path, call):
    reports = write_reports(tmp_path / "r.csv")
    with FakeLlmServer() as server:
        pass
    code, _, err = call(reports, "--extractor", "llm", "--endpoint", server.endpoint, "--out", tmp_path / "F.jsonl")
    assert code == 1
    assert "no answer (ConnectError)" in err
    assert not (tmp_path / "F.jsonl").exists()


def test_without_the_extra(tmp_path, call, monkeypatch):
    monkeypatch.setattr(llm_extraction, "find_spec", lambda name: None)
    reports = write_reports(tmp_path / "r.csv")
    code, _, err = call(reports, "--extractor", "llm", "--endpoint", "http://x", "--out", tmp_path / "F.jsonl")
    assert code == 2
    assert "pip install -e '.[llm]'" in err


def test_a_full_disk_is_one_clear_error(tmp_path, call, monkeypatch):
    def full(self, key, value):
        raise OSError(28, "No space left on device", str(self.folder))

    monkeypatch.setattr(AnswerCache, "put", full)
    reports, out = write_reports(tmp_path / "r.csv"), tmp_path / "F.jsonl"
    out.write_text("what an earlier run wrote")
    with FakeLlmServer() as server:
        code, _, err = call(reports, "--extractor", "llm", "--endpoint", server.endpoint, "--out", out)
    assert code == 1
    assert "No space left on device" in err
    assert "Traceback" not in err
    assert out.read_text() == "what an earlier run wrote"


def start(reports, endpoint, out, *options):
    command = [sys.executable, "-m", "rsuper_bench", "dataset", "extract", reports, "--extractor", "llm", "--out", out]
    return subprocess.Popen(
        [*command, "--endpoint", endpoint, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_stopped_run_asks_for_no_finished_report_again(tmp_path, stop):
    n = 40
    reports, out = write_reports(tmp_path / "r.csv", n), tmp_path / "F.jsonl"
    finished = tmp_path / "F.jsonl.cache"
    with FakeLlmServer(lambda request: Reply(honest(request.text), delay_s=0.1)) as server:
        run = start(reports, server.endpoint, out, "--concurrency", "4")
        wait_for(lambda: len(list(finished.rglob("*.json"))) >= 10)
        run.send_signal(stop)
        _, err = run.communicate(timeout=30)
        assert run.returncode != 0
        assert "Traceback" not in err
        assert not out.exists()  # nothing half-written
        kept = len(list(finished.rglob("*.json")))
        assert 10 <= kept < n
        asked_before = len(server.asked)
        again = start(reports, server.endpoint, out, "--concurrency", "16")
        shown, err = again.communicate(timeout=60)
        assert again.returncode == 0, err
        assert f"texts: {n - kept} asked for, {kept} from the cache" in shown
        assert len(server.asked) - asked_before == n - kept
        if stop is signal.SIGKILL:  # a run that nobody stopped writes the same
            whole = start(reports, server.endpoint, tmp_path / "G.jsonl")
            whole.communicate(timeout=60)
            assert out.read_bytes() == (tmp_path / "G.jsonl").read_bytes()
    assert len(records(out)) == n
