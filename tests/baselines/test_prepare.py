import json

import numpy as np
import pytest
from toy_world import GRID_MM, KIDNEY_LEFT, LIVER, ToyRelease, recipe_of, toy_case, toy_release

from rsuper_bench.baselines.prepare import Store, prepare, prepare_case
from rsuper_bench.baselines.resampling import to_grid
from rsuper_bench.baselines.targets import EXCLUDED_LESION
from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.records import Split
from rsuper_bench.benchmark.release import CaseVolumes


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_store_holds_the_arrays_and_their_index(toy_store):
    entries = toy_store.indices(Split.TRAIN)
    assert [entry.record.case_id for entry in entries] == [f"case-{index:02d}" for index in range(8)]
    case = toy_store.open(entries[1])
    _, volumes = toy_case(1, Split.TRAIN, with_masks=True)
    assert isinstance(case.ct, np.memmap)
    assert np.array_equal(case.ct, volumes.ct.data.clip(-160, 240))
    assert np.array_equal(case.organs, volumes.organs.data)
    assert np.array_equal(case.lesions, volumes.lesions.data)
    assert entries[1].organ_boxes[LIVER] == ((1, 3, 3), (11, 13, 13))
    assert entries[1].organ_voxels[KIDNEY_LEFT] == 4 * 6 * 10
    assert entries[1].mean_hu == pytest.approx(volumes.ct.data.clip(-160, 240).mean())
    assert [item.tumor_type for item in entries[1].lesions] == ["liver"]
    assert toy_store.open(entries[5]).lesions is None  # no mask in this case


@pytest.mark.slow
def test_the_same_bytes_at_any_number_of_workers_and_after_an_interruption(tmp_path):
    release, recipe = toy_release(n_train=4), recipe_of()
    prepare(release, recipe, tmp_path / "one")
    prepare(release, recipe, tmp_path / "two", jobs=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    # a run that was killed after two cases, in the middle of the third
    (tmp_path / "two" / "store.json").unlink()
    (tmp_path / "two" / "cases" / "case-02.json").unlink()
    (tmp_path / "two" / "cases" / "case-02.ct.npy").write_bytes(b"half")
    (tmp_path / "two" / "cases" / "case-03.json").unlink()
    seen = []
    prepare(release, recipe, tmp_path / "two", on_case=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 4), (4, 4)]
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_cases_of_another_release_are_not_mixed_in(tmp_path):
    prepare(toy_release(n_train=3), recipe_of(), tmp_path)
    other = toy_release(n_train=1)
    other.digest = "e" * 64
    store = prepare(other, recipe_of(), tmp_path)
    assert [entry.record.case_id for entry in store.indices(Split.TRAIN)] == ["case-00"]
    assert not (tmp_path / "cases" / "case-01.json").exists()


def test_a_folder_that_is_no_store_is_left_alone(tmp_path):
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "precious.txt").write_text("keep")
    with pytest.raises(DataError, match="not a store"):
        prepare(toy_release(n_train=1), recipe_of(), tmp_path)
    assert (tmp_path / "cases" / "precious.txt").read_text() == "keep"


def test_a_store_of_another_grid_is_refused(toy_store):
    with pytest.raises(DataError, match=r"grid of 4\.0 mm"):
        toy_store.check(recipe_of(grid_mm=2.0))
    toy_store.check(recipe_of(batch=1))


def test_an_unfinished_store_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        Store(tmp_path)


def test_a_truncated_array_is_refused(tmp_path):
    store = prepare(toy_release(n_train=1), recipe_of(), tmp_path)
    path = tmp_path / "cases" / "case-00.ct.npy"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"case-00\.ct\.npy: cannot be read"):
        store.open(store.indices(Split.TRAIN)[0])


def test_all_unusable_cases_are_listed_at_once(tmp_path):
    release = toy_release(n_train=3)
    for case_id in ("case-00", "case-02"):
        record, volumes = release.cases[case_id]
        shifted = Volume(volumes.organs.data, volumes.organs.affine + 1)
        release.cases[case_id] = (record, CaseVolumes(volumes.ct, shifted, volumes.lesions))
    with pytest.raises(DataError) as caught:
        prepare(release, recipe_of(), tmp_path)
    assert [problem.where for problem in caught.value.problems] == ["case case-00: organs", "case case-02: organs"]


def test_an_empty_split_is_refused(tmp_path):
    with pytest.raises(DataError, match="no cases"):
        prepare(ToyRelease({}), recipe_of(), tmp_path)


def test_a_lesion_under_two_voxels_is_marked_and_excluded_with_a_reason():
    record, volumes = toy_case(1, Split.TRAIN, with_masks=True)
    volumes.lesions.data[9, 4, 4] = 1
    case = prepare_case(record, volumes, toy_release().label_map, recipe_of())
    assert case.lesions[9, 4, 4] == 1 + EXCLUDED_LESION
    assert sorted((item.excluded or "") for item in case.index.lesions) == ["", "under_two_voxels"]


def test_any_orientation_and_spacing_lands_on_the_same_grid():
    record, volumes = toy_case(1, Split.TRAIN, with_masks=True)
    fine = {
        name: Volume(
            np.repeat(np.repeat(np.repeat(volume.data, 2, 0), 2, 1), 2, 2)[::-1, ::-1],
            np.array([[-2, 0, 0, 93.0], [0, -2, 0, 61.0], [0, 0, 2, -1.0], [0, 0, 0, 1]]),  # LPS, 2 mm
        )
        for name, volume in vars(volumes).items()
    }
    case = prepare_case(record, CaseVolumes(**fine), toy_release().label_map, recipe_of())
    assert np.array_equal(case.organs, volumes.organs.data)
    assert np.array_equal(case.lesions == 1, volumes.lesions.data == 1)
    assert np.allclose(case.affine, np.diag([GRID_MM, GRID_MM, GRID_MM, 1.0]))
    assert case.index.lesions == prepare_case(record, volumes, toy_release().label_map, recipe_of()).index.lesions


def test_labels_are_never_interpolated():
    rng = np.random.default_rng(3)
    labels = Volume(rng.choice([0, 1, 7], (9, 8, 7)).astype(np.uint8), np.diag([1.5, 2.0, 3.0, 1.0]))
    assert set(np.unique(to_grid(labels, 2.3, order=0).data)) <= {0, 1, 7}


def test_index_files_hold_no_time_and_no_text(toy_store):
    keys = set(json.loads((toy_store.folder / "store.json").read_text()))
    assert keys == {"version", "release_digest", "grid_digest", "grid_mm", "label_map", "cases"}
