"""The benchmark of `make gpu-check` runs through on a CPU at a tiny size; its times mean nothing there."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARK = Path(__file__).with_name("benchmark.py")


def run(*arguments):
    return subprocess.run([sys.executable, str(BENCHMARK), *arguments], capture_output=True, text=True)


def test_a_dry_run_fills_the_table(tmp_path):
    out = tmp_path / "table.md"
    small = ["--size", "32", "--width", "8", "--warmup", "0", "--repeats", "1", "--seconds", "600", "--no-compile"]
    result = run("--device", "cpu", *small, "--out", str(out))
    assert result.returncode == 0, result.stderr
    text = out.read_text()
    lines = text.splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| ")][1:]
    assert all(len(row) == 4 for row in rows)
    measured = {row[0].strip("| ") for row in rows if row[2].endswith("ms") or " ms (" in row[2]}
    assert measured == {"step", "loss", "network"}
    assert "dry run" in text
    assert "met)" not in text
    assert "missed)" not in text
    assert "tests/gpu | not run | they need a CUDA GPU" in text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_what_to_do():
    result = run()
    assert result.returncode == 1
    assert result.stderr.strip() == "error: no CUDA GPU here; use --device cpu --size 32 for a dry run"
