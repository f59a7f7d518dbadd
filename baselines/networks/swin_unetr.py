"""MONAI's SwinUNETR."""

from __future__ import annotations

from typing import Any, cast

from torch import nn

from rsuper_bench.baselines.networks.registry import check_counts, register, with_deepest, with_sides


@register("swin_unetr")
def swin_unetr(
    in_channels: int, out_channels: int, *, width: int = 48, depths: tuple[int, ...] = (2, 2, 2, 2), **options: Any
) -> nn.Module:
    """MONAI's SwinUNETR (Hatamizadeh et al., 2022), its feature size as ``width``. No auxiliary output."""
    check_counts(width=width, depths=depths)
    if len(depths) != 4:
        raise ValueError(f"depths is {list(depths)}; four counts are needed")
    from monai.networks.nets import SwinUNETR

    network = SwinUNETR(
        in_channels=in_channels, out_channels=out_channels, feature_size=width, depths=depths, **options
    )
    with_deepest(network, network.encoder10, 16 * width)
    return with_sides(cast(nn.Module, network), multiple=32, coarsest=32)
