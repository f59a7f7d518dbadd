"""What the comparison rows of the papers learn from, on paper."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from toy_world import LABELS, organs_of_toy, recipe_of, record_of

from rsuper_bench.baselines.contrast import STATED, attribute_count, contrast_loss, finding_attributes
from rsuper_bench.baselines.crop_targets import CropView, draw_targets, stack
from rsuper_bench.baselines.data import TrainingData
from rsuper_bench.baselines.distortion import Distortion, distorted, painted, shuffled, with_curve
from rsuper_bench.baselines.networks import NETWORKS, build_model
from rsuper_bench.baselines.networks.heads import watched
from rsuper_bench.baselines.networks.registry import build_network, deepest_of
from rsuper_bench.baselines.objectives import OBJECTIVES
from rsuper_bench.baselines.presence import presence_labels, presence_loss
from rsuper_bench.baselines.recipe import NetworkSpec
from rsuper_bench.baselines.targets import channel_labels
from rsuper_bench.benchmark.errors import ConfigError
from rsuper_bench.benchmark.records import Finding, Phase, Presence
from rsuper_bench.benchmark.tumor_types import TumorType

TINY = {
    "dynunet": {"levels": 3, "width": 4},
    "segresnet": {"init_filters": 8, "blocks_down": [1, 1, 1], "blocks_up": [1, 1]},
    "segresnet_ds": {"width": 8, "blocks_down": [1, 1, 1]},
    "swin_unetr": {"width": 12},
    "medformer": {"width": 4, "conv_blocks": 1, "attention_blocks": [1, 1, 1]},
    "toy": {},
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_says_where_its_encoder_ends(name):
    if name not in TINY:
        pytest.skip("a network of another test")
    network = build_network(NetworkSpec(name=name, options=TINY[name]), 1, 2).eval()
    deepest, side = deepest_of(network), 64 if name == "swin_unetr" else 32
    with torch.no_grad(), watched(deepest) as seen:
        network(torch.zeros(1, 1, side, side, side))
    (features,) = seen
    assert features.shape[1] == deepest.channels
    layers = {"toy": side, "swin_unetr": 2}  # five halvings of 64
    assert features.shape[2] == layers.get(name, 2 if name == "medformer" else 8)


def test_a_network_without_a_noted_encoder_is_refused(monkeypatch):
    monkeypatch.setitem(NETWORKS, "bare", lambda i, o: nn.Conv3d(i, o, 1))
    weights = {"segmentation": 1, "organs": 1, "presence": 1}
    recipe = recipe_of(objective="multi_task", cases=[{"masks": 1}] * 2, weights=weights, network={"name": "bare"})
    with pytest.raises(ConfigError, match="bare does not say where its encoder ends, which term presence needs"):
        build_model(recipe)


def targets_of(presence, findings=(), *, masks=None, lesions=None, origin=(0, 0, 0), size=(24, 16, 16)):
    """Targets of a crop of the toy world."""
    record = record_of(presence=presence, findings=findings, masks=masks or {})
    recipe, organs = recipe_of(), organs_of_toy()
    place = tuple(slice(o, o + s) for o, s in zip(origin, size, strict=True))
    counts = np.bincount(organs.ravel())
    boxes = {1: ((1, 3, 3), (11, 13, 13)), 2: ((13, 3, 3), (17, 9, 13)), 3: ((19, 3, 3), (23, 9, 13))}
    return draw_targets(
        channel_labels(record, LABELS, recipe, use_masks=bool(masks)),
        organs[place],
        None if lesions is None else lesions[place],
        lesion_numbers={kind: number for number, kind in LABELS.lesions.items()},
        view=CropView(dict(enumerate(counts.tolist())), boxes, origin, size, recipe.grid_mm),
        hu=np.zeros(size, np.int16),
        phase=Phase.PORTAL_VENOUS,
        recipe=recipe,
    )


LIVER_MASS = Finding(tumor_type="liver", kind="mass", diameters_mm=(24.0,), attenuation="hypo")


def test_a_label_of_presence_is_what_the_crop_can_show():
    lesions = np.zeros((24, 16, 16), np.uint8)
    lesions[2:4, 5:8, 5:8] = 1
    reported = {TumorType.LIVER: Presence.PRESENT, TumorType.KIDNEY: Presence.ABSENT}
    masks = {"masks": {TumorType.LIVER: 1000.0}, "lesions": lesions}
    cut = {"origin": (6, 0, 0), "size": (18, 16, 16)}  # half of the liver, all of the kidneys
    for made, expected in (
        (targets_of(reported, [LIVER_MASS]), (True, False)),  # the whole liver and both kidneys
        (targets_of(reported, [LIVER_MASS], **cut), (None, False)),  # the place is cut: nobody knows
        (targets_of(reported, [LIVER_MASS], size=(12, 16, 16)), (True, None)),  # no kidney to speak of
        (targets_of({}), (None, None)),  # silence is no label
        (targets_of({}, **masks), (True, None)),  # a mask of the liver alone
        (targets_of({}, **masks, **cut), (False, None)),  # its lesion is outside of this crop
    ):
        label, stated = presence_labels(stack([made]))
        found = tuple(bool(a) if b else None for a, b in zip(label[0], stated[0], strict=True))
        assert found == expected


def test_presence_loss_by_hand():
    batch = stack([targets_of({TumorType.LIVER: Presence.PRESENT}, [LIVER_MASS])])  # kidneys: not stated
    loss = presence_loss(torch.tensor([[0.0, 9.0]]), batch)
    assert loss.item() == pytest.approx(np.log(2))
    assert presence_loss(torch.zeros(1, 2), stack([targets_of({})])) == 0


def test_attributes_are_what_the_report_states():
    reported = {TumorType.LIVER: Presence.PRESENT, TumorType.KIDNEY: Presence.ABSENT}
    batch = stack([targets_of(reported, [LIVER_MASS]), targets_of({})])
    found = finding_attributes(batch)
    assert found.shape == (2, attribute_count(2))
    # present; 20 to 40 mm; one; hypo | absent
    assert found[0, :STATED].tolist() == [0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0]
    assert found[0, STATED:].tolist() == [1] + [0] * (STATED - 1)
    assert found[1].sum() == 0


def test_contrast_loss_by_hand():
    two = torch.eye(2)
    # right pairs at cosine 1, wrong ones at 0: -log(e / (e + 1)) both ways
    assert contrast_loss(torch.eye(2), two, temperature=1).item() == pytest.approx(np.log(1 + np.exp(-1)))
    assert contrast_loss(torch.eye(2), two, temperature=0.01).item() < 1e-6
    # all say the same, or nothing: there is no contrast
    assert contrast_loss(torch.eye(2), torch.ones(2, 3), temperature=1) == 0
    assert contrast_loss(torch.eye(2), torch.zeros(2, 3), temperature=1) == 0
    # a crop whose report says nothing changes nothing
    three = torch.cat([two, torch.zeros(1, 2)])
    with_silent = torch.randn(3, 3, generator=generator())
    with_silent[:2, :2] = torch.eye(2)
    assert contrast_loss(with_silent, three, temperature=1).item() == pytest.approx(np.log(1 + np.exp(-1)))
    # two that say the same are both right
    same = torch.tensor([[1.0, 0], [1, 0], [0, 1]])
    cosines = torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])
    swapped = cosines[[1, 0, 2]]
    assert contrast_loss(cosines, same, temperature=0.1) == contrast_loss(swapped, same, temperature=0.1)


def test_reports_teach_the_segmentation_of_multi_task_nothing(toy_store):
    recipe = recipe_of(
        objective="multi_task",
        cases=[{"reports": 1, "masks": 1}] * 2,
        weights={"segmentation": 1, "organs": 1, "presence": 1},
        crop=(24, 16, 16),
        batch=4,
    )
    batch = TrainingData(toy_store, recipe).batch(0)
    model = build_model(recipe).eval()
    term = OBJECTIVES["multi_task"](model, batch, recipe.losses)["segmentation"]()
    bare = batch.targets.known.clone()
    bare[[pool == "reports" for _, pool in batch.case_ids]] = False
    outputs = model(batch.image)
    from rsuper_bench.baselines.losses import segmentation_loss

    expected = segmentation_loss(outputs.final, batch.targets.mask, bare)
    assert term.item() == pytest.approx(expected.item(), abs=1e-6)
    assert 0 < bare.sum() < batch.targets.known.sum()


def test_a_distorted_crop_is_another_and_follows_from_the_seed():
    image = torch.randn(3, 4, 12, 10, 8)
    one, two = (distorted(image, Distortion(), generator=generator(3)) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, distorted(image, Distortion(), generator=generator(4)))
    assert not torch.equal(one[:, 0], image[:, 0])
    assert one[:, 1].abs().sum() == 0  # the CT relative to its organ would give the answer away
    assert torch.equal(one[:, 2:], image[:, 2:])
    nothing = Distortion(intensity=0, shuffle=0, paint=0)
    assert torch.equal(distorted(image, nothing, generator=generator())[:, 0], image[:, 0])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.tuples(*[st.integers(1, 9)] * 3))
def test_distortions_keep_what_they_promise(seed, shape):
    ct = torch.randn(shape, generator=generator(seed))
    curved = with_curve(ct, generator(seed))
    order = ct.flatten().argsort()
    steps = curved.flatten()[order].diff()
    assert (steps >= -1e-4).all() or (steps <= 1e-4).all()  # monotonic
    assert curved.amin() >= ct.amin() - 1e-4
    assert curved.amax() <= ct.amax() + 1e-4
    mixed = shuffled(ct, 2 + seed % 3, generator(seed))
    assert torch.equal(mixed.flatten().sort().values, ct.flatten().sort().values)
    for outside in (False, True):
        noisy = painted(ct, 5, outside=outside, generator=generator(seed))
        assert noisy.shape == ct.shape
        assert torch.isfinite(noisy).all()
