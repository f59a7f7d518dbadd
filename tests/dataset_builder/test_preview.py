"""Previews: which slice, which way up, what is marked."""

import io

import numpy as np
import pytest
from PIL import Image

from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.dataset_builder.preview import HEIGHT, preview_png


def volume(data, spacing=(1.0, 1.0, 1.0)):
    return Volume(data, np.diag([*spacing, 1.0]))


def panels(ct, organs=None, lesions=None):
    """Axial and coronal panel; they are parted by four white columns."""
    picture = np.asarray(Image.open(io.BytesIO(preview_png(ct, organs, lesions)))).astype(int)
    width = round(ct.data.shape[0] * ct.spacing_mm[0] * HEIGHT / (ct.data.shape[1] * ct.spacing_mm[1]))
    assert (picture[:, width : width + 4] == 255).all()
    return picture[:, :width], picture[:, width + 4 :]


def bright_at(panel):
    rows, columns = np.nonzero(panel[..., 0] > 128)
    return rows.mean() / panel.shape[0], columns.mean() / panel.shape[1]


def test_radiological_convention():
    # RAS: index grows to the right of the patient... seen from the feet, the right is on the left of the picture.
    data = np.full((8, 8, 8), -1000, np.int16)
    data[6:, 6:, 2:6] = 1000  # right, front
    axial, _ = panels(volume(data))
    row, column = bright_at(axial)
    assert row < 0.3
    assert column < 0.3
    data = np.full((8, 8, 8), -1000, np.int16)
    data[:2, 2:6, :2] = 1000  # left, foot
    _, coronal = panels(volume(data))
    row, column = bright_at(coronal)
    assert row > 0.7
    assert column > 0.7


def test_panels_keep_the_proportions_of_the_body():
    axial, coronal = panels(volume(np.zeros((10, 20, 5), np.int16), (2.0, 1.0, 8.0)))
    assert axial.shape[:2] == (HEIGHT, HEIGHT)  # 20 x 20 mm
    assert coronal.shape[:2] == (HEIGHT, HEIGHT // 2)  # 20 x 40 mm


def test_the_slice_with_most_of_the_lesion_is_shown():
    lesions = np.zeros((9, 9, 9), np.uint8)
    lesions[1, 1, 1] = 3
    lesions[4:7, 4:7, 7] = 3
    axial, coronal = panels(volume(np.zeros((9, 9, 9), np.int16)), lesions=volume(lesions))
    red = (axial[..., 0] > axial[..., 1] + 20).mean()
    assert red == pytest.approx(9 / 81, rel=0.1)
    assert (coronal[..., 0] > coronal[..., 1] + 20).any()


def test_organs_are_outlined_and_not_filled():
    organs = np.zeros((16, 16, 16), np.uint8)
    organs[4:12, 4:12, 4:12] = 5
    axial, _ = panels(volume(np.zeros((16, 16, 16), np.int16)), organs=volume(organs))
    blue = axial[..., 2] > axial[..., 0] + 20
    assert 0 < blue.mean() < 0.05
    assert not blue[HEIGHT // 2, HEIGHT // 2]


def test_same_case_same_bytes():
    ct = volume(np.arange(512, dtype=np.int16).reshape(8, 8, 8))
    assert preview_png(ct, None, None) == preview_png(ct, None, None)
