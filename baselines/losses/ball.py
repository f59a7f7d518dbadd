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
from rsuper_bench.baselines.losses.averaging import mean_over_batch, nothing, supervised_mean
from rsuper_bench.baselines.losses.balls import grown_within, reach_of, widened
from rsuper_bench.baselines.losses.looking import may_look, on_device
from rsuper_bench.baselines.losses.pooled_sums import SupervisedCrop, pooled_sums
from rsuper_bench.baselines.losses.pseudo_mask import (
    SIGMA_RADII,
    Placed,
    check_regions,
    check_shape_of_balls,
    ignored_parts,
    placements,
)
from rsuper_bench.baselines.losses.reported_tumors import ReportedTumors
from rsuper_bench.baselines.losses.rounds import plan_rounds
from rsuper_bench.baselines.losses.row_sums import row_sums
from rsuper_bench.baselines.losses.side_by_side import CORE, place_side_by_side
from rsuper_bench.baselines.losses.soft_shells import shell_sums, shell_sums_of_rows
from rsuper_bench.baselines.losses.tversky import adaptive_tversky

RIM_MM = 3.0
Pair = tuple[int, int, ReportedTumors]
# Of each pair: cross-entropy on foreground (weighted) and background, probability on both, voxels of both; then
# cross-entropy and voxels of the soft shells
Sums = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


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
    soft: bool = False,
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
        soft: *Ours*: the halo outside of the core is not ignored but has soft targets (soft_shells.py). Its voxels
            weigh as much as those of the core; the Tversky term, whose best answer is never soft, leaves them out.

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
    check_shape_of_balls(margin, sigma_radii)
    spacings = spacings_of(spacing_mm, batch)
    logits = full_precision(logits)

    pairs = [(b, c, reported) for b, row in enumerate(tumors) for c, reported in enumerate(row) if reported is not None]
    channel = on_device([c for _, c, _ in pairs], torch.long, logits.device)
    sums: Sums = (nothing(logits),) * 8  # without any report the other processes may still have some
    if pairs:
        sums = (_looking if may_look(logits) else _without_looking)(
            logits,
            penalised,
            pairs,
            spacings,
            margin=margin,
            rim_mm=rim_mm,
            sigma_radii=sigma_radii,
            concentration=concentration,
            soft=soft,
        )
    foreground, background, overlap, false_positive, positives, negatives, in_shells, shells = sums
    if balance == "crop":
        cross_entropy = mean_over_batch((foreground + in_shells + background) / logits[0, 0].numel())
    else:
        cross_entropy = supervised_mean(
            (foreground + in_shells) / (positives + shells).clamp(min=1), positives > 0
        ) + supervised_mean(background / negatives.clamp(min=1), negatives > 0)

    by_crop = torch.stack([overlap, false_positive, positives])
    found, excess, present = by_crop.new_zeros(3, channels).index_add(1, channel, by_crop)
    tversky: Tensor = adaptive_tversky(found, excess, present - found, present > 0)
    return cross_entropy + tversky_weight * tversky


def _looking(
    logits: Tensor,
    penalised: Tensor,
    pairs: Sequence[Pair],
    spacings: Sequence[Spacing],
    *,
    margin: float,
    rim_mm: float,
    sigma_radii: float,
    concentration: float,
    soft: bool,
) -> Sums:
    """The sums of each pair, one after the other, in the parts of the crop where something is."""
    supervised = [
        _supervise(logits.detach()[b, c], penalised[b, c], reported, b, c, spacings[b], margin, rim_mm, sigma_radii)
        for b, c, reported in pairs
    ]
    crops = [crop for crop, _ in supervised]
    positives = torch.tensor([len(crop.core) for crop in crops], dtype=logits.dtype)
    negatives = torch.tensor([np.count_nonzero(crop.negative.numpy()) for crop in crops], dtype=logits.dtype)
    foreground, background, overlap, false_positive = pooled_sums(logits, crops, concentration)
    shells = (torch.zeros_like(positives),) * 2
    if soft:
        shells = shell_sums(logits, [(crop.sample, crop.channel, placed) for crop, placed in supervised], margin)
    return foreground, background, overlap, false_positive, positives, negatives, *shells


