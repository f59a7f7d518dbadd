"""Networks by name. One function and one decorator add one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from math import log
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from rsuper_bench.baselines.inputs import input_channels
from rsuper_bench.baselines.losses import attenuation_classifier
from rsuper_bench.baselines.recipe import NetworkSpec, Recipe
from rsuper_bench.benchmark.errors import ConfigError, Problem

Builder = Callable[..., nn.Module]
NETWORKS: dict[str, Builder] = {}


class Outputs(NamedTuple):
    """Logits ``(B, C, X, Y, Z)``, float32, one channel a tumor type.

    Attributes:
        final: Lesions.
        auxiliary: Lesions of the first deep-supervision output, at full size; ``final`` itself without one.
        organs: The organs they grow in.
    """

    final: Tensor
    auxiliary: Tensor
    organs: Tensor


def register(name: str) -> Callable[[Builder], Builder]:
    """Add a builder ``(in_channels, out_channels, **options) -> module`` under a name that recipes use."""

    def add(builder: Builder) -> Builder:
        NETWORKS[name] = builder
        return builder

    return add


@register("segresnet")
def _segresnet(in_channels: int, out_channels: int, **options: Any) -> nn.Module:
    """MONAI's SegResNet (Myronenko, 2018). No auxiliary output."""
    from monai.networks.nets import SegResNet

    return cast(nn.Module, SegResNet(in_channels=in_channels, out_channels=out_channels, **options))


@register("dynunet")
def _dynunet(in_channels: int, out_channels: int, *, levels: int = 5, width: int = 32, **options: Any) -> nn.Module:
    """MONAI's DynUNet, the network of nnU-Net (Isensee et al., 2021), with deep supervision by default."""
    from monai.networks.nets import DynUNet

    strides = [1] + [2] * (levels - 1)
    defaults = {
        "kernel_size": [3] * levels,
        "strides": strides,
        "upsample_kernel_size": strides[1:],
        "filters": [min(width * 2**level, 320) for level in range(levels)],
        "deep_supervision": levels > 2,
        "deep_supr_num": 1,
    }
    return cast(
        nn.Module,
        DynUNet(spatial_dims=3, in_channels=in_channels, out_channels=out_channels, **(defaults | options)),
    )


class Segmenter(nn.Module):
    """A registered network with one way to call it: image in, :class:`Outputs` out.

    ``fold`` = f > 1 moves each block of f^3 voxels into channels before the network and back after it. No voxel is
    lost, yet every convolution works on f^3 times fewer positions: on two CPU cores a SegResNet of 16 filters trains
    about five times as many 48^3 crops a second as one of 8 filters on single voxels.
    """

    def __init__(self, spec: NetworkSpec, in_channels: int, tumor_types: int, initial_probability: float) -> None:
        super().__init__()
        self.fold = spec.fold
        self.tumor_types = tumor_types
        self.network = _build(spec, in_channels, 2 * tumor_types)
        logit = log(initial_probability / (1 - initial_probability))
        bias = torch.zeros(1, 2 * tumor_types, 1, 1, 1)
        bias[:, :tumor_types] = logit
        self.bias = nn.Parameter(bias)

    def forward(self, image: Tensor) -> Outputs:
        """Logits of every lesion and organ channel.

        Args:
            image: ``(B, I, X, Y, Z)`` from `network_input`; sides divisible as the network needs it.
        """
        bfloat16 = image.is_cuda and torch.cuda.is_bf16_supported()
        with torch.autocast(image.device.type, torch.bfloat16, enabled=bfloat16):
            raw = self.network(_fold(image, self.fold))
        outputs = list(raw.unbind(1)) if raw.ndim == 6 else [raw]  # deep supervision: (B, outputs, C, X, Y, Z)
        final, *others = (_unfold(output.float(), self.fold) + self.bias for output in outputs[:2])
        lesions = final[:, : self.tumor_types]
        auxiliary = others[0][:, : self.tumor_types] if others else lesions
        return Outputs(lesions, auxiliary, final[:, self.tumor_types :])


class Model(nn.Module):
    """All that a run learns: the segmenter, and the small classifier of the Attenuation Loss where it has one."""

    def __init__(self, segmenter: Segmenter, attenuation: nn.Module | None) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.attenuation = attenuation

    def forward(self, image: Tensor) -> Outputs:
        """See :meth:`Segmenter.forward`."""
        outputs: Outputs = self.segmenter(image)
        return outputs


def build_model(recipe: Recipe) -> Model:
    """The recipe's model, its weights drawn from torch's global generator.

    Raises:
        ConfigError: Unknown name ("did you mean"), options the network refuses, or a crop it cannot take.
    """
    kinds = len(recipe.tumor_types)
    network = Segmenter(recipe.network, input_channels(recipe), kinds, recipe.initial_probability)
    side = recipe.network.fold
    if any(length % side for length in recipe.crop):
        raise _refused(f"crop {recipe.crop} is not divisible by fold {side}", "Change crop or network.fold.")
    network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    has_term = "attenuation" in recipe.weights
    return Model(network, attenuation_classifier(recipe.losses.attenuation.variant) if has_term else None)


def _build(spec: NetworkSpec, in_channels: int, out_channels: int) -> nn.Module:
    if spec.name not in NETWORKS:
        close = get_close_matches(spec.name, NETWORKS, n=1)
        fix = f"Did you mean '{close[0]}'?" if close else f"Name one of {', '.join(sorted(NETWORKS))}."
        raise _refused(f"unknown network '{spec.name}'", fix)
    try:
        return NETWORKS[spec.name](in_channels * spec.fold**3, out_channels * spec.fold**3, **_tuples(spec.options))
    except (TypeError, ValueError, AssertionError) as cause:
        raise _refused(f"{spec.name} refuses its options ({cause})", "Correct network.options.") from None


def _tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}


def _refused(found: str, fix: str) -> ConfigError:
    return cast(ConfigError, ConfigError.of([Problem("network", found, "a network of the registry", fix)]))


def _fold(image: Tensor, side: int) -> Tensor:
    if side == 1:
        return image
    batch, channels, x, y, z = image.shape
    blocks = image.reshape(batch, channels, x // side, side, y // side, side, z // side, side)
    folded = blocks.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(batch, channels * side**3, x // side, y // side, z // side)
    return folded.contiguous(memory_format=torch.channels_last_3d)


def _unfold(folded: Tensor, side: int) -> Tensor:
    if side == 1:
        return folded
    batch, channels, x, y, z = folded.shape
    blocks = folded.reshape(batch, channels // side**3, side, side, side, x, y, z)
    return blocks.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(batch, channels // side**3, x * side, y * side, z * side)
