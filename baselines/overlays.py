"""A picture of what the network says of a crop beside what its mask or report says, in three planes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray
from torch import Tensor

from rsuper_bench.baselines.batch import Batch
from rsuper_bench.baselines.losses import ReportedTumors, place_tumors
from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.baselines.run_state import Run
from rsuper_bench.benchmark.files import write_bytes

OVERLAYS = "overlays"
COLOURS = {
    "lesion mask": "#e5383b",
    "core": "#e5383b",
    "tumor": "#ff9f1c",
    "halo": "#ffe08a",
    "region": "#4cc9f0",
    "slice band": "#b58cff",
}
PREDICTED = "#39ff14"
CUT = 0.5  # of the predicted probability, for its outline
PLANES = (("axial", 2, "R", "L"), ("coronal", 1, "R", "L"), ("sagittal", 0, "A", "P"))
SHOWN_HU = (-160.0, 240.0)

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Shown:
    """What a picture shows of a crop and channel: probability, masks by name, and the voxel its slices pass."""

    hu: NDArray[np.float32]
    probability: NDArray[np.float32]
    masks: dict[str, Mask]
    centre: tuple[int, int, int]


def draw_overlay(run: Run, batch: Batch) -> Path:
    """Draw one crop of a batch, the most telling one; the weights and the course of training do not change.

    Returns:
        ``RUN/overlays/step-00001000.png``.
    """
    place, channel = _telling(batch)
    training = run.model.training
    with torch.no_grad():
        logits = run.model.eval()(batch.image[place : place + 1]).final[0, channel]
    run.model.train(training)
    shown = what_to_show(batch, place, channel, logits.float().sigmoid().cpu(), run.recipe)
    case_id, pool = batch.case_ids[place]
    stage, _ = run.recipe.stage_at(run.step - 1)
    title = (
        f"{run.recipe.name}, step {run.step} (stage {stage + 1} of {len(run.recipe.stages)})\n"
        f"{case_id}, from {pool}: {run.recipe.tumor_types[channel]}"
    )
    path = _folder(run.folder) / f"step-{run.step:08d}.png"
    write_bytes(path, picture(shown, title))
    return path


def what_to_show(batch: Batch, place: int, channel: int, probability: Tensor, recipe: Recipe) -> Shown:
    """The drawn lesions of a mask case, or region, band and placed balls of a report case."""
    targets = batch.targets
    masks: dict[str, Mask] = {}
    reported: ReportedTumors | None = targets.tumors[place][channel]
    drawn = targets.mask[place, channel].cpu()
    if bool(drawn.any()):
        masks["lesion mask"] = drawn.numpy()
    elif reported is not None and reported.regions is not None:
        reported = reported.to(torch.device("cpu"))
        placed = place_tumors(probability, reported, spacing_mm=batch.spacing_mm, margin=recipe.losses.ball.margin)
        masks = {"region": reported.regions.any(0).numpy() if reported.regions is not None else placed.halo.numpy()}
        if reported.band is not None:
            band = reported.band if reported.band.ndim == 3 else reported.band.any(0)
            masks["slice band"] = band.expand(probability.shape).numpy()
        masks |= {name: getattr(placed, name).numpy() for name in ("halo", "tumor", "core")}
    elif bool(targets.region[place, channel].any()):
        masks["region"] = targets.region[place, channel].cpu().numpy()
    seen = [masks[name] for name in ("lesion mask", "core", "region") if name in masks and masks[name].any()]
    centre = _centre(seen[0] if seen else (probability == probability.max()).numpy())
    return Shown(batch.hu[place, 0].cpu().numpy(), probability.numpy(), masks, centre)


def picture(shown: Shown, title: str) -> bytes:
    """PNG of three planes: on the left what is known, on the right what the network says."""
    figure = Figure(
        figsize=(7.2, 10.6), dpi=110, facecolor="white", layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06)
    )
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.02, ha="left")
    rows = figure.subplots(3, 2)
    for (plane, axis, left, right), (known, said) in zip(PLANES, rows, strict=True):
        index = shown.centre[axis]
        for axes in (known, said):
            _ct(axes, _cut(shown.hu, axis, index), left, right)
            _cross(axes, shown, axis)
        known.set_ylabel(f"{plane}, slice {index}", fontsize=9)
        for name, mask in shown.masks.items():
            _draw(known, name, _cut(mask, axis, index))
        heat = said.imshow(
            np.ma.masked_less(_cut(shown.probability, axis, index), 0.02),
            cmap="inferno",
            vmin=0,
            vmax=1,
            alpha=0.6,
            origin="lower",
            interpolation="nearest",
        )
        _outline(said, _cut(shown.probability, axis, index) >= CUT, PREDICTED, 1.4)
    rows[0, 0].set_title("mask" if "lesion mask" in shown.masks else "report, as the losses read it", fontsize=10)
    rows[0, 1].set_title("prediction", fontsize=10)
    bar = figure.colorbar(heat, ax=rows[:, 1], location="right", shrink=0.5, aspect=40)
    bar.set_label("tumor probability", fontsize=9)
    handles: list[Any] = [
        Line2D([], [], color=COLOURS[name], lw=1.6, label=name)
        if name in ("region", "slice band")
        else Patch(color=COLOURS[name], label=name)
        for name in shown.masks
    ]
    handles.append(Line2D([], [], color=PREDICTED, lw=1.6, label=f"predicted, at least {CUT:g}"))
    figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=7,
        fontsize=8.5,
        frameon=False,
        handlelength=1.4,
        columnspacing=1.4,
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def overlays_of(run: Path) -> Iterator[tuple[int, Path]]:
    """Step and file of the overlays of a run, in order."""
    for path in sorted(_folder(run).glob("step-*.png")):
        if found := re.fullmatch(r"step-(\d+)", path.stem):
            yield int(found[1]), path


def keep_overlays(run: Path, step: int) -> None:
    """Remove those of steps that will be done again."""
    for number, path in overlays_of(run):
        if number > step:
            path.unlink()


def _folder(run: Path) -> Path:
    return run / OVERLAYS


def _telling(batch: Batch) -> tuple[int, int]:
    """Crop and channel with most to see: a drawn lesion or a placed tumor, else an excluded one, else the first."""
    best, most = (0, 0), -1
    for place, row in enumerate(batch.targets.tumors):
        for channel, reported in enumerate(row):
            worth = 0 if reported is None else 1 if not reported.diameters_mm else 3
            if bool(batch.targets.drawn[place, channel]):
                worth = 2
            if worth > most:
                best, most = (place, channel), worth
    return best


def _centre(mask: Mask) -> tuple[int, int, int]:
    """The voxel of a mask nearest to its centroid."""
    places = np.argwhere(mask)
    x, y, z = places[((places - places.mean(0)) ** 2).sum(1).argmin()]
    return int(x), int(y), int(z)


def _cut(volume: NDArray[Any], axis: int, index: int) -> NDArray[Any]:
    """A slice as it is read: the patient's right, or front, on the left; front, or head, at the top."""
    cut: NDArray[Any] = np.take(volume, index, axis).T[:, ::-1]
    return cut


