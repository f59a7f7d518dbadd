"""Where weights come from: versions, device and data. Times stand in ``run.json`` alone, which no result reads."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.benchmark.errors import DataError, RsuperBenchError
from rsuper_bench.benchmark.files import pretty_json, read_text, write_text

RUN_FILE = "run.json"
PACKAGES = ("rsuper-bench", "torch", "monai", "numpy")


def provenance_of(recipe: Recipe, release_digest: str, device: torch.device, processes: int) -> dict[str, str]:
    """What the numbers of a run depend on beside recipe and data; the same call on the same machine says the same."""
    versions = {name.replace("-", "_"): _version(name) for name in PACKAGES}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return versions | {
        "python": platform.python_version(),
        "device": name,
        "processes": str(processes),
        "recipe_name": recipe.name,
        "release": release_digest,
        "seed": str(recipe.seed),
    }


def note_session(folder: Path, provenance: dict[str, str], *, step: int, notes: list[str]) -> list[str]:
    """Add to ``run.json`` that training starts or goes on.

    Args:
        folder: Of the run.
        provenance: From `provenance_of`.
        step: Finished steps.
        notes: Warnings of the start.

    Returns:
        What is not as it was when the run was last started, in words: bits may then differ.
    """
    path = folder / RUN_FILE
    sessions = _sessions(path) if step else []
    changed = []
    if sessions:
        noted = sessions[-1].get("provenance")
        before = noted if isinstance(noted, dict) else {}
        changed = [
            f"{key} was {before[key]} and is {value}: from here on the numbers may differ in their last bits"
            for key, value in provenance.items()
            if key in before and before[key] != value
        ]
    started = datetime.now(UTC).isoformat(timespec="seconds")
    sessions.append({"started": started, "step": step, "provenance": provenance, "notes": [*notes, *changed]})
    write_text(path, pretty_json({"sessions": sessions}))
    return changed


def _sessions(path: Path) -> list[dict[str, Any]]:
    try:
        return [dict(item) for item in json.loads(read_text(path, DataError))["sessions"]]
    except (RsuperBenchError, ValueError, KeyError, TypeError):
        return []


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
