"""Several releases made one."""

import json
from dataclasses import replace

import pytest
from test_build import content
from tiny_sources import TinySource, WordExtractor
from typer.testing import CliRunner

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.records import Split
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.release_info import ReleaseKind
from rsuper_bench.cli import app
from rsuper_bench.dataset_builder import merge as merging
from rsuper_bench.dataset_builder.build import BuildPlan, build
from rsuper_bench.dataset_builder.lint import lint
from rsuper_bench.dataset_builder.merge import merge


def built(out, *, prefix, patients=None, **more):
    """Six cases called ``<prefix>-000`` and on, of patients ``<patients>-000`` and on."""

    class Renamed(TinySource):
        def keys(self):
            return [_renamed(key, prefix, patients or prefix) for key in super().keys()]  # noqa: SIM118 (no dict)

        def make(self, key):
            return _renamed(super().make(_renamed(key, "case", "patient")), prefix, patients or prefix)

    plan = BuildPlan(
        source=Renamed(n=6), source_name=prefix, context={}, extractor=WordExtractor(), out=out, name=prefix, **more
    )
    build(plan)
    return Release(out)


def _renamed(item, case, patient):
    ids = {"case_id": f"{case}-{item.case_id[-3:]}", "patient_id": f"{patient}-{item.patient_id[-3:]}"}
    return replace(item, **ids)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    return built(folder / "a", prefix="a", patients="person"), built(folder / "b", prefix="b", seed=1)


def test_every_case_keeps_record_split_and_bytes(pair, tmp_path):
    merge(pair, tmp_path / "both", name="both", version="1.2.0")
    both = Release(tmp_path / "both")
    assert (both.info.name, both.info.version, both.info.kind) == ("both", "1.2.0", ReleaseKind.FULL)
    assert len(both.records()) == 12
    for release in pair:
        for record in release.records():
            assert record in both.records(record.split)
            names = ("ct", "organs", "lesions", "preview", "report")
            assert both.columns(record.case_id, names) == release.columns(record.case_id, names)
    lines = [json.loads(line) for line in (tmp_path / "both" / "manifest.jsonl").read_text().splitlines()]
    own = [json.loads(line) for one in pair for line in (one.folder / "manifest.jsonl").read_text().splitlines()]
    assert sorted(lines, key=lambda line: line["case_id"]) == sorted(own, key=lambda line: line["case_id"])
    assert [finding for finding in lint(tmp_path / "both") if "mask" not in str(finding)] == []


def test_order_and_workers_make_no_difference_and_a_second_run_does_nothing(pair, tmp_path):
    merge(pair, tmp_path / "one")
    merge(pair[::-1], tmp_path / "two", jobs=2)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert "nothing to do" in merge(pair, tmp_path / "one")


def test_a_stopped_merge_goes_on(pair, tmp_path, monkeypatch):
    merge(pair, tmp_path / "whole")

    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge(pair, tmp_path / "out", on_case=stop)
    assert not (tmp_path / "out").exists()
    read = []
    carried = merging.carried_case
    monkeypatch.setattr(merging, "carried_case", lambda *args: read.append(args) or carried(*args))
    merge(pair, tmp_path / "out")
    assert 0 < len(read) <= 7
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_what_cannot_be_merged_is_listed_and_nothing_written(pair, tmp_path):
    with pytest.raises(DataError, match="6 case ids in more than one release: a-000, a-001"):
        merge([pair[0], pair[0]], tmp_path / "out")
    with pytest.raises(ConfigError, match="1 release; expected two or more"):
        merge(pair[:1], tmp_path / "out")
    slim = built(tmp_path / "slim", prefix="slim", kind=ReleaseKind.ATTRIBUTES)
    with pytest.raises(ConfigError, match="slim: does not carry all its images"):
        merge([pair[0], slim], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_patient_in_two_splits_is_refused(pair, tmp_path):
    """The same six patients, split by another seed, so that some are on the other side."""
    other = built(tmp_path / "other", prefix="c", patients="person", seed=5)
    splits = {record.patient_id: record.split for record in pair[0].records()}
    moved = [record.patient_id for record in other.records() if splits[record.patient_id] is not record.split]
    assert moved, "the seed moves nobody: choose another"
    first = min(moved).replace("person", "a")
    with pytest.raises(DataError, match=f"{len(moved)} patients in two splits, with cases {first}") as refused:
        merge([pair[0], other], tmp_path / "out")
    assert "person" not in str(refused.value)


def test_the_verb(pair, tmp_path):
    call = ["dataset", "merge", str(pair[0].folder), str(pair[1].folder), "--out", str(tmp_path / "both")]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    assert "6 cases of a, 6 cases of b" in result.output
    assert len(Release(tmp_path / "both").records(Split.TRAIN)) == 8
