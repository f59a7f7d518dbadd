"""The sums of `pooled_sums` for all rows of a batch at once: for an accelerator, where each operation costs its start.

A row is one sample and channel. No shape depends on a value.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus

from rsuper_bench.baselines.losses.pooled_sums import ranked_weights


def row_sums(logits: Tensor, negative: Tensor, core: Tensor, counted: Tensor, concentration: float) -> Tensor:
    """As `pooled_sums`, but equal foreground logits rank in any order; differentiable once in ``logits``.

    Args:
        logits: ``(B, C, X, Y, Z)``.
        negative: ``(rows, X, Y, Z)`` booleans, true on background; all false in a row without supervision.
        core: ``(rows, M)`` flat indices in the crop, none twice in a row.
        counted: ``(rows, M)`` true where an index is foreground.
        concentration: c of the rank pooling.

    Returns:
        ``(4, rows)``: sum of w softplus(-x) over the core, of softplus(x) over the background, of p over each.
    """
    sums: Tensor = _RowSums.apply(logits, negative, core, counted, concentration)  # type: ignore[no-untyped-call]
    return sums


class _RowSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, negative: Tensor, core: Tensor, counted: Tensor, concentration: float
    ) -> Tensor:
        rows = logits.reshape(len(core), -1)
        values = rows.gather(1, core).masked_fill_(~counted, -torch.inf)  # last in rank
        order = values.argsort(dim=1, descending=True, stable=True)
        ranked = ranked_weights(core.shape[1], counted.sum(1, keepdim=True), concentration).to(values.dtype)
        weight = torch.empty_like(values).scatter_(1, order, ranked.expand_as(values)).mul_(counted)
        on_core = softplus(-values).masked_fill_(~counted, 0).mul_(weight).sum(1)
        core_probability = values.sigmoid_().sum(1)

        kept = _background(rows, negative)
        # One sample at a time: what this needs beside the gradient's own memory is thrown away at once
        by_sample = [whole.view(len(logits), -1, rows.shape[1]) for whole in (rows, negative)]
        off_core = torch.cat([softplus(part).mul_(mask).sum(1) for part, mask in zip(*by_sample, strict=True)])
        ctx.save_for_backward(logits, negative, core, counted, weight)
        sums = torch.stack([on_core, off_core, core_probability, kept.sum(1)])
        ctx.kept = kept
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        logits, negative, core, counted, weight = ctx.saved_tensors
        rows = logits.reshape(len(core), -1)
        total, ctx.kept = ctx.kept, None
        if total is None:  # a second pass through a retained graph
            total = _background(rows, negative)
        entropy_on, entropy_off, on, off = gradient[:, :, None].unbind(0)
        # d softplus(x) = p and dp = p (1 - p): p (entropy_off + off (1 - p)) on the background
        total.mul_((total * -off).add_(entropy_off + off))
        p = rows.gather(1, core).sigmoid_()
        slope = (1 - p).mul_((on * p).sub_(entropy_on * weight)).mul_(counted)
        total.scatter_add_(1, core, slope)
        return total.view(logits.shape), None, None, None, None


def _background(rows: Tensor, negative: Tensor) -> Tensor:
    """Probability on the background, 0 elsewhere."""
    return torch.sigmoid(rows).mul_(negative.view(rows.shape))
