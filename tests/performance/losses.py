"""Time the report losses against their naive forms: ``python tests/performance/losses.py [--full]``.

Forward and backward of a batch of 2 with 8 channels of which 3 are lesions, on one thread: the report places the tumors
of a row in the first lesion channel of each case, in a region of 0.8 of the crop, and calls the other two free of
tumors. Naive is METHOD 4 with a direct convolution on the whole crop and one full sort a tumor, and METHOD 3 with
dilation by repeated 7^3 convolutions, both differentiated by autograd. Each row runs both in one process and takes
processor time, so that other work on the machine moves the ratio little. "FFT" is one round trip of a Fourier transform
of the region's box. Memory is the most that the resident set of a process of its own grows by, sampled (Linux).
For the timings freed memory stays with the process: else fresh pages cost more than the arithmetic, in both forms.
"""

from __future__ import annotations

import argparse
import ctypes
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from math import pi
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torch.nn.functional import conv3d, softplus

from rsuper_bench.baselines.losses import ReportedTumors, ball_loss, grow, rank_pooling_weights, volume_loss
from rsuper_bench.baselines.losses.tversky import adaptive_tversky

MM = (1.0, 1.0, 1.0)
BATCH, CHANNELS, LESIONS = 2, 8, 3
REGION_MARGIN_MM = 15.0
# Crop, diameter, tumors a case
SHORT = ((64, 5, 1), (64, 10, 3), (96, 5, 1), (96, 10, 3))
FULL = (
    *((64, 5, 1), (64, 10, 3), (64, 20, 10), (64, 40, 3)),
    *((96, 5, 1), (96, 10, 3), (96, 10, 10), (96, 20, 1), (96, 20, 3), (96, 20, 10), (96, 40, 1), (96, 40, 3)),
    *((128, 5, 10), (128, 10, 3), (128, 40, 3), (128, 60, 10)),
)
TOO_SLOW = {(128, 40, 3), (128, 60, 10)}  # for the naive form: many minutes
TARGETS = dict(zip(FULL, (20, 30, 90, 120, 25, 40, 60, 50, 100, 200, 150, 280, 30, 40), strict=False))
VOLUME_SIZES = (64, 96)
VOLUME_TARGET = 25


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


def naive_masks(
    probability: Tensor, region: Tensor, diameters: list[float], volumes: list[float]
) -> tuple[Tensor, ...]:
    """Core and halos of the tumors of one crop."""
    margin = 0.25
    seen = probability.detach() * region
    core, halos = torch.zeros_like(region), torch.zeros_like(region)
    grid = torch.stack(torch.meshgrid(*[torch.arange(float(n)) for n in region.shape], indexing="ij"), -1)
    for diameter, volume in zip(diameters, volumes, strict=True):
        free = region & ~halos
        if halos.any() and free.sum() < round(volume):
            continue
        score = correlate(seen * free, ball_of(diameter, 3.0)).masked_fill(~free, -1)
        centre = torch.stack(torch.unravel_index(score.argmax(), score.shape))
        far = (grid - centre).norm(dim=-1)
        reach = diameter * (1 + margin) / 2
        while ((far <= reach) & free).sum() < min(round(volume), free.sum()):
            reach *= 1.1
        inside = ((far <= reach) & free).flatten()
        order = seen.flatten().masked_fill(~inside, -1).argsort(descending=True)[: int(inside.sum())]
        core.view(-1)[order[: round(max(volume * (1 - margin), min(100.0, volume)))]] = True
        halos.view(-1)[order[: round(volume * (1 + margin))]] = True
    return core, halos


def naive_ball_loss(logits: Tensor, region: Tensor, diameters: list[float], volumes: list[float]) -> Tensor:
    """The loss of a batch; the same number as `ball_loss`."""
    entropies, sums = [], []
    for sample in logits.unbind():
        for channel, row in enumerate(sample.unbind()[:LESIONS]):
            probability = row.sigmoid()
            core, negative = torch.zeros_like(region), torch.ones_like(region)
            if channel == 0:
                core, halos = naive_masks(probability, region, diameters, volumes)
                negative = correlate(halos.float(), ball_of(6.0, None)) < 0.5
                if halos.any() and len(diameters) * volumes[0] * 1.25 > region.sum():
                    negative &= ~region  # a tumor may have found no room
            ranked = row[core].sort(descending=True).values
            weights = rank_pooling_weights(len(ranked)).float()
            entropies.append(((softplus(-ranked) * weights).sum() + softplus(row[negative]).sum()) / row.numel())
            sums.append(torch.stack([probability[core].sum(), probability[negative].sum(), core.sum()]))
    found, excess, present = torch.stack(sums).view(BATCH, LESIONS, 3).sum(0).unbind(-1)
    return torch.stack(entropies).mean() + adaptive_tversky(found, excess, present - found, present > 0)


def region_of(size: int) -> Tensor:
    axis = torch.linspace(-1, 1, size) ** 2
    return axis[:, None, None] + axis[:, None] + axis < 0.64


