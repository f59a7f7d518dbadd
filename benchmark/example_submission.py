"""A submission that is valid for a task and a split, to start from: every case and type once, all scores the same."""

from __future__ import annotations

from pathlib import Path

from rsuper_bench.benchmark.errors import ConfigError, Problem
from rsuper_bench.benchmark.files import csv_text, write_text
from rsuper_bench.benchmark.reference import Reference
from rsuper_bench.benchmark.submission import INFO_FILE, TABLES
from rsuper_bench.benchmark.task import CallRule

_INFO = """\
# Who made the submission and how. Replace every value.
team: example team
method: example method
description: Gives every case the same score. Replace it by what the method does.
training_data: []  # names of the releases and data sets it was trained on
licence: ""
contact: ""
"""
SCORE = 0.5
VOLUME_MM3 = 500.0


def write_example(folder: Path, reference: Reference) -> None:
    """Write ``submission.yaml`` and ``predictions.csv``, with volumes where the task calls cases by them.

    Raises:
        ConfigError: If the folder holds anything already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        found, expected = "is there already", "a new or empty folder"
        raise ConfigError.of([Problem(f"--example {folder}", found, expected, "Name another folder.")])
    volume = {"volume_mm3": VOLUME_MM3} if reference.task.call_rule is CallRule.VOLUME else {}
    rows = [
        {"case_id": case_id, "tumor_type": str(kind), "score": SCORE, **volume}
        for case_id in sorted(reference.records)
        for kind in reference.task.tumor_types
    ]
    write_text(folder / TABLES[0], csv_text(rows, ["case_id", "tumor_type", "score", *volume]))
    write_text(folder / INFO_FILE, _INFO)
