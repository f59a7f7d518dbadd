"""METHOD 6: what a reported image number says of where a tumor is."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_crop_targets import drawn, organ
from toy_world import KIDNEY_LEFT, KIDNEY_RIGHT, LABELS, LIVER, organs_of_toy, recipe_of, record_of

from rsuper_bench.baselines.data import TrainingData
from rsuper_bench.baselines.losses import band_box, band_voxels, joined_band, slice_band, widened_band
from rsuper_bench.baselines.prepare import prepare
from rsuper_bench.baselines.targets import channel_labels, without_missing_bands
from rsuper_bench.benchmark.records import CtInfo, Finding

GATED = {"slices": {"use": True}}


@pytest.mark.parametrize(
    ("image", "diameter_mm", "slice_mm", "expected"),
    [
        # 100 slices: image 10 is the tenth or the tenth from the end; 20 mm: +- round(11) x 2 = 22 mm
        (10, 20.0, 5.0, ((25.5, 69.5), (430.5, 474.5))),
        (10, 11.0, 5.0, ((33.5, 61.5), (438.5, 466.5))),  # 6.5 rounds up to 7: 14 mm
        (10, 0.5, 5.0, ((45.5, 49.5), (450.5, 454.5))),  # at least 1 x 2 mm
        (50, 20.0, 5.0, ((225.5, 274.5),)),  # 247.5 and 252.5 overlap
        (1, 4.0, 1.0, ((-5.5, 6.5), (93.5, 105.5))),
        (0, 20.0, 5.0, None),
        (101, 20.0, 5.0, None),  # this CT has no such slice
    ],
)
def test_bands_by_hand(image, diameter_mm, slice_mm, expected):
    assert slice_band(image, diameter_mm, slices=100, slice_mm=slice_mm) == expected


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.5, 10), st.floats(1, 80))
def test_either_counting_direction_gives_the_same_band(image, slices, slice_mm, diameter_mm):
    band = slice_band(image, diameter_mm, slices=slices, slice_mm=slice_mm)
    if image > slices:
        assert band is None
        return
    assert band == slice_band(slices + 1 - image, diameter_mm, slices=slices, slice_mm=slice_mm)
    total = slices * slice_mm
    mirrored = sorted((total - high, total - low) for low, high in band)
    assert np.allclose(band, mirrored)
    for index in (image - 1, slices - image):
        middle = (index + 0.5) * slice_mm
        assert any(low <= middle - diameter_mm / 2 and middle + diameter_mm / 2 <= high for low, high in band)


def test_bands_join_widen_and_become_voxels():
    band = ((10.0, 20.0), (40.0, 50.0))
    assert widened_band(band, 10) == ((0.0, 60.0),)
    assert joined_band([band, ((15.0, 25.0),)]) == ((10.0, 25.0), (40.0, 50.0))
    # slices of 4 mm from the third on: centres 10, 14, 18, 22, 26
    assert band_voxels(band, 5, first=2, grid_mm=4.0).tolist() == [True, True, True, False, False]
    assert band_voxels(band, 3, first=-2, grid_mm=4.0).tolist() == [False, False, False]
    assert band_box(band, 0, 16, grid_mm=4.0) == (2, 13)  # centres 10 ... 50
    assert band_box(band, 6, 9, grid_mm=4.0) is None


@pytest.mark.parametrize("change", [{"diameter_mm": 0.0}, {"slices": 0}, {"slice_mm": -1.0}])
def test_errors_name_the_argument(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))} must be positive"):
        slice_band(**{"image": 1, "diameter_mm": 5.0, "slices": 10, "slice_mm": 2.0} | change)


def report(*findings, shape=(24, 16, 16), **options):
    record = record_of(
        presence={"liver": "present", "kidney": "absent"},
        findings=[Finding(**({"tumor_type": "liver", "kind": "mass"} | finding)) for finding in findings],
        **options,
    )
    return record.model_copy(update={"ct": record.ct.model_copy(update={"shape": shape})})


def bands_of(record, **slices):
    recipe = recipe_of(losses={"slices": {"use": True} | slices})
    return [tumor.band for tumor in channel_labels(record, LABELS, recipe, use_masks=False)[0].tumors]


SIZED = {"diameters_mm": (8.0,), "series": 2, "image": 4}  # the toy CT has 16 slices of 4 mm: 14 mm and 50 mm


def test_findings_bring_their_band():
    assert bands_of(report(SIZED)) == [((4.0, 24.0), (40.0, 60.0))]
    assert bands_of(report({"diameters_mm": (8.0,)})) == [None]
    assert bands_of(report(SIZED), use=False) == [None]
    assert bands_of(report(SIZED | {"image": 17})) == [None]
    # two series: which one the CT is, nobody knows
    assert bands_of(report(SIZED, SIZED | {"series": 3})) == [None, None]
    # the slice is that of the largest of a group
    assert bands_of(report(SIZED | {"count": {"value": 2}})) == [((4.0, 24.0), (40.0, 60.0)), None]


def test_the_slices_are_those_of_the_original_ct():
    record = report(SIZED)
    ct = record.ct.model_dump() | {"shape": (24, 32, 16), "spacing_mm": (4.0, 2.0, 4.0), "orientation": "LSA"}
    turned = record.model_copy(update={"ct": CtInfo.model_validate(ct)})
    assert bands_of(turned) == [((-3.0, 17.0), (47.0, 67.0))]  # slice 4 of 32 of 2 mm: 7 mm and 57 mm


def band_voxels_of_toy():
    z = (torch.arange(16) + 0.5) * 4
    return ((z >= 4) & (z <= 24)) | ((z >= 40) & (z <= 60))


def test_the_band_gates_placement_and_volume():
    targets = drawn(report(SIZED), losses={"slices": {"use": True, "negative": False}})
    allowed = band_voxels_of_toy()
    assert torch.equal(targets.region[0], organ(LIVER) & allowed)
    assert torch.equal(targets.tumors[0].band_of(0), allowed.expand(24, 16, 16))
    assert torch.equal(targets.tumors[0].regions[0], organ(LIVER))
    assert torch.equal(targets.known[0], ~organ(LIVER))  # without `negative` all of the organ stays unknown


def test_the_organ_far_from_the_band_is_known_negative():
    targets = drawn(report(SIZED), losses={"slices": {"use": True, "margin_mm": 4.0}})
    z = (torch.arange(16) + 0.5) * 4
    near = ((z >= 0) & (z <= 28)) | ((z >= 36) & (z <= 64))
    assert torch.equal(targets.known[0], ~(organ(LIVER) & near))
    assert (targets.known[0] & organ(LIVER)).any()


@pytest.mark.parametrize(
    "findings",
    [
        [SIZED, {"diameters_mm": (8.0,)}],  # one tumor without a slice
        [{"series": 2, "image": 4}],  # a tumor of unknown size may reach farther
        [SIZED | {"count": {"value": 1, "relation": "at_least"}}],  # there may be others
        [SIZED, {"certainty": "uncertain"}],
    ],
)
def test_a_doubt_leaves_the_organ_unknown(findings):
    targets = drawn(report(*findings), losses={"slices": {"use": True, "margin_mm": 0.0}})
    assert torch.equal(targets.known[0], ~organ(LIVER))


def test_a_silent_side_stays_unknown():
    record = record_of(
        presence={"kidney": "present"}, findings=[Finding(tumor_type="kidney", kind="mass", side="left", **SIZED)]
    )
    targets = drawn(record, losses={"slices": {"use": True, "margin_mm": 0.0}})
    organs = torch.from_numpy(organs_of_toy())
    z = band_voxels_of_toy()
    assert torch.equal(~targets.known[1], (organs == KIDNEY_RIGHT) | ((organs == KIDNEY_LEFT) & z))


def test_a_band_that_misses_the_organ_is_of_another_series():
    record = report(SIZED | {"image": 1, "diameters_mm": (6.3,)})  # 2 and 62 mm +- 8: slices 0, 1 and 14, 15
    label = channel_labels(record, LABELS, recipe_of(losses=GATED), use_masks=False)[0]
    organ_box = {LIVER: ((1, 3, 3), (11, 13, 13))}
    assert label.tumors[0].band is not None
    assert without_missing_bands(label, organ_box, 4.0).tumors[0].band is None
    kept = without_missing_bands(label, {LIVER: ((1, 3, 0), (11, 13, 13))}, 4.0)
    assert kept is label


def test_a_crop_that_holds_the_band_may_cut_the_organ():
    # 24 mm of 16 slices of 4 mm; image 8 is slice 7 or 8: 28 to 36 mm +- 10: slices 5 to 10 of the liver's 3 to 12
    record = report(SIZED | {"image": 8})
    options = {"losses": {"slices": {"use": True}}}
    inside = drawn(record, crop=np.s_[:, :, 4:12], **options)
    assert inside.tumors[0].diameters_mm == (8.0,)
    assert inside.volume_mm3[0, 0] > 0
    cut = drawn(record, crop=np.s_[:, :, 7:], **options)
    assert cut.tumors[0] is None
    assert cut.volume_mm3[0, 0] == 0


def test_crops_go_where_the_slices_say(tmp_path):
    from toy_world import ToyRelease, toy_case

    from rsuper_bench.benchmark.records import Split

    _, volumes = toy_case(1, Split.TRAIN, with_masks=False)
    record = report(SIZED | {"image": 8})
    release = ToyRelease({record.case_id: (record, volumes)})
    recipe = recipe_of(
        objective="report_only",
        cases=[{"reports": 1}, {"reports": 1}],
        crop=(24, 16, 8),
        crops={"report": {"tumor": 1.0, "organ": 0.0}},
        losses=GATED,
        augmentation=None,
    )
    data = TrainingData(prepare(release, recipe, tmp_path), recipe)
    placed = 0
    for step in range(6):
        targets = data.batch(step).targets
        channels = [crop[0] for crop in targets.tumors if crop[0] is not None and crop[0].diameters_mm]
        assert len(channels) == sum(crop[0] is not None for crop in targets.tumors)
        placed += len(channels)
    assert placed  # some are drawn for the liver; the kidneys hold none
