"""Opening a release: folders, names on the Hub, and files that were damaged on the way."""

import shutil

import pytest

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.release import Release, is_hub_name, open_release


@pytest.fixture
def copy(small_release, tmp_path):
    return shutil.copytree(small_release.folder, tmp_path / "release")


def test_a_truncated_table_is_one_message(copy):
    path = next((copy / "attributes").glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(DataError, match=r"parquet: cannot be read \(ArrowInvalid\)"):
        Release(copy).records()


@pytest.mark.parametrize("text", ["{", "[]", '{"organs": {"one": "liver"}, "lesions": {}}'])
def test_a_damaged_label_map_is_one_message(copy, text):
    (copy / "label_map.json").write_text(text)
    with pytest.raises(DataError, match=r"label_map\.json: cannot be read"):
        _ = Release(copy).label_map


@pytest.mark.parametrize("name", ["nowhere", "/no/where", "../nowhere", "a/b/c", ""])
def test_what_is_no_folder_and_no_name_is_a_wrong_call(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ConfigError, DataError)) as caught:
        open_release(name)
    assert len(caught.value.problems) == 1


def test_a_misspelt_path_is_not_looked_for_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_hub_name("hospital/miller@v1")
    (tmp_path / "hospital").mkdir()
    assert not is_hub_name("hospital/miller@v1")
    with pytest.raises(ConfigError, match="no such folder"):
        open_release("hospital/miller")
