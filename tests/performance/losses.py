"""Time the report losses against their naive forms: ``python tests/performance/losses.py [--full]``.

Forward and backward of a batch of 2 with 8 channels of which 3 are lesions, on one thread: the report places the
tumors of a row in an organ of the first lesion channel of each case, and calls the other two free of tumors. Grown by
15 mm, as METHOD 3 and 4 begin, the organ is a ball of 0.8 of the crop. Naive is METHOD 4 with a direct convolution on
the whole crop and one full sort a tumor, and METHOD 3 for all three channels, both with dilation by repeated 7^3
convolutions and differentiated by autograd. "FFT" is one round trip of a Fourier transform of the grown organ's box.

Each row runs both in one process, warmed up, and takes the shortest processor time, so that other work on the machine
moves the ratio little. Freed memory stays with the process: else fresh pages cost more than the arithmetic, in both
forms. Memory is the most that the resident set of a process of its own grows by, sampled (Linux). The difference is
between the two losses for one grown organ.
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
from dataclasses import dataclass
from math import pi
from pathlib import Path

import torch
from scipy.fft import next_fast_len
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
TOO_LONG_TO_REPEAT_S = 12.0
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
    margin, left_out = 0.25, False
    seen = probability.detach() * region
    core, halos = torch.zeros_like(region), torch.zeros_like(region)
    grid = torch.stack(torch.meshgrid(*[torch.arange(float(n)) for n in region.shape], indexing="ij"), -1)
    for diameter, volume in zip(diameters, volumes, strict=True):
        free = region & ~halos
        if halos.any() and free.sum() < round(volume):
            left_out = True
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
    return core, halos, left_out


def naive_ball_loss(logits: Tensor, regions: Tensor, diameters: list[float], volumes: list[float]) -> Tensor:
    """The loss of a batch; the same number as `ball_loss`."""
    entropies, sums = [], []
    for sample, region in zip(logits.unbind(), regions, strict=True):
        for channel, row in enumerate(sample.unbind()[:LESIONS]):
            probability = row.sigmoid()
            core, negative = torch.zeros_like(region), torch.ones_like(region)
            if channel == 0:
                core, halos, left_out = naive_masks(probability, region, diameters, volumes)
                negative = correlate(halos.float(), ball_of(6.0, None)) < 0.5
                if left_out:  # a tumor found no room: the region stays open
                    negative &= ~region
            ranked = row[core].sort(descending=True).values
            weights = rank_pooling_weights(len(ranked)).float()
            entropies.append(((softplus(-ranked) * weights).sum() + softplus(row[negative]).sum()) / row.numel())
            sums.append(torch.stack([probability[core].sum(), probability[negative].sum(), core.sum()]))
    found, excess, present = torch.stack(sums).view(BATCH, LESIONS, 3).sum(0).unbind(-1)
    return torch.stack(entropies).mean() + adaptive_tversky(found, excess, present - found, present > 0)


def ball_in(size: int, radius: float) -> Tensor:
    axis = (torch.arange(size) - (size - 1) / 2) ** 2
    return axis[:, None, None] + axis[:, None] + axis <= radius**2


def organ_of(size: int) -> Tensor:
    """Grown by the region margin it is a ball of 0.8 of the crop."""
    return ball_in(size, max(0.4 * size - REGION_MARGIN_MM, 2.0))


def naive_grow(masks: Tensor) -> Tensor:
    """``(N, X, Y, Z)`` dilated by 15 mm: five times a ball of 3 mm."""
    grown, kernel = masks.float()[:, None], ball_of(6.0, None)
    for _ in range(round(REGION_MARGIN_MM / 3)):
        grown = (conv3d(grown, kernel, padding=3) > 0.5).float()
    return grown[:, 0] > 0


def logits_of(size: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(BATCH, CHANNELS, size, size, size, generator=generator, requires_grad=True)


def step(logits: Tensor, loss: Callable[[], Tensor]) -> float:
    logits.grad = None
    value = loss()
    value.backward()  # type: ignore[no-untyped-call]
    return value.item()


@dataclass(frozen=True)
class Case:
    """Steps of ours and of the naive form; ``check`` is how far their losses are apart."""

    ours: Callable[[], float]
    naive: Callable[[], float]
    check: Callable[[], float]


def ball_case(size: int, diameter: int, tumors: int) -> Case:
    logits, organ = logits_of(size), organ_of(size)
    diameters, volumes = [float(diameter)] * tumors, [pi / 6 * diameter**3] * tumors
    penalised = torch.ones_like(logits, dtype=torch.bool)

    def ours() -> Tensor:
        reported = []
        for _ in range(BATCH):
            region = grow(organ, REGION_MARGIN_MM, MM)
            row = [ReportedTumors(region, diameters, volumes), ReportedTumors(), ReportedTumors()]
            reported.append(row + [None] * (CHANNELS - LESIONS))
        return ball_loss(logits, penalised, reported, spacing_mm=MM)

    exact = grow(organ, REGION_MARGIN_MM, MM)[None].expand(BATCH, -1, -1, -1)
    return Case(
        ours=lambda: step(logits, ours),
        naive=lambda: step(
            logits, lambda: naive_ball_loss(logits, naive_grow(organ.expand(BATCH, -1, -1, -1)), diameters, volumes)
        ),
        check=lambda: abs(ours().item() - naive_ball_loss(logits, exact, diameters, volumes).item()),
    )


def volume_case(size: int) -> Case:
    logits = logits_of(size)
    organs = torch.stack([organ_of(size).roll(shift, 0) for shift in range(LESIONS)] * BATCH)
    reported, voxel = torch.tensor([5000.0, 0.0, 800.0] * BATCH), torch.ones(BATCH * LESIONS)

    def loss(region: Tensor) -> Tensor:
        flat = logits[:, :LESIONS].sigmoid().flatten(0, 1)[:, None]
        return volume_loss(flat, region[:, None], reported, voxel_mm3=voxel).mean()

    return Case(
        ours=lambda: step(logits, lambda: loss(grow(organs, REGION_MARGIN_MM, MM))),
        naive=lambda: step(logits, lambda: loss(naive_grow(organs))),
        check=lambda: 0.0,  # one function, and `grow` has its own tests
    )


def seconds(call: Callable[[], object], *, most: float = 5.0) -> float:
    """Shortest of up to nine runs after a warm-up: other work on the machine only ever adds.

    Fewer where they would take longer than ``most`` seconds together; what takes so long alone needs no warm-up.
    """
    taken: list[float] = []
    for turn in range(10):
        start = time.process_time()
        call()
        run = time.process_time() - start
        if turn > 0 or run > most:
            taken.append(run)
        if sum(taken) > most:
            break
    return min(taken)


def peak_mib(which: str, *numbers: int) -> float:
    """Growth of the peak memory of a process that makes one step."""
    arguments = [sys.executable, __file__, "--peak", which, *map(str, numbers)]
    return float(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)


def case_of(numbers: tuple[int, ...]) -> Case:
    return ball_case(*numbers) if len(numbers) == 3 else volume_case(*numbers)


def print_peak(which: str, *numbers: int) -> None:
    case, small = case_of(numbers), case_of((16, *numbers[1:2], 1) if len(numbers) == 3 else (16,))
    for warm_up in (small.ours, small.naive):
        warm_up()
    before, done, peak = resident_mib(), threading.Event(), [0.0]

    def watch() -> None:
        while not done.wait(0.0005):
            peak[0] = max(peak[0], resident_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    (case.ours if which == "ours" else case.naive)()
    done.set()
    watcher.join()
    print(peak[0] - before)


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def row(name: str, numbers: tuple[int, ...], box_side: int, target: int | None, *, naive_too: bool) -> str:
    case = case_of(numbers)
    box = torch.randn([box_side] * 3)
    transform = seconds(lambda: torch.fft.irfftn(torch.fft.rfftn(box), s=box.shape))
    fast, memory = seconds(case.ours), peak_mib("ours", *numbers)
    text = f"{name} {fast * 1000:9.1f} {fast / transform:9.1f} {memory:9.0f}"
    if not naive_too:
        return text
    slow = seconds(case.naive)
    met = "" if target is None else f"{target:7d}{'' if slow / fast >= target else ' *'}"
    text += f" {slow * 1000:10.0f} {slow / fast:7.0f} {met:9}"
    if slow > TOO_LONG_TO_REPEAT_S:
        return text
    return f"{text} {memory / peak_mib('naive', *numbers):7.2f} {case.check():12.1e}"


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
        side = next_fast_len(int(0.8 * size) + 1 + diameter // 2, real=True)
        name = f"ball   {size:4d}^3 {diameter:3d} mm x{tumors:3d}"
        print(row(name, numbers, side, TARGETS.get(numbers), naive_too=numbers not in TOO_SLOW), flush=True)
    for size in VOLUME_SIZES:
        print(row(f"volume {size:4d}^3           ", (size,), size, VOLUME_TARGET, naive_too=True), flush=True)
    print("* below the target")


if __name__ == "__main__":
    main()
