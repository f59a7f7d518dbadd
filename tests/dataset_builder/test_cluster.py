"""The same build on a Dask cluster: a scheduler and two workers, each a process of its own, one of which is killed."""

import contextlib
import json
import signal
import subprocess
import sys
import time

import pytest
from test_build import content
from typer.testing import CliRunner

from rsuper_bench.cli import app

pytest.importorskip("distributed")
PHANTOM = """
n_cases: 40
shape: [48, 40, 40]
spacing_mm: [6, 6, 6]
tumor_types: [liver, spleen]
lesions: {size_mm: [30, 60]}
"""


def start(*arguments, cwd):
    command = [sys.executable, "-m", *arguments]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


@contextlib.contextmanager
def cluster(tmp_path):
    """Address, the scheduler and two workers without a nanny that would start them anew."""
    place = tmp_path / "scheduler.json"
    shared = ["--no-dashboard", "--scheduler-file", str(place)]
    processes = [start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *shared, cwd=tmp_path)]
    try:
        wait_for(place.exists)
        worker = ["distributed.cli.dask_worker", "--no-nanny", "--nworkers", "1", "--nthreads", "1", *shared]
        processes += [start(*worker, cwd=tmp_path) for _ in range(2)]
        address = json.loads(place.read_text())["address"]
        from distributed import Client

        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address, processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def build(tmp_path, out, *options):
    (tmp_path / "phantom.yaml").write_text(PHANTOM)
    source = ["--source", "phantom", "--config", str(tmp_path / "phantom.yaml")]
    return ["dataset", "build", *source, "--out", str(tmp_path / out), *options]


@pytest.mark.slow
def test_a_lost_worker_changes_nothing(tmp_path):
    result = CliRunner().invoke(app, build(tmp_path, "alone"))
    assert result.exit_code == 0, result.output
    with cluster(tmp_path) as (address, processes):
        command = [sys.executable, "-m", "rsuper_bench", *build(tmp_path, "shared", "--cluster", address)]
        client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        staged = tmp_path / ".shared.building" / "cases"
        wait_for(lambda: staged.exists() and len(list(staged.glob("*.json"))) >= 5)
        processes[1].send_signal(signal.SIGKILL)
        n_before = len(list(staged.glob("*.json"))) if staged.exists() else 40
        output = client.communicate(timeout=180)
        assert client.returncode == 0, output
        assert processes[2].poll() is None
        assert n_before < 40, "the worker was killed too late to matter"
    assert content(tmp_path / "shared") == content(tmp_path / "alone")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense"])
def test_no_cluster_there(tmp_path, monkeypatch, capsys, address):
    from rsuper_bench.cli import main
    from rsuper_bench.dataset_builder import cluster as clusters

    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 1)
    monkeypatch.setattr(sys, "argv", ["rsuper-bench", *build(tmp_path, "out", "--cluster", address)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    message = capsys.readouterr().err
    assert "no scheduler answers" in message
    assert "Traceback" not in message
    assert not (tmp_path / "out").exists()
