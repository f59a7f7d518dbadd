"""Augmentation of a batch on the training device (METHOD 8): one rotation, one pass over intensities.

No flips: left and right organs differ. What is drawn follows from seed, step and place in the batch, on the host, so it
is the same on every device, and the loader knows which regions a rotation takes out of view. Only the noise itself is
drawn on the device. Nothing is read back from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from rsuper_bench.baselines.inputs import network_image
from rsuper_bench.baselines.losses import ReportedTumors
from rsuper_bench.baselines.losses.looking import on_device
from rsuper_bench.baselines.options import Augmentation
from rsuper_bench.baselines.turning import Sources, Turn

if TYPE_CHECKING:
    from rsuper_bench.baselines.batch import Batch

BLUR_REACH = 6  # voxels: three of the largest sigma that a recipe may name
MASKS = ("mask", "known", "organ", "region", "penalised")


@dataclass(frozen=True)
class Change:
    """What happens to one crop; None is not applied.

    Attributes:
        turn: Rotation about its centre.
        blur: Sigma in voxels.
        noise: Standard deviation, in those of the case.
        noise_seed: What the noise follows from.
        brightness: Factor of the distance from the darkest voxel.
        contrast: Factor of the distance from the mean.
        shift: In standard deviations of the case.
        gamma: Exponent of the intensity between the darkest and the brightest voxel.
    """

    turn: Turn | None = None
    blur: float | None = None
    noise: float | None = None
    noise_seed: int = 0
    brightness: float | None = None
    contrast: float | None = None
    shift: float | None = None
    gamma: float | None = None


def draw_change(chosen: Augmentation, rng: np.random.Generator) -> Change:
    """Draw what happens to a crop; every draw takes place, whatever the others give."""

    def applied(chance: float, low: float, high: float) -> float | None:
        use, value = rng.random() < chance, float(rng.uniform(low, high))
        return value if use else None

    turned = rng.random() < chosen.rotation_chance
    degrees = rng.uniform(-chosen.rotation_degrees, chosen.rotation_degrees, 3)
    return Change(
        turn=Turn.of_degrees(*degrees.tolist()) if turned else None,
        blur=applied(chosen.chance, *chosen.blur_voxels),
        noise=applied(chosen.chance, 0, chosen.noise),
        noise_seed=int(rng.integers(2**63)),
        brightness=applied(chosen.chance, *chosen.brightness),
        contrast=applied(chosen.chance, *chosen.contrast),
        shift=applied(chosen.chance, -chosen.shift, chosen.shift),
        gamma=applied(chosen.chance, *chosen.gamma),
    )


def augmented(batch: Batch) -> Batch:
    """A batch as its ``changes`` say; the same batch where there are none.

    The rotation moves CT, organs and all targets; what comes into view from outside the crop is unknown. Blur and noise
    belong to the scan, so every input channel made from HU shows them. Brightness, contrast, shift and gamma are of the
    way a CT is shown and touch the first channel only: a CT relative to its organ does not change with them.
    ``batch.hu``, which the Attenuation Loss compares, keeps its intensities.
    """
    if batch.looks is None or batch.organs is None or not any(change != Change() for change in batch.changes):
        return batch
    batch = turned(batch)
    if batch.looks is None or batch.organs is None:
        raise AssertionError("turning keeps looks and organs")
    seen = _each(batch.hu, batch.changes, "blur", _blurred)
    seen = _noisy(seen, batch.changes, batch.looks.std_hu)
    image = network_image(seen, batch.organs, batch.looks)
    ct = _each(image[:, :1], batch.changes, "brightness", lambda x, by: (x - _low(x)) * by + _low(x))
    ct = _each(ct, batch.changes, "contrast", lambda x, by: (x - _mean(x)) * by + _mean(x))
    ct = _each(ct, batch.changes, "shift", lambda x, by: x + by)
    ct = _each(ct, batch.changes, "gamma", _gamma)
    return batch.with_image(torch.cat([ct, image[:, 1:]], 1))


def turned(batch: Batch) -> Batch:
    """HU, organs and targets rotated; the image is not."""
    chosen = {place: change.turn for place, change in enumerate(batch.changes) if change.turn is not None}
    if not chosen:
        return batch
    x, y, z = batch.hu.shape[2:]
    rows = on_device(list(chosen), torch.long, batch.hu.device)
    sources = Sources.of(list(chosen.values()), (x, y, z), batch.hu.device)

    def labels(values: Tensor) -> Tensor:
        return values.index_copy(0, rows, sources.labels(values.index_select(0, rows)))

    hu = batch.hu.index_copy(0, rows, sources.image(batch.hu.index_select(0, rows), batch.outside_hu))
    tumors = list(batch.targets.tumors)
    for number, (place, turn) in enumerate(chosen.items()):
        one = Sources(*(getattr(sources, field.name)[number : number + 1] for field in fields(Sources)))
        tumors[place] = tuple(item if item is None else _turned_tumors(item, turn, one) for item in tumors[place])
    inside = torch.ones_like(batch.hu, dtype=torch.bool).index_copy(0, rows, sources.inside[:, None])
    masks = {name: labels(getattr(batch.targets, name)) for name in MASKS}
    targets = replace(batch.targets, tumors=tuple(tumors), **masks)
    organs = None if batch.organs is None else labels(batch.organs)
    return replace(batch, hu=hu, organs=organs, targets=targets, inside=inside)


def _turned_tumors(tumors: ReportedTumors, turn: Turn, sources: Sources) -> ReportedTumors:
    """Regions and bands follow, and so do the boxes, which the host knows."""
    if tumors.regions is None:
        return tumors
    x, y, z = tumors.regions.shape[1:]
    parts = [tumors.box_of(number) for number in range(len(tumors.regions))]
    boxes = [turn.after([(part.start, part.stop) for part in box], (x, y, z)) for box in parts]
    band = tumors.band
    if band is not None:
        band = sources.labels(band.reshape(1, -1, x, y, z)).view_as(band)
    return replace(tumors, regions=sources.labels(tumors.regions[None])[0], band=band, boxes=boxes)


def _each(image: Tensor, changes: Sequence[Change], name: str, apply: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Change the crops that have a value of that name; the others keep every bit."""
    values = {place: getattr(change, name) for place, change in enumerate(changes)}
    chosen = {place: value for place, value in values.items() if value is not None}
    if not chosen:
        return image
    rows = on_device(list(chosen), torch.long, image.device)
    by = on_device(list(chosen.values()), image.dtype, image.device).view(-1, 1, 1, 1, 1)
    return image.index_copy(0, rows, apply(image.index_select(0, rows), by))


