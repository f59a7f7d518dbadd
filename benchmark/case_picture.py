"""Three planes of a CT through one point, with organ, drawn lesions and prediction in outline: a small JPEG."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsuper_bench.benchmark.nifti import Volume

WINDOW_HU = (-160.0, 240.0)  # soft tissue: level 40, width 400
FIELD_MM = 170.0  # side of each plane: an organ and what lies around it, large enough to see 10 mm
SIDE = 240  # pixels
_GAP = 4
_QUALITY = 80
# Bright on grey, and apart for colour-blind readers: yellow is what is there, blue is what the method says.
ORGAN_COLOR, LESION_COLOR, METHOD_COLOR = (225, 225, 225), (255, 200, 40), (70, 190, 255)
_PLANES = ((0, 1), (0, 2), (1, 2))  # axial, coronal, sagittal: the axes to the right and up on paper


def case_picture(
    ct: Volume,
    focus: tuple[int, int, int],
    *,
    organ: NDArray[np.bool_] | None = None,
    lesion: NDArray[np.bool_] | None = None,
    predicted: NDArray[np.bool_] | None = None,
) -> bytes:
    """Draw the axial, coronal and sagittal plane through a voxel, 170 mm wide each.

    Radiological convention: the patient's right is on the left of the picture, front and head are up; in the sagittal
    plane the front is on the left.

    Args:
        ct: CT in HU on a RAS grid.
        focus: Voxel the planes go through.
        organ: Mask on the same grid, its border in light grey.
        lesion: Drawn lesions, with a yellow rim around them, so that they can be seen.
        predicted: Prediction at 0.5, its border in blue.

    Returns:
        JPEG bytes.
    """
    masks = [(organ, ORGAN_COLOR, _inside), (lesion, LESION_COLOR, _around), (predicted, METHOD_COLOR, _inside)]
    planes = []
    for axes in _PLANES:
        places = [_places(ct, focus, axis) for axis in axes]
        normal = 3 - sum(axes)
        picture = _grey(np.take(ct.data, focus[normal], axis=normal), places)
        for mask, color, rim in masks:
            if mask is not None:
                drawn = _sampled(np.take(mask, focus[normal], axis=normal), places, outside=0) >= 0.5
                picture[rim(drawn)] = color
        planes += [picture[::-1, ::-1], np.full((SIDE, _GAP, 3), 0, dtype=np.uint8)]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(planes[:-1], axis=1)).save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return buffer.getvalue()


def _places(ct: Volume, focus: tuple[int, int, int], axis: int) -> NDArray[np.float64]:
    """Voxel coordinate of each pixel along one axis, ``(SIDE,)``; outside the image it is beyond its ends."""
    spacing_mm = ct.spacing_mm[axis]
    half = FIELD_MM / 2 / spacing_mm
    size = ct.data.shape[axis]
    centre = float(focus[axis])
    if size > 2 * half:  # no empty border where the image goes on elsewhere
        centre = min(max(centre, half - 0.5), size - half - 0.5)
    return centre + ((np.arange(SIDE) + 0.5) / SIDE - 0.5) * 2 * half


def _sampled(plane: NDArray[Any], places: list[NDArray[np.float64]], *, outside: float) -> NDArray[np.float32]:
    """Values at the pixels, interpolated linearly, rows upwards: ``(SIDE, SIDE)``."""
    from scipy.ndimage import map_coordinates

    grid = np.meshgrid(*places, indexing="ij")
    # Half a voxel beyond the outermost centres is still inside the image.
    inside = [np.where((g > -0.5) & (g < n - 0.5), g.clip(0, n - 1), g) for g, n in zip(grid, plane.shape, strict=True)]
    return np.asarray(map_coordinates(plane.astype(np.float32), inside, order=1, cval=outside)).T


def _grey(plane: NDArray[Any], places: list[NDArray[np.float64]]) -> NDArray[np.uint8]:
    low, high = WINDOW_HU
    grey = ((_sampled(plane, places, outside=low) - low) / (high - low)).clip(0, 1) * 255
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)


def _inside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a mask that touch what is outside it; one that fills the picture has none at its border."""
    from scipy.ndimage import binary_erosion

    return np.asarray(mask & ~binary_erosion(mask, border_value=1))


def _around(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Two pixels around a mask."""
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(mask, iterations=2) & ~mask)
