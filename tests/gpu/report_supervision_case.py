"""A realistic batch of report supervision, ready on a device: regions with host-side boxes, tumors, bounds, HU.

Two cases of 128^3 voxels of 1 mm with 10 lesion channels: organs as ellipsoids of different places and sizes, up to 10
tumors a case of 5 to 60 mm, some without a size; the other organs are reported free of tumors or not mentioned.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
import torch
from torch import Tensor, nn

from rsuper_bench.baselines.losses import (
    ReportedTumors,
    attenuation_classifier,
    attenuation_loss,
    ball_loss,
    grow,
    segmentation_loss,
    volume_band_loss,
    volume_bounds,
)

MM = (1.0, 1.0, 1.0)
REGION_MARGIN_MM, UNKNOWN_MARGIN_MM = 15.0, 2.0
# Diameters in mm of the tumors in the first channels, of 128 voxels; None is a tumor of unknown size.
TUMORS = ((40.0, 20.0, 12.0, 8.0), (60.0, 10.0), (None, None), (25.0,), (5.0,))
ABSENT = 3  # channels after those whose organ the report calls free of tumors; the rest is not mentioned


@dataclass(frozen=True, eq=False)
class ReportCase:
    """Inputs and targets on a device, with the two losses a training step adds up."""

    image: Tensor  # (B, 1, X, Y, Z)
    hu: Tensor  # (B, 1, X, Y, Z)
    mask: Tensor  # (B, C, X, Y, Z) booleans, as are the next three
    known: Tensor
    organ: Tensor
    region: Tensor
    penalised: Tensor
    tumors: list[list[ReportedTumors | None]]
    pairs: Tensor  # (2, K) sample and channel of each pair whose volume is bounded
    bounds_mm3: Tensor  # (2, K)
    attenuation_pairs: Tensor  # (2, A)
    attenuation: Tensor  # (A,)
    classifier: nn.Module

    def mask_loss(self, final: Tensor, auxiliary: Tensor) -> Tensor:
        """What mask_only computes: the segmentation loss of both outputs, ``(B, C, X, Y, Z)`` lesion logits."""
        one, two = (segmentation_loss(logits, self.mask, self.known) for logits in (final, auxiliary))
        return 0.5 * one + 0.5 * two

    def report_loss(self, final: Tensor, auxiliary: Tensor) -> Tensor:
        """What report supervision adds to it, with the default weights of METHOD 8."""
        sample, channel = self.pairs
        volume = volume_band_loss(
            auxiliary[sample, channel][:, None].float().sigmoid(),
            self.region[sample, channel][:, None],
            *self.bounds_mm3,
            voxel_mm3=torch.ones_like(self.bounds_mm3[0]),
        ).mean()
        ball = ball_loss(final, self.penalised, self.tumors, spacing_mm=MM)
        sample, channel = self.attenuation_pairs
        attenuation = attenuation_loss(
            final[sample, channel][:, None].float().sigmoid(),
            self.organ[sample, channel][:, None],
            self.hu[sample],
            self.attenuation,
            classifier=self.classifier,
        ).mean()
        return 0.05 * volume + 0.05 * ball + 0.01 * attenuation


def report_case(
    device: torch.device | str, *, size: int = 128, batch: int = 2, channels: int = 10, seed: int = 0
) -> ReportCase:
    """Build the batch on the CPU and bring it to a device; nothing random is left after the seed."""
    rng = np.random.default_rng(seed)
    scale = size / 128
    organ = torch.stack([torch.stack([_organ(rng, size) for _ in range(channels)]) for _ in range(batch)])
    reported = list(range(len(TUMORS) + ABSENT))[:channels]
    region, known = torch.zeros_like(organ), torch.ones_like(organ)
    tumors: list[list[ReportedTumors | None]] = []
    pairs, bounds, bright = [], [], []
    for sample in range(batch):
        row: list[ReportedTumors | None] = [None] * channels
        for channel in range(channels):
            known[sample, channel] = ~grow(organ[sample, channel], UNKNOWN_MARGIN_MM, MM)
            if channel not in reported:
                continue
            grown = grow(organ[sample, channel], REGION_MARGIN_MM * scale, MM)
            region[sample, channel] = grown
            sizes = [
                d if d is None else max(d * scale, 3.0) for d in (TUMORS[channel] if channel < len(TUMORS) else ())
            ]
            volumes = [d if d is None else pi / 6 * d**3 for d in sizes]
            row[channel] = ReportedTumors(grown, sizes, volumes, boxes=[_box(grown)]) if sizes else ReportedTumors()
            if not sizes:
                known[sample, channel] = True
            pairs.append((sample, channel))
            bounds.append(volume_bounds(volumes))
            if sizes:
                bright.append((sample, channel))
        tumors.append(row)
    hu = 60 + 30 * torch.from_numpy(rng.standard_normal((batch, 1, size, size, size))).float()
    torch.manual_seed(seed)
    classifier = attenuation_classifier("mlp")
    assert classifier is not None
    move = {"device": torch.device(device), "non_blocking": True}
    return ReportCase(
        image=((hu - 60) / 30).to(**move),
        hu=hu.to(**move),
        mask=torch.zeros_like(organ).to(**move),
        known=known.to(**move),
        organ=organ.to(**move),
        region=region.to(**move),
        penalised=(known | region).to(**move),
        tumors=[[item if item is None else item.to(move["device"]) for item in row] for row in tumors],
        pairs=torch.tensor(pairs).T.contiguous().to(**move),
        bounds_mm3=torch.tensor(bounds).T.contiguous().to(**move),
        attenuation_pairs=torch.tensor(bright).T.contiguous().to(**move),
        attenuation=torch.tensor([index % 3 for index in range(len(bright))]).to(**move),
        classifier=classifier.to(move["device"]),
    )


def _organ(rng: np.random.Generator, size: int) -> Tensor:
    half = rng.uniform(0.2, 0.3, 3) * size
    middle = [rng.uniform(h, size - h) for h in half]
    x, y, z = (torch.arange(size) - m for m in middle)
    far = (x / half[0]) ** 2
    return far[:, None, None] + ((y / half[1]) ** 2)[:, None] + (z / half[2]) ** 2 < 1


def _box(mask: Tensor) -> tuple[tuple[int, int], ...]:
    """Box of a mask, a few voxels wider, as augmentation would make it."""
    ends = []
    for axis in range(3):
        line = mask.amax([other for other in range(3) if other != axis])
        index = line.nonzero()[:, 0]
        ends.append((max(int(index[0]) - 3, 0), min(int(index[-1]) + 4, mask.shape[axis])))
    return tuple(ends)
