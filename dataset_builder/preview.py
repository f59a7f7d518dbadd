"""A small picture of a case: an axial and a coronal slice with organ outlines and lesions."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsuper_bench.benchmark.case_picture import WINDOW_HU
from rsuper_bench.benchmark.nifti import Volume

HEIGHT = 256
_GAP = 4
_ORGAN_COLOR = np.array([90, 200, 255], dtype=np.float32)
_LESION_COLOR = np.array([255, 70, 60], dtype=np.float32)
_ORGAN_OPACITY, _LESION_OPACITY = 0.55, 0.35


def preview_png(ct: Volume, organs: Volume | None, lesions: Volume | None) -> bytes:
    """Draw the axial and the coronal slice that show most of the lesions, or else of the organs, or the middle.

    Radiological convention: the patient's right is on the left of the picture, front and head are up.

    Args:
        ct: CT on a RAS grid.
        organs: Label map on the same grid.
        lesions: Label map on the same grid.

    Returns:
        PNG bytes, 256 pixels high.
    """
    panels = [_panel(ct, organs, lesions, axis) for axis in (2, 1)]
    gap = np.full((HEIGHT, _GAP, 3), 255, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate([panels[0], gap, panels[1]], axis=1)).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _panel(ct: Volume, organs: Volume | None, lesions: Volume | None, axis: int) -> NDArray[np.uint8]:
    index = _best_slice(ct, organs, lesions, axis)
    spacing = np.delete(np.asarray(ct.spacing_mm), axis)
    scale = HEIGHT / (ct.data.shape[1 if axis == 2 else 2] * spacing[1])
    size = (max(round(ct.data.shape[0] * spacing[0] * scale), 1), HEIGHT)

    def upright(volume: Volume, pixel: type[np.generic], resample: Image.Resampling) -> NDArray[Any]:
        # RAS index order is right-to-left and bottom-up on paper: flip both, and put rows first.
        plane = np.take(volume.data, index, axis=axis)[::-1, ::-1].T
        image = Image.fromarray(np.ascontiguousarray(plane.astype(pixel)))
        return np.asarray(image.resize(size, resample))

    low, high = WINDOW_HU
    grey = ((upright(ct, np.float32, Image.Resampling.BILINEAR) - low) / (high - low)).clip(0, 1) * 255
    picture = np.repeat(grey[..., None], 3, axis=2)
    if organs is not None:
        edges = _edges(upright(organs, np.uint8, Image.Resampling.NEAREST))
        picture[edges] += _ORGAN_OPACITY * (_ORGAN_COLOR - picture[edges])
    if lesions is not None:
        drawn = upright(lesions, np.uint8, Image.Resampling.NEAREST) > 0
        picture[drawn] += _LESION_OPACITY * (_LESION_COLOR - picture[drawn])
        picture[_edges(drawn)] = _LESION_COLOR
    return picture.round().astype(np.uint8)


def _best_slice(ct: Volume, organs: Volume | None, lesions: Volume | None, axis: int) -> int:
    others = tuple(other for other in range(3) if other != axis)
    for volume in (lesions, organs):
        if volume is not None and volume.data.any():
            return int(np.argmax((volume.data > 0).sum(axis=others)))
    return int(ct.data.shape[axis] // 2)


def _edges(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels of a label that touch another label, or none, along a row or a column."""
    differs = np.zeros(labels.shape, dtype=bool)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        step = labels[one] != labels[other]
        differs[one] |= step
        differs[other] |= step
    return np.asarray(differs & (labels > 0))
