"""The sums the Ball Loss is made of, with their gradient written out.

Autograd would keep and revisit half a dozen crop-sized tensors for them; here each supervised crop costs one pass of
the sigmoid, one of the softplus and two dot products forward, and three multiplications backward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1, log1p
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus


@dataclass(frozen=True, eq=False)
class SupervisedCrop:
    """One sample and channel with its pseudo-labels.

    Attributes:
        sample: Index in the batch.
        channel: Index of the channel.
        probability: ``(X, Y, Z)`` sigmoid of its logits.
        negative: ``(X, Y, Z)`` floats, 1 on background, else 0.
        core: ``(n,)`` flat indices of the foreground.
    """

    sample: int
    channel: int
    probability: Tensor
    negative: Tensor
    core: Tensor


def pooled_sums(logits: Tensor, crops: Sequence[SupervisedCrop], concentration: float) -> Tensor:
    """Four sums of each crop: foreground and background cross-entropy, probability on both.

    The foreground cross-entropy is weighted by `rank_pooling_weights`. Differentiable once in ``logits``.

    Args:
        logits: ``(B, C, X, Y, Z)``.
        crops: The supervised samples and channels.
        concentration: c of the rank pooling.

    Returns:
        ``(4, K)``: sum of w softplus(-x) over the core, of softplus(x) over the background, of p over each.
    """
    sums: Tensor = _PooledSums.apply(logits, crops, concentration)  # type: ignore[no-untyped-call]
    return sums


def rank_pooling_weights(count: int, concentration: float = 0.5) -> Tensor:
    """Weights of voxels sorted by falling probability, summing to their number (METHOD 4).

    w_i = n q^i (1 - q) / (1 - q^n) with q = (1 - c)^(1 / n), so that q^n = 1 - c whatever n.

    Args:
        count: Number n of voxels.
        concentration: c in [0, 1); 0 gives equal weights.

    Returns:
        ``(count,)`` float64.
    """
    if count == 0 or concentration == 0:
        return torch.ones(count, dtype=torch.float64)
    log_q = log1p(-concentration) / count
    return count * torch.exp(torch.arange(count, dtype=torch.float64) * log_q) * -expm1(log_q) / concentration


class _PooledSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, crops: Sequence[SupervisedCrop], concentration: float) -> Tensor:
        columns, weights = [], []
        for crop in crops:
            values = logits[crop.sample, crop.channel].reshape(-1)
            negative, probability = crop.negative.view(-1), crop.probability.reshape(-1)
            ranked = values[crop.core].argsort(descending=True, stable=True)
            weight = torch.empty(len(ranked), dtype=logits.dtype, device=logits.device)
            weight[ranked] = rank_pooling_weights(len(ranked), concentration).to(weight)
            columns.append(
                torch.stack(
                    [
                        torch.dot(weight, softplus(-values[crop.core])),
                        torch.dot(softplus(values), negative),
                        probability[crop.core].sum(),
                        torch.dot(probability, negative),
                    ]
                )
            )
            weights.append(weight)
        ctx.shape, ctx.crops, ctx.weights = logits.shape, crops, weights
        return torch.stack(columns, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        total = gradient.new_zeros(ctx.shape)
        for column, (crop, weight) in enumerate(zip(ctx.crops, ctx.weights, strict=True)):
            entropy_on, entropy_off, on, off = gradient[:, column]
            p = crop.probability
            # d softplus(x) = p and dp = p (1 - p): p (entropy_off + off (1 - p)) on the background
            part = torch.mul(p, -off, out=total[crop.sample, crop.channel])
            part.add_(entropy_off + off).mul_(p).mul_(crop.negative)
            p = p.reshape(-1)[crop.core]
            part.view(-1)[crop.core] = (1 - p) * (on * p - entropy_on * weight)
        return total, None, None
