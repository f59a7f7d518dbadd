"""Weights and resume state as safetensors: atomic, without pickle, the state before the last one kept."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import canonical_json, write_bytes

STATE_FILE = "state.safetensors"
PREVIOUS_STATE_FILE = "state.previous.safetensors"
WEIGHTS_FILE = "weights.safetensors"
METADATA_KEY = "rsuper_bench"
MAX_HEADER_BYTES = 64 * 1024**2


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
        data = path.read_bytes()
    except FileNotFoundError:
        raise refuse("no such file") from None
    except OSError as cause:
        raise refuse(f"cannot be read ({cause.strerror})") from None
    try:
        tensors = load_tensors(data)
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + min(size, MAX_HEADER_BYTES)])
        metadata = json.loads(header.get("__metadata__", {}).get(METADATA_KEY, "{}"))
    except (SafetensorError, ValueError, KeyError, AttributeError, struct.error) as cause:
        raise refuse(f"not readable ({type(cause).__name__})") from None
    return Saved(tensors, {str(key): str(value) for key, value in metadata.items()})


def write_state(folder: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write the resume state, keeping the one before."""
    current, previous = folder / STATE_FILE, folder / PREVIOUS_STATE_FILE
    if current.exists():
        current.replace(previous)
    write_checkpoint(current, tensors, metadata)


def read_state(folder: Path) -> Saved | None:
    """The newest readable resume state; None when there is none at all.

    Raises:
        DataError: If files are there and none can be read.
    """
    there = [folder / name for name in (STATE_FILE, PREVIOUS_STATE_FILE) if (folder / name).exists()]
    problems: list[Problem] = []
    for path in there:
        try:
            return read_checkpoint(path)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError.of(problems)
    return None


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copy tensors into a module, every name and shape checked first.

    Raises:
        DataError: Listing each name that is missing, unknown or of another shape: a checkpoint of another network.
    """
    own = module.state_dict()
    problems = [
        Problem(f"{where}: {name}", "missing", f"shape {tuple(own[name].shape)}", "Use the recipe it was trained with.")
        for name in own
        if name not in tensors
    ]
    problems += [
        Problem(
            f"{where}: {name}", "unknown tensor", "the network of the recipe", "Use the recipe it was trained with."
        )
        for name in tensors
        if name not in own
    ]
    problems += [
        Problem(
            f"{where}: {name}",
            f"shape {tuple(tensors[name].shape)}",
            f"shape {tuple(own[name].shape)}",
            "Use the recipe it was trained with.",
        )
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
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


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Inverse of :func:`optimizer_tensors`; the memory layout follows the parameters, so sums keep their order."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(value)
        optimizer.state[parameter][name] = value
