"""Means over what carries supervision, so that adding tumor types never waters a term down (METHOD 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_SUM_OVER_PARTS: ContextVar[Callable[[Tensor], Tensor] | None] = ContextVar("sum_over_parts", default=None)


@contextmanager
def summed_over_parts(add: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Compute losses of a batch of which other processes hold the rest.

    Every numerator and denominator then passes through ``add``, so each loss is that of the whole batch: means over
    what carries supervision anywhere, Tversky on the sums of all crops. Every process must compute the same terms.

    Args:
        add: Sums a tensor over all processes, with a gradient.
    """
    token = _SUM_OVER_PARTS.set(add)
    try:
        yield
    finally:
        _SUM_OVER_PARTS.reset(token)


def total(part: Tensor) -> Tensor:
    """What this process has of a sum over the batch -> the sum over all of it."""
    add = _SUM_OVER_PARTS.get()
    return part if add is None else add(part)


def no_loss(source: Tensor) -> Tensor:
    """Exactly 0, connected to ``source`` so that ``backward`` works and leaves zero gradients.

    An empty sum rather than ``0 * source.sum()``: the latter is NaN as soon as ``source`` holds one infinity.
    """
    return nothing(source).sum()


def nothing(source: Tensor) -> Tensor:
    """No values, connected to ``source``: what a part of the batch without supervision adds to a mean."""
    return source.flatten()[:0]


def mean_over_batch(values: Tensor) -> Tensor:
    """Mean of the values of all crops, those of other processes included; 0 (with a graph) when there are none."""
    return supervised_mean(values, torch.ones_like(values, dtype=torch.bool))


def supervised_mean(values: Tensor, carries: Tensor, *, of_whole_batch: bool = False) -> Tensor:
    """Mean of the values that carry supervision; 0 (with a graph) when none does.

    Args:
        values: Loss of each sample, channel or pair, any shape.
        carries: Same shape, true where the value is supervised.
        of_whole_batch: Whether both are of the whole batch already, in every process.

    Returns:
        A scalar.

    Raises:
        ValueError: If the shapes differ.
    """
    if values.shape != carries.shape:
        raise ValueError(f"values {tuple(values.shape)} and carries {tuple(carries.shape)} differ in shape")
    carries = carries.bool()
    # masked_fill, not a product: an unsupervised value may be NaN and must not reach the sum or its gradient
    found, count = values.masked_fill(~carries, 0).sum(), carries.sum()
    if not of_whole_batch:
        found, count = total(torch.stack([found, count.to(found)])).unbind()
    return found / count.clamp(min=1)