def _without_looking(
    logits: Tensor,
    penalised: Tensor,
    pairs: Sequence[Pair],
    spacings: Sequence[Spacing],
    *,
    margin: float,
    rim_mm: float,
    sigma_radii: float,
    concentration: float,
    soft: bool,
) -> Sums:
    """The same for all pairs at once; no value is read."""
    channels = logits.shape[1]
    reports = {b * channels + c: reported for b, c, reported in pairs}
    by_row = {b * channels + c: spacings[b] for b, c, _ in pairs}
    negative, core, counted, shells_in = _supervise_rows(
        logits, penalised, reports, by_row, margin, rim_mm, sigma_radii, soft
    )
    sums = row_sums(logits, negative, core, counted, concentration)
    numbers = torch.stack([counted.sum(1), negative.flatten(1).sum(1)]).to(sums.dtype)
    rows = on_device(list(reports), torch.long, logits.device)
    foreground, background, overlap, false_positive, positives, negatives = (
        torch.cat([sums, numbers]).index_select(1, rows).unbind(0)
    )
    shells = (torch.zeros_like(positives),) * 2
    if shells_in is not None:
        shells = shell_sums_of_rows(logits, *shells_in, rows, margin)
    return foreground, background, overlap, false_positive, positives, negatives, *shells


@torch.no_grad()
def _supervise_rows(
    logits: Tensor,
    penalised: Tensor,
    reports: dict[int, ReportedTumors],
    spacings: dict[int, Spacing],
    margin: float,
    rim_mm: float,
    sigma_radii: float,
    soft: bool,
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, int] | None]:
    """Background of every row, candidates for its foreground, which of them are, and where its soft shells are."""
    x, y, z = logits.shape[2:]
    values = logits.reshape(-1, x, y, z)
    for report in reports.values():
        check_regions("logits", (x, y, z), report)
    rounds = plan_rounds(reports, spacings, (x, y, z), margin)
    placed = place_side_by_side(values, torch.sigmoid, rounds, sigma_radii=sigma_radii)
    supervised = on_device([row in reports for row in range(len(values))], torch.bool, logits.device)
    negative = penalised.reshape(values.shape).bool() & supervised[:, None, None, None]
    alike: dict[Spacing, list[int]] = {}
    most: dict[int, int] = {}
    in_shells: dict[int, int] = {}
    for turn in rounds.turns:
        if turn.row not in most:
            alike.setdefault(turn.spacing, []).append(turn.row)
        most[turn.row] = most.get(turn.row, 0) + turn.size.core
        in_shells[turn.row] = in_shells.get(turn.row, 0) + turn.size.halo - turn.size.core
    for spacing, rows in alike.items():
        placed.take_rims(rows, rim_mm, spacing, negative)
    placed.take_open_regions(rounds, negative)
    level = placed.level()
    on_core = (level == CORE).view(torch.uint8).flatten(1)
    core = on_core.topk(min(max(most.values(), default=0), on_core.shape[1]), sorted=False)
    shells = (level, max(in_shells.values(), default=0)) if soft else None
    return negative, core.indices, core.values.bool(), shells


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
) -> tuple[SupervisedCrop, list[Placed]]:
    """Pseudo-labels of one sample and channel, and the tumors they are of."""
    negative = penalised.bool().clone(memory_format=torch.contiguous_format)
    shape = logits.shape
    check_regions("logits", shape, reported)
    placed = placements(lambda box: logits[box].sigmoid(), reported, spacing, margin=margin, sigma_radii=sigma_radii)
    reach = reach_of(rim_mm, spacing)
    for halos in _apart(placed):
        around = widened(halos[0].box, reach, shape)
        halo = torch.zeros([part.stop - part.start for part in around], dtype=torch.bool)
        for tumor in halos:
            inner = [slice(p.start - a.start, p.stop - a.start) for p, a in zip(tumor.box, around, strict=True)]
            halo[inner[0], inner[1], inner[2]] |= tumor.halo
        negative[around] &= ~grown_within(halo, rim_mm, spacing)
    for box, part in ignored_parts(reported, placed):
        negative[box] &= ~part
    return SupervisedCrop(sample, channel, negative, _core(placed, shape)), placed


def _apart(placed: list[Placed]) -> list[list[Placed]]:
    """Tumors to dilate together: those of one box."""
    groups: dict[tuple[int, ...], list[Placed]] = {}
    for tumor in placed:
        if tumor.halo.numel():
            groups.setdefault(tuple(end for part in tumor.box for end in (part.start, part.stop)), []).append(tumor)
    return list(groups.values())


def _core(placed: list[Placed], shape: torch.Size) -> Tensor:
    """Flat indices of all cores."""
    mask = np.zeros(shape, dtype=bool)
    for tumor in placed:
        mask[tumor.box] |= tumor.core.numpy()
    return torch.from_numpy(np.flatnonzero(mask))
