"""Heads on an encoder's coarsest features, for the comparison rows that need one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from rsuper_bench.baselines.networks.registry import Deepest, deepest_of, refused


class PresenceHead(nn.Linear):
    """Whether each tumor type is present, from the mean and the maximum of every feature over the crop."""

    def __init__(self, features: int, kinds: int) -> None:
        super().__init__(2 * features, kinds)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, F, x, y, z)`` -> logits ``(B, C)``."""
        return super().forward(pooled(features))


class ContrastHead(nn.Module):
    """Brings crops and what their reports say into one space (contrast.py).

    Args:
        features: Channels of the encoder's coarsest features.
        attributes: Length of the vector of finding attributes.
        width: Dimensions of the common space.
    """

    def __init__(self, features: int, attributes: int, width: int = 128) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Linear(2 * features, width), nn.ReLU(), nn.Linear(width, width))
        self.report = nn.Sequential(nn.Linear(attributes, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, features: Tensor, attributes: Tensor) -> Tensor:
        """``(B, F, x, y, z)`` and ``(B, A)`` -> cosine of every crop with every report, ``(B, B)``."""
        images = normalize(self.image(pooled(features)), dim=1)
        reports = normalize(self.report(attributes), dim=1)
        return images @ reports.T


def pooled(features: Tensor) -> Tensor:
    """``(B, F, x, y, z)`` -> ``(B, 2 F)``: mean and maximum, float32."""
    flat = features.float().flatten(2)
    return torch.cat([flat.mean(2), flat.amax(2)], 1)


def needed_features(network: nn.Module, name: str, term: str) -> Deepest:
    """The layer of the encoder's coarsest features.

    Raises:
        ConfigError: If the network's builder notes none.
    """
    deepest = deepest_of(network)
    if deepest is None:
        raise refused(f"{name} does not say where its encoder ends, which term {term} needs", "Take another network.")
    return deepest


@contextmanager
def watched(deepest: Deepest | None) -> Iterator[list[Tensor]]:
    """Collect the coarsest features while a network computes inside the block; none without a layer."""
    seen: list[Tensor] = []
    if deepest is None:
        yield seen
        return
    handle = deepest.layer.register_forward_hook(lambda _layer, _inputs, output: seen.append(deepest.of(output)))
    try:
        yield seen
    finally:
        handle.remove()
