"""Batches come in order and are the same, whoever makes them."""

import multiprocessing
import os
import shutil
import signal
import threading
import time
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from toy_world import recipe_of, toy_release

from rsuper_bench.baselines.data import TrainingData
from rsuper_bench.baselines.feeding import Feeding, ReadingError, feed
from rsuper_bench.baselines.prepare import prepare
from rsuper_bench.benchmark.errors import DataError

CPU = torch.device("cpu")


def content(batch):
    tensors = [batch.image, batch.hu, batch.targets.known, batch.targets.volume_mm3, batch.targets.region]
    tensors += [item.regions for row in batch.targets.tumors for item in row if item is not None and item.diameters_mm]
    return batch.case_ids, batch.changes, [tensor.clone() for tensor in tensors]


def same(one, other):
    return one[:2] == other[:2] and all(torch.equal(a, b) for a, b in zip(one[2], other[2], strict=True))


@pytest.mark.parametrize("feeding", [Feeding(0, 1), Feeding(0, 5), Feeding(1, 2), Feeding(2, 1)])
def test_the_batch_of_a_step_is_the_same_by_any_number_of_workers(toy_store, feeding):
    data = TrainingData(toy_store, recipe_of())
    steps = range(2, 8)
    expected = [content(data.batch(step)) for step in steps]
    found = [content(batch) for batch in feed(data.batch, steps, feeding, CPU)]
    assert len(found) == len(steps)
    assert all(same(a, b) for a, b in zip(expected, found, strict=True))
    some = [content(batch) for batch in feed(partial(data.batch, crops=range(1, 2)), range(3, 5), feeding, CPU)]
    assert [one[0] for one in some] == [expected[step - 2][0][1:] for step in (3, 4)]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_the_data_arrives_whole(tmp_path, workers):
    store = prepare(toy_release(), recipe_of(), tmp_path)
    data = TrainingData(store, recipe_of())
    for path in (tmp_path / "cases").glob("*.ct.b2nd"):
        path.write_bytes(b"rot")
    with pytest.raises(DataError, match=r"case case-0\d: .*is no compressed array") as caught:
        list(feed(data.batch, range(4), Feeding(workers), CPU))
    assert caught.value.problems[0].expected == "as `prepare` wrote it"


def test_a_dead_worker_is_one_clear_error():
    def die(step):
        if step == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        raise DataError.of([])

    with pytest.raises(ReadingError, match=r"--workers 0"):
        next(feed(die, [3], Feeding(1), CPU))


def test_an_interrupt_that_reaches_the_workers_does_not_end_them(toy_store):
    data = TrainingData(toy_store, recipe_of())
    before = multiprocessing.active_children()  # of earlier tests, on their way out
    batches = feed(data.batch, range(8), Feeding(2), CPU)
    for _ in range(2):  # one of each worker: both have begun
        next(batches)
    workers = [child for child in multiprocessing.active_children() if child not in before]
    assert len(workers) == 2
    for worker in workers:
        os.kill(worker.pid, signal.SIGINT)
        os.kill(worker.pid, signal.SIGTERM)
    assert len(list(batches)) == 6
    for worker in workers:
        worker.join(20)
        assert not worker.is_alive()


def test_it_works_ahead_and_stops_when_nobody_asks(toy_store):
    data, made, enough = TrainingData(toy_store, recipe_of()), [], threading.Event()

    def read(step):
        made.append(step)
        enough.set()
        return data.batch(step)

    batches = feed(read, range(100), Feeding(0, ahead=3), CPU)
    next(batches)
    deadline = time.monotonic() + 120
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert made == [0, 1, 2, 3]  # one taken, three wait
    batches.close()
    assert len(made) <= 5


@pytest.mark.parametrize(
    ("cores", "free_gib", "here", "expected"),
    [(16, 64, 1, 8), (16, 64, 4, 3), (4, 64, 1, 3), (16, 2.5, 1, 2), (16, 0.06, 1, 0), (16, 8, 4, 2), (1, 64, 1, 1)],
)
def test_a_gpu_gets_the_workers_there_is_room_for_and_a_cpu_a_thread(monkeypatch, cores, free_gib, here, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(cores))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free_gib * 2**30))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(here))
    assert Feeding.on("cuda").workers == expected
    assert Feeding.on("cuda", workers=0, ahead=5) == Feeding(0, 5)
    assert Feeding.on(CPU) == Feeding(0, 2)
