"""How the pictures look: one colour a meaning, slices drawn the way they are read, legend, scale bar, small files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

POSITIVE, OPEN, NEGATIVE = "#e5383b", "#f4b63f", "#3f7fbf"  # a voxel is tumor, not judged, not tumor
REGION, BALL, TRUTH, BAND, HALO = "#7fd1c7", "#ffffff", "#f5f5f5", "#b58cff", "#ff9f6b"
HEAT = mpl.colors.LinearSegmentedColormap.from_list("probability", ["#000000", "#7a1e6c", "#e8543a", "#fcecae"])
INK, PAPER = "#22262b", "#ffffff"
WINDOW_HU = (-60, 200)
DPI = 110
LARGEST_BYTES = 190_000
mpl.rcParams.update(
    {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "text.color": INK,
        "axes.labelcolor": INK,
        "figure.facecolor": PAPER,
        "svg.hashsalt": "rsuper-bench",
    }
)

Mask = NDArray[np.bool_]


class Slice:
    """One slice of a volume, drawn the way radiologists look at it: the patient's right is on the left.

    Args:
        plane: ``axial`` or ``coronal``.
        index: Of the slice.
        mm: Voxel length, the same on all axes.
        window: First and past-the-last voxel to show, from left to right and from bottom to top of the patient.
    """

    def __init__(self, plane: str, index: int, mm: float, window: tuple[slice, slice]) -> None:
        self.plane, self.index, self.mm, self.window = plane, index, mm, window
        self.columns, self.rows = (part.stop - part.start for part in window)

    def of(self, volume: object) -> NDArray[np.generic]:
        """Cut it out of ``(X, Y, Z)``, where x grows to the patient's right, y to the front, z to the head."""
        array = np.asarray(volume)
        cut = array[:, :, self.index] if self.plane == "axial" else array[:, self.index]
        return cut[self.window].T[::-1, ::-1]

    def place(self, first: float, second: float) -> tuple[float, float]:
        """Column and row of a voxel, given along the two axes of the plane."""
        return self.columns - 1 - (first - self.window[0].start), self.rows - 1 - (second - self.window[1].start)

    def draw(self, axes: Axes, hu: object, title: str) -> None:
        """The CT, with letters and a scale bar of 50 mm."""
        axes.imshow(self.of(hu), cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], interpolation="bilinear")
        axes.set_title(title, pad=6)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_xlim(-0.5, self.columns - 0.5)
        axes.set_ylim(self.rows - 0.5, -0.5)
        small = {
            "color": "white",
            "ha": "center",
            "size": 8,
            "path_effects": [withStroke(linewidth=2, foreground="black")],
        }
        for text, x in (("R", 0.025), ("L", 0.975)):
            axes.text(x, 0.5, text, transform=axes.transAxes, va="center", **small)
        length = 50 / self.mm
        start, row = self.columns * 0.97 - length, self.rows * 0.95
        axes.plot([start, start + length], [row, row], color="black", lw=4, solid_capstyle="projecting")
        axes.plot([start, start + length], [row, row], color="white", lw=2.5, solid_capstyle="butt")
        axes.text(start + length / 2, row - self.rows * 0.02, "50 mm", va="bottom", **small)

    def fill(self, axes: Axes, mask: object, colour: str, strength: float = 0.55) -> None:
        """Tint the voxels of a mask."""
        cut = self.of(mask).astype(float)
        axes.imshow(
            np.dstack([np.broadcast_to(to_rgb(colour), (*cut.shape, 3)), cut * strength]), interpolation="nearest"
        )

    def outline(self, axes: Axes, mask: object, colour: str, style: str = "solid", width: float = 1.4) -> None:
        """Draw the border of a mask."""
        cut = np.pad(self.of(mask).astype(float), 1)
        if cut.any():
            around = np.arange(-1, cut.shape[1] - 1), np.arange(-1, cut.shape[0] - 1)
            axes.contour(*around, cut, levels=[0.5], colors=[colour], linestyles=[style], linewidths=[width])

    def heat(self, axes: Axes, probability: object, shown: object | None = None) -> object:
        """Lay a probability over the CT; where it is 0 the CT stays."""
        cut = self.of(probability).astype(float)
        alpha = np.clip(cut * 1.6, 0, 0.9) * (1 if shown is None else self.of(shown))
        return axes.imshow(cut, cmap=HEAT, vmin=0, vmax=1, alpha=alpha, interpolation="bilinear")


def area(colour: str, label: str, strength: float = 0.75) -> Patch:
    """A legend entry for a tint."""
    return Patch(facecolor=colour, alpha=strength, label=label)


def line(colour: str, label: str, style: str = "solid") -> Line2D:
    """A legend entry for an outline."""
    shown = "#8a9099" if colour in (BALL, TRUTH) else colour
    return Line2D([], [], color=shown, linestyle=style, lw=1.8, label=label)


def page(columns: int, rows: int, size: tuple[float, float], title: str) -> tuple[Figure, list[Axes]]:
    """A figure whose title says what to see."""
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    figure.suptitle(title, x=0.008, ha="left", size=13, weight="bold")
    return figure, list(axes.flat)


def legend(figure: Figure, entries: Sequence[object], columns: int = 4) -> None:
    """All colours of the figure, below it."""
    figure.legend(
        handles=list(entries), loc="outside lower left", ncols=min(len(entries), columns), frameon=False, fontsize=9
    )


def save(figure: Figure, path: Path) -> None:
    """Write a small PNG without a date or version in it."""
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    figure.savefig(buffer, dpi=DPI, metadata={"Software": None})
    plt.close(figure)
    picture = Image.open(buffer).convert("RGB")
    if len(buffer.getvalue()) > LARGEST_BYTES:
        picture = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)
