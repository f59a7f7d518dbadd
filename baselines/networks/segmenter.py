"""Any registered network behind one call: image in, named logits out."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from math import log
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from rsuper_bench.baselines.contrast import attribute_count
from rsuper_bench.baselines.inputs import input_channels
from rsuper_bench.baselines.losses import attenuation_classifier
from rsuper_bench.baselines.networks.channels import Channels
from rsuper_bench.baselines.networks.folding import fold, unfold
from rsuper_bench.baselines.networks.heads import ContrastHead, PresenceHead, needed_features, watched
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
        restored: ``(B, 1, X, Y, Z)`` the z-scored CT; None where the recipe has no such loss.
        deepest: ``(B, F, x, y, z)`` the encoder's coarsest features; None where no head needs them.
        presence: ``(B, C)`` whether each tumor type is present, of the classification head; None without one.
    """

    final: Tensor
    auxiliary: Tensor
    organs: Tensor
    malignancy: Tensor | None = None
    restored: Tensor | None = None
    deepest: Tensor | None = None
    presence: Tensor | None = None


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
        heads: Terms that look at the encoder's coarsest features: ``presence`` and ``contrast``.

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
        *,
        heads: tuple[str, ...] = (),
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
        if channels.restoration:
            bias[:, -1] = 0
        self.bias = nn.Parameter(bias)
        self._deepest = needed_features(self.network, spec.name, ", ".join(heads)) if heads else None
        self.presence: PresenceHead | None = None
        if self._deepest is not None and "presence" in heads:
            self.presence = PresenceHead(self._deepest.channels, kinds)

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
        with _computing_in(self.precision, image), watched(self._deepest) as seen:
            raw = self.network(fold(image, self.fold))
        first, *others = raw if isinstance(raw, list | tuple) else [raw]
        lesions, organs, malignancy, restored = self.channels.split(unfold(first.float(), self.fold) + self.bias)
        auxiliary = self._auxiliary(others[0], first) if others else lesions
        features = seen[0] if seen else None
        presence = self.presence(features) if self.presence is not None else None
        return Outputs(lesions, auxiliary, organs, malignancy, restored, features, presence)

    def _auxiliary(self, raw: Tensor, like: Tensor) -> Tensor:
        kinds = len(self.channels.tumor_types)
        raw = raw[:, : kinds * self.fold**3].float()
        if raw.shape[2:] != like.shape[2:]:
            raw = interpolate(raw, like.shape[2:], mode="trilinear", align_corners=False)
        return unfold(raw, self.fold) + self.bias[:, :kinds]


class Model(nn.Module):
    """All that a run learns: the segmenter, and what only training needs.

    Args:
        segmenter: The network.
        attenuation: The small classifier of the Attenuation Loss, where it has one.
        contrast: The two projections of contrastive pre-training, where there is any.
    """

    def __init__(
        self, segmenter: Segmenter, attenuation: nn.Module | None, contrast: ContrastHead | None = None
    ) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.attenuation = attenuation
        self.contrast = contrast

    def forward(self, image: Tensor) -> Outputs:
        """See :meth:`Segmenter.forward`."""
        outputs: Outputs = self.segmenter(image)
        return outputs


def build_model(recipe: Recipe, device: torch.device | str = "cpu") -> Model:
    """The recipe's model, its weights drawn from torch's global generator of the CPU, then moved to the device.

    Raises:
        ConfigError: Unknown name ("did you mean"), options the network refuses, or a crop it cannot take.
    """
    heads = tuple(term for term in ("presence", "contrast") if term in recipe.weights)
    network = Segmenter(
        recipe.network,
        input_channels(recipe),
        Channels.of(recipe),
        recipe.initial_probability,
        recipe.precision,
        heads=heads,
    )
    if problem := network.refusal(recipe.crop):
        raise refused(
            f"{recipe.network.name} cannot take crop {list(recipe.crop)}: {problem}", "Change crop or network."
        )
    on_cpu = torch.device(device).type == "cpu"  # on a GPU channels last cost time
    if on_cpu and recipe.network.fold > 1 and not _has_depthwise(network):
        network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    attenuation = contrast = None
    if "attenuation" in recipe.weights:
        attenuation = attenuation_classifier(recipe.losses.attenuation.variant)
    if "contrast" in heads:
        features = needed_features(network.network, recipe.network.name, "contrast").channels
        contrast = ContrastHead(features, attribute_count(len(recipe.tumor_types)))
    return Model(network, attenuation, contrast).to(device)


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
