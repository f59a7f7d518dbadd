"""The attention blocks of MedFormer (arXiv 2203.00131): features and a small semantic map, both ways."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SemanticMap(nn.Module):
    """Summarise features in a few tokens: each is a learned, weighted mean over all positions.

    The paper's semantic map is a low-resolution map of the same features. *Ours*: how it starts. Learned weights let a
    token collect one tissue wherever it lies, take any input size, and cost no more than pooling.
    """

    def __init__(self, channels: int, tokens: int) -> None:
        super().__init__()
        self.weights = nn.Conv3d(channels, tokens, 1)
        self.values = nn.Conv3d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, C, X, Y, Z)`` features -> ``(B, L, C)`` tokens."""
        weights = torch.softmax(self.weights(features).flatten(2).float(), -1)
        values = self.values(features).flatten(2)
        tokens: Tensor = weights.to(values.dtype) @ values.transpose(1, 2)
        return tokens


class BidirectionalAttention(nn.Module):
    """B-MHA: features attend to the semantic map while the map attends to the features.

    With n positions and l = map_size^3 tokens each head computes one similarity matrix S = Q Q_map^T / sqrt(d) of n x l
    entries and uses it in both directions: features take softmax over tokens (S) V_map, the map takes softmax over
    positions (S^T) V. Both cost O(n l): linear in the number of positions, as l is fixed. Queries and values of the
    features come from a depth-wise separable convolution instead of a linear layer, which brings locality and position
    (the paper's inductive bias; no position encoding). The softmax is taken in float32 inside autocast too.
    """

    def __init__(self, channels: int, heads: int, *, updates_map: bool = True) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels cannot be split into {heads} heads")
        self.heads = heads
        self.updates_map = updates_map
        self.depthwise = nn.Conv3d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Conv3d(channels, 2 * channels if updates_map else channels, 1)
        self.map_projection = nn.Linear(channels, 2 * channels)
        self.output = nn.Conv3d(channels, channels, 1)
        self.map_output = nn.Linear(channels, channels) if updates_map else None

    def forward(self, features: Tensor, semantic: Tensor) -> tuple[Tensor, Tensor | None]:
        """``(B, C, X, Y, Z)`` features and ``(B, L, C)`` map -> what to add to each (None: the map stays)."""
        query, *value = self.pointwise(self.depthwise(features)).flatten(2).chunk(1 + self.updates_map, 1)
        query = query.unflatten(1, (self.heads, -1))  # (B, H, d, n)
        map_query, map_value = (
            half.unflatten(2, (self.heads, -1)).transpose(1, 2) for half in self.map_projection(semantic).chunk(2, 2)
        )  # (B, H, L, d)
        similarity = (map_query * query.shape[2] ** -0.5 @ query).float()  # (B, H, L, n)

        from_map = map_value.transpose(2, 3) @ similarity.softmax(2).to(map_value.dtype)  # (B, H, d, n)
        found = self.output(from_map.reshape(features.shape))
        if self.map_output is None:
            return found, None
        (value,) = value
        from_features = similarity.softmax(3).to(value.dtype) @ value.unflatten(1, (self.heads, -1)).transpose(2, 3)
        return found, self.map_output(from_features.transpose(1, 2).flatten(2))


class InvertedResidual(nn.Sequential):
    """The feed-forward part: widen, convolve each channel by itself, narrow; convolutions instead of linear layers."""

    def __init__(self, channels: int, expansion: int) -> None:
        wide = channels * expansion
        super().__init__(
            nn.Conv3d(channels, wide, 1),
            nn.ReLU(inplace=True),
            nn.Conv3d(wide, wide, 3, padding=1, groups=wide),
            nn.ReLU(inplace=True),
            nn.Conv3d(wide, channels, 1),
        )


class AttentionBlock(nn.Module):
    """B-MHA, then a feed-forward part, both residual and normalised before, for the features and for the map.

    Features are normalised per instance and channel, tokens over their channels. *Ours*: the last block before the map
    is dropped has no part that would only change the map (``updates_map=False``).
    """

    def __init__(self, channels: int, heads: int, expansion: int, *, updates_map: bool = True) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm3d(channels, affine=True)
        self.map_norm = nn.LayerNorm(channels)
        self.attention = BidirectionalAttention(channels, heads, updates_map=updates_map)
        self.feed_forward = nn.Sequential(
            nn.InstanceNorm3d(channels, affine=True), InvertedResidual(channels, expansion)
        )
        self.map_feed_forward = None
        if updates_map:
            self.map_feed_forward = nn.Sequential(
                nn.LayerNorm(channels),
                nn.Linear(channels, channels * expansion),
                nn.ReLU(inplace=True),
                nn.Linear(channels * expansion, channels),
            )

    def forward(self, features: Tensor, semantic: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, C, X, Y, Z)`` features and ``(B, L, C)`` map -> the same, both updated."""
        found, map_found = self.attention(self.norm(features), self.map_norm(semantic))
        features = features + found
        features = features + self.feed_forward(features)
        if self.map_feed_forward is not None:
            semantic = semantic + map_found
            semantic = semantic + self.map_feed_forward(semantic)
        return features, semantic


class MapFusion(nn.Module):
    """Semantic maps of all scales as one sequence under full self-attention, then back to their own widths.

    Each token carries a learned mark of its scale (*ours*), and the fused map is added to the original.
    """

    def __init__(self, channels: tuple[int, ...], *, width: int, heads: int, depth: int, expansion: int) -> None:
        super().__init__()
        self.enter = nn.ModuleList(nn.Linear(count, width) for count in channels)
        self.scale = nn.Parameter(0.02 * torch.randn(len(channels), 1, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, width * expansion, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.leave = nn.ModuleList(nn.Linear(width, count) for count in channels)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """``(B, L, C)`` maps, finest scale first -> the same, each knowing the others."""
        tokens = [enter(item) + mark for enter, item, mark in zip(self.enter, maps, self.scale, strict=True)]
        fused = self.layers(torch.cat(tokens, 1)).split([item.shape[1] for item in tokens], 1)
        return [item + leave(part) for item, leave, part in zip(maps, self.leave, fused, strict=True)]
