"""METHOD 8, augmentation: everything that supervises follows the rotation, and nothing unknown becomes known."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from no_looking import NoLooking
from toy_world import LABELS, LIVER, recipe_of

from rsuper_bench.baselines.augment import MASKS, Change, augmented, draw_change, turned
from rsuper_bench.baselines.batch import Batch
from rsuper_bench.baselines.crop_targets import CropView, draw_targets, stack
from rsuper_bench.baselines.data import TrainingData
from rsuper_bench.baselines.inputs import Looks, network_image
from rsuper_bench.baselines.losses import AttenuationTarget, ReportedTumors
from rsuper_bench.baselines.losses.looking import without_looking
from rsuper_bench.baselines.options import Augmentation
from rsuper_bench.baselines.targets import ChannelLabel, Known, Tumor
from rsuper_bench.baselines.turning import Sources, Turn
from rsuper_bench.benchmark.records import Attenuation, Malignancy, Phase

SIZE = 32
LOW_HU = -160.0
ORGAN = ((9, 8, 7), (21, 22, 23))  # its corners stay in the crop whatever the angle
BALL = (13.0, 15.0, 12.0)


def ball(centre, radius, size=SIZE):
    x, y, z = np.ogrid[:size, :size, :size]
    return (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2 <= radius**2


def batch_of(changes, *, masks=True, organ=ORGAN, centre=BALL, organ_input=False, band=None):
    """One crop a change: an organ with a darker ball in it, known from a mask or from a report."""
    recipe = recipe_of(crop=(SIZE,) * 3, grid_mm=1.0, organ_input=organ_input, tumor_types=["liver"])
    organs = np.zeros((SIZE,) * 3, dtype=np.uint8)
    box = tuple(slice(a, b) for a, b in zip(*organ, strict=True))
    organs[box] = LIVER
    lesions = (ball(centre, 3.5) & (organs > 0)).astype(np.uint8)
    rng = np.random.default_rng(0)
    hu = (np.where(organs > 0, 100, -100) - 60 * lesions + rng.normal(0, 5, organs.shape)).astype(np.int16)
    tumor = Tumor((LIVER,), 7.0, float(lesions.sum()), Attenuation.HYPO, band=band)
    label = (
        ChannelLabel(Known.MASK, (LIVER,))
        if masks
        else ChannelLabel(Known.PRESENT, (LIVER,), (LIVER,), (tumor,), malignancy=Malignancy.MALIGNANT)
    )
    index = IndexLike({LIVER: (100.0, 5.0)})
    looks = Looks.of(index, LABELS, recipe)
    crops = []
    for change in changes:
        targets = draw_targets(
            [label],
            organs,
            lesions if masks else None,
            lesion_numbers={kind: number for number, kind in LABELS.lesions.items()},
            view=CropView({LIVER: int((organs > 0).sum())}, {LIVER: organ}, (0, 0, 0), recipe.crop, 1.0, change.turn),
            hu=hu,
            phase=Phase.PORTAL_VENOUS,
            recipe=recipe,
        )
        shown = torch.from_numpy(hu.astype(np.float32))[None, None]
        labels = torch.from_numpy(organs)[None, None]
        image = network_image(shown, labels, looks)
        crop = (image, shown, stack([targets]), (1.0,) * 3, (("case", "masks"),), labels, looks, (change,), LOW_HU)
        crops.append(Batch(*crop))
    return Batch.stack(crops)


class IndexLike:
    mean_hu, std_hu = 20.0, 90.0

    def __init__(self, organ_hu):
        self.organ_hu = organ_hu
        self.record = type("Record", (), {"organ_labels": ("liver",)})()


def tensors_of(batch):
    found = {"image": batch.image, "hu": batch.hu, "organs": batch.organs}
    found |= {name: getattr(batch.targets, name) for name in MASKS}
    for place, row in enumerate(batch.targets.tumors):
        for channel, item in enumerate(row):
            if item is not None and item.regions is not None:
                found[f"regions {place} {channel}"] = item.regions
                if item.band is not None:
                    found[f"band {place} {channel}"] = item.band
    return found


def test_every_target_with_voxels_is_turned():
    targets = batch_of([Change()]).targets
    with_voxels = {name: value for name, value in vars(targets).items() if getattr(value, "ndim", 0) >= 4}
    assert set(with_voxels) == set(MASKS)


def test_nothing_drawn_is_nothing_changed():
    batch = batch_of([Change(), Change()], organ_input=True)
    assert augmented(batch) is batch
    turn = Turn.of_degrees(0, 0, 0)
    same = turned(batch_of([Change(turn=turn)], masks=False, band=((2.0, 20.0),)))
    for name, tensor in tensors_of(batch_of([Change()], masks=False, band=((2.0, 20.0),))).items():
        assert torch.equal(tensors_of(same)[name], tensor), name
    assert same.inside.all()


def test_a_crop_without_a_change_keeps_every_bit_beside_one_that_has_all():
    everything = Change(Turn.of_degrees(10, 20, 30), 1.0, 0.1, 5, 1.2, 0.8, 0.1, 1.3)
    before = batch_of([Change(), everything, Change()], organ_input=True)
    after = augmented(before)
    for name, tensor in tensors_of(before).items():
        if name == "image" or not name[-1].isdigit():
            assert torch.equal(tensors_of(after)[name][[0, 2]], tensor[[0, 2]]), name
            assert name in ("region", "penalised") or not torch.equal(tensors_of(after)[name][1], tensor[1]), name


@pytest.mark.parametrize("degrees", [90, -90, 180])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_right_angles_are_those_of_numpy(axis, degrees):
    change = Change(turn=Turn.of_degrees(*(degrees if other == axis else 0 for other in range(3))))
    plane = tuple(other for other in range(3) if other != axis)
    for masks in (True, False):
        before, after = (batch_of([one], masks=masks, band=((2.0, 11.0),)) for one in (Change(), change))
        after = turned(after)
        for name, tensor in tensors_of(before).items():
            if name != "image":
                expected = np.rot90(tensor.numpy(), -degrees // 90, tuple(one - 3 for one in plane))
                assert np.array_equal(tensors_of(after)[name].numpy(), expected), name
        assert after.inside.all()


angles = st.floats(-30, 30)


@settings(max_examples=25, deadline=None)
@given(angles, angles, angles)
def test_a_rotated_case_and_its_targets_agree(x, y, z):
    turn = Turn.of_degrees(x, y, z)
    before, after = batch_of([Change()]), turned(batch_of([Change(turn=turn)]))
    mask, organ = (getattr(after.targets, name)[0, 0] for name in ("mask", "organ"))
    # volumes to within the voxels of the surface
    for name, now in (("mask", mask), ("organ", organ)):
        was = getattr(before.targets, name)[0, 0]
        assert abs(int(now.sum()) - int(was.sum())) < 0.12 * int(was.sum())
    assert (organ | ~mask).all()
    assert torch.equal(after.organs[0, 0] == LIVER, organ)
    # the planted ball lies where the rotation about the centre of the crop puts it
    centre = (SIZE - 1) / 2
    expected = np.array(turn.matrix).T @ (np.array(BALL) - centre) + centre
    assert np.abs(mask.nonzero().numpy().mean(0) - expected).max() < 0.35
    assert (mask.numpy() | ~ball(expected, 2.4)).all()
    assert (~mask.numpy() | ball(expected, 4.6)).all()
    # the CT moved with them: a dark ball in a bright organ
    inner = ball(expected, 2)
    assert abs(float(after.hu[0, 0][torch.from_numpy(inner)].mean()) - 40) < 6
    assert float(after.hu.min()) >= LOW_HU
    assert (after.hu[0, 0][~after.inside[0, 0]] < 41).all()


@settings(max_examples=25, deadline=None)
@given(st.floats(-180, 180), angles, angles, st.booleans())
def test_nothing_unknown_becomes_known(x, y, z, masks):
    turn = Turn.of_degrees(x, y, z)
    before, after = batch_of([Change()], masks=masks), turned(batch_of([Change(turn=turn)], masks=masks))
    assert not (after.targets.known & ~after.inside).any()
    assert not (after.targets.penalised & ~after.inside).any()
    source = Sources.of([turn], (SIZE,) * 3, torch.device("cpu")).position[0]
    unknown = ~before.targets.known[0, 0]
    # each voxel that is known now came from a voxel that was: the nearest to its source
    places = after.targets.known[0, 0].nonzero()
    came = (source[:, places[:, 0], places[:, 1], places[:, 2]] + 0.5).floor().long()
    assert not unknown[came[0], came[1], came[2]].any()
    assert int((~after.targets.known).sum()) >= int((~after.inside).sum()) + 0.85 * int(unknown.sum())


@settings(max_examples=15, deadline=None)
@given(angles, angles, angles, st.data())
def test_boxes_hold_their_regions_and_the_host_knows_what_leaves_the_view(x, y, z, data):
    turn = Turn.of_degrees(x, y, z)
    low = [data.draw(st.integers(0, SIZE - 1)) for _ in range(3)]
    high = [data.draw(st.integers(start + 1, SIZE)) for start in low]
    box = list(zip(low, high, strict=True))
    region = torch.zeros(1, 1, SIZE, SIZE, SIZE, dtype=torch.bool)
    region[0, 0][tuple(slice(a, b) for a, b in box)] = True
    wide = torch.nn.functional.pad(region, [SIZE // 2] * 6)
    now = Sources.of([turn], (SIZE,) * 3, torch.device("cpu")).labels(region)[0, 0]
    ends = tuple(slice(*pair) for pair in turn.after(box, (SIZE,) * 3))
    assert int(now[ends].sum()) == int(now.sum())
    anywhere = Sources.of([turn], (2 * SIZE,) * 3, torch.device("cpu")).labels(wide)
    if turn.keeps(box, (SIZE,) * 3):
        assert int(now.sum()) == int(anywhere.sum())
    assert turn.after(((0, 0), (3, 9), (0, 4)), (SIZE,) * 3) == ((0, 0),) * 3


def test_a_report_follows_with_boxes_bands_and_sizes():
    turn = Turn.of_degrees(12, -25, 30)
    before = batch_of([Change()], masks=False, band=((4.0, 11.0), (21.0, 28.0)))
    after = turned(batch_of([Change(turn=turn)], masks=False, band=((4.0, 11.0), (21.0, 28.0))))
    was, now = before.targets.tumors[0][0], after.targets.tumors[0][0]
    assert (now.diameters_mm, now.volumes_mm3, now.complete) == (was.diameters_mm, was.volumes_mm3, was.complete)
    assert now.boxes
    assert not torch.equal(was.band, now.band)
    assert after.targets.volume_mm3.tolist() == before.targets.volume_mm3.tolist()
    assert after.targets.attenuation.tolist() == before.targets.attenuation.tolist() != [[-1]]
    assert after.targets.malignancy == before.targets.malignancy
    # the reported ball lies in its region, and its slices went with it
    lesion = batch_of([Change(turn=turn)]).targets.mask
    moved = Sources.of([turn], (SIZE,) * 3, torch.device("cpu")).labels(lesion)[0, 0]
    assert now.regions[0][moved].all()
    assert torch.equal(after.targets.region[0, 0], now.regions[0] & now.band.any(0))


def test_a_region_that_the_rotation_cuts_is_a_cut_region():
    organ = ((0, 0, 0), (14, 30, 14))
    whole, cut = (batch_of([Change(turn=turn)], masks=False, organ=organ) for turn in (None, Turn.of_degrees(0, 30, 0)))
    assert whole.targets.tumors[0][0] is not None
    assert whole.targets.volume_mm3[0, 0, 0] > 0
    assert cut.targets.tumors[0][0] is None  # no Ball Loss
    assert cut.targets.volume_mm3[0, 0, 0] == 0  # the reported volume is an upper bound only
    assert cut.targets.volume_mm3[0, 0, 1] == whole.targets.volume_mm3[0, 0, 1]
    assert cut.targets.attenuation.tolist() != whole.targets.attenuation.tolist()
    # a drawn lesion that leaves the view teaches no word for its brightness
    edge = ((0, 0, 0), (32, 32, 13))
    near, far = ((15.0, 15.0, 6.0), (3.5, 15.0, 3.5))
    found = [
        batch_of([Change(turn=Turn.of_degrees(0, 45, 0))], centre=centre, organ=edge).targets.attenuation.tolist()
        for centre in (near, far)
    ]
    assert found == [[[int(AttenuationTarget.HYPO)]], [[int(AttenuationTarget.NONE)]]]


def test_channels_made_of_hu_stay_those_of_the_turned_ct():
    change = Change(turn=Turn.of_degrees(5, 10, -20), blur=1.0, noise=0.1, noise_seed=3)
    after = augmented(batch_of([change], organ_input=True))
    ct, relative, organ = after.image[0]
    hu = ct * IndexLike.std_hu + IndexLike.mean_hu
    expected = torch.where(organ > 0, ((hu - 100) / 5).clamp(-6, 6) / 2, 0)
    torch.testing.assert_close(relative, expected, atol=1e-3, rtol=0)
    assert torch.equal(organ > 0, after.targets.organ[0, 0])
    assert not torch.allclose(after.hu[0, 0], hu, atol=1)  # what the Attenuation Loss reads has neither


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Change(brightness=1.2), lambda x: (x - x.min()) * 1.2 + x.min()),
        (Change(contrast=0.7), lambda x: (x - x.mean()) * 0.7 + x.mean()),
        (Change(shift=-0.1), lambda x: x - 0.1),
        (Change(gamma=1.5), lambda x: ((x - x.min()) / np.ptp(x)) ** 1.5 * np.ptp(x) + x.min()),
    ],
)
def test_intensities_by_hand(change, expected):
    before = batch_of([change], organ_input=True)
    after = augmented(before)
    image = before.image[0, 0].numpy().astype(np.float64)
    np.testing.assert_allclose(after.image[0, 0].numpy(), expected(image), atol=2e-5)
    assert torch.equal(after.image[:, 1:], before.image[:, 1:])
    assert torch.equal(after.hu, before.hu)


def test_blur_is_that_of_scipy_and_noise_has_its_size():
    from scipy import ndimage

    before = batch_of([Change(blur=1.3), Change(blur=0.6)])
    after = augmented(before)
    for place, sigma in ((0, 1.3), (1, 0.6)):
        expected = ndimage.gaussian_filter(before.image[place, 0].numpy(), sigma, mode="nearest", radius=6)
        np.testing.assert_allclose(after.image[place, 0].numpy(), expected, atol=1e-4)
    noisy = augmented(batch_of([Change(noise=0.08, noise_seed=1), Change(noise=0.08, noise_seed=2)]))
    noise = noisy.image - batch_of([Change()]).image
    assert noise.std((1, 2, 3, 4)).tolist() == pytest.approx([0.08, 0.08], rel=0.03)
    assert not torch.equal(noise[0], noise[1])


def test_what_is_drawn_has_the_chances_and_ranges_of_the_recipe():
    chosen = Augmentation()
    changes = [draw_change(chosen, np.random.default_rng(seed)) for seed in range(4000)]
    shares = {f.name: np.mean([getattr(c, f.name) is not None for c in changes]) for f in fields(Change)}
    assert shares.pop("noise_seed") == 1
    assert shares.pop("turn") == pytest.approx(0.4, abs=0.03)
    assert all(share == pytest.approx(0.3, abs=0.03) for share in shares.values())
    for name, low, high in (("gamma", 0.7, 1.5), ("blur", 0.5, 1.5), ("brightness", 0.7, 1.3), ("contrast", 0.7, 1.3)):
        drawn = [getattr(c, name) for c in changes if getattr(c, name) is not None]
        assert low <= min(drawn) < low + 0.02
        assert high - 0.02 < max(drawn) <= high
    for change in changes[:50]:
        if change.turn is not None:
            matrix = np.array(change.turn.matrix)
            np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
            assert np.linalg.det(matrix) == pytest.approx(1)
    none = Augmentation(rotation_chance=0, chance=0)
    assert replace(draw_change(none, np.random.default_rng(0)), noise_seed=0) == Change()


def test_a_crop_is_changed_by_seed_step_and_place_alone(toy_store):
    data = TrainingData(toy_store, recipe_of(batch=4))
    for step in (3, 5):
        whole = augmented(data.batch(step))
        parts = [augmented(data.batch(step, crops)) for crops in (range(2), range(2, 4))]
        assert whole.changes == parts[0].changes + parts[1].changes
        assert torch.equal(whole.image, torch.cat([part.image for part in parts]))
        assert torch.equal(whole.targets.known, torch.cat([part.targets.known for part in parts]))
    other = TrainingData(toy_store, recipe_of(batch=4, seed=8))
    assert other.batch(3).changes != data.batch(3).changes != data.batch(4).changes


def test_without_augmentation_the_same_crops_are_drawn(toy_store):
    intensities = {"chance": 0.9, "rotation_chance": 0.0}
    plain, changed = (TrainingData(toy_store, recipe_of(augmentation=one)).batch(4) for one in (None, intensities))
    assert plain.case_ids == changed.case_ids
    assert torch.equal(plain.image, changed.image)
    assert augmented(plain) is plain
    assert not torch.equal(augmented(changed).image, plain.image)


def test_nothing_is_read_back_from_the_device():
    everything = Change(Turn.of_degrees(10, 20, 30), 1.0, 0.1, 5, 1.2, 0.8, 0.1, 1.3)
    for masks in (True, False):
        before = batch_of([everything, Change(), everything], masks=masks, organ_input=True, band=((4.0, 11.0),))
        expected = augmented(before)
        with without_looking(), NoLooking():
            blind = augmented(before)
        for name, tensor in tensors_of(expected).items():
            assert torch.equal(tensors_of(blind)[name], tensor), name


def test_moving_a_band_moves_only_what_it_repeats():
    band = torch.zeros(2, 1, 1, 8, dtype=torch.bool)
    band[0, ..., 2:4] = True
    tumors = ReportedTumors(torch.ones(1, 8, 8, 8), [3.0, 4.0], [14.0, 33.0], band=band.expand(2, 8, 8, 8))
    sizes = []
    moved = tumors.map(lambda tensor: (sizes.append(tensor.numel()), tensor.clone())[1])
    assert sorted(sizes) == [16, 512]
    assert torch.equal(moved.band, tumors.band)
    assert moved.boxes == (((0, 8),) * 3,)


def test_a_range_that_falls_is_refused():
    with pytest.raises(ValueError, match="the first value is the smaller one"):
        Augmentation(gamma=(1.5, 0.7))
