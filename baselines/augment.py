"""Intensity augmentation of a batch on the training device (METHOD 8). No flips: left and right organs differ."""

from __future__ import annotations

import torch
from torch import Tensor

from rsuper_bench.baselines.recipe import Augmentation


def augment_intensity(image: Tensor, chosen: Augmentation, *, seed: int) -> Tensor:
    """Brightness, contrast, shift and noise, each in a random share of the batch.

    Only the first channel, the CT, is touched: masks are no intensities, and a CT relative to its organ does not change
    with brightness.

    Args:
        image: ``(B, I, X, Y, Z)`` what the network sees; it is not changed.
        chosen: Chances and ranges.
        seed: Everything drawn follows from it.

    Returns:
        A tensor of the same shape.
    """
    generator = torch.Generator(device=image.device).manual_seed(seed)
    batch = (len(image), 1, 1, 1, 1)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(batch, generator=generator, device=image.device) * (high - low) + low

    def applied() -> Tensor:
        return uniform(0, 1) < chosen.chance

    image, others = image[:, :1], image[:, 1:]
    low = image.amin((1, 2, 3, 4), keepdim=True)
    image = torch.where(applied(), (image - low) * uniform(*chosen.brightness) + low, image)
    mean = image.mean((1, 2, 3, 4), keepdim=True)
    image = torch.where(applied(), (image - mean) * uniform(*chosen.contrast) + mean, image)
    image = torch.where(applied(), image + uniform(-chosen.shift, chosen.shift), image)
    noise = torch.randn(image.shape, generator=generator, device=image.device) * uniform(0, chosen.noise)
    return torch.cat([torch.where(applied(), image + noise, image), others], 1)
