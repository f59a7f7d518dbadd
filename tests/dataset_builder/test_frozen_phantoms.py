"""Frozen phantoms are still what they were: a change of the generator, of a default or of the grammar shows here."""

import pytest

from rsuper_bench.benchmark.files import digest_of
from rsuper_bench.dataset_builder.phantom import PhantomSource, load_phantom_config
from rsuper_bench.dataset_builder.phantom.freeze import differences, freeze, freeze_case, load_record, main, record_path

SMALL = "seven-tumors-phantom-small-v1"


def key_of(source, case_id):
    keys = source.keys()
    return next(key for key in keys if key.case_id == case_id)


@pytest.fixture(scope="module")
def record():
    return load_record(SMALL)


def test_the_config_is_the_frozen_one(record):
    config = load_phantom_config(SMALL)
    assert digest_of(config) == record.config
    assert config.total_cases == record.cases


def test_sampled_cases_are_the_frozen_ones(record):
    source = PhantomSource(load_phantom_config(SMALL), record.seed)
    assert len(record.sample) >= 5
    for case_id, frozen in record.sample.items():
        now = freeze_case(source, key_of(source, case_id))
        # Not the digest of the CT: another numpy may round a voxel the other way.
        assert (now.report, now.lesion_voxels) == (frozen.report, frozen.lesion_voxels)
        assert now.mean_hu == pytest.approx(frozen.mean_hu, abs=0.01)


def test_a_changed_generator_is_seen(record):
    config = load_phantom_config(SMALL)
    louder = PhantomSource(config.model_copy(update={"noise_hu": config.noise_hu + 1}), record.seed)
    case_id, frozen = next(iter(record.sample.items()))
    now = freeze_case(louder, key_of(louder, case_id))
    assert now.ct != frozen.ct
    assert now.report == frozen.report


def test_the_record_does_not_depend_on_the_workers(tmp_path):
    path = tmp_path / "few.yaml"
    path.write_text("{n_cases: 3, shape: [32, 32, 32], spacing_mm: [8, 8, 8], tumor_types: [liver], prevalence: 1.0}")
    one, two = freeze(str(path), 3, jobs=1), freeze(str(path), 3, jobs=2)
    assert differences(one, two) == []
    assert differences(one, freeze(str(path), 4))


def test_what_is_frozen_is_not_frozen_again(capsys):
    before = record_path(SMALL).read_bytes()
    assert main([SMALL]) == 1
    assert "frozen already" in capsys.readouterr().err
    assert record_path(SMALL).read_bytes() == before


@pytest.mark.parametrize("arguments", [["no-such-config"], ["no-such-config", "--check"]])
def test_an_unknown_config_is_one_error(arguments, capsys):
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert out == ""
