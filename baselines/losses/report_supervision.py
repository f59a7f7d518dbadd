"""All report losses behind one module, for a training loop that is not ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from rsuper_bench.baselines.losses.arguments import check_same_shape, check_volume_batch, full_precision, spacings_of
from rsuper_bench.baselines.losses.attenuation import (
    AttenuationTarget,
    ClassifierKind,
    attenuation_classifier,
    attenuation_loss,
    attenuation_supervised,
)
from rsuper_bench.baselines.losses.averaging import no_loss
from rsuper_bench.baselines.losses.ball import ball_loss
from rsuper_bench.baselines.losses.looking import on_device
from rsuper_bench.baselines.losses.reported_tumors import ReportedTumors
from rsuper_bench.baselines.losses.volume import REPORTED, TOLERANCE, volume_band_loss, volume_bounds

WEIGHTS = {"volume": 0.05, "ball": 0.05, "attenuation": 0.01}
Reports = Sequence[Mapping[str, ReportedTumors]]


class ReportSupervision(nn.Module):
    """Volume, Ball and Attenuation Loss of a batch of reports, weighted as METHOD 8 says.

    Its state is the small classifier of the Attenuation Loss: hand its parameters to the optimiser.

    Args:
        channels: Name of each lesion channel, in order.
        weights: Weight of each term; a term that is left out is not computed.
        attenuation: Classifier of the Attenuation Loss.
        spread: What the true volume of a tumor may be, in parts of the reported one, at no cost in the Volume Loss
            (*ours*): `MEASURED_SPREAD` for what was measured. None: the reported volume with METHOD 3's tolerance.
        soft: Whether the Ball Loss gives halos soft targets instead of ignoring them (*ours*).

    Raises:
        ValueError: If a name is empty or stands twice, a weight is of no term, or the spread does not hold 1.
    """

    def __init__(
        self,
        channels: Sequence[str],
        *,
        weights: Mapping[str, float] = WEIGHTS,
        attenuation: ClassifierKind = "mlp",
        spread: tuple[float, float] | None = None,
        soft: bool = False,
    ) -> None:
        super().__init__()
        self.channels = tuple(channels)
        if not all(self.channels) or len(set(self.channels)) != len(self.channels) or not self.channels:
            raise ValueError(f"channels must have one name each, all different, got {list(self.channels)}")
        if unknown := sorted(set(weights) - set(WEIGHTS)):
            raise ValueError(f"weights has no term {', '.join(unknown)}; the terms are {', '.join(WEIGHTS)}")
        self.weights = dict(weights)
        volume_bounds([], spread=spread or REPORTED)  # refuses a wrong one now
        self.spread, self.soft = spread, soft
        self.classifier = attenuation_classifier(attenuation)

    def forward(
        self,
        logits: Tensor,
        reports: Reports,
        known: Tensor,
        *,
        spacing_mm: Sequence[float] | Sequence[Sequence[float]] | Tensor,
        auxiliary: Tensor | None = None,
        ct_hu: Tensor | None = None,
        organ: Tensor | None = None,
        attenuation: Sequence[Mapping[str, AttenuationTarget]] = (),
    ) -> Tensor:
        """The weighted sum of the terms.

        Args:
            logits: ``(B, C, X, Y, Z)`` lesion channels before the sigmoid.
            reports: For each sample what the report says of the channels it supervises, by name.
            known: ``(B, C, X, Y, Z)`` true where the lesion label is known, so outside every unknown voxel.
            spacing_mm: Voxel lengths: one triple for the batch or one a sample.
            auxiliary: Same shape as ``logits``, the deep-supervision output for the Volume Loss; None: ``logits``.
            ct_hu: ``(B, 1, X, Y, Z)`` CT in HU before intensity augmentation, for the Attenuation Loss.
            organ: ``(B, C, X, Y, Z)`` the organ of each channel, for the Attenuation Loss.
            attenuation: For each sample the `AttenuationTarget` of channels whose tumors all have one, by name.

        Returns:
            A scalar; 0, with a graph, when no report supervises anything.

        Raises:
            ValueError: If shapes differ, a name is of no channel, or attenuation lacks ``ct_hu`` or ``organ``.
        """
        check_volume_batch("logits", logits)
        check_same_shape("logits", logits, "known", known)
        auxiliary = logits if auxiliary is None else auxiliary
        check_same_shape("logits", logits, "auxiliary", auxiliary)
        if logits.shape[1] != len(self.channels):
            raise ValueError(f"logits has {logits.shape[1]} channels, but {len(self.channels)} have names")
        self._check_names("reports", reports, len(logits))
        if attenuation:
            self._check_names("attenuation", attenuation, len(logits))
            if ct_hu is None or organ is None:
                raise ValueError("attenuation needs ct_hu and organ")
        rows = [[report.get(name) for name in self.channels] for report in reports]
        regions = _regions(rows, known)
        total = no_loss(logits)
        if self.weights.get("volume"):
            total = total + self.weights["volume"] * _volume(auxiliary, regions, rows, spacing_mm, self.spread)
        if self.weights.get("ball"):
            ball = ball_loss(logits, known.bool() | regions, rows, spacing_mm=spacing_mm, soft=self.soft)
            total = total + self.weights["ball"] * ball
        if self.weights.get("attenuation") and ct_hu is not None and organ is not None:
            stated = [[row.get(name, AttenuationTarget.NONE) for name in self.channels] for row in attenuation]
            total = total + self.weights["attenuation"] * self._attenuation(logits, organ, ct_hu, stated)
        return total

    def _attenuation(
        self, logits: Tensor, organ: Tensor, ct_hu: Tensor, stated: list[list[AttenuationTarget]]
    ) -> Tensor:
        target = torch.tensor([[int(value) for value in row] for row in stated], dtype=torch.long)
        chosen = attenuation_supervised(target, self.classifier) if len(target) else target.bool()
        if not bool(chosen.any()):
            return no_loss(logits)
        sample, channel = (on_device(part, torch.long, logits.device) for part in chosen.nonzero().unbind(1))
        probability = full_precision(logits[sample, channel][:, None]).sigmoid()
        inputs = probability, organ[sample, channel][:, None], ct_hu[sample]
        return attenuation_loss(*inputs, target[chosen], classifier=self.classifier).mean()

    def _check_names(self, argument: str, rows: Sequence[Mapping[str, object]], batch: int) -> None:
        if len(rows) != batch:
            raise ValueError(f"{argument} has {len(rows)} entries for a batch of {batch}")
        if unknown := sorted({name for row in rows for name in row} - set(self.channels)):
            raise ValueError(
                f"{argument} names no channel: {', '.join(unknown)}; the channels are {', '.join(self.channels)}"
            )


def _regions(rows: Sequence[Sequence[ReportedTumors | None]], known: Tensor) -> Tensor:
    """``(B, C, X, Y, Z)`` union of the reported regions within their bands."""
    regions = torch.zeros_like(known, dtype=torch.bool)
    for sample, row in enumerate(rows):
        for channel, reported in enumerate(row):
            if reported is None or reported.regions is None:
                continue
            if reported.regions.shape[1:] != known.shape[2:]:
                raise ValueError(
                    f"logits {tuple(known.shape)} and regions {tuple(reported.regions.shape)} differ in shape"
                )
            for index, number in enumerate(reported.region_of):
                band = reported.band_of(index)
                region = reported.regions[number]
                regions[sample, channel] |= region if band is None else region & band
            if not reported.region_of:
                regions[sample, channel] |= reported.regions.any(0)
    return regions


def _volume(
    logits: Tensor,
    regions: Tensor,
    rows: Sequence[Sequence[ReportedTumors | None]],
    spacing_mm: Sequence[float] | Sequence[Sequence[float]] | Tensor,
    spread: tuple[float, float] | None,
) -> Tensor:
    pairs = [
        (sample, channel, reported)
        for sample, row in enumerate(rows)
        for channel, reported in enumerate(row)
        if reported is not None and reported.regions is not None
    ]
    if not pairs:
        return no_loss(logits)
    spacings = spacings_of(spacing_mm, len(logits))
    sample = on_device([pair[0] for pair in pairs], torch.long, logits.device)
    channel = on_device([pair[1] for pair in pairs], torch.long, logits.device)
    bounds = torch.tensor(
        [
            volume_bounds(reported.volumes_mm3, complete=reported.complete, spread=spread or REPORTED)
            for *_, reported in pairs
        ]
    )
    loss = volume_band_loss(
        full_precision(logits[sample, channel][:, None]).sigmoid(),
        regions[sample, channel][:, None],
        *bounds.unbind(1),
        voxel_mm3=torch.tensor([spacings[pair[0]] for pair in pairs]).prod(1),
        tolerance=TOLERANCE if spread is None else 0.0,  # the spread says what is tolerated
    )
    return loss.mean()
