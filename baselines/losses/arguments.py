"""What every loss asks of its arguments: one clear error that names the argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from rsuper_bench.baselines.losses.looking import may_look

Spacing = tuple[float, float, float]
Balance = Literal["crop", "own"]


class NotFiniteError(ValueError):
    """An argument of a loss holds NaN or infinite values."""


def full_precision(tensor: Tensor) -> Tensor:
    """Half precision and integers become float32; float32 and float64 stay, so autocast changes no loss."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def check_volume_batch(name: str, tensor: Tensor) -> None:
    """Refuse anything but ``(B, C, X, Y, Z)``."""
    if tensor.ndim != 5:
        raise ValueError(f"{name} must be (B, C, X, Y, Z), got shape {tuple(tensor.shape)}")


def check_same_shape(first: str, one: Tensor, second: str, other: Tensor) -> None:
    """Refuse tensors of different shapes: broadcasting would hide a mix-up."""
    if one.shape != other.shape:
        raise ValueError(f"{first} {tuple(one.shape)} and {second} {tuple(other.shape)} differ in shape")


def check_finite(name: str, tensor: Tensor) -> None:
    """Refuse NaN and infinity on the CPU; on an accelerator nobody looks, and the loss shows them anyway."""
    if not may_look(tensor):
        return
    tensor = tensor.detach()
    # One fast pass that keeps NaN and infinity; only an overflow of finite values is then left to the slow one
    if not bool(torch.isfinite(full_precision(tensor).sum())) and not bool(torch.isfinite(tensor).all()):
        raise NotFiniteError(f"{name} holds NaN or infinite values")


def check_not_negative(name: str, tensor: Tensor) -> None:
    """Refuse negative and NaN values; only looks on the CPU, as `check_finite`."""
    if may_look(tensor) and not bool((tensor >= 0).all()):
        raise ValueError(f"{name} must not be negative or NaN, got {tensor.min().item():g}")


def check_probability(name: str, tensor: Tensor) -> None:
    """Refuse NaN and what is no probability, such as logits; only looks on the CPU, as `check_finite`."""
    check_finite(name, tensor)
    if not may_look(tensor) or not tensor.numel():
        return
    low, high = (float(end) for end in tensor.detach().aminmax())
    if low < 0 or high > 1 + 1e-6:
        raise ValueError(f"{name} must be in [0, 1], got {low:g} to {high:g}; give it after the sigmoid")


def check_balance(balance: str) -> None:
    """Refuse a balance other than ``crop`` and ``own``."""
    if balance not in get_args(Balance):
        raise ValueError(f"balance must be one of {', '.join(get_args(Balance))}, got '{balance}'")


def spacing_of(spacing_mm: Sequence[float]) -> Spacing:
    """Three positive voxel lengths as a hashable tuple of floats.

    Raises:
        ValueError: If there are not three positive finite numbers.
    """
    lengths = tuple(float(length) for length in spacing_mm)
    if len(lengths) != 3 or not all(0 < length < float("inf") for length in lengths):
        raise ValueError(f"spacing_mm must be three positive lengths, got {list(lengths)}")
    return (lengths[0], lengths[1], lengths[2])


def spacings_of(spacing_mm: Sequence[float] | Sequence[Sequence[float]] | Tensor, batch: int) -> list[Spacing]:
    """Voxel lengths of each sample from one triple for all or one triple a sample.

    Raises:
        ValueError: If the number of triples is neither one nor the batch size.
    """
    rows = torch.as_tensor(spacing_mm, dtype=torch.float64).tolist()
    if not rows or not isinstance(rows[0], list):
        rows = [rows] * batch
    if len(rows) != batch:
        raise ValueError(f"spacing_mm has {len(rows)} rows for a batch of {batch}")
    return [spacing_of(row) for row in rows]
