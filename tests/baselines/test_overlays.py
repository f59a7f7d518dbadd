"""Pictures of training: what they show, and that drawing them changes nothing."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from toy_world import recipe_of

from rsuper_bench.baselines.data import TrainingData
from rsuper_bench.baselines.overlays import COLOURS, Shown, _cut, _telling, picture, what_to_show
from rsuper_bench.baselines.train import train


def colour_at(png, colour, tolerance=60):
    """Pixels of about a colour, which is drawn half transparent."""
    image = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return np.argwhere(np.abs(image - wanted).max(-1) <= tolerance)


def test_a_report_case_shows_region_and_placed_balls(toy_store):
    recipe = recipe_of(cases=[{"masks": 1}, {"reports": 1}], batch=4)
    batch = TrainingData(toy_store, recipe).batch(4)
    place, channel = _telling(batch)
    reported = batch.targets.tumors[place][channel]
    assert reported.diameters_mm
    probability = torch.full(batch.hu.shape[2:], 0.1)
    shown = what_to_show(batch, place, channel, probability, recipe)
    assert set(shown.masks) == {"region", "halo", "tumor", "core"}
    assert (shown.masks["region"] == reported.regions.any(0).numpy()).all()
    assert shown.masks["core"].any()
    assert (shown.masks["core"] <= shown.masks["tumor"]).all()
    assert shown.masks["core"][shown.centre]
    assert "slice band" not in shown.masks
    band = torch.zeros_like(reported.regions[0])
    band[..., 4:9] = True
    rows = [list(row) for row in batch.targets.tumors]
    rows[place][channel] = replace(reported, band=band)
    banded = replace(batch, targets=replace(batch.targets, tumors=tuple(tuple(row) for row in rows)))
    shown = what_to_show(banded, place, channel, probability, recipe)
    assert shown.masks["slice band"].any((0, 1)).nonzero()[0].tolist() == [4, 5, 6, 7, 8]


def test_a_mask_case_shows_its_lesion(toy_store):
    recipe = recipe_of(batch=4)
    batch = TrainingData(toy_store, recipe).batch(0)
    place, channel = _telling(batch)
    shown = what_to_show(batch, place, channel, torch.zeros(batch.hu.shape[2:]), recipe)
    assert set(shown.masks) == {"lesion mask"}
    assert (shown.masks["lesion mask"] == batch.targets.mask[place, channel].numpy()).all()
    assert shown.masks["lesion mask"][shown.centre]


def test_slices_are_shown_as_they_are_read():
    """RAS: x grows to the right, y to the front, z to the head; the right is shown on the left, the head on top."""
    volume = np.zeros((4, 5, 6))
    volume[3, 0, 5] = 1  # right, back, head
    axial, coronal, sagittal = _cut(volume, 2, 5), _cut(volume, 1, 0), _cut(volume, 0, 3)
    assert axial.shape == (5, 4)
    assert axial[0, 0] == 1  # with the origin below: bottom left
    assert coronal[-1, 0] == 1  # top left
    assert sagittal[-1, -1] == 1  # top, and the back on the right


def test_the_picture_shows_what_it_is_given():
    volume = np.zeros((20, 20, 20), dtype=bool)
    volume[12:17, 8:13, 8:13] = True  # on the patient's right: left in the picture
    hu = np.full(volume.shape, 40, dtype=np.float32)
    masks = {"lesion mask": volume}
    png = picture(Shown(hu, np.zeros_like(hu), masks, (14, 10, 10)), "title")
    found = colour_at(png, COLOURS["lesion mask"])
    width, height = Image.open(io.BytesIO(png)).size
    upper = found[found[:, 0] < height / 3]
    assert len(upper) > 500
    assert upper[:, 1].max() < 0.25 * width  # the left half of the left column
    assert png == picture(Shown(hu, np.zeros_like(hu), masks, (14, 10, 10)), "title")
    without = picture(Shown(hu, np.zeros_like(hu), {}, (14, 10, 10)), "title")
    assert len(colour_at(without, COLOURS["lesion mask"])) < 50


def test_drawing_does_not_change_the_training(toy_store, tmp_path):
    plain = train(toy_store, recipe_of(), tmp_path / "plain")
    drawn = train(toy_store, recipe_of(overlay_every=1), tmp_path / "drawn")
    assert drawn.model.training
    for name, value in plain.ema.items():
        assert torch.equal(value, drawn.ema[name]), name
    assert len(list((tmp_path / "drawn" / "overlays").iterdir())) == 8


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_flat_prediction_can_be_drawn(value):
    hu = np.zeros((8, 8, 8), dtype=np.float32)
    assert picture(Shown(hu, np.full_like(hu, value), {}, (4, 4, 4)), "t").startswith(b"\x89PNG")
