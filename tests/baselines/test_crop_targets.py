"""METHOD 1, 3 and 4 on the voxels of a crop."""

import numpy as np
import pytest
import torch
from toy_world import KIDNEY_LEFT, KIDNEY_RIGHT, LABELS, LIVER, organs_of_toy, recipe_of, record_of

from rsuper_bench.baselines.crop_targets import CropView, Targets, draw_targets, stack
from rsuper_bench.baselines.losses import AttenuationTarget
from rsuper_bench.baselines.targets import EXCLUDED_LESION, channel_labels
from rsuper_bench.benchmark.records import Finding, Phase
from rsuper_bench.benchmark.tumor_types import TumorType

NUMBERS = {kind: number for number, kind in LABELS.lesions.items()}
LIVER_CHANNEL, KIDNEY_CHANNEL = 0, 1


def box_of(mask):
    inside = np.argwhere(mask)
    return tuple(inside.min(0).tolist()), tuple((inside.max(0) + 1).tolist())


def drawn(record, *, use_masks=False, lesions=None, crop=np.s_[:], hu=None, phase=Phase.PORTAL_VENOUS, **changes):
    recipe = recipe_of(**({"unknown_margin_mm": 0.0, "region_margin_mm": 0.0} | changes))
    organs = organs_of_toy()
    origin = tuple(part.start or 0 for part in crop) if isinstance(crop, tuple) else (crop.start or 0, 0, 0)
    view = CropView(
        dict(enumerate(np.bincount(organs.ravel()))),
        {number: box_of(organs == number) for number in np.unique(organs) if number},
        origin,
        organs[crop].shape,
        recipe.grid_mm,
    )
    return draw_targets(
        channel_labels(record, LABELS, recipe, use_masks=use_masks),
        organs[crop],
        None if lesions is None else lesions[crop],
        lesion_numbers=NUMBERS,
        view=view,
        hu=(np.zeros(organs.shape, np.int16) if hu is None else hu)[crop],
        phase=phase,
        recipe=recipe,
    )


def organ(number) -> torch.Tensor:
    return torch.from_numpy(organs_of_toy() == number)


def report(presence="present", *findings):
    return record_of(
        presence={"liver": presence, "kidney": "absent"},
        findings=[Finding(**({"tumor_type": "liver", "kind": "mass"} | finding)) for finding in findings],
    )


def test_a_report_leaves_its_region_unknown_and_the_rest_negative():
    targets = drawn(report("present", {"diameters_mm": (20.0,)}))
    assert torch.equal(targets.known[LIVER_CHANNEL], ~organ(LIVER))
    assert targets.known[KIDNEY_CHANNEL].all()
    assert not targets.mask.any()
    assert torch.equal(targets.region[LIVER_CHANNEL], organ(LIVER))
    assert targets.penalised[LIVER_CHANNEL].all()
    assert targets.volume_known.tolist() == [True, True]
    assert targets.volume_mm3[LIVER_CHANNEL].tolist() == pytest.approx([4188.790, 4188.790], abs=1e-3)
    assert targets.volume_mm3[KIDNEY_CHANNEL].tolist() == [0, 0]
    assert targets.tumors[LIVER_CHANNEL].diameters_mm == (20.0,)
    assert targets.tumors[KIDNEY_CHANNEL].diameters_mm == ()


def test_margins_grow_the_unknown_and_the_region():
    targets = drawn(report("present", {}), unknown_margin_mm=4.0, region_margin_mm=8.0)
    unknown = ~targets.known[LIVER_CHANNEL]
    assert unknown[0, 8, 8]  # one voxel beside the organ
    assert not unknown[0, 2, 2]  # its corner is farther
    assert targets.region[LIVER_CHANNEL][12, 8, 8]
    assert not targets.region[LIVER_CHANNEL][13, 8, 8]
    assert targets.penalised[LIVER_CHANNEL].all()


@pytest.mark.parametrize("presence", ["uncertain", "not_stated"])
def test_an_open_question_supervises_only_the_outside(presence):
    targets = drawn(report(presence))
    assert torch.equal(targets.known[LIVER_CHANNEL], ~organ(LIVER))
    assert targets.tumors[LIVER_CHANNEL] is None
    assert not targets.volume_known[LIVER_CHANNEL]


def test_a_region_cut_by_the_crop_bounds_the_volume_from_above_only():
    targets = drawn(report("present", {"diameters_mm": (20.0,)}), crop=np.s_[5:])
    assert targets.volume_mm3[LIVER_CHANNEL].tolist() == pytest.approx([0, 4188.790], abs=1e-3)
    assert targets.tumors[LIVER_CHANNEL] is None
    assert torch.equal(targets.penalised[LIVER_CHANNEL], ~organ(LIVER)[5:])
    assert targets.attenuation[LIVER_CHANNEL] == AttenuationTarget.NONE


