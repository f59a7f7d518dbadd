"""Every loss alone, forward and backward: on a training batch, and at the sizes that PERFORMANCE targets name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import pi

import torch
from gpu_table import Table, measure
from report_supervision_case import report_case
from torch import Tensor

from rsuper_bench.baselines.losses import ReportedTumors, ball_loss, segmentation_loss, volume_loss

MM = (1.0, 1.0, 1.0)
CHANNELS = 3  # lesion channels
# Crop, tumor diameter in voxels, tumors a sample
BALL_SIZES = (
    (32, 5, 1),  # for dry runs
    *((64, 5, 1), (64, 10, 3), (64, 20, 10), (64, 40, 3)),
    *((96, 5, 1), (96, 10, 3), (96, 10, 10), (96, 20, 1), (96, 20, 3), (96, 20, 10), (96, 40, 1), (96, 40, 3)),
    *((128, 5, 10), (128, 10, 3), (128, 40, 3), (128, 60, 10)),
)


def loss_rows(table: Table, size: int, *, warmup: int, repeats: int) -> None:
    """Add a row for every loss; sizes above the crop are left out, which only a dry run does."""
    row = partial(_row, table, warmup=warmup, repeats=repeats)
    case = report_case(table.device, size=size)
    logits = torch.randn(case.mask.shape, device=table.device, requires_grad=True)
    batch = f"training batch, {size}^3, batch 2, 10 lesion channels, 9 tumors a case"
    row(f"{batch}: segmentation of both outputs", logits, lambda x: case.mask_loss(x, x))
    row(f"{batch}: volume, ball and attenuation", logits, lambda x: case.report_loss(x, x))
    row(f"{batch}: ball alone", logits, lambda x: ball_loss(x, case.penalised, case.tumors, spacing_mm=MM))
    for side in sorted({crop for crop, *_ in BALL_SIZES if crop <= size}):
        logits = torch.randn(2, CHANNELS, side, side, side, device=table.device, requires_grad=True)
        region, box = _region(side, table.device)
        known = torch.ones_like(logits, dtype=torch.bool)
        row(f"segmentation, {side}^3", logits, lambda x, known=known: segmentation_loss(x, ~known, known))
        row(f"volume, {side}^3", logits, partial(_volume, region=region))
        for crop, diameter, tumors in BALL_SIZES:
            if crop == side:
                reported = _reported(region, box, float(diameter), tumors)
                call = partial(ball_loss, penalised=known, tumors=reported, spacing_mm=MM)
                row(f"ball, {side}^3, {tumors} tumors of {diameter} mm", logits, call)


def _row(
    table: Table, what: str, logits: Tensor, loss: Callable[[Tensor], Tensor], *, warmup: int, repeats: int
) -> None:
    def step() -> None:
        logits.grad = None
        loss(logits).backward()

    table.add("loss", what, measure(step, table.device, warmup=warmup, repeats=repeats))


def _volume(logits: Tensor, region: Tensor) -> Tensor:
    flat = logits.flatten(0, 1)[:, None]
    reported = torch.full((len(flat),), 1000.0, device=logits.device)
    shown = region.expand_as(flat)
    return volume_loss(flat.sigmoid(), shown, reported, voxel_mm3=torch.ones_like(reported)).mean()


def _region(side: int, device: torch.device) -> tuple[Tensor, tuple[tuple[int, int], ...]]:
    """A ball of 0.8 of the crop, and its box."""
    axis = torch.linspace(-1, 1, side) ** 2
    region = axis[:, None, None] + axis[:, None] + axis < 0.64
    inside = region.any(0).any(0).nonzero()[:, 0]
    return region.to(device), ((int(inside[0]), int(inside[-1]) + 1),) * 3


def _reported(
    region: Tensor, box: tuple[tuple[int, int], ...], diameter_mm: float, tumors: int
) -> list[list[ReportedTumors | None]]:
    """The tumors of each sample, dealt to the channels in turn."""
    row: list[ReportedTumors | None] = []
    for channel in range(CHANNELS):
        number = len(range(channel, tumors, CHANNELS))
        volume_mm3 = pi / 6 * diameter_mm**3
        row.append(
            ReportedTumors(region, [diameter_mm] * number, [volume_mm3] * number, boxes=[box]) if number else None
        )
    return [row, row]
