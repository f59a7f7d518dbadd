"""Time the Ball Loss against its naive form: ``python tests/performance/losses.py [--full]``.

Naive is METHOD 4 with a direct convolution on the whole crop and one full sort a tumor, differentiated by autograd.
Both run in one process on one thread and are measured in processor time, so that other work on the machine hardly moves
the ratio. One sample, one lesion channel, 1 mm voxels, the region a ball of 0.8 of the crop.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from math import pi
from statistics import median

import torch
from torch import Tensor
from torch.nn.functional import conv3d, softplus

from rsuper_bench.baselines.losses import ReportedTumors, ball_loss, rank_pooling_weights
from rsuper_bench.baselines.losses.tversky import adaptive_tversky

MM = (1.0, 1.0, 1.0)
SHORT = ((48, 5, 1), (48, 10, 3), (64, 5, 1), (64, 10, 3))
FULL = (*SHORT, (64, 20, 10), (64, 40, 3), (96, 5, 1), (96, 10, 10), (96, 20, 3), (96, 40, 1), (128, 10, 3))


def ball_of(diameter: float, sigma_radii: float | None) -> Tensor:
    half = int(diameter / 2)
    axis = torch.arange(-half, half + 1.0) ** 2
    squared = axis[:, None, None] + axis[:, None] + axis
    weights = (squared <= (diameter / 2) ** 2).float()
    if sigma_radii is not None:
        weights *= torch.exp(-squared / (2 * (sigma_radii * diameter / 2) ** 2))
        weights /= weights.sum()
    return weights[None, None]


def correlate(volume: Tensor, kernel: Tensor) -> Tensor:
    return conv3d(volume[None, None], kernel, padding=kernel.shape[-1] // 2)[0, 0]


def naive_loss(logits: Tensor, region: Tensor, diameters: list[float], volumes: list[float], margin: float) -> Tensor:
    """The loss of one crop whose penalised voxels are all of it; the result is that of `ball_loss`."""
    probability = logits.sigmoid()
    seen = probability.detach() * region
    core, halos = torch.zeros_like(region), torch.zeros_like(region)
    grid = torch.stack(torch.meshgrid(*[torch.arange(float(n)) for n in logits.shape], indexing="ij"), -1)
    for diameter, volume in zip(diameters, volumes, strict=True):
        free = region & ~halos
        score = correlate(seen * free, ball_of(diameter, 3.0)).masked_fill(~free, -1)
        centre = torch.stack(torch.unravel_index(score.argmax(), score.shape))
        far = (grid - centre).norm(dim=-1)
        reach = diameter * (1 + margin) / 2
        while ((far <= reach) & free).sum() < round(volume):
            reach *= 1.1
        inside = ((far <= reach) & free).flatten()
        order = seen.flatten().masked_fill(~inside, -1).argsort(descending=True)[: int(inside.sum())]
        core.view(-1)[order[: round(max(volume * (1 - margin), min(100.0, volume)))]] = True
        halos.view(-1)[order[: round(volume * (1 + margin))]] = True
    negative = correlate(halos.float(), ball_of(6.0, None)) < 0.5
    ranked = logits[core].sort(descending=True).values
    entropy = (softplus(-ranked) * rank_pooling_weights(len(ranked)).float()).sum() + softplus(logits[negative]).sum()
    found, excess = probability[core].sum()[None], probability[negative].sum()[None]
    tversky = adaptive_tversky(found, excess, core.sum() - found, torch.tensor([True]))
    return entropy / logits.numel() + tversky


def seconds(call: Callable[[], object], repeats: int) -> float:
    call()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return median(taken)


def measure(size: int, diameter: int, tumors: int) -> str:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 1, size, size, size, generator=generator, requires_grad=True)
    axis = torch.linspace(-1, 1, size) ** 2
    region = axis[:, None, None] + axis[:, None] + axis < 0.64
    diameters, volumes = [float(diameter)] * tumors, [pi / 6 * diameter**3] * tumors
    reported = [[ReportedTumors(region, diameters, volumes)]]
    penalised = torch.ones_like(logits, dtype=torch.bool)

    def ours() -> Tensor:
        loss = ball_loss(logits, penalised, reported, spacing_mm=MM)
        loss.backward()
        return loss

    def naive() -> Tensor:
        loss = naive_loss(logits[0, 0], region, diameters, volumes, 0.25)
        loss.backward()
        return loss

    difference = abs(ours().item() - naive().item())
    box = torch.randn([int(0.8 * size) + diameter // 2] * 3)
    transform = seconds(lambda: torch.fft.irfftn(torch.fft.rfftn(box), s=box.shape), 5)
    fast, slow = seconds(ours, 5), seconds(naive, 1)
    return (
        f"{size:5d} {diameter:9d} {tumors:7d} {fast * 1000:10.1f} {slow * 1000:10.0f} {slow / fast:7.0f}"
        f" {fast / transform:12.1f} {difference:12.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="larger crops and tumors too (many minutes)")
    torch.set_num_threads(1)
    print(" crop  diameter  tumors    ours ms   naive ms   ratio  FFT round trips  difference")
    for case in FULL if parser.parse_args().full else SHORT:
        print(measure(*case), flush=True)


if __name__ == "__main__":
    main()