def logits_of(size: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(BATCH, CHANNELS, size, size, size, generator=generator, requires_grad=True)


def step(logits: Tensor, loss: Callable[[], Tensor]) -> float:
    logits.grad = None
    value = loss()
    value.backward()  # type: ignore[no-untyped-call]
    return value.item()


def ball_case(size: int, diameter: int, tumors: int) -> tuple[Callable[[], float], Callable[[], float]]:
    """Steps of ours and of the naive form."""
    logits, region = logits_of(size), region_of(size)
    diameters, volumes = [float(diameter)] * tumors, [pi / 6 * diameter**3] * tumors
    row = [ReportedTumors(region, diameters, volumes), ReportedTumors(), ReportedTumors()]
    reported = [row + [None] * (CHANNELS - LESIONS)] * BATCH
    penalised = torch.ones_like(logits, dtype=torch.bool)
    return (
        lambda: step(logits, lambda: ball_loss(logits, penalised, reported, spacing_mm=MM)),
        lambda: step(logits, lambda: naive_ball_loss(logits, region, diameters, volumes)),
    )


def volume_case(size: int) -> tuple[Callable[[], float], Callable[[], float]]:
    """Growing the organs of three lesion channels by 15 mm, then the loss: ours and naive."""
    logits = logits_of(size)
    organs = torch.stack([region_of(size).roll(shift, 0) & region_of(size) for shift in range(LESIONS)])
    organs = organs.expand(BATCH, -1, -1, -1, -1)
    reported, voxel = torch.tensor([5000.0, 0.0, 800.0] * BATCH), torch.ones(BATCH * LESIONS)

    def loss(region: Tensor) -> Tensor:
        flat = logits[:, :LESIONS].sigmoid().flatten(0, 1)[:, None]
        return volume_loss(flat, region.flatten(0, 1)[:, None], reported, voxel_mm3=voxel).mean()

    def naive_grow() -> Tensor:
        grown, kernel = organs.float().flatten(0, 1)[:, None], ball_of(6.0, None)
        for _ in range(round(REGION_MARGIN_MM / 3)):
            grown = (conv3d(grown, kernel, padding=3) > 0.5).float()
        return grown.view(organs.shape)

    return (
        lambda: step(logits, lambda: loss(grow(organs, REGION_MARGIN_MM, MM))),
        lambda: step(logits, lambda: loss(naive_grow())),
    )


def seconds(call: Callable[[], object], repeats: int) -> float:
    if repeats > 1:
        call()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return median(taken)


def peak_mib(which: str, *numbers: int) -> float:
    """Growth of the peak memory of a process that makes one step."""
    arguments = [sys.executable, __file__, "--peak", which, *map(str, numbers)]
    return float(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)


def print_peak(which: str, *numbers: int) -> None:
    ours, naive = ball_case(*numbers) if len(numbers) == 3 else volume_case(*numbers)
    small = ball_case(16, 5, 1) if len(numbers) == 3 else volume_case(16)
    for warm_up in small:
        warm_up()
    before, done, peak = resident_mib(), threading.Event(), [0.0]

    def watch() -> None:
        while not done.wait(0.0005):
            peak[0] = max(peak[0], resident_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    (ours if which == "ours" else naive)()
    done.set()
    watcher.join()
    print(peak[0] - before)


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def row(name: str, numbers: tuple[int, ...], box_side: int, target: int | None, *, naive_too: bool) -> str:
    ours, naive = ball_case(*numbers) if len(numbers) == 3 else volume_case(*numbers)
    box = torch.randn([box_side] * 3)
    transform = seconds(lambda: torch.fft.irfftn(torch.fft.rfftn(box), s=box.shape), 5)
    fast, memory = seconds(ours, 5), peak_mib("ours", *numbers)
    text = f"{name} {fast * 1000:9.1f} {fast / transform:9.1f} {memory:9.0f}"
    if not naive_too:
        return text
    slow, slow_memory = seconds(naive, 1), peak_mib("naive", *numbers)
    met = "" if target is None else f"{target:7d}{'' if slow / fast >= target else ' *'}"
    difference = f"{abs(ours() - naive()):12.1e}" if slow < 20 else ""
    return f"{text} {slow * 1000:10.0f} {slow / fast:7.0f} {met:9} {memory / slow_memory:7.2f} {difference}"


def keep_freed_memory() -> None:
    """Ask glibc to reuse freed blocks of any size instead of handing them back to the kernel."""
    trim_threshold, mmap_threshold = -1, -3
    for option in (trim_threshold, mmap_threshold):
        ctypes.CDLL(None).mallopt(option, 2**31 - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="every row of the targets (about 15 minutes)")
    parser.add_argument("--peak", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.peak:
        print_peak(options.peak[0], *map(int, options.peak[1:]))
        return
    keep_freed_memory()
    print("                          ours ms  x one FFT  peak MiB   naive ms   ratio   target  memory   difference")
    for size, diameter, tumors in FULL if options.full else SHORT:
        numbers = (size, diameter, tumors)
        side = int(0.8 * size) + diameter // 2
        name = f"ball   {size:4d}^3 {diameter:3d} mm x{tumors:3d}"
        print(row(name, numbers, side, TARGETS.get(numbers), naive_too=numbers not in TOO_SLOW), flush=True)
    for size in VOLUME_SIZES:
        print(row(f"volume {size:4d}^3           ", (size,), size, VOLUME_TARGET, naive_too=True), flush=True)
    print("* below the target")


if __name__ == "__main__":
    main()
