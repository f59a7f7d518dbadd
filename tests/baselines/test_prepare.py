import json
import signal
import subprocess
import sys
from pathlib import Path

import blosc2
import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from toy_world import GRID_MM, KIDNEY_LEFT, LIVER, ToyRelease, recipe_of, toy_case, toy_release

from rsuper_bench.baselines.arrays import StoredArray, array_bytes
from rsuper_bench.baselines.prepare import prepare, prepare_case
from rsuper_bench.baselines.resampling import to_grid
from rsuper_bench.baselines.store import Store
from rsuper_bench.baselines.targets import EXCLUDED_LESION
from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.records import Split
from rsuper_bench.benchmark.release import CaseVolumes, LabelMap
from rsuper_bench.benchmark.tumor_types import TumorType


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_store_holds_the_arrays_and_their_index(toy_store):
    entries = toy_store.indices(Split.TRAIN)
    assert [entry.record.case_id for entry in entries] == [f"case-{index:02d}" for index in range(8)]
    case = toy_store.open(entries[1])
    _, volumes = toy_case(1, Split.TRAIN, with_masks=True)
    assert isinstance(case.ct, StoredArray)
    assert (case.ct.dtype, case.organs.dtype, case.lesions.dtype) == (np.int16, np.uint8, np.uint8)
    part = np.s_[3:11, 2:16, 5:9]
    assert np.array_equal(case.ct[part], volumes.ct.data.clip(-160, 240)[part])
    assert np.array_equal(case.organs[part], volumes.organs.data[part])
    assert np.array_equal(case.lesions[part], volumes.lesions.data[part])
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
    (tmp_path / "two" / "cases" / ".case-03.json.x1.partial").write_bytes(b"half")
    (tmp_path / "two" / "cases" / "case-03.json").unlink()
    prepare(release, recipe, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from toy_world import recipe_of, toy_release
from rsuper_bench.baselines import prepare as module
from rsuper_bench.benchmark import files

left, write = [int(sys.argv[3])], Path.write_bytes

def write_and_die(path, data):
    write(path, data[: len(data) // 2] if not left[0] else data)
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1

Path.write_bytes = write_and_die
module.prepare(toy_release(n_train=3), recipe_of(), Path(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("writes", [0, 1, 4, 6, 12])
def test_killed_in_the_middle_of_any_write_the_second_run_gives_the_same_bytes(tmp_path, writes):
    prepare(toy_release(n_train=3), recipe_of(), tmp_path / "whole")
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path / "killed"), str(writes)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert list((tmp_path / "killed").rglob("*.partial"))
    with pytest.raises(DataError, match="no such file"):
        Store(tmp_path / "killed")
    prepare(toy_release(n_train=3), recipe_of(), tmp_path / "killed")
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_finished_case_is_not_prepared_again(tmp_path, monkeypatch):
    release = toy_release(n_train=2)
    prepare(release, recipe_of(), tmp_path)
    read = []
    monkeypatch.setattr(ToyRelease, "volumes", lambda self, case_id: read.append(case_id) or self.cases[case_id][1])
    seen = []
    prepare(release, recipe_of(), tmp_path, on_case=lambda done, total: seen.append((done, total)))
    assert (read, seen) == ([], [(1, 2), (2, 2)])
    (tmp_path / "cases" / "case-01.ct.b2nd").write_bytes(b"rot")
    prepare(release, recipe_of(), tmp_path).verify()
    assert read == ["case-01"]


def test_another_split_joins_the_store_and_training_does_not_notice(tmp_path):
    release = toy_release(n_train=2, n_test=1)
    before = prepare(release, recipe_of(), tmp_path)
    after = prepare(release, recipe_of(), tmp_path, splits=[Split.TEST])
    assert [len(after.indices(split)) for split in (Split.TRAIN, Split.TEST)] == [2, 1]
    assert after.digest == before.digest
    after.verify()
    (tmp_path / "cases" / "case-00.organs.b2nd").write_bytes(b"rot")
    prepare(release, recipe_of(), tmp_path, splits=[Split.TEST]).verify()  # what is there is mended too


@pytest.mark.parametrize(("other", "message"), [("release", "another release"), ("grid", "grid of 4.0 mm")])
def test_a_store_of_another_release_or_grid_is_left_alone(tmp_path, other, message):
    prepare(toy_release(n_train=1), recipe_of(), tmp_path)
    before = contents(tmp_path)
    release = toy_release(n_train=1)
    release.digest = "e" * 64 if other == "release" else release.digest
    with pytest.raises(DataError, match=message):
        prepare(release, recipe_of(grid_mm=2.0 if other == "grid" else 4.0), tmp_path)
    assert contents(tmp_path) == before


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


def test_a_store_of_an_older_version_is_named_as_such(small_store):
    """Version 1 had a list of cases; that it is no table of digests is not what its user needs to hear."""
    old = json.loads((small_store.folder / "store.json").read_text()) | {"version": 1, "cases": ["case-00"]}
    for name in ("store.json", "started.json"):
        (small_store.folder / name).write_text(json.dumps(old))
    with pytest.raises(DataError, match=r"store.json: written by another version of this package \(1\)"):
        Store(small_store.folder)
    with pytest.raises(DataError, match=r"started.json: written by another version"):
        prepare(toy_release(n_train=2), recipe_of(), small_store.folder)


def test_an_unfinished_store_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        Store(tmp_path)


def test_two_processes_do_not_fill_one_store(tmp_path):
    with FileLock(tmp_path / ".lock"), pytest.raises(DataError, match="another process prepares cases here"):
        prepare(toy_release(n_train=1), recipe_of(), tmp_path)
    prepare(toy_release(n_train=1), recipe_of(), tmp_path)


def test_an_index_names_no_file_outside_the_store(small_store):
    path = small_store.folder / "cases" / "case-00.json"
    path.write_text(path.read_text().replace('"organs": "', '"../../organs": "'))
    with pytest.raises(DataError, match="files"):
        small_store.indices(Split.TRAIN)
    path = small_store.folder / "store.json"
    path.write_text(path.read_text().replace('"case-01": "', '"../case-01": "'))
    with pytest.raises(DataError, match="cases"):
        Store(small_store.folder)


@pytest.fixture
def small_store(tmp_path):
    return prepare(toy_release(n_train=2), recipe_of(), tmp_path)


def test_check_sums_find_every_changed_bit_and_name_the_cases(small_store):
    small_store.verify(jobs=2)
    for path in (small_store.folder / "cases").iterdir():
        content = path.read_bytes()
        for place in (10, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            with pytest.raises(DataError, match=f"case {path.name.partition('.')[0]}: .*not what `prepare` wrote"):
                small_store.verify()
        path.write_bytes(content)
    for path in sorted((small_store.folder / "cases").glob("*.ct.b2nd")):
        path.unlink()
    with pytest.raises(DataError) as caught:
        small_store.verify()
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "missing", "other", "noise"])
def test_a_damaged_array_is_one_error_that_names_the_case(small_store, damage):
    index = small_store.indices(Split.TRAIN)[0]
    path = small_store.folder / "cases" / "case-00.ct.b2nd"
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other":
        path.write_bytes(array_bytes(np.zeros((3, 4, 5), np.int16)))
    elif damage == "noise":
        path.write_bytes(content[:200] + np.random.default_rng(0).bytes(len(content) - 300) + content[-100:])
    with pytest.raises(DataError, match=r"case case-00: .*case-00\.ct\.b2nd") as caught:
        small_store.open(index).ct[0:9, 0:9, 0:9]
    assert len(caught.value.problems) == 1


def test_a_file_that_asks_for_more_than_an_array_is_not_opened(small_store, tmp_path):
    path = small_store.folder / "cases" / "case-00.ct.b2nd"
    ct = blosc2.open(str(path), mode="r")
    evil = blosc2.asarray(ct[:], chunks=ct.chunks, blocks=ct.blocks, meta={"proxy-source": {"local_abspath": "/x"}})
    path.write_bytes(evil.to_cframe())
    with pytest.raises(DataError, match="is no compressed array"):
        small_store.open(small_store.indices(Split.TRAIN)[0])


@given(
    hnp.arrays(
        st.sampled_from([np.int16, np.uint8]), hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=90)
    ),
    st.data(),
)
@settings(max_examples=25, deadline=None)
def test_any_part_of_any_array_comes_back(tmp_path_factory, array, data):
    path = tmp_path_factory.mktemp("array") / "a.b2nd"
    path.write_bytes(array_bytes(array))
    assert path.read_bytes() == array_bytes(np.asfortranarray(array))
    ends = [sorted(data.draw(st.tuples(st.integers(0, size), st.integers(0, size)))) for size in array.shape]
    part = tuple(slice(*pair) for pair in ends)
    assert np.array_equal(StoredArray(path, "a", array.shape, array.dtype)[part], array[part])


def test_labels_that_no_byte_holds_are_refused(tmp_path):
    release = toy_release(n_train=1)
    release.label_map = LabelMap({256: "liver", 2: "kidney_left"}, {128: TumorType.LIVER})
    with pytest.raises(DataError, match=r"liver has number 256(.|\n)*liver has number 128"):
        prepare(release, recipe_of(), tmp_path / "map")
    release = toy_release(n_train=1)
    record, volumes = release.cases["case-00"]
    wide = Volume(volumes.organs.data.astype(np.int16) * 100, volumes.organs.affine)
    release.cases["case-00"] = (record, CaseVolumes(volumes.ct, wide, volumes.lesions))
    with pytest.raises(DataError, match=r"case case-00: organs: .*labels from 0 to 300"):
        prepare(release, recipe_of(), tmp_path / "mask")


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
    assert keys == {"version", "release_digest", "grid_digest", "grid_mm", "label_map", "cases", "pseudo_labels"}
