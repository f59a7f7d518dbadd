"""Whether a loss may read values on the host. On an accelerator that stalls the step, so there no loss ever does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_BLIND: ContextVar[bool] = ContextVar("blind", default=False)


def may_look(tensor: Tensor) -> bool:
    """True for a tensor on the CPU, unless `without_looking` is in force."""
    return tensor.device.type == "cpu" and not _BLIND.get()


@contextmanager
def without_looking() -> Iterator[None]:
    """Work on the CPU exactly as on an accelerator: no value is read, no shape depends on one.

    For tests of that path; on a CPU it is slower.
    """
    token = _BLIND.set(True)
    try:
        yield
    finally:
        _BLIND.reset(token)


def on_device(
    values: Sequence[float] | Sequence[Sequence[float]] | Tensor, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """A small tensor of host values, copied without waiting for the device; one that is there already stays."""
    given = torch.as_tensor(values, dtype=dtype)
    if device.type == "cuda" and given.device.type == "cpu":
        given = given.pin_memory()
    return given.to(device, non_blocking=True)
