"""The records other programs read and write, by the name ``rsuper-bench schema`` knows them."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any

from rsuper_bench.benchmark.errors import ConfigError, Problem

# name -> module and class; imported when asked for, so that asking for one never needs the parts of another
RECORDS = {
    "case": ("rsuper_bench.benchmark.records", "CaseRecord"),
    "finding": ("rsuper_bench.benchmark.records", "Finding"),
    "findings": ("rsuper_bench.benchmark.records", "ReportFindings"),
    "task": ("rsuper_bench.benchmark.task", "Task"),
    "submission": ("rsuper_bench.benchmark.report", "SubmissionInfo"),
    "thresholds": ("rsuper_bench.benchmark.thresholds", "Thresholds"),
    "comparison": ("rsuper_bench.benchmark.comparison_record", "Comparison"),
    "report": ("rsuper_bench.benchmark.report", "EvaluationReport"),
    "entry": ("rsuper_bench.leaderboard.entry", "Entry"),
    "recipe": ("rsuper_bench.baselines.recipe", "Recipe"),
    "phantom": ("rsuper_bench.dataset_builder.phantom.config", "PhantomConfig"),
    "planted": ("rsuper_bench.dataset_builder.planted.config", "PlantedConfig"),
}


def json_schema(name: str) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a record.

    Args:
        name: A key of ``RECORDS`` or the name of its class; case, ``-`` and ``_`` make no difference.

    Raises:
        ConfigError: Unknown name.
    """
    plain = name.replace("_", "").replace("-", "").lower()
    names = {record.lower(): key for key, (_, record) in RECORDS.items()} | {key: key for key in RECORDS}
    if plain not in names:
        close = [names[match] for match in get_close_matches(plain, names, n=1)]
        fix = f"Did you mean '{close[0]}'?" if close else "Name one of these."
        raise ConfigError.of([Problem("schema", f"unknown record '{name}'", f"one of {', '.join(RECORDS)}", fix)])
    module, record = RECORDS[names[plain]]
    schema: dict[str, Any] = getattr(import_module(module), record).model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