def _noisy(hu: Tensor, changes: Sequence[Change], std_hu: Tensor) -> Tensor:
    """Each crop by its own generator, so that it gets the same noise in any batch."""
    noisy = []
    for place, change in enumerate(changes):
        crop = hu[place]
        if change.noise is not None:
            generator = torch.Generator(device=hu.device).manual_seed(change.noise_seed)
            noise = torch.randn(crop.shape, generator=generator, device=hu.device)
            crop = crop + noise * (change.noise * std_hu[place])
        noisy.append(crop)
    return torch.stack(noisy)


def _low(image: Tensor) -> Tensor:
    return image.amin((1, 2, 3, 4), keepdim=True)


def _mean(image: Tensor) -> Tensor:
    return image.mean((1, 2, 3, 4), keepdim=True)


def _gamma(image: Tensor, exponent: Tensor) -> Tensor:
    low = _low(image)
    span = (image.amax((1, 2, 3, 4), keepdim=True) - low).clamp(min=1e-6)
    return ((image - low) / span) ** exponent * span + low


def _blurred(image: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian of its own width for each crop, axis by axis; the border is repeated."""
    reach = BLUR_REACH
    offsets = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    weights = torch.exp(-0.5 * (offsets / sigma.view(-1, 1)) ** 2)
    weights = weights / weights.sum(1, keepdim=True)
    for axis in (2, 3, 4):
        sides = [0] * 6
        sides[2 * (4 - axis)] = sides[2 * (4 - axis) + 1] = reach
        wide = pad(image, sides, mode="replicate")
        image = torch.zeros_like(image)
        for number in range(2 * reach + 1):
            weight = weights[:, number].view(-1, 1, 1, 1, 1)
            image = image + weight * wide.narrow(axis, number, image.shape[axis])
    return image
