"""Trains the toy recipe in a process of its own: ``toy_run.py STORE OUT CHANGES [--resume]``, CHANGES as JSON.

``broken`` among the changes lets the batches of one process fail at a step: {"rank": 1, "step": 2}.
"""

import json
import sys
from pathlib import Path

import torch
from toy_world import recipe_of

from rsuper_bench.baselines import data
from rsuper_bench.baselines.distributed import joined
from rsuper_bench.baselines.store import Store
from rsuper_bench.baselines.train import train
from rsuper_bench.benchmark.errors import DataError, Problem, RsuperBenchError


def main(store, out, changes, *flags):
    torch.set_num_threads(1)
    changes = json.loads(changes)
    broken = changes.pop("broken", None)
    try:
        with joined("cpu") as team:
            if broken is not None and broken["rank"] == team.rank:
                _break_at(broken["step"])
            train(
                Store(Path(store)),
                recipe_of(**changes),
                Path(out),
                resume="--resume" in flags,
                team=team,
                on_step=lambda line: print(line.step, flush=True),
            )
    except RsuperBenchError as error:
        sys.exit(str(error))


def _break_at(step):
    whole = data.TrainingData.batch

    def batch(self, number, crops=None):
        if number == step:
            raise DataError.of([Problem("case-03", "cannot be read", "a case", "Prepare again.")])
        return whole(self, number, crops)

    data.TrainingData.batch = batch


main(*sys.argv[1:])
