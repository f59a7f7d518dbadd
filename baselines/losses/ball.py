"""Train on the balls a report implies (METHOD 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rsuper_bench.baselines.losses.arguments import (
    Balance,
    Spacing,
    check_balance,
    check_finite,
    check_same_shape,
    check_volume_batch,
    full_precision,
    spacings_of,
)
from rsuper_bench.baselines.losses.averaging import no_loss, supervised_mean
from rsuper_bench.baselines.losses.balls import grown_within, reach_of, widened
from rsuper_bench.baselines.losses.looking import may_look, on_device
from rsuper_bench.baselines.losses.pooled_sums import SupervisedCrop, pooled_sums
from rsuper_bench.baselines.losses.pseudo_mask import (
    SIGMA_RADII,
    Placed,
    check_regions,
    ignored_parts,
    placements,
)
from rsuper_bench.baselines.losses.reported_tumors import ReportedTumors
from rsuper_bench.baselines.losses.tversky import adaptive_tversky

RIM_MM = 3.0


def ball_loss(
    logits: Tensor,
    penalised: Tensor,
    tumors: Sequence[Sequence[ReportedTumors | None]],
    *,
    spacing_mm: Sequence[float] | Sequence[Sequence[float]] | Tensor,
    margin: float = 0.25,
    concentration: float = 0.5,
    rim_mm: float = RIM_MM,
    sigma_radii: float = SIGMA_RADII,
    balance: Balance = "crop",
    tversky_weight: float = 1.0,
) -> Tensor:
    """Cross-entropy and Tversky loss on the pseudo-masks of `place_tumors`.

    Positive: the cores of the placed tumors; a foreground voxel weighs more the more probable it is
    (`rank_pooling_weights`). Ignored: their halos, widened by ``rim_mm``, and regions that a report leaves open.
    Negative: every other voxel of ``penalised``. No gradient flows through the choice of the pseudo-mask.

    Args:
        logits: ``(B, C, X, Y, Z)`` network output of the lesion channels before the sigmoid.
        penalised: Same shape, true on the grown regions and the known voxels, false on voxels that stay unknown, such
            as a region cut by the crop.
        tumors: For each sample and each channel what the report says, or None where no report supervises it.
        spacing_mm: Voxel lengths along X, Y and Z: one triple for the batch or one a sample.
        margin: Relative uncertainty of the reported size.
        concentration: c of the rank pooling in [0, 1): the least probable foreground voxel weighs about 1 - c times the
            most probable one.
        rim_mm: Width of the ignored rim around each halo.
        sigma_radii: Standard deviation of the Gaussian inside the searched ball, in radii.
        balance: ``crop`` (paper): foreground and background are sums over the crop's voxels. ``own`` (*ours*): each is
            averaged over its own voxels, so that a small tumor outweighs the empty space around it.
        tversky_weight: Weight of the Tversky term beside the cross-entropy.

    Returns:
        A scalar: the mean over the supervised samples and channels. 0, with a graph, if there are none.

    Raises:
        ValueError: If shapes differ, the lists do not match the batch, an argument holds NaN or is out of range.
    """
    check_volume_batch("logits", logits)
    check_same_shape("logits", logits, "penalised", penalised)
    check_finite("logits", logits)
    check_balance(balance)
    batch, channels = logits.shape[:2]
    if len(tumors) != batch or any(len(row) != channels for row in tumors):
        raise ValueError(f"tumors must hold {batch} samples of {channels} channels, got {[len(row) for row in tumors]}")
    if not 0 <= concentration < 1:
        raise ValueError(f"concentration must be in [0, 1), got {concentration}")
    if not rim_mm >= 0:
        raise ValueError(f"rim_mm must not be negative, got {rim_mm}")
    spacings = spacings_of(spacing_mm, batch)
    logits = full_precision(logits)

    pairs = [(b, c, reported) for b, row in enumerate(tumors) for c, reported in enumerate(row) if reported is not None]
    if not pairs:
        return no_loss(logits)
    channel = on_device([c for _, c, _ in pairs], torch.long, logits.device)
    crops = [
        _supervise(logits.detach()[b, c], penalised[b, c], reported, b, c, spacings[b], margin, rim_mm, sigma_radii)
        for b, c, reported in pairs
    ]
    foreground, background, overlap, false_positive = pooled_sums(logits, crops, concentration)
    positives = torch.stack([crop.positives(logits) for crop in crops])
    if balance == "crop":
        cross_entropy: Tensor = ((foreground + background) / crops[0].negative.numel()).mean()
    else:
        negatives = torch.stack([crop.negative.sum() for crop in crops])
        cross_entropy = supervised_mean(foreground / positives.clamp(min=1), positives > 0) + supervised_mean(
            background / negatives.clamp(min=1), negatives > 0
        )

    by_crop = torch.stack([overlap, false_positive, positives])
    found, excess, present = by_crop.new_zeros(3, channels).index_add(1, channel, by_crop)
    tversky: Tensor = adaptive_tversky(found, excess, present - found, present > 0)
    return cross_entropy + tversky_weight * tversky


@torch.no_grad()
def _supervise(
    logits: Tensor,
    penalised: Tensor,
    reported: ReportedTumors,
    sample: int,
    channel: int,
    spacing: Spacing,
    margin: float,
    rim_mm: float,
    sigma_radii: float,
) -> SupervisedCrop:
    """Pseudo-labels of one sample and channel."""
    negative = penalised.bool().clone(memory_format=torch.contiguous_format)
    shape = logits.shape
    check_regions("logits", shape, reported)
    placed = placements(lambda box: logits[box].sigmoid(), reported, spacing, margin=margin, sigma_radii=sigma_radii)
    reach = reach_of(rim_mm, spacing)
    for halos in _apart(placed):
        around = widened(halos[0].box, reach, shape)
        halo = torch.zeros([part.stop - part.start for part in around], dtype=torch.bool, device=logits.device)
        for tumor in halos:
            inner = [slice(p.start - a.start, p.stop - a.start) for p, a in zip(tumor.box, around, strict=True)]
            halo[inner[0], inner[1], inner[2]] |= tumor.halo
        negative[around] &= ~grown_within(halo, rim_mm, spacing)
    for box, part in ignored_parts(reported, placed):
        negative[box] &= ~part
    return SupervisedCrop(sample, channel, negative, *_core(placed, shape, logits.device))


def _apart(placed: list[Placed]) -> list[list[Placed]]:
    """Tumors to dilate together: those of one box. Without looking that saves a transform of the box a tumor."""
    groups: dict[tuple[int, ...], list[Placed]] = {}
    for tumor in placed:
        if tumor.halo.numel():
            groups.setdefault(tuple(end for part in tumor.box for end in (part.start, part.stop)), []).append(tumor)
    return list(groups.values())


def _core(placed: list[Placed], shape: torch.Size, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Flat indices of all cores; without looking as many as there can be, and which of them count."""
    none = torch.zeros(0, dtype=torch.long, device=device)
    if not placed:
        return none, None
    if may_look(none):
        mask = np.zeros(shape, dtype=bool)
        for tumor in placed:
            mask[tumor.box] |= tumor.core.numpy()
        return torch.from_numpy(np.flatnonzero(mask)), None
    _, rows, columns = shape
    indices, counted = [], []
    for tumor in placed:
        flat = tumor.core.reshape(-1)
        chosen = flat.to(torch.uint8).topk(min(tumor.core_at_most, len(flat))).indices.sort().values
        counted.append(flat[chosen])
        y, z = (max(part.stop - part.start, 1) for part in tumor.box[1:])
        x0, y0, z0 = (part.start for part in tumor.box)
        indices.append(((chosen // (y * z) + x0) * rows + chosen // z % y + y0) * columns + chosen % z + z0)
    return torch.cat(indices), torch.cat(counted)
