"""Weights and resume state as safetensors: atomic, without pickle, the state before the last one kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import canonical_json, write_bytes

STATE_FILE = "state.safetensors"
PREVIOUS_STATE_FILE = "state.previous.safetensors"
NEXT_STATE_FILE = "state.next.safetensors"
WEIGHTS_FILE = "weights.safetensors"
METADATA_KEY = "rsuper_bench"
ADAMW = ("step", "exp_avg", "exp_avg_sq")  # what it keeps of a parameter


@dataclass(frozen=True)
class Saved:
    """Contents of a checkpoint file."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and text atomically; a full disk leaves the old file as it was."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One key only: safetensors writes several in random order, and the same run should be the same bytes.
    write_bytes(path, save_tensors(plain, {METADATA_KEY: canonical_json(dict(metadata))}))


def read_checkpoint(path: Path) -> Saved:
    """Read what :func:`write_checkpoint` wrote. Nothing in the file is ever executed.

    Raises:
        DataError: Missing, truncated, or not safetensors (a pickle, for example).
    """

    def refuse(found: str) -> DataError:
        problem = Problem(str(path), found, "a complete safetensors file", "Use another checkpoint, or train again.")
        error = DataError.of([problem])
        assert isinstance(error, DataError)  # noqa: S101 - the classmethod is typed by its base
        return error

    try:
        with path.open("rb"):
            pass  # the library says less clearly why a file cannot be opened
        with safe_open(path, framework="pt") as file:  # checks header and length before it reads a tensor
            metadata = json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            described = {str(key): str(value) for key, value in metadata.items()}
    except FileNotFoundError:
        raise refuse("no such file") from None
    except OSError as cause:
        raise refuse(f"cannot be read ({cause.strerror})") from None
    except (SafetensorError, ValueError, AttributeError, RecursionError) as cause:
        raise refuse(f"not readable ({type(cause).__name__})") from None
    return Saved(tensors, described)


def write_state(folder: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write the resume state, keeping the one before; a full disk leaves both as they were."""
    current, previous = folder / STATE_FILE, folder / PREVIOUS_STATE_FILE
    fresh = folder / NEXT_STATE_FILE
    try:
        write_checkpoint(fresh, tensors, metadata)
    except OSError as cause:
        problem = Problem(
            str(current),
            f"cannot be written ({cause.strerror or type(cause).__name__})",
            "room for the resume state",
            "Free some space, then go on with --resume: the last saved state is whole.",
        )
        raise DataError(f"error: {problem}", [problem]) from None
    if current.exists():
        current.replace(previous)
    fresh.replace(current)


def read_state(folder: Path) -> tuple[Saved | None, str | None]:
    """The newest readable resume state, None when there is none at all; and a warning if a newer one is damaged.

    Raises:
        DataError: If files are there and none can be read.
    """
    # A kill between the two renames of write_state leaves the newest one under its first name
    names = [name for name in (NEXT_STATE_FILE, STATE_FILE, PREVIOUS_STATE_FILE) if (folder / name).exists()]
    problems: list[Problem] = []
    for name in names:
        try:
            saved = read_checkpoint(folder / name)
        except DataError as error:
            problems += error.problems
            continue
        damaged = "; ".join(f"{problem.where}: {problem.found}" for problem in problems)
        return saved, f"{damaged}. Going on from {name}." if damaged else None
    if problems:
        raise DataError.of(problems)
    return None, None


def has_state(folder: Path) -> bool:
    """Whether a folder holds a resume state, readable or not."""
    return any((folder / name).exists() for name in (NEXT_STATE_FILE, STATE_FILE, PREVIOUS_STATE_FILE))


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copy tensors into a module, every name and shape checked first.

    Raises:
        DataError: Listing each name that is missing, unknown or of another shape: a checkpoint of another network.
    """
    own = module.state_dict()
    fix = "Use the recipe it was trained with."
    problems = [
        Problem(f"{where}: {name}", "missing", f"shape {tuple(own[name].shape)}", fix)
        for name in own
        if name not in tensors
    ]
    problems += [
        Problem(f"{where}: {name}", "unknown tensor", "the network of the recipe", fix)
        for name in tensors
        if name not in own
    ]
    problems += [
        Problem(f"{where}: {name}", f"shape {tuple(tensors[name].shape)}", f"shape {tuple(value.shape)}", fix)
        for name, value in own.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    if problems:
        raise DataError.of(problems)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])  # in place, so that the memory layout of the parameters stays


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of an optimiser as named tensors."""
    return {
        f"{index}.{name}": value
        for index, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], where: str) -> None:
    """Inverse of :func:`optimizer_tensors`; the memory layout follows the parameters, so sums keep their order.

    Raises:
        DataError: If a tensor belongs to no parameter of the optimiser, has another shape, or is missing.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    placed = []
    problems = []
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        known = index.isdecimal() and int(index) < len(parameters) and name in ADAMW
        if not known or value.shape != (() if name == "step" else parameters[int(index)].shape):
            problems.append(
                Problem(f"{where}: optimizer/{key}", "belongs to no parameter", "the optimiser's state", "Train again.")
            )
            continue
        placed.append((parameters[int(index)], name, value))
    there = {key.partition(".")[0] for key in tensors}
    problems = problems or [
        Problem(f"{where}: optimizer/{index}.{name}", "missing", "the optimiser's state", "Train again.")
        for index in sorted(there)
        for name in ADAMW
        if f"{index}.{name}" not in tensors
    ]
    if problems:
        raise DataError.of(problems)
    for parameter, name, value in placed:
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(value)
        optimizer.state[parameter][name] = value