def test_a_noise_aware_volume_is_a_band_around_the_reported_one():
    noise_aware = {"losses": {"volume": {"target": "noise_aware"}}}
    targets = drawn(report("present", {"diameters_mm": (20.0,)}), **noise_aware)
    assert targets.volume_mm3[LIVER_CHANNEL].tolist() == pytest.approx([0.7 * 4188.790, 1.15 * 4188.790], abs=1e-3)
    assert targets.volume_mm3[KIDNEY_CHANNEL].tolist() == [0, 0]
    assert drawn(report("present", {}), **noise_aware).volume_mm3[LIVER_CHANNEL].tolist() == [66, 905_000]


def test_without_unsized_supervision_a_tumor_without_size_teaches_nothing():
    targets = drawn(report("present", {"attenuation": "hypo"}), losses={"unsized": False})
    assert targets.tumors[LIVER_CHANNEL] is None
    assert not targets.volume_known[LIVER_CHANNEL]
    assert targets.attenuation[LIVER_CHANNEL] == AttenuationTarget.NONE
    assert torch.equal(targets.known[LIVER_CHANNEL], ~organ(LIVER))


def test_a_region_outside_the_crop_says_nothing():
    targets = drawn(report("present", {"diameters_mm": (20.0,)}), crop=np.s_[12:])
    assert not targets.volume_known[LIVER_CHANNEL]
    assert targets.known[LIVER_CHANNEL].all()


def test_only_the_whole_side_gets_a_ball():
    record = record_of(
        presence={"kidney": "present"},
        findings=[
            Finding(tumor_type="kidney", kind="mass", side="left", diameters_mm=(10.0,)),
            Finding(tumor_type="kidney", kind="mass", side="right", diameters_mm=(12.0,)),
        ],
    )
    whole = drawn(record)
    assert whole.tumors[KIDNEY_CHANNEL].region_of == (0, 1)
    cut = drawn(record, crop=np.s_[:21])
    assert cut.tumors[KIDNEY_CHANNEL].diameters_mm == (12.0,)
    # the cut side stays unknown, the whole side is judged
    assert not (cut.penalised[KIDNEY_CHANNEL] & organ(KIDNEY_LEFT)[:21]).any()
    assert (cut.penalised[KIDNEY_CHANNEL] | ~organ(KIDNEY_RIGHT)[:21]).all()


def test_masks_are_known_everywhere_but_around_lesions_too_small_for_the_grid():
    lesions = np.zeros(organs_of_toy().shape, np.uint8)
    lesions[3:6, 5:8, 5:8] = NUMBERS[TumorType.LIVER]
    lesions[8, 8, 8] = NUMBERS[TumorType.LIVER] + EXCLUDED_LESION
    record = record_of(masks={"liver": 1728.0})
    targets = drawn(record, use_masks=True, lesions=lesions)
    assert targets.mask[LIVER_CHANNEL].sum() == 27
    unknown = ~targets.known[LIVER_CHANNEL]
    assert unknown.sum() == 7  # the voxel and its six neighbours
    assert unknown[8, 8, 8]
    # no kidney mask: the kidneys are unknown, the rest is not
    assert torch.equal(targets.known[KIDNEY_CHANNEL], ~(organ(KIDNEY_LEFT) | organ(KIDNEY_RIGHT)))


@pytest.mark.parametrize(
    ("phase", "stated", "expected"),
    [
        (Phase.PORTAL_VENOUS, ["hypo"], AttenuationTarget.HYPO),
        (Phase.PORTAL_VENOUS, ["hypo", "hyper"], AttenuationTarget.MIXED),
        (Phase.PORTAL_VENOUS, ["hyper", "unknown"], AttenuationTarget.NONE),
        (Phase.ARTERIAL, ["hyper"], AttenuationTarget.NONE),
    ],
)
def test_attenuation_of_reports(phase, stated, expected):
    targets = drawn(report("present", *({"attenuation": word} for word in stated)), phase=phase)
    assert targets.attenuation[LIVER_CHANNEL] == expected


def test_attenuation_of_masks_is_read_from_the_ct():
    lesions = np.zeros(organs_of_toy().shape, np.uint8)
    lesions[3:6, 5:8, 5:8] = NUMBERS[TumorType.LIVER]
    rng = np.random.default_rng(0)
    hu = (100 + rng.normal(0, 5, lesions.shape) + 40 * (lesions > 0)).astype(np.int16)
    targets = drawn(record_of(masks={"liver": 1728.0}), use_masks=True, lesions=lesions, hu=hu)
    assert targets.attenuation[LIVER_CHANNEL] == AttenuationTarget.HYPER


def test_a_case_without_the_organ_is_not_supervised():
    record = record_of(organ_labels=("liver",), presence={"kidney": "absent"})
    targets = drawn(record)
    assert not targets.known[KIDNEY_CHANNEL].any()
    assert targets.organ_known.tolist() == [True, False]


def test_batches_stack_and_move():
    one = drawn(report("present", {"diameters_mm": (20.0,)}))
    batch = Targets.join([stack([one]), stack([one])]).map(torch.clone)
    assert isinstance(batch, Targets)
    assert batch.known.shape == (2, 2, 24, 16, 16)
    assert batch.volume_mm3.shape == (2, 2, 2)
    assert torch.equal(batch.tumors[1][LIVER_CHANNEL].regions, one.tumors[LIVER_CHANNEL].regions)
