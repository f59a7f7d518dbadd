"""MONAI's SegResNet, plain and with deep supervision."""

from __future__ import annotations

from typing import Any, cast

from torch import nn

from rsuper_bench.baselines.networks.registry import check_counts, register, with_deepest, with_sides


@register("segresnet")
def segresnet(
    in_channels: int, out_channels: int, *, blocks_down: tuple[int, ...] = (1, 2, 2, 4), **options: Any
) -> nn.Module:
    """MONAI's SegResNet (Myronenko, 2018). No auxiliary output."""
    check_counts(blocks_down=blocks_down)
    from monai.networks.nets import SegResNet

    network = SegResNet(in_channels=in_channels, out_channels=out_channels, blocks_down=blocks_down, **options)
    reduction = 2 ** (len(blocks_down) - 1)
    with_deepest(network, network.down_layers[-1], network.init_filters * reduction)
    return with_sides(cast(nn.Module, network), multiple=reduction, coarsest=reduction)


@register("segresnet_ds")
def segresnet_ds(
    in_channels: int,
    out_channels: int,
    *,
    width: int = 32,
    blocks_down: tuple[int, ...] = (1, 2, 2, 4, 4),
    norm: str = "instance",
    **options: Any,
) -> nn.Module:
    """MONAI's SegResNetDS, the network of Auto3DSeg; its auxiliary output has half the resolution.

    ``norm`` is instance by default (MONAI: batch), so that the cases of a small batch do not change each other.
    """
    check_counts(width=width, blocks_down=blocks_down)
    from monai.networks.nets import SegResNetDS

    network = SegResNetDS(
        in_channels=in_channels,
        out_channels=out_channels,
        init_filters=width,
        blocks_down=blocks_down,
        norm=norm,
        **({"dsdepth": min(2, max(len(blocks_down) - 1, 1))} | options),
    )
    reduction = 2 ** (len(blocks_down) - 1)
    with_deepest(network, network.encoder, width * reduction, place=-1)
    return with_sides(cast(nn.Module, network), multiple=reduction, coarsest=reduction)
