"""Which interpreter has vLLM. It pins its own torch, so it often lives in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PYTHON_VARIABLE = "RSUPER_BENCH_VLLM_PYTHON"
_PROBE = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"


def vllm_python(chosen: Path | None = None) -> Path:
    """The interpreter to look in: the chosen one, that of the environment variable, or this one."""
    return chosen or Path(os.environ.get(PYTHON_VARIABLE) or sys.executable)


def has_vllm(python: Path) -> bool:
    """Whether an interpreter finds the module ``vllm``, of whatever distribution."""
    try:
        return subprocess.run([python, "-c", _PROBE], check=False, capture_output=True).returncode == 0  # noqa: S603
    except OSError:
        return False
