"""Pseudo-masks that keep what reports count, and the chain from teacher to student."""

import json

import numpy as np
import pytest
import torch
from toy_world import KIDNEY_LEFT, KIDNEY_RIGHT, SHAPE, organs_of_toy, recipe_of, toy_release

from rsuper_bench.baselines import pseudo_labels
from rsuper_bench.baselines.predictor import Prediction
from rsuper_bench.baselines.probability_map import ProbabilityMap
from rsuper_bench.baselines.pseudo_labels import draw, first_recipe, most_probable, pseudo_label, train_recipe
from rsuper_bench.baselines.store import Store
from rsuper_bench.baselines.targets import ChannelLabel, Known, Tumor
from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.records import Attenuation, Split

ROW = {
    "name": "toy_pseudo_labels",
    "objective": "pseudo_labels",
    "cases": [{"masks": 1}, {"masks": 1}],
    "weights": {"segmentation": 1.0, "organs": 1.0},
}


def scene():
    """Three components: 0.9 with a rim of 0.5, 0.6, and 0.3; a plateau of 0.2 joins the first two."""
    p = np.zeros((20, 5, 5), np.float32)
    p[2:12, 2, 2] = 0.2
    p[2:5, 1:4, 1:4] = 0.5
    p[3, 2, 2] = 0.9
    p[10:12, 2, 2] = 0.6
    p[16, 2, 2] = 0.3
    return p


@pytest.mark.parametrize(("count", "voxels"), [(0, 0), (1, 27), (2, 29), (3, 30)])
def test_as_many_components_as_reported_most_probable_first(count, voxels):
    kept = most_probable(scene(), count)
    assert kept.sum() == voxels
    assert kept[3, 2, 2] == (count > 0)
    assert kept[10, 2, 2] == (count > 1)
    assert not kept[7, 2, 2]  # 0.2 is less than 0.4 times either peak


def test_fewer_than_reported_is_nothing():
    # the plateau between them is a component of its own, of 0.2; after it nothing is left above 0.1
    assert most_probable(scene(), 4)[7, 2, 2]
    assert most_probable(scene(), 5) is None
    assert most_probable(np.zeros((3, 3, 3), np.float32), 1) is None


def test_a_report_decides_where_and_how_many():
    organs = organs_of_toy()
    found = ProbabilityMap(SHAPE)
    p = np.zeros(SHAPE, np.float32)
    p[14, 5, 5], p[20, 5, 5], p[21, 7, 9], p[5, 5, 5] = 0.5, 0.8, 0.7, 0.9
    found.add(0, p)
    kidneys = (KIDNEY_LEFT, KIDNEY_RIGHT)

    def label(*regions, **more):
        tumors = tuple(Tumor(region, None, None, Attenuation.UNKNOWN) for region in regions)
        return ChannelLabel(more.pop("known", Known.PRESENT), kidneys, tumors=tumors, **more)

    def voxels(label):
        mask = draw(label, found, organs)
        return None if mask is None else sorted(map(tuple, np.argwhere(mask).tolist()))

    assert voxels(label((KIDNEY_RIGHT,))) == [(14, 5, 5)]  # the brightest of that side, not of both
    assert voxels(label((KIDNEY_LEFT,), (KIDNEY_LEFT,))) == [(20, 5, 5), (21, 7, 9)]
    assert voxels(label((KIDNEY_LEFT,), (KIDNEY_RIGHT,))) == [(14, 5, 5), (20, 5, 5)]
    assert voxels(label(kidneys)) == [(20, 5, 5)]  # never the liver's
    assert voxels(label((KIDNEY_RIGHT,), (KIDNEY_RIGHT,))) is None
    assert voxels(label((KIDNEY_LEFT,), complete=False)) is None
    assert voxels(label(known=Known.UNKNOWN)) is None
    assert voxels(label(known=Known.ABSENT)) == []


class SeesLesions:
    """A teacher that knows the truth."""

    digest = "t" * 64
    seen = []

    def __init__(self, run, device):
        pass

    def __call__(self, case, label_map):
        self.seen.append(case.index.record.case_id)
        maps = []
        for number in (1, 2):
            found = ProbabilityMap(case.index.shape)
            found.add(0, np.where(SeesLesions.truth[case.index.record.case_id] == number, 0.9, 0).astype(np.float32))
            maps.append(found)
        return Prediction(maps, [1.0, 1.0])


@pytest.fixture
def teacher(monkeypatch):
    everything = toy_release(masked=8)
    SeesLesions.truth = {case_id: volumes.lesions.data for case_id, (_, volumes) in everything.cases.items()}
    SeesLesions.seen = []
    monkeypatch.setattr(pseudo_labels, "Predictor", SeesLesions)
    return SeesLesions


