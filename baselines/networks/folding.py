"""Blocks of voxels as channels, and back: the same values in another shape."""

from __future__ import annotations

import torch
from torch import Tensor


def fold(image: Tensor, side: int) -> Tensor:
    """``(B, C, X, Y, Z)`` -> ``(B, C side^3, X / side, Y / side, Z / side)``."""
    if side == 1:
        return image
    batch, channels, x, y, z = image.shape
    blocks = image.reshape(batch, channels, x // side, side, y // side, side, z // side, side)
    folded = blocks.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(batch, channels * side**3, x // side, y // side, z // side)
    # Channels last are for the convolutions of a CPU; on a GPU they cost time (segmenter.py)
    return folded.contiguous() if folded.is_cuda else folded.contiguous(memory_format=torch.channels_last_3d)


def unfold(folded: Tensor, side: int) -> Tensor:
    """What `fold` made, undone."""
    if side == 1:
        return folded
    batch, channels, x, y, z = folded.shape
    blocks = folded.reshape(batch, channels // side**3, side, side, side, x, y, z)
    return blocks.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(batch, channels // side**3, x * side, y * side, z * side)
