"""MedFormer 3D, written from a description of its design and not from any code.

Gao et al., "A Data-scalable Transformer for Medical Image Segmentation" (arXiv 2203.00131). Fixed by that description:
a U-shape; convolutional blocks at the two finest resolutions and attention blocks below; attention of linear cost that
works both ways between the features and a semantic map of 3^3 tokens (attention.py); fusion of the maps of all scales;
convolutions for locality instead of linear layers and position codes; channels 64-128-256-320 down and 256-128-64-32 up
from 32, heads 1-4-8-10 (the level of 64 is convolutional and uses none), expansion 4, fusion of depth 2 and width 320,
instance normalisation, ReLU, an auxiliary output in training.

Left open by it and chosen here, marked *ours*: blocks a level, how levels are joined, how a map starts, which maps the
decoder sees, where the auxiliary output sits. Section numbers are not cited because the full text was not at hand. So
weights of other implementations do not fit, and figures of the paper are no promise about this network.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from rsuper_bench.baselines.networks.attention import AttentionBlock, MapFusion, SemanticMap
from rsuper_bench.baselines.networks.registry import check_counts, register, with_deepest, with_sides

REDUCTION = 16  # four halvings


class ConvBlock(nn.Module):
    """Two 3^3 convolutions and a residual path, each with instance normalisation; ReLU after each."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.InstanceNorm3d(out_channels, affine=True),
            nn.ReLU(inplace=True),
            nn.Conv3d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.InstanceNorm3d(out_channels, affine=True),
        )
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv3d(in_channels, out_channels, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, in, X, Y, Z)`` -> ``(B, out, X, Y, Z)``."""
        return torch.relu(self.body(features) + self.shortcut(features))


class Halving(nn.Sequential):
    """A 3^3 convolution of stride 2 (the paper's convolutional patch merging); odd sides are rounded up."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv3d(in_channels, out_channels, 3, stride=2, padding=1, bias=False),
            nn.InstanceNorm3d(out_channels, affine=True),
            nn.ReLU(inplace=True),
        )


class Joining(nn.Module):
    """Coarse features brought to the size of the fine ones, and both together in as many channels as the fine have.

    *Ours*: narrowed before they are enlarged, which gives the same values for less memory, then concatenated.
    """

    def __init__(self, coarse: int, fine: int, join: nn.Module) -> None:
        super().__init__()
        self.narrow = nn.Conv3d(coarse, fine, 1)
        self.join = join

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """``(B, coarse, x, y, z)`` and ``(B, fine, X, Y, Z)`` -> ``(B, fine, X, Y, Z)``."""
        enlarged = interpolate(self.narrow(coarse), fine.shape[2:], mode="trilinear", align_corners=False)
        joined: Tensor = self.join(torch.cat([enlarged, fine], 1))
        return joined


