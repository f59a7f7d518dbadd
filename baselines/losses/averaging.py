"""Means over what carries supervision, so that adding tumor types never waters a term down (METHOD 8)."""

from __future__ import annotations

from torch import Tensor


def no_loss(source: Tensor) -> Tensor:
    """Exactly 0, connected to ``source`` so that ``backward`` works and leaves zero gradients.

    An empty sum rather than ``0 * source.sum()``: the latter is NaN as soon as ``source`` holds one infinity.
    """
    return source.flatten()[:0].sum()


def supervised_mean(values: Tensor, carries: Tensor) -> Tensor:
    """Mean of the values that carry supervision; 0 (with a graph) when none does.

    Args:
        values: Loss of each sample, channel or pair, any shape.
        carries: Same shape, true where the value is supervised.

    Returns:
        A scalar.

    Raises:
        ValueError: If the shapes differ.
    """
    if values.shape != carries.shape:
        raise ValueError(f"values {tuple(values.shape)} and carries {tuple(carries.shape)} differ in shape")
    carries = carries.bool()
    # masked_fill, not a product: an unsupervised value may be NaN and must not reach the sum or its gradient
    return values.masked_fill(~carries, 0).sum() / carries.sum().clamp(min=1)