def test_report_cases_get_masks_and_mask_cases_keep_theirs(toy_store, teacher, tmp_path):
    made = pseudo_label(toy_store, recipe_of(**ROW), tmp_path, tmp_path / "new")
    assert teacher.seen == ["case-04", "case-05", "case-06", "case-07"]  # the others have masks
    made.verify()
    before = {index.record.case_id: index for index in toy_store.indices(Split.TRAIN)}
    for index in made.indices(Split.TRAIN):
        stored = made.open(index)
        assert np.array_equal(stored.lesions[(slice(None),) * 3], teacher.truth[index.record.case_id])
        assert len(index.lesions) == sum(volume > 0 for volume in index.record.lesion_masks.values())
        assert {item.tumor_type for item in index.lesions} == {k for k, v in index.record.lesion_masks.items() if v}
        if index.record.case_id < "case-04":
            assert index == before[index.record.case_id]
    counts = json.loads((tmp_path / "new" / "pseudo_labels.json").read_text())
    assert (counts["mask_cases"], counts["report_cases"]) == (4, 4)
    assert counts["types"]["liver: present, drawn"] == 2  # cases 5 and 7


def test_an_interrupted_call_goes_on_and_ends_the_same(toy_store, teacher, tmp_path):
    def stop(done, total):
        if done == 6:
            raise KeyboardInterrupt

    whole = pseudo_label(toy_store, recipe_of(**ROW), tmp_path, tmp_path / "whole")
    teacher.seen.clear()
    with pytest.raises(KeyboardInterrupt):
        pseudo_label(toy_store, recipe_of(**ROW), tmp_path, tmp_path / "parts", on_case=stop)
    with pytest.raises(DataError):
        Store(tmp_path / "parts")
    parts = pseudo_label(toy_store, recipe_of(**ROW), tmp_path, tmp_path / "parts")
    assert len(teacher.seen) == 4
    files = [{p.name: p.read_bytes() for p in store.folder.rglob("*") if p.is_file()} for store in (whole, parts)]
    assert files[0] == files[1]
    assert parts.digest != toy_store.digest
    teacher.digest = "u" * 64  # another teacher: all again
    try:
        assert pseudo_label(toy_store, recipe_of(**ROW), tmp_path, tmp_path / "parts").digest != parts.digest
        assert len(teacher.seen) == 8
    finally:
        teacher.digest = "t" * 64


@pytest.mark.parametrize("change", [{"max_report_cases": 2}, {"report_errors": 1.0}])
def test_reports_read_otherwise_are_drawn_anew(toy_store, teacher, tmp_path, change):
    """The teacher is the same: it knows nothing of reports."""
    before = pseudo_label(toy_store, recipe_of(**ROW), tmp_path, tmp_path / "new")
    teacher.seen.clear()
    now = pseudo_label(toy_store, recipe_of(**ROW, **change), tmp_path, tmp_path / "new")
    assert now.digest != before.digest
    assert len(teacher.seen) == change.get("max_report_cases", 4)
    counts = json.loads((tmp_path / "new" / "pseudo_labels.json").read_text())
    assert (sum(counts["report_errors"].values()) > 0) == ("report_errors" in change)
    first_recipe(recipe_of(**ROW, **change)).model_validate(first_recipe(recipe_of(**ROW, **change)).model_dump())


def test_masks_that_a_network_drew_are_not_taken_for_others(toy_store, teacher, tmp_path):
    made = pseudo_label(toy_store, recipe_of(**ROW), tmp_path, tmp_path / "new")
    made.check(recipe_of(**ROW))
    with pytest.raises(DataError, match=r"masks that a network drew; expected masks as the release has them"):
        made.check(recipe_of())
    with pytest.raises(DataError, match=r"masks as the release has them; expected masks that a network drew"):
        toy_store.check(recipe_of(**ROW))


def test_what_stops_the_student_is_said_before_the_teacher_is_trained(toy_store, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "weights.safetensors").write_bytes(b"of another run")
    with pytest.raises(ConfigError, match="holds a run"):
        train_recipe(toy_store, recipe_of(**ROW), tmp_path / "old")
    nothing_reported = recipe_of(**ROW, positive_kinds=["wall_thickening"])
    with pytest.raises(DataError, match="no report of a training case states a tumor"):
        train_recipe(toy_store, nothing_reported, tmp_path / "new")
    assert not (tmp_path / "old" / "teacher").exists()
    assert not (tmp_path / "new").exists()


def test_one_call_trains_teacher_and_student_and_goes_on_anywhere(toy_store, tmp_path):
    torch.set_num_threads(1)
    # a teacher of eight steps says anything: few masks, so that reports are what is cut to
    recipe = recipe_of(**ROW | {"max_mask_cases": 2, "max_report_cases": 5})
    whole = train_recipe(toy_store, recipe, tmp_path / "whole")
    assert whole.step == recipe.steps
    for stop_after in (3, 99, 2, 99):  # in the teacher, at its end, in the student, at its end
        try:
            train_recipe(toy_store, recipe, tmp_path / "parts", resume=True, stop_after=stop_after)
        except KeyboardInterrupt:
            assert stop_after == 3
    for name in ("weights.safetensors", "teacher/weights.safetensors", "pseudo_labels/pseudo_labels.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name
    counts = json.loads((tmp_path / "whole" / "pseudo_labels" / "pseudo_labels.json").read_text())
    assert (counts["mask_cases"], counts["report_cases"]) == (2, 5)
    with pytest.raises(ConfigError, match="another recipe"):  # a teacher of something else is not taken
        train_recipe(toy_store, recipe.model_copy(update={"seed": 9}), tmp_path / "whole", resume=True)