class AttentionLevel(nn.ModuleList):
    """The attention blocks of one resolution; features and map go through all of them."""

    def __init__(self, channels: int, heads: int, blocks: int, expansion: int, *, keeps_map: bool = True) -> None:
        super().__init__(
            AttentionBlock(channels, heads, expansion, updates_map=keeps_map or index < blocks - 1)
            for index in range(blocks)
        )

    def forward(self, features: Tensor, semantic: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, C, X, Y, Z)`` features and ``(B, L, C)`` map -> the same, both updated."""
        for block in self:
            features, semantic = block(features, semantic)
        return features, semantic


class MedFormer(nn.Module):
    """See the module. Takes any volume that leaves more than one voxel at 1/16 of its sides.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels of the logits.
        width: Channels at full resolution, and channels a head; all others are multiples of it.
        map_size: The semantic map has map_size^3 tokens.
        conv_blocks: Blocks at half resolution, in encoder and decoder, and at full resolution in the decoder (*ours*).
        attention_blocks: Blocks at 1/4, 1/8 and 1/16 resolution (*ours*); the decoder mirrors the first two.
        expansion: Widening of every feed-forward part.
        fusion_depth: Layers of the transformer that fuses the maps.
        auxiliary: Whether to give a second output, from half resolution (*ours*), while training.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int = 32,
        map_size: int = 3,
        conv_blocks: int = 2,
        attention_blocks: tuple[int, ...] = (2, 4, 6),
        expansion: int = 4,
        fusion_depth: int = 2,
        auxiliary: bool = True,
    ) -> None:
        super().__init__()
        check_counts(width=width, map_size=map_size, conv_blocks=conv_blocks, attention_blocks=attention_blocks)
        check_counts(expansion=expansion, fusion_depth=fusion_depth)
        if not isinstance(attention_blocks, tuple) or len(attention_blocks) != 3:
            raise ValueError(f"attention_blocks is {attention_blocks}; three counts are needed")
        if not isinstance(auxiliary, bool):
            raise ValueError(f"auxiliary is {auxiliary!r}; it is true or false")
        full, half, *coarse = (width, 2 * width, 4 * width, 8 * width, 10 * width)
        heads = (4, 8, 10)
        self.stem = ConvBlock(in_channels, full)
        self.halve = Halving(full, half)
        self.encode_half = nn.Sequential(*[ConvBlock(half, half) for _ in range(conv_blocks)])
        self.merging = nn.ModuleList(Halving(a, b) for a, b in zip([half, *coarse], coarse, strict=False))
        self.maps = nn.ModuleList(SemanticMap(count, map_size**3) for count in coarse)
        self.encoder = nn.ModuleList(
            AttentionLevel(*level, expansion) for level in zip(coarse, heads, attention_blocks, strict=True)
        )
        self.fusion = MapFusion(
            tuple(coarse), width=coarse[-1], heads=heads[-1], depth=fusion_depth, expansion=expansion
        )
        self.joins = nn.ModuleList(
            Joining(coarse[i + 1], coarse[i], nn.Conv3d(2 * coarse[i], coarse[i], 1)) for i in (0, 1)
        )
        self.map_joins = nn.ModuleList(nn.Linear(coarse[i + 1], coarse[i]) for i in (0, 1))
        self.decoder = nn.ModuleList(
            AttentionLevel(coarse[i], heads[i], attention_blocks[i], expansion, keeps_map=i > 0) for i in (0, 1)
        )
        self.join_half = Joining(coarse[0], half, _conv_blocks(2 * half, half, conv_blocks))
        self.join_full = Joining(half, full, _conv_blocks(2 * full, full, conv_blocks))
        self.head = nn.Conv3d(full, out_channels, 1)
        self.auxiliary_head = nn.Conv3d(half, out_channels, 1) if auxiliary else None

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """``(B, in, X, Y, Z)`` -> logits ``(B, out, X, Y, Z)``; in training a list with auxiliary ones of half size."""
        full = self.stem(image)
        half = self.encode_half(self.halve(full))
        features, skips, maps = half, [], []
        for merge, summarise, level in zip(self.merging, self.maps, self.encoder, strict=True):
            features = merge(features)
            features, semantic = level(features, summarise(features))
            skips.append(features)
            maps.append(semantic)
        maps = self.fusion(maps)
        semantic = maps[-1]
        for i in (1, 0):
            features = self.joins[i](features, skips[i])
            # *Ours*: a decoder level starts from the fused map of its scale and from what came of the coarser one.
            features, semantic = self.decoder[i](features, maps[i] + self.map_joins[i](semantic))
        half = self.join_half(features, half)
        logits: Tensor = self.head(self.join_full(half, full))
        if self.training and self.auxiliary_head is not None:
            return [logits, self.auxiliary_head(half)]
        return logits


@register("medformer")
def medformer(in_channels: int, out_channels: int, **options: Any) -> nn.Module:
    """MedFormer 3D (Gao et al., 2022), see :class:`MedFormer` for the options."""
    network = MedFormer(in_channels, out_channels, **options)
    with_deepest(network, network.encoder[-1], 10 * network.head.in_channels)
    return with_sides(network, multiple=1, coarsest=REDUCTION)


def _conv_blocks(in_channels: int, out_channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*[ConvBlock(out_channels if index else in_channels, out_channels) for index in range(count)])
