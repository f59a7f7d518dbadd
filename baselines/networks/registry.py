"""Networks by name. A new one is one file in this folder with one decorated function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import ceil, prod
from typing import Any, cast

from torch import Tensor, nn

from rsuper_bench.baselines.recipe import NetworkSpec
from rsuper_bench.benchmark.errors import ConfigError, Problem

Builder = Callable[..., nn.Module]
NETWORKS: dict[str, Builder] = {}


@dataclass(frozen=True)
class Sides:
    """Which volumes a network can take.

    Attributes:
        multiple: Each side is a multiple of it.
        coarsest: Size of a voxel of the coarsest level in voxels. That level needs more than one voxel: instance
            normalisation of a single one is always 0.
    """

    multiple: int = 1
    coarsest: int = 1

    def refusal(self, shape: Sequence[int]) -> str | None:
        """What is wrong with a volume of this shape, None if nothing is."""
        if any(length % self.multiple for length in shape):
            return f"every side must be a multiple of {self.multiple}"
        if self.coarsest > 1 and prod(ceil(length / self.coarsest) for length in shape) == 1:
            return f"a side must be longer than {self.coarsest}: one voxel would be left at the coarsest level"
        return None


def register(name: str) -> Callable[[Builder], Builder]:
    """Add a builder ``(in_channels, out_channels, **options) -> module`` under a name that recipes use.

    The module maps ``(B, in_channels, X, Y, Z)`` to logits ``(B, out_channels, X, Y, Z)``; with deep supervision, while
    training, to a list of the final logits and auxiliary ones of any size. `with_sides` says which sizes it takes,
    `with_deepest` where the encoder ends: rows that pre-train it or put a head on it need that.
    """

    def add(builder: Builder) -> Builder:
        NETWORKS[name] = builder
        return builder

    return add


def with_sides(network: nn.Module, *, multiple: int, coarsest: int) -> nn.Module:
    """Note at a network which volumes it can take."""
    network.sides = Sides(multiple, coarsest)  # type: ignore[assignment]
    return network


def sides_of(network: nn.Module) -> Sides:
    """The volumes a network can take; any, unless it says otherwise."""
    return cast(Sides, getattr(network, "sides", Sides()))


@dataclass(frozen=True)
class Deepest:
    """The layer of a network whose output is the encoder's coarsest features.

    Attributes:
        layer: Its output is ``(B, channels, x, y, z)``, or a list or tuple that holds it.
        channels: Channels of those features.
        place: Where in a list or tuple they are.
    """

    layer: nn.Module
    channels: int
    place: int = 0

    def of(self, output: Any) -> Tensor:
        """The features in what the layer gave."""
        return cast(Tensor, output[self.place] if isinstance(output, list | tuple) else output)


def with_deepest(network: nn.Module, layer: nn.Module, channels: int, place: int = 0) -> nn.Module:
    """Note at a network which layer gives its encoder's coarsest features."""
    network.deepest = Deepest(layer, channels, place)  # type: ignore[assignment]
    return network


def deepest_of(network: nn.Module) -> Deepest | None:
    """The layer of the encoder's coarsest features, None where the builder notes none."""
    return cast(Deepest | None, getattr(network, "deepest", None))


def build_network(spec: NetworkSpec, in_channels: int, out_channels: int) -> nn.Module:
    """The network a recipe names, its weights drawn from torch's global generator.

    Raises:
        ConfigError: Unknown name ("did you mean"), or options the network refuses.
    """
    if spec.name not in NETWORKS:
        close = get_close_matches(spec.name, NETWORKS, n=1)
        fix = f"Did you mean '{close[0]}'?" if close else f"Name one of {', '.join(sorted(NETWORKS))}."
        raise refused(f"unknown network '{spec.name}'", fix)
    try:
        return NETWORKS[spec.name](in_channels, out_channels, **_tuples(spec.options))
    except (TypeError, ValueError, LookupError, AssertionError, RuntimeError, ImportError) as cause:
        raise refused(f"{spec.name} refuses its options ({cause})", "Correct network.options.") from None


def check_counts(**counts: object) -> None:
    """Refuse options that are no counts; a list is a count for each level.

    Raises:
        ValueError: Naming every option that is not 1 or more, and every empty list.
    """
    wrong = []
    for name, value in counts.items():
        values = value if isinstance(value, tuple) else (value,)
        if not values or any(type(one) is not int or one < 1 for one in values):
            wrong.append(f"{name} is {list(value) if isinstance(value, tuple) else value!r}")
    if wrong:
        raise ValueError(f"{', '.join(wrong)}; counts are whole numbers from 1")


def refused(found: str, fix: str) -> ConfigError:
    """The error of a recipe whose network cannot work."""
    return cast(
        ConfigError,
        ConfigError.of([Problem("network", found, "a network that works with its options and the crop", fix)]),
    )


def _tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