def _ct(axes: Axes, slice_: NDArray[Any], left: str, right: str) -> None:
    low, high = SHOWN_HU
    axes.imshow(slice_, cmap="gray", vmin=low, vmax=high, origin="lower", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for x, letter, align in ((0.02, left, "left"), (0.98, right, "right")):
        axes.text(x, 0.03, letter, color="white", fontsize=9, fontweight="bold", ha=align, transform=axes.transAxes)


def _cross(axes: Axes, shown: Shown, axis: int) -> None:
    """Where the other two slices pass; a tumor of one voxel is found there."""
    across, up = (other for other in range(3) if other != axis)
    x, y = shown.hu.shape[across] - 1 - shown.centre[across], shown.centre[up]
    for line, at in ((axes.axvline, x), (axes.axhline, y)):
        line(at, color="white", linewidth=0.7, alpha=0.45, linestyle=(0, (2, 4)))


def _draw(axes: Axes, name: str, mask: Mask) -> None:
    if name in ("region", "slice band"):
        _outline(axes, mask, COLOURS[name], 1.6)
        return
    shown = np.ma.masked_equal(mask.astype(np.uint8), 0)
    axes.imshow(shown, cmap=ListedColormap([COLOURS[name]]), alpha=0.65, origin="lower", interpolation="nearest")


def _outline(axes: Axes, mask: Mask, colour: str, width: float) -> None:
    """Outline along voxel edges, closed at the border of the crop."""
    if mask.any():
        wide = np.pad(np.repeat(np.repeat(mask, 8, 0), 8, 1), 1).astype(float)
        rows, columns = ((np.arange(n) - 1 + 0.5) / 8 - 0.5 for n in wide.shape)
        axes.contour(columns, rows, wide, levels=[0.5], colors=[colour], linewidths=width)
