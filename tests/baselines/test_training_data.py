"""Which crops a step sees (METHOD 8)."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy_world import LIVER, organs_of_toy, recipe_of, toy_release

from rsuper_bench.baselines.data import TrainingData, cut, place_crop
from rsuper_bench.baselines.prepare import prepare
from rsuper_bench.benchmark.errors import DataError

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
