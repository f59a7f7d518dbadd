"""Any registered network behind one call: image in, named logits out."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from math import log
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from rsuper_bench.baselines.inputs import input_channels
from rsuper_bench.baselines.losses import attenuation_classifier
from rsuper_bench.baselines.networks.channels import Channels
from rsuper_bench.baselines.networks.folding import fold, unfold
from rsuper_bench.baselines.networks.registry import build_network, refused, sides_of
from rsuper_bench.baselines.recipe import NetworkSpec, Recipe

Precision = Literal["auto", "bf16", "fp32"]


class Outputs(NamedTuple):
    """Logits ``(B, C, X, Y, Z)``, float32, one channel a tumor type.

    Attributes:
        final: Lesions.
        auxiliary: Lesions of the first deep-supervision output, at full size; ``final`` itself without one.
        organs: The organs they grow in.
        malignancy: ``(B, C, 2, X, Y, Z)`` malignant and benign lesions; None where the recipe has no such loss.
    """

    final: Tensor
    auxiliary: Tensor
    organs: Tensor
    malignancy: Tensor | None = None


class Segmenter(nn.Module):
    """A registered network with one way to call it.

    ``fold`` = f > 1 moves each block of f^3 voxels into channels before the network and back after it. No voxel is
    lost, yet every convolution works on f^3 times fewer positions: on two CPU cores a SegResNet of 16 filters trains
    about five times as many 48^3 crops a second as one of 8 filters on single voxels.

    Args:
        spec: Network, its options and ``fold``.
        in_channels: Channels of the image.
        channels: What the network says.
        initial_probability: What the untrained lesion channels say.
        precision: ``bf16``, ``fp32``, or ``auto``: bfloat16 where the GPU computes in it. Logits are always float32.

    Raises:
        ConfigError: Unknown network, or options it refuses.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        in_channels: int,
        channels: Channels,
        initial_probability: float,
        precision: Precision = "auto",
    ) -> None:
        super().__init__()
        self.precision: Precision = precision
        self.fold = spec.fold
        self.channels = channels
        blocks = spec.fold**3
        self.network = build_network(spec, in_channels * blocks, channels.count * blocks)
        kinds = len(channels.tumor_types)
        bias = torch.full((1, channels.count, 1, 1, 1), log(initial_probability / (1 - initial_probability)))
        bias[:, kinds : 2 * kinds] = 0
        self.bias = nn.Parameter(bias)

    def refusal(self, shape: tuple[int, ...]) -> str | None:
        """What is wrong with a volume of this shape, None if nothing is."""
        if any(length % self.fold for length in shape):
            return f"every side must be divisible by fold {self.fold}"
        problem = sides_of(self.network).refusal([length // self.fold for length in shape])
        return f"{problem}, after folding by {self.fold}" if problem and self.fold > 1 else problem

    def forward(self, image: Tensor) -> Outputs:
        """Logits of every lesion and organ channel.

        Args:
            image: ``(B, I, X, Y, Z)`` from `network_input`.

        Raises:
            ValueError: If the network cannot take that shape.
        """
        shape = tuple(image.shape[2:])
        if problem := self.refusal(shape):
            raise ValueError(f"image {shape}: {problem}")
        with _computing_in(self.precision, image):
            raw = self.network(fold(image, self.fold))
        first, *others = raw if isinstance(raw, list | tuple) else [raw]
        lesions, organs, malignancy = self.channels.split(unfold(first.float(), self.fold) + self.bias)
        auxiliary = self._auxiliary(others[0], first) if others else lesions
        return Outputs(lesions, auxiliary, organs, malignancy)

    def _auxiliary(self, raw: Tensor, like: Tensor) -> Tensor:
        kinds = len(self.channels.tumor_types)
        raw = raw[:, : kinds * self.fold**3].float()
        if raw.shape[2:] != like.shape[2:]:
            raw = interpolate(raw, like.shape[2:], mode="trilinear", align_corners=False)
        return unfold(raw, self.fold) + self.bias[:, :kinds]


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


def build_model(recipe: Recipe, device: torch.device | str = "cpu") -> Model:
    """The recipe's model, its weights drawn from torch's global generator of the CPU, then moved to the device.

    Raises:
        ConfigError: Unknown name ("did you mean"), options the network refuses, or a crop it cannot take.
    """
    network = Segmenter(
        recipe.network, input_channels(recipe), Channels.of(recipe), recipe.initial_probability, recipe.precision
    )
    if problem := network.refusal(recipe.crop):
        raise refused(
            f"{recipe.network.name} cannot take crop {list(recipe.crop)}: {problem}", "Change crop or network."
        )
    on_cpu = torch.device(device).type == "cpu"  # on a GPU channels last cost time
    if on_cpu and recipe.network.fold > 1 and not _has_depthwise(network):
        network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    has_term = "attenuation" in recipe.weights
    model = Model(network, attenuation_classifier(recipe.losses.attenuation.variant) if has_term else None)
    return model.to(device)


def _has_depthwise(network: nn.Module) -> bool:
    """Depth-wise convolutions with channels last make MedFormer 15 times slower on an H100 (torch 2.11, bfloat16)."""
    return any(isinstance(layer, nn.Conv3d) and layer.groups > 1 for layer in network.modules())


def _computing_in(precision: Precision, image: Tensor) -> AbstractContextManager[None]:
    """The recipe's precision; ``auto`` leaves it to the caller where a GPU does not compute in bfloat16."""
    device = image.device.type
    if precision == "fp32":
        return torch.autocast(device, enabled=False)
    has_it = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device, torch.bfloat16) if has_it or precision == "bf16" else nullcontext()
