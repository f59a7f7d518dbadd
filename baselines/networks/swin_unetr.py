"""MONAI's SwinUNETR."""

from __future__ import annotations

from typing import Any, cast

from torch import nn

from rsuper_bench.baselines.networks.registry import register, with_sides


@register("swin_unetr")
def swin_unetr(in_channels: int, out_channels: int, *, width: int = 48, **options: Any) -> nn.Module:
    """MONAI's SwinUNETR (Hatamizadeh et al., 2022), its feature size as ``width``. No auxiliary output."""
    from monai.networks.nets import SwinUNETR

    network = SwinUNETR(in_channels=in_channels, out_channels=out_channels, feature_size=width, **options)
    reduction = 2 ** (len(options.get("depths", (2, 2, 2, 2))) + 1)
    return with_sides(cast(nn.Module, network), multiple=reduction, coarsest=reduction)
