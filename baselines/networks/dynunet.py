"""MONAI's DynUNet, the network of nnU-Net."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from rsuper_bench.baselines.networks.registry import check_counts, register, with_deepest, with_sides


@register("dynunet")
def dynunet(in_channels: int, out_channels: int, *, levels: int = 5, width: int = 32, **options: Any) -> nn.Module:
    """MONAI's DynUNet (nnU-Net: Isensee et al., 2021), with deep supervision by default.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels of the logits.
        levels: Resolutions, each half the one before.
        width: Channels at the finest level; they double with each level, up to 320.
        options: Any other argument of DynUNet, or another value of one that is set here.
    """
    check_counts(levels=levels, width=width)
    from monai.networks.nets import DynUNet

    class ListingDynUNet(DynUNet):  # type: ignore[misc]
        """Its outputs as a list; DynUNet stacks them."""

        def forward(self, x: Tensor) -> Tensor | list[Tensor]:
            outputs: Tensor = super().forward(x)
            return list(outputs.unbind(1)) if self.training and self.deep_supervision else outputs

    strides = [1] + [2] * (levels - 1)
    arguments: dict[str, Any] = {
        "kernel_size": [3] * levels,
        "strides": strides,
        "upsample_kernel_size": strides[1:],
        "filters": [min(width * 2**level, 320) for level in range(levels)],
        "deep_supervision": levels > 2,
        "deep_supr_num": 1,
    } | options
    network = ListingDynUNet(spatial_dims=3, in_channels=in_channels, out_channels=out_channels, **arguments)
    reduction = 1
    for stride in arguments["strides"]:
        reduction *= max(stride) if isinstance(stride, list | tuple) else stride
    with_deepest(network, network.bottleneck, arguments["filters"][-1])
    return with_sides(network, multiple=reduction, coarsest=reduction)
