"""Soft pseudo-masks: between the core of a placed tumor and the end of its halo is tumor with some chance (*ours*).

A reported size is off by what was measured (`MEASURED_SPREAD`), so the voxels that fill the reported volume are not
surely tumor, and those just beyond not surely none. The Ball Loss ignores both shells; here each has the chance that a
tumor of that reported volume reaches the middle of the shell, with the true volume log-normal about the reported one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from statistics import NormalDist

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from rsuper_bench.baselines.losses.looking import on_device
from rsuper_bench.baselines.losses.pseudo_mask import Placed
from rsuper_bench.baselines.losses.side_by_side import CORE, TUMOR
from rsuper_bench.baselines.losses.sizes import LARGEST_CORE_MARGIN
from rsuper_bench.baselines.losses.volume import MEASURED_SPREAD

HALO = 1  # of `Marked.level`


def chance_of_reaching(share: float) -> float:
    """Chance that the true volume is at least so many times the reported one; a share of 1 gives 0.38.

    Half of all lie between the two ends of `MEASURED_SPREAD`, a quarter below and a quarter above.
    """
    low, high = (log(end) for end in MEASURED_SPREAD)
    spread = NormalDist((low + high) / 2, (high - low) / 2 / NormalDist().inv_cdf(0.75))
    return 1 - spread.cdf(log(share))


def shell_targets(margin: float) -> tuple[float, float]:
    """Targets of the shell inside the reported volume and of the one beyond it."""
    return chance_of_reaching(1 - min(margin, LARGEST_CORE_MARGIN) / 2), chance_of_reaching(1 + margin / 2)


def shell_sums(
    logits: Tensor, places: Sequence[tuple[int, int, Sequence[Placed]]], margin: float
) -> tuple[Tensor, Tensor]:
    """Cross-entropy in the shells of placed tumors, and how many voxels they are. Looks at values: for the CPU.

    Args:
        logits: ``(B, C, X, Y, Z)``.
        places: Of each supervised sample and channel its two numbers and its tumors.
        margin: Relative uncertainty of the reported size with which they were placed.

    Returns:
        ``(K,)`` sums and ``(K,)`` numbers.
    """
    targets = shell_targets(margin)
    sums, numbers = [], []
    for sample, channel, placed in places:
        level = torch.zeros(logits.shape[2:], dtype=torch.uint8)
        for tumor in (item for item in placed if item.halo.numel()):
            level[tumor.box] += tumor.halo.to(torch.uint8) + tumor.tumor.to(torch.uint8) + tumor.core.to(torch.uint8)
        flat = level.view(-1)
        index = ((flat == HALO) | (flat == TUMOR)).nonzero()[:, 0]
        target = _target(flat[index], targets, logits.dtype)
        values = logits[sample, channel].reshape(-1)[index]
        sums.append(binary_cross_entropy_with_logits(values, target, reduction="sum"))
        numbers.append(float(len(index)))
    return torch.stack(sums), torch.tensor(numbers, dtype=logits.dtype)


def shell_sums_of_rows(logits: Tensor, level: Tensor, most: int, rows: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """The same where no value may be read.

    Args:
        logits: ``(B, C, X, Y, Z)``.
        level: ``(B * C, X, Y, Z)`` `Marked.level` of every row.
        most: No row has more voxels in its shells.
        rows: ``(K,)`` the supervised rows.
        margin: As in `shell_sums`.
    """
    in_shell = (level * (level != CORE)).to(torch.uint8).flatten(1).index_select(0, rows)
    found = in_shell.topk(min(most, in_shell.shape[1]), sorted=False)
    values = logits.reshape(len(level), -1).index_select(0, rows).gather(1, found.indices)
    target = _target(found.values, shell_targets(margin), logits.dtype)
    counted = found.values > 0
    entropy = binary_cross_entropy_with_logits(values, target, reduction="none").masked_fill(~counted, 0)
    return entropy.sum(1), counted.sum(1).to(logits.dtype)


def _target(level: Tensor, targets: tuple[float, float], dtype: torch.dtype) -> Tensor:
    inside, beyond = on_device(targets, dtype, level.device)
    return torch.where(level == TUMOR, inside, beyond)
