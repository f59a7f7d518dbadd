"""What self-supervised pre-training by restoration does to a CT (comparison row ``models_genesis``).

Zhou et al., "Models Genesis" (2019, arXiv 1908.06912): a network sees a distorted crop and gives the original back.
Four distortions, drawn for each crop: non-linear intensities, shuffled voxels in small places, and either some boxes
painted over (in-painting) or everything but some boxes (out-painting). Written from the description in the paper's
abstract and figures; sizes and chances that it leaves open are chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CURVE_POINTS = 256


@dataclass(frozen=True)
class Distortion:
    """Chance of each distortion, and how far it goes.

    Attributes:
        intensity: Chance of a non-linear intensity curve.
        shuffle: Chance of shuffled blocks.
        paint: Chance of painting at all.
        outside: Share of the painted crops that are painted outside of the boxes.
        block: Largest side of a shuffled block in voxels.
        boxes: Largest number of painted boxes.
    """

    intensity: float = 0.9
    shuffle: float = 0.5
    paint: float = 0.9
    outside: float = 0.8
    block: int = 4
    boxes: int = 5


def distorted(image: Tensor, chosen: Distortion, *, generator: torch.Generator) -> Tensor:
    """Distort what the network sees of some crops.

    Args:
        image: ``(B, I, X, Y, Z)``; it is not changed. The first channel is the CT. A second one, the CT relative to its
            organ, would give the answer away and is set to 0; the organ masks after it stay.
        chosen: Chances and sizes.
        generator: On the CPU; everything drawn follows from it.

    Returns:
        The same shape.
    """
    crops = [_distorted(crop[0], chosen, generator) for crop in image]
    rest = image[:, 1:].clone()
    rest[:, :1] = 0
    return torch.cat([torch.stack(crops)[:, None], rest], 1)


def _distorted(ct: Tensor, chosen: Distortion, generator: torch.Generator) -> Tensor:
    def chance(share: float) -> bool:
        return float(torch.rand((), generator=generator)) < share

    if chance(chosen.intensity):
        ct = with_curve(ct, generator)
    if chance(chosen.shuffle):
        ct = shuffled(ct, int(torch.randint(2, chosen.block + 1, (), generator=generator)), generator)
    if chance(chosen.paint):
        ct = painted(ct, chosen.boxes, outside=chance(chosen.outside), generator=generator)
    return ct


def with_curve(ct: Tensor, generator: torch.Generator) -> Tensor:
    """Intensities through a random monotonic Bezier curve between their extremes, rising or falling."""
    low, high = ct.amin(), ct.amax()
    first, second = torch.rand(2, 2, generator=generator)
    t = torch.linspace(0, 1, CURVE_POINTS)[:, None]
    curve = 3 * (1 - t) ** 2 * t * first + 3 * (1 - t) * t**2 * second + t**3
    x, y = (part.contiguous().to(ct.device) for part in (curve[:, 0], curve[:, 1]))
    if float(torch.rand((), generator=generator)) < 0.5:
        y = 1 - y
    place = ((ct - low) / (high - low).clamp(min=1e-6)).clamp(0, 1).contiguous()
    after = torch.searchsorted(x, place).clamp(1, CURVE_POINTS - 1)
    share = ((place - x[after - 1]) / (x[after] - x[after - 1]).clamp(min=1e-9)).clamp(0, 1)
    return torch.lerp(y[after - 1], y[after], share) * (high - low) + low


def shuffled(ct: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Voxels shuffled inside half of the blocks of a grid with a random start (*ours*: blocks do not overlap)."""
    starts = torch.randint(0, side, (3,), generator=generator).tolist()
    sizes = [(length - start) // side * side for length, start in zip(ct.shape, starts, strict=True)]
    if min(sizes) <= 0:
        return ct
    place = tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))
    x, y, z = (size // side for size in sizes)
    blocks = ct[place].reshape(x, side, y, side, z, side).permute(0, 2, 4, 1, 3, 5).reshape(-1, side**3)
    order = torch.rand(blocks.shape, generator=generator).argsort(1)
    order[torch.rand(len(blocks), generator=generator) < 0.5] = torch.arange(side**3)
    mixed = blocks.gather(1, order.to(ct.device)).reshape(x, y, z, side, side, side).permute(0, 3, 1, 4, 2, 5)
    result = ct.clone()
    result[place] = mixed.reshape(sizes)
    return result


def painted(ct: Tensor, boxes: int, *, outside: bool, generator: torch.Generator) -> Tensor:
    """Noise in up to ``boxes`` random boxes, a sixth to a third of each side, or outside of ones half to 4/5 long."""
    inside = torch.zeros(ct.shape, dtype=torch.bool, device=ct.device)
    smallest, largest = (0.5, 0.8) if outside else (1 / 6, 1 / 3)
    for _ in range(int(torch.randint(1, boxes + 1, (), generator=generator))):
        part = []
        for length in ct.shape:
            share = smallest + (largest - smallest) * float(torch.rand((), generator=generator))
            size = max(int(length * share), 1)
            start = int(torch.randint(0, length - size + 1, (), generator=generator))
            part.append(slice(start, start + size))
        inside[tuple(part)] = True
    noise = torch.rand(ct.shape, generator=generator).to(ct.device) * (ct.amax() - ct.amin()) + ct.amin()
    return torch.where(inside ^ outside, noise, ct)
