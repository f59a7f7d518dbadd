"""Trains the toy recipe in a process of its own: ``toy_run.py STORE OUT CHANGES [--resume]``, CHANGES as JSON.

``broken`` among the changes lets the batches of one process fail at a step: {"rank": 1, "step": 2}. ``drawing`` is what
happens while pseudo-labels are drawn: {"seconds": 3} of it, or {"fails": true}.
"""

import json
import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from toy_world import recipe_of

from rsuper_bench.baselines import data, pseudo_labels
from rsuper_bench.baselines.distributed import joined
from rsuper_bench.baselines.pseudo_labels import train_recipe
from rsuper_bench.baselines.store import Store
from rsuper_bench.benchmark.errors import DataError, Problem, RsuperBenchError

TIMEOUT = timedelta(seconds=12)  # of every message between processes, but for those that may take longer


def main(store, out, changes, *flags):
    torch.set_num_threads(1)
    dist.init_process_group = partial(dist.init_process_group, timeout=TIMEOUT)
    changes = json.loads(changes)
    broken, drawing = changes.pop("broken", None), changes.pop("drawing", None)
    try:
        with joined("cpu") as team:
            if broken is not None and broken["rank"] == team.rank:
                _break_at(broken["step"])
            if drawing is not None:
                _draw_so(team.rank, **drawing)
            train_recipe(
                Store(Path(store)),
                recipe_of(**changes),
                Path(out),
                resume="--resume" in flags,
                team=team,
                on_step=lambda line: print(line.step, flush=True),
            )
    except RsuperBenchError as error:
        sys.exit(str(error))


def _draw_so(rank, seconds=0, fails=False):
    drawn = pseudo_labels._drawn

    def so(store, case, predictor):
        print("drawn by", rank, flush=True)
        time.sleep(seconds)
        if fails:
            raise DataError.of([Problem("case-05", "cannot be read", "a case", "Prepare again.")])
        return drawn(store, case, predictor)

    pseudo_labels._drawn = so


def _break_at(step):
    whole = data.TrainingData.batch

    def batch(self, number, crops=None):
        if number == step:
            raise DataError.of([Problem("case-03", "cannot be read", "a case", "Prepare again.")])
        return whole(self, number, crops)

    data.TrainingData.batch = batch


main(*sys.argv[1:])
