"""The sums the Ball Loss is made of, with their gradient written out.

Autograd would keep and revisit half a dozen crop-sized tensors for them; here each supervised crop keeps one, and is
read in pieces that fit a processor's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log1p
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus

PIECE = 2**18  # voxels
FACTORS = 64  # of one half to one each, multiplied before a logarithm: far from the smallest float32


@dataclass(frozen=True, eq=False)
class SupervisedCrop:
    """One sample and channel with its pseudo-labels.

    Attributes:
        sample: Index in the batch.
        channel: Index of the channel.
        negative: ``(X, Y, Z)`` booleans, true on background.
        core: ``(K,)`` flat indices of the foreground, none twice.
    """

    sample: int
    channel: int
    negative: Tensor
    core: Tensor


def pooled_sums(logits: Tensor, crops: Sequence[SupervisedCrop], concentration: float) -> Tensor:
    """Four sums of each crop: foreground and background cross-entropy, probability on both.

    The foreground cross-entropy is weighted by `rank_pooling_weights`. Differentiable once in ``logits``. Background
    cross-entropy below the rounding of 1 (6e-8 a voxel in float32) may be lost; its gradient is not.

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
    return ranked_weights(count, torch.tensor(float(count), dtype=torch.float64), concentration)


def ranked_weights(length: int, count: Tensor, concentration: float) -> Tensor:
    """`rank_pooling_weights` for the first ``count`` of ``length`` ranks; those beyond are no weights.

    Args:
        length: Of the ranks.
        count: Number of voxels; ``(rows, 1)`` gives ``(rows, length)``.
        concentration: c in [0, 1).
    """
    rank = torch.arange(length, dtype=torch.float64, device=count.device)
    if concentration == 0:
        return torch.ones_like(rank)
    log_q = log1p(-concentration) / count.double().clamp(min=1)
    return count * torch.exp(rank * log_q) * -torch.expm1(log_q) / concentration


def _core_sums(crop: SupervisedCrop, logits: Tensor, concentration: float) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted cross-entropy and probability on the core, and the weight of each of its voxels."""
    values = logits[crop.core]
    order = values.argsort(descending=True, stable=True)
    weight = torch.empty_like(values)
    weight[order] = rank_pooling_weights(len(order), concentration).to(values.dtype)
    return torch.dot(weight, softplus(-values)), values.sigmoid().sum(), weight


def _background_sums(negative: Tensor, logits: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy and probability on the background; ``kept`` receives the probability there, 0 elsewhere.

    softplus(x) = max(x, 0) - log(max(p, 1 - p)); the logarithm is taken of products of `FACTORS` voxels.
    """
    entropy, total = logits.new_zeros(()), logits.new_zeros(())
    for x, on, p in zip(*(torch.split(whole, PIECE) for whole in (logits, negative, kept)), strict=True):
        weight = on.view(torch.uint8).to(x.dtype)  # from bytes: the conversion of booleans is seven times slower
        torch.sigmoid(x, out=p)
        p.mul_(weight)
        likely = 1 - p
        torch.maximum(likely, p, out=likely)
        even = len(likely) - len(likely) % FACTORS
        product, rest = likely[:even].view(FACTORS, -1), likely[even:]
        while len(product) > 1:
            product = product[: len(product) // 2] * product[len(product) // 2 :]
        entropy += torch.dot(x.clamp(min=0), weight) - product.log_().sum() - rest.log_().sum()
        total += p.sum()
    return entropy, total


class _PooledSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, crops: Sequence[SupervisedCrop], concentration: float) -> Tensor:
        # The gradient's own memory keeps the probability of the background until `backward` turns it into the gradient
        kept = _gradient_like(logits, crops)
        columns, weights = [], []
        for crop in crops:
            values = logits[crop.sample, crop.channel].reshape(-1)
            on_core, core_probability, weight = _core_sums(crop, values, concentration)
            background = kept[crop.sample, crop.channel].view(-1)
            off_core, background_probability = _background_sums(crop.negative.reshape(-1), values, background)
            columns.append(torch.stack([on_core, off_core, core_probability, background_probability]))
            weights.append(weight)
        ctx.save_for_backward(logits, *weights)
        ctx.crops, ctx.kept = crops, kept
        return torch.stack(columns, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        logits, *weights = ctx.saved_tensors
        total, ctx.kept = ctx.kept, None
        if total is None:  # a second pass through a retained graph
            total = _gradient_like(logits, ctx.crops)
            for crop in ctx.crops:
                torch.mul(
                    logits[crop.sample, crop.channel].sigmoid(), crop.negative, out=total[crop.sample, crop.channel]
                )
        for column, (crop, weight) in enumerate(zip(ctx.crops, weights, strict=True)):
            entropy_on, entropy_off, on, off = gradient[:, column]
            # d softplus(x) = p and dp = p (1 - p): p (entropy_off + off (1 - p)) on the background
            part = total[crop.sample, crop.channel].view(-1)
            slope_off = torch.mul(part, -off).add_(entropy_off + off)
            part.mul_(slope_off)
            p = logits[crop.sample, crop.channel].reshape(-1)[crop.core].sigmoid()
            slope = (1 - p) * (on * p - entropy_on * weight)
            part.index_add_(0, crop.core, slope)
        return total, None, None


def _gradient_like(logits: Tensor, crops: Sequence[SupervisedCrop]) -> Tensor:
    """Zeros where nothing is supervised; what is supervised is written anyway."""
    total = torch.empty_like(logits, memory_format=torch.contiguous_format)
    supervised = {(crop.sample, crop.channel) for crop in crops}
    for sample, channels in enumerate(total):
        for channel, part in enumerate(channels):
            if (sample, channel) not in supervised:
                part.zero_()
    return total
