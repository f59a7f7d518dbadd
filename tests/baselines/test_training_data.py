"""Which crops a step sees (METHOD 8)."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy_world import KIDNEY_LEFT, KIDNEY_RIGHT, LIVER, organs_of_toy, recipe_of, toy_release

from rsuper_bench.baselines.augment import Change
from rsuper_bench.baselines.data import CropPlan, TrainingData, _origin, _wanted, cut, place_crop
from rsuper_bench.baselines.options import Augmentation
from rsuper_bench.baselines.prepare import prepare
from rsuper_bench.baselines.recipe import load_recipe
from rsuper_bench.baselines.turning import Turn
from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.records import Presence
from rsuper_bench.benchmark.tumor_types import TumorType

MASKS_ONLY = {
    "objective": "mask_only",
    "cases": [{"masks": 1}, {"masks": 1}],
    "weights": {"segmentation": 1, "organs": 1},
}
REPORTS_ONLY = {"objective": "report_only", "cases": [{"reports": 1}, {"reports": 1}]}


def test_a_batch_follows_from_the_step_alone(toy_store):
    one, two = TrainingData(toy_store, recipe_of()), TrainingData(toy_store, recipe_of())
    for step in (5, 0, 3):
        a, b = one.batch(step), two.batch(step)
        assert a.case_ids == b.case_ids
        assert torch.equal(a.image, b.image)
        assert torch.equal(a.targets.known, b.targets.known)
    assert one.batch(0).case_ids != one.batch(1).case_ids or not torch.equal(one.batch(0).image, one.batch(1).image)


def test_masks_and_reports_come_in_fixed_shares(toy_store):
    data = TrainingData(toy_store, recipe_of(batch=4))
    assert Counter(pool for _, pool in data.batch(0).case_ids) == {"masks": 4}
    for step in range(3, 8):  # the second stage mixes 1 : 1
        assert Counter(pool for _, pool in data.batch(step).case_ids) == {"masks": 2, "reports": 2}


def test_no_case_is_in_both_pools(toy_store):
    data = TrainingData(toy_store, recipe_of())
    ids = {pool: {case.index.record.case_id for case in cases} for pool, cases in data.pools.items()}
    assert ids["masks"] == {"case-00", "case-01", "case-02", "case-03"}
    assert ids["reports"] == {"case-04", "case-05", "case-06", "case-07"}
    few = TrainingData(toy_store, recipe_of(max_mask_cases=2))
    assert (len(few.pools["masks"]), len(few.pools["reports"])) == (2, 6)


def test_fewer_reports_are_a_part_of_more_and_change_no_mask(toy_store):
    def cases(**changes):
        pools = TrainingData(toy_store, recipe_of(**changes)).pools
        return {pool: {case.index.record.case_id for case in found} for pool, found in pools.items()}

    every = cases(max_mask_cases=2)
    some = [cases(max_mask_cases=2, max_report_cases=number) for number in range(3, 9)]
    assert [len(found["reports"]) for found in some] == [3, 4, 5, 6, 6, 6]
    assert all(found["masks"] == every["masks"] for found in some)
    assert all(fewer["reports"] <= more["reports"] for fewer, more in pairwise([*some, every]))


def test_report_only_reads_no_mask_and_mask_only_no_report(toy_store):
    reports = TrainingData(toy_store, recipe_of(**REPORTS_ONLY))
    assert len(reports.pools["reports"]) == 8
    masks = TrainingData(toy_store, recipe_of(**MASKS_ONLY))
    assert set(masks.pools) == {"masks"}
    for step in range(8):
        assert not reports.batch(step).targets.mask.any()
        assert all(tumors is None for crop in masks.batch(step).targets.tumors for tumors in crop)


def test_positives_are_drawn_as_often_as_the_recipe_says(toy_store):
    for share in (0.0, 1.0):
        data = TrainingData(toy_store, recipe_of(**REPORTS_ONLY, crops={"positives": share}, batch=1))
        rng = np.random.default_rng(0)
        drawn = [data._draw("reports", rng) for _ in range(20)]
        assert {case.positive(channel) for case, channel in drawn} == {bool(share)}


def test_the_summary_counts_what_is_supervised(toy_store):
    summary = TrainingData(toy_store, recipe_of()).summary()
    assert summary["masks"]["known"]["liver"] == {"mask": 4}
    assert summary["reports"]["known"]["liver"] == {"absent": 2, "present": 2}


def test_a_recipe_that_cannot_work_is_refused_before_training(tmp_path):
    store = prepare(toy_release(n_train=3, masked=0), recipe_of(), tmp_path / "no-masks")
    with pytest.raises(DataError, match="no training case has lesion masks"):
        TrainingData(store, recipe_of(**MASKS_ONLY))
    store = prepare(toy_release(n_train=1, masked=0), recipe_of(), tmp_path / "one")
    with pytest.raises(DataError, match="no report of a training case states a tumor"):
        TrainingData(store, recipe_of(**REPORTS_ONLY, tumor_types=["liver"]))


def test_a_crop_larger_than_the_case_is_padded(toy_store):
    data = TrainingData(toy_store, recipe_of(crop=(32, 16, 20)))
    batch = data.batch(0)
    assert batch.image.shape == (2, 1, 32, 16, 20)
    assert (batch.hu[:, :, :4] == -160).all()
    assert (batch.targets.organ[:, 0].flatten(1).sum(1) == int((organs_of_toy() == LIVER).sum())).all()


axis = st.integers(1, 40)


@given(st.data())
def test_a_crop_holds_the_box_where_it_fits(data):
    shape, crop = (tuple(data.draw(axis) for _ in range(3)) for _ in range(2))
    low = tuple(data.draw(st.integers(0, size - 1)) for size in shape)
    high = tuple(data.draw(st.integers(start + 1, size)) for start, size in zip(low, shape, strict=True))
    origin = place_crop(
        np.array(low), np.array(high), shape, crop, np.random.default_rng(data.draw(st.integers(0, 99)))
    )
    for start, length, first, last, size in zip(origin, crop, low, high, shape, strict=True):
        if length >= size:
            assert start <= 0
            assert start + length >= size  # the whole case is in the crop
        else:
            assert 0 <= start <= size - length
        if last - first <= length:
            assert start <= first
            assert last <= start + length


def test_what_lies_outside_a_case_is_filled():
    array = np.arange(8).reshape(2, 2, 2)
    assert cut(array, (-1, 0, 1), (4, 2, 2), 9)[..., 0].tolist() == [[9, 9], [1, 3], [5, 7], [9, 9]]
    assert (cut(array, (-1, 0, 1), (4, 2, 2), 9)[..., 1] == 9).all()


# Frequencies of the crop policy (METHOD 8), on a world where one crop can tell what it was drawn for.

DRAWS = 1500
POLICY = {  # as METHOD 8 states it
    "mask": {"tumor": 0.8, "organ": 0.1},
    "report": {"tumor": 0.8, "organ": 0.0},
    "unsized": {"tumor": 0.5, "organ": 0.3},
    "negative": {"tumor": 0.0, "organ": 0.8},
}


def test_the_shipped_recipes_have_the_policy_of_the_method():
    for name in ("mask_only", "report_only", "combined"):
        crops = load_recipe(name).crops.model_dump(mode="json")
        assert {key: crops[key] for key in POLICY} == POLICY
        assert crops["positives"] == 0.5  # else a rare type is seen as rarely as it is
        assert load_recipe(name).augmentation == Augmentation()


@pytest.mark.parametrize(
    ("index", "pool", "channel", "expected"),
    [
        (1, "masks", 0, {"tumor": 0.8, "organ": 0.1, "anywhere": 0.1}),  # a drawn liver tumor
        (2, "masks", 0, {"organ": 0.8, "anywhere": 0.2}),  # none
        (5, "reports", 0, {"tumor": 0.8, "anywhere": 0.2}),  # a sized one reported
        (6, "reports", 1, {"tumor": 0.5, "organ": 0.3, "anywhere": 0.2}),  # one without a size
        (4, "reports", 0, {"organ": 0.8, "anywhere": 0.2}),  # its absence reported
    ],
)
def test_crops_go_where_the_policy_says_as_often_as_it_says(toy_store, index, pool, channel, expected):
    recipe = recipe_of(crops=POLICY)
    data = TrainingData(toy_store, recipe)
    case = next(case for case in data.pools[pool] if case.index.record.case_id == f"case-{index:02d}")
    wanted = Counter()
    rng = np.random.default_rng(0)
    for _ in range(DRAWS):
        boxes = _wanted(case, channel, recipe, rng)
        organ = [case.index.organ_boxes[number] for number in case.labels[channel].organ]
        tumor = case.lesion_boxes(channel) or organ[:1]
        reported = pool == "reports" and channel == 1
        if not boxes:
            wanted["anywhere"] += 1
        elif pool == "reports" and channel == 0 and index == 5:
            wanted["tumor"] += boxes == organ
        elif reported:
            wanted["tumor" if len(boxes) == 1 else "organ"] += 1  # the left kidney, or both
        else:
            wanted["tumor" if boxes[0] in case.lesion_boxes(channel) else "organ"] += 1
            assert set(boxes) <= {*organ, *tumor}
    assert set(wanted) == set(expected)
    for name, share in expected.items():
        assert abs(wanted[name] / DRAWS - share) < 3.5 * (share * (1 - share) / DRAWS) ** 0.5


def test_rare_tumor_types_are_drawn_as_often_as_common_ones(tmp_path):
    # the liver has a tumor in 12 of 24 cases, the kidney in 8; leave the kidney one of them
    release = toy_release(n_train=24, masked=0)
    for index in range(3, 24, 3):
        record, volumes = release.cases[f"case-{index:02d}"]
        findings = tuple(item for item in record.findings if item.tumor_type is not TumorType.KIDNEY)
        presence = record.presence | {TumorType.KIDNEY: Presence.ABSENT}
        release.cases[record.case_id] = (
            record.model_copy(update={"findings": findings, "presence": presence}),
            volumes,
        )
    recipe = recipe_of(**REPORTS_ONLY, crops={"positives": 0.5}, batch=2)
    data = TrainingData(prepare(release, recipe, tmp_path), recipe)
    tumors = [sum(bool(case.positive(channel)) for case in data.pools["reports"]) for channel in range(2)]
    assert tumors == [12, 1]
    drawn = Counter(
        (plan.channel, plan.case.positive(plan.channel)) for step in range(8) for plan in repeated_plans(data, step)
    )
    for key in ((0, True), (0, False), (1, True), (1, False)):
        assert abs(drawn[key] / sum(drawn.values()) - 0.25) < 3.5 * (0.25 * 0.75 / sum(drawn.values())) ** 0.5


def repeated_plans(data, step):
    """What the places of a batch would show if it were much larger: each place has its own generator."""
    rngs = (np.random.default_rng(np.random.SeedSequence([1, step, place])) for place in range(150))
    for rng in rngs:
        case, channel = data._draw("reports", rng)
        yield CropPlan(case, channel, (0, 0, 0), Change())


def test_the_whole_reported_region_is_in_the_crop_where_it_fits(toy_store):
    recipe = recipe_of(**REPORTS_ONLY, crop=(16, 16, 16), crops=POLICY | {"report": {"tumor": 1.0, "organ": 0.0}})
    data = TrainingData(toy_store, recipe)
    case = next(case for case in data.pools["reports"] if case.index.record.case_id == "case-05")
    low, high = (9, 10, 12), (18, 20, 21)
    wide = case.index.model_copy(update={"shape": (40, 40, 40), "organ_boxes": {LIVER: (low, high)}})
    origins = {rotated: Counter() for rotated in (False, True)}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        turn = Turn.of_degrees(*rng.uniform(-20, 20, 3)) if seed % 2 else None
        origin = _origin(replace(case, index=wide), 0, recipe, turn, rng)
        inside = [(a - o, b - o) for a, b, o in zip(low, high, origin, strict=True)]
        assert all(a >= 0 and b <= 16 for a, b in inside)
        assert turn is None or turn.keeps(inside, recipe.crop)  # after the rotation too
        origins[turn is not None][origin] += 1
    assert len(origins[False]) > 40  # anywhere that shows it
    assert len(origins[True]) > 10


def test_of_places_too_far_apart_one_is_shown_whole(toy_store):
    # both kidneys span 10 voxels
    recipe = recipe_of(**REPORTS_ONLY, crop=(8, 16, 16), crops={"negative": {"tumor": 0.0, "organ": 1.0}})
    data = TrainingData(toy_store, recipe)
    case = next(case for case in data.pools["reports"] if case.positive(1) is False)
    shown = Counter()
    for seed in range(60):
        origin = _origin(case, 1, recipe, None, np.random.default_rng(seed))
        view = range(origin[0], origin[0] + 8)
        for number in (KIDNEY_LEFT, KIDNEY_RIGHT):
            low, high = case.index.organ_boxes[number]
            shown[number] += low[0] in view and high[0] - 1 in view
    assert min(shown.values()) > 15
    assert sum(shown.values()) == 60
