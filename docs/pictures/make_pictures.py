"""Draw what each loss sees, on a synthetic case: ``python docs/pictures/make_pictures.py [--out FOLDER]``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from phantom_case import (
    AXIAL,
    CORONAL,
    DIAMETERS_MM,
    IMAGE_NUMBER,
    MM,
    SMALL_MM,
    VOLUMES_MM3,
    PhantomCase,
    first_case,
    second_case,
)
from style import (
    BALL,
    BAND,
    HALO,
    NEGATIVE,
    OPEN,
    POSITIVE,
    REGION,
    TRUTH,
    Slice,
    area,
    legend,
    line,
    page,
    save,
)

from rsuper_bench.baselines.losses import attenuation_features, ball_pseudo_mask, grow, volume_loss
from rsuper_bench.baselines.losses.slice_band import band_voxels, slice_band

REGION_MARGIN_MM, UNKNOWN_MARGIN_MM, RIM_MM, MARGIN = 15.0, 2.0, 3.0, 0.25
SEEN_BY_NO_LOSS = line(TRUTH, "the tumors as drawn (no report loss sees them)", "dashed")


def axial() -> Slice:
    """The slice that cuts both liver tumors."""
    return Slice("axial", AXIAL, MM[0], (slice(14, 172), slice(16, 124)))


def inside(case: PhantomCase) -> torch.Tensor:
    """The body: air around it is known too, but a tint would only hide the picture."""
    return torch.from_numpy(case.hu > -300)


def known(case: PhantomCase) -> Figure:
    """METHOD 1: what a case says of each voxel."""
    figure, axes = page(2, 2, (10.4, 8.0), "What is known of each voxel, before any report loss")
    view, nothing = axial(), torch.zeros(case.hu.shape, dtype=torch.bool)
    panels = (
        ("Lesion channel “liver”, a case with masks: all is known", case.lesion("liver"), nothing),
        ("“Masses in the liver”: the liver is open", nothing, case.organ("liver")),
        ("“No tumor in the liver”: all is known again", nothing, nothing),
        ("Channel “kidney”, “mass in the left kidney”: that side", nothing, case.label("kidney_left")),
    )
    for panel, (title, tumor, unknown) in zip(axes, panels, strict=True):
        view.draw(panel, case.hu, title)
        unknown = grow(unknown, UNKNOWN_MARGIN_MM, MM)
        view.fill(panel, inside(case) & ~unknown & ~tumor, NEGATIVE, 0.45)
        view.fill(panel, unknown, OPEN, 0.6)
        view.fill(panel, tumor, POSITIVE, 0.8)
    legend(figure, (area(POSITIVE, "tumor"), area(OPEN, "unknown: not judged"), area(NEGATIVE, "known: not tumor")))
    return figure


def volume(case: PhantomCase) -> Figure:
    """METHOD 3: one number for the whole region."""
    figure, (left, right) = page(
        2, 1, (11.6, 4.6), "Volume Loss: the probabilities in the region add up to the reported volume"
    )
    view, organ, probability = axial(), case.organ("liver"), case.probability("liver")
    region = grow(organ, REGION_MARGIN_MM, MM)
    view.draw(left, case.hu, "Where they are summed")
    shown = view.heat(left, probability, region)
    view.outline(left, organ, REGION, "dotted")
    view.outline(left, region, REGION)
    view.outline(left, case.lesion("liver"), TRUTH, "dashed", 1.0)
    figure.colorbar(shown, ax=left, shrink=0.85, pad=0.01, label="predicted probability")

    reported = float(sum(VOLUMES_MM3))
    predicted = float((probability * region).sum()) * MM[0] ** 3
    volumes = np.linspace(0, 3 * reported, 900)
    losses = [_volume_loss(value, reported) for value in volumes]
    right.plot(volumes / 1000, losses, color=POSITIVE, lw=2)
    band = volumes[np.array(losses) == 0] / 1000
    right.axvspan(band[0], band[-1], color=REGION, alpha=0.5, lw=0)
    right.plot([predicted / 1000], [_volume_loss(predicted, reported)], "o", color="black", ms=7, zorder=3)
    right.annotate(
        f"this prediction: {predicted / 1000:.1f} cm³",
        (predicted / 1000, _volume_loss(predicted, reported)),
        xytext=(0.45, 0.4),
        textcoords="axes fraction",
        arrowprops={"arrowstyle": "-", "color": "black", "lw": 0.8, "shrinkB": 5},
    )
    right.set(xlabel="predicted volume in cm³", ylabel="loss", xlim=(0, volumes[-1] / 1000), ylim=(0, 1))
    right.set_title(f"The report says {reported / 1000:.1f} cm³ in all")
    right.spines[["top", "right"]].set_visible(False)
    entries = [line(REGION, "the organ of the report", "dotted"), line(REGION, "grown by 15 mm: the region")]
    legend(figure, [*entries, area(REGION, "10 % tolerance: no loss", 0.5), SEEN_BY_NO_LOSS])
    return figure


def _volume_loss(predicted_mm3: float, reported_mm3: float) -> float:
    one = torch.ones(1, 1, 1, 1, 1)
    size = torch.tensor([predicted_mm3])
    return float(volume_loss(one, one, torch.tensor([reported_mm3]), voxel_mm3=size))


def ball(case: PhantomCase) -> Figure:
    """METHOD 4: from sizes to a pseudo-mask."""
    title = "Ball Loss: tumors of 58 and 47 mm, placed where the network finds them most likely"
    figure, axes = page(3, 1, (13.6, 4.2), title)
    view, organ, probability = axial(), case.organ("liver"), case.probability("liver")
    region = grow(organ, REGION_MARGIN_MM, MM)
    placed = ball_pseudo_mask(probability, region, DIAMETERS_MM, VOLUMES_MM3, spacing_mm=MM, margin=MARGIN)
    rim = grow(placed.halo, RIM_MM, MM) & ~placed.core
    for panel, text in zip(
        axes, ("1  Find the best centres", "2  Take the most probable voxels", "3  Train on this"), strict=True
    ):
        view.draw(panel, case.hu, text)
    view.heat(axes[0], probability, region)
    for centre, diameter in zip(placed.centres.tolist(), DIAMETERS_MM, strict=True):
        _circle(view, axes[0], centre, diameter / 2)
        _circle(view, axes[1], centre, diameter * (1 + MARGIN) / 2)
    view.fill(axes[1], placed.halo & ~placed.tumor, OPEN, 0.85)
    view.fill(axes[1], placed.tumor & ~placed.core, HALO, 0.9)
    view.fill(axes[1], placed.core, POSITIVE, 0.85)
    view.fill(axes[2], ~rim & ~placed.core & inside(case), NEGATIVE, 0.4)
    view.fill(axes[2], rim, OPEN, 0.85)
    view.fill(axes[2], placed.core, POSITIVE, 0.85)
    for panel in axes:
        view.outline(panel, region, REGION)
    view.outline(axes[2], case.lesion("liver"), TRUTH, "dashed", 1.0)
    entries = [
        line(REGION, "region (liver grown by 15 mm)"),
        line(BALL, "ball: the reported diameter, then 25 % wider"),
    ]
    entries += [area(POSITIVE, "core, trained as tumor"), area(HALO, "rest of the reported volume")]
    entries += [area(OPEN, "halo and a 3 mm rim: not judged"), area(NEGATIVE, "trained as not tumor"), SEEN_BY_NO_LOSS]
    legend(figure, entries)
    return figure


def _circle(view: Slice, axes: Axes, centre: list[int], radius_mm: float) -> None:
    """The cut of a ball through an axial slice."""
    off_mm = (centre[2] - view.index) * MM[2]
    if abs(off_mm) < radius_mm:
        radius = (radius_mm**2 - off_mm**2) ** 0.5 / MM[0]
        axes.add_patch(Circle(view.place(centre[0], centre[1]), radius, fill=False, ec=BALL, lw=1.8))


def unsized(case: PhantomCase) -> Figure:
    """METHOD 3 and 4 for reports that say less."""
    figure, axes = page(2, 1, (10.4, 4.3), "Ball Loss when the report says less: what stays open is not judged")
    view, organ, probability = axial(), case.organ("liver"), case.probability("liver")
    region = grow(organ, REGION_MARGIN_MM, MM)
    panels = (
        ("“A mass in the liver”: a 7 mm ball, the rest open", [None], [None], True),
        ("“Multiple, the largest 58 mm”: one tumor, the rest open", DIAMETERS_MM[:1], VOLUMES_MM3[:1], False),
    )
    for panel, (title, diameters, volumes, complete) in zip(axes, panels, strict=True):
        placed = ball_pseudo_mask(
            probability, region, diameters, volumes, spacing_mm=MM, margin=MARGIN, complete=complete
        )
        undecided = (grow(placed.halo, RIM_MM, MM) | placed.ignored) & ~placed.core
        view.draw(panel, case.hu, title)
        view.fill(panel, ~undecided & ~placed.core & inside(case), NEGATIVE, 0.4)
        view.fill(panel, undecided, OPEN, 0.6)
        view.fill(panel, placed.core, POSITIVE, 0.9)
        view.outline(panel, region, REGION)
        view.outline(panel, case.lesion("liver"), TRUTH, "dashed", 1.0)
    entries = [area(POSITIVE, "trained as tumor"), area(OPEN, "not judged"), area(NEGATIVE, "trained as not tumor")]
    legend(figure, [*entries, line(REGION, "region (liver grown by 15 mm)"), SEEN_BY_NO_LOSS], columns=3)
    return figure


def slices(case: PhantomCase) -> Figure:
    """METHOD 6: an image number bounds where the tumor can be."""
    count = case.hu.shape[2]
    figure, axes = page(2, 1, (10.4, 4.4), f"Slice supervision: “mass of {SMALL_MM:.0f} mm, image {IMAGE_NUMBER}”")
    view, organ = Slice("coronal", CORONAL, MM[0], (slice(14, 172), slice(4, 120))), case.organ("liver")
    region = grow(organ, REGION_MARGIN_MM, MM)
    band = slice_band(IMAGE_NUMBER, SMALL_MM, slices=count, slice_mm=MM[2])
    agreeing = band_voxels(band, count, first=0, grid_mm=MM[2]).expand(case.hu.shape)
    view.draw(axes[0], case.hu, "Counted from either end: two bands")
    view.fill(axes[0], agreeing, BAND, 0.4)
    view.draw(axes[1], case.hu, "The tumor is looked for in the bands only")
    view.heat(axes[1], case.probability("liver"), region & agreeing)
    view.fill(axes[1], region & agreeing, BAND, 0.2)
    view.outline(axes[1], region & agreeing, BAND)
    for panel in axes:
        view.outline(panel, region, REGION)
        view.outline(panel, case.lesion("liver"), TRUTH, "dashed", 1.2)
    entries = [area(BAND, "slices that agree with the report", 0.5), line(BAND, "where a ball may lie")]
    legend(figure, [*entries, line(REGION, "region (liver grown by 15 mm)"), SEEN_BY_NO_LOSS], columns=2)
    return figure


def attenuation(case: PhantomCase) -> Figure:
    """METHOD 5: the brightness of the predicted tumor against that of its organ."""
    title = "Attenuation Loss: “hypodense” means that the predicted tumor is darker than its organ"
    figure, (left, right) = page(2, 1, (11.6, 4.6), title)
    view, organ, probability = axial(), case.organ("liver"), case.probability("liver")
    view.draw(left, case.hu, "The organ and the predicted tumor in it")
    view.fill(left, organ, REGION, 0.25)
    view.heat(left, probability, organ)
    view.outline(left, organ, REGION)
    view.outline(left, case.lesion("liver"), TRUTH, "dashed", 1.0)
    hu = torch.from_numpy(case.hu.astype(np.float32))
    batch = [volume[None, None].float() for volume in (probability, organ, hu)]
    organ_mean, organ_deviation, tumor_mean, tumor_deviation, *_ = attenuation_features(*batch)[0].tolist()
    values, weights = case.hu[organ.numpy()], probability[organ].numpy()
    bins = np.arange(-40, 221, 5)
    for shares, colour in ((1 - weights, REGION), (weights, POSITIVE)):
        right.hist(values, bins=bins, weights=shares / shares.sum(), color=colour, alpha=0.65)
    for name, mean, deviation, height, colour in (
        ("organ", organ_mean, organ_deviation, 1.04, "#2f8f84"),
        ("tumor", tumor_mean, tumor_deviation, 0.88, POSITIVE),
    ):
        middle, width = 50 + 100 * mean, 100 * deviation
        top = right.get_ylim()[1] * height
        right.errorbar([middle], [top], xerr=[width], fmt="o", color=colour, capsize=4, lw=2)
        right.annotate(
            f"{name}: {middle:.0f} ± {width:.0f} HU",
            (middle + width, top),
            (6, -3),
            textcoords="offset points",
            color=colour,
        )
    right.set_ylim(0, right.get_ylim()[1] * 1.12)
    right.set(xlabel="HU", ylabel="share of the weight", xlim=(-40, 220))
    right.set_title("Means and deviations, weighted by the probability")
    right.spines[["top", "right"]].set_visible(False)
    entries = [area(REGION, "organ, weight o (1 - t)"), area(POSITIVE, "tumor, weight t"), SEEN_BY_NO_LOSS]
    legend(figure, entries)
    return figure


PICTURES: dict[str, Callable[[PhantomCase], Figure]] = {
    "known": known,
    "volume": volume,
    "ball": ball,
    "ball-unsized": unsized,
    "slice-band": slices,
    "attenuation": attenuation,
}


def main() -> None:
    """Draw all, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}; default all")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(PICTURES)):
        parser.error(f"no picture {', '.join(unknown)}; there are {', '.join(PICTURES)}")
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.names or PICTURES:
        path = given.out / f"{name}.png"
        save(PICTURES[name](second_case() if name == "slice-band" else first_case()), path)
        print(f"wrote {path} ({path.stat().st_size // 1024} KB)")


if __name__ == "__main__":
    main()
