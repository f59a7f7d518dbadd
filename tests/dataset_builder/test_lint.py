"""Lint and leakage: a good release passes, each kind of damage is named."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_release_opens import case_record
from tiny_sources import TinySource, WordExtractor
from typer.testing import CliRunner

from rsuper_bench.benchmark.records import Finding, Kind
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.cli import app
from rsuper_bench.dataset_builder.build import BuildPlan, build
from rsuper_bench.dataset_builder.leakage import find_leaks
from rsuper_bench.dataset_builder.lint import lint, reported_volumes


def built(out, source, **options):
    build(BuildPlan(source, "tiny", {}, WordExtractor(), out, **options))
    return out


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return built(tmp_path_factory.mktemp("lint") / "release", TinySource())


@pytest.fixture
def folder(good, tmp_path):
    return shutil.copytree(good, tmp_path / "release")


def gates(folder):
    return {(finding.case_id, finding.gate) for finding in lint(folder)}


def rewrite(folder, config, change):
    """Change rows of a config in place, and keep everything else."""
    for path in (folder / config).iterdir():
        table = pq.read_table(path)
        rows = [row for row in (change(dict(row)) for row in table.to_pylist()) if row is not None]
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def test_a_good_release_passes(good):
    assert gates(good) == set()
    result = CliRunner().invoke(app, ["dataset", "lint", str(good)])
    assert (result.exit_code, result.stdout) == (0, f"{good}: nothing found\n")


def test_missing_changed_and_extra_files(folder):
    (folder / "croissant.json").unlink()
    (folder / "attributes" / "more.parquet").write_bytes((folder / "attributes" / path_of(folder)).read_bytes())
    text = {str(finding) for finding in lint(folder)}
    assert "missing_file: croissant.json" in text
    assert "extra_file: attributes/more.parquet: not in release.json" in text


def path_of(folder):
    return next(path.name for path in (folder / "attributes").iterdir())


def test_a_swapped_image_is_seen(folder):
    def swap(row):
        if row["case_id"] == "case-001":
            row["ct"] = row["organs"]
        return row

    rewrite(folder, "cases", swap)
    found = gates(folder)
    assert ("case-001", "changed_file") in found
    assert not {case_id for case_id, _ in found} - {"", "case-001"}


def test_an_unreadable_image_is_seen(folder):
    def cut(row):
        if row["case_id"] == "case-001":
            row["lesions"]["bytes"] = row["lesions"]["bytes"][:-9]
        return row

    rewrite(folder, "cases", cut)
    assert ("case-001", "unreadable") in gates(folder)


def test_a_changed_label_is_seen(folder):
    def flip(row):
        if row["case_id"] == "case-001":
            row["presence_spleen"] = "absent"
        return row

    rewrite(folder, "attributes", flip)
    assert {("case-001", "changed_record"), ("", "changed_file")} == gates(folder)


def test_missing_rows_are_seen(folder):
    rewrite(folder, "cases", lambda row: None if row["case_id"] == "case-001" else row)
    rewrite(folder, "attributes", lambda row: None if row["case_id"] == "case-002" else row)
    found = gates(folder)
    assert ("case-001", "missing_row") in found
    assert ("case-002", "missing_row") in found


def test_a_row_nobody_vouches_for_is_seen(folder):
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    (folder / "manifest.jsonl").write_text("".join(line + "\n" for line in lines if "case-004" not in line))
    assert gates(folder) == {("case-004", "not_in_manifest")}


@pytest.mark.parametrize("content", ["{", "[]", '{"case": 1}'])
def test_a_broken_manifest_is_one_finding(folder, content):
    (folder / "manifest.jsonl").write_text(content + "\n")
    assert {gate for _, gate in gates(folder)} == {"unreadable"}


@pytest.mark.parametrize(
    ("report", "gate"),
    [
        ("There is a liver 6 mm mass", None),
        ("no liver", "mask_without_tumor"),
        ("perhaps liver", None),
        ("There is a liver 60 mm mass", "size_against_mask"),  # mm taken for cm: 113 097 mm3 beside 128
        ("There is a liver 2 mm mass", "size_against_mask"),  # 4.2 mm3
        ("There is a liver 12 mm mass", None),  # 905 mm3: 0.14, within what is seen in practice
    ],
)
def test_report_against_mask(tmp_path, report, gate):
    out = built(tmp_path / "release", TinySource(changes={"case-003": {"report": report}}))
    assert gates(out) == ({("case-003", gate)} if gate else set())
    result = CliRunner().invoke(app, ["dataset", "lint", str(out)])
    assert result.exit_code == (1 if gate else 0)
    assert report not in result.output


def test_a_reported_tumor_with_an_empty_mask(tmp_path):
    out = built(tmp_path / "release", TinySource(changes={"case-001": {"report": "There is a liver 6 mm mass"}}))
    assert gates(out) == {("case-001", "tumor_without_mask")}


def test_no_mask_is_no_empty_mask(tmp_path):
    changes = {"case-001": {"report": "There is a liver 6 mm mass", "lesions": None, "lesion_types": ()}}
    assert gates(built(tmp_path / "release", TinySource(changes=changes))) == set()


def test_not_a_release(tmp_path):
    assert CliRunner().invoke(app, ["dataset", "lint", str(tmp_path)]).exit_code != 0


def test_leaks_within_and_across_releases(tmp_path):
    first = built(tmp_path / "first", TinySource(n=12), name="first")
    assert list(find_leaks([Release(first)])) == []
    # The same patients and images, drawn into other splits.
    other = built(tmp_path / "other", TinySource(n=12), name="other", seed=5)
    leaks = list(find_leaks([Release(first), Release(other)]))
    assert {leak.shared for leak in leaks} == {"one CT"}  # computer-made patients of another seed are other people
    moved = {record.case_id: record.split for record in Release(first).records()}
    differ = [record.case_id for record in Release(other).records() if moved[record.case_id] != record.split]
    assert len(leaks) == len(differ) > 0
    result = CliRunner().invoke(app, ["dataset", "leakage", str(first), str(other)])
    assert result.exit_code == 1
    assert f"{len(differ)} leaks" in result.stdout
    assert "patient-0" not in result.stdout


def test_real_patients_are_followed_across_releases(tmp_path):
    changes = {f"case-{i:03d}": {"synthetic": False} for i in range(12)}
    releases = [
        Release(built(tmp_path / f"r{seed}", TinySource(n=12, changes=changes), name=f"r{seed}", seed=seed))
        for seed in (0, 5)
    ]
    assert {leak.shared for leak in find_leaks(releases)} == {"one patient", "one anatomy", "one CT"}


def test_an_anatomy_over_splits_is_a_leak(tmp_path):
    out = built(tmp_path / "smoke", TinySource(anatomies=1), smoke=True)
    (leak,) = find_leaks([Release(out)])
    assert str(leak).startswith("one anatomy in several splits: case case-")


def test_lint_reads_lesions_by_the_label_map_of_the_release(folder):
    label_map = json.loads((folder / "label_map.json").read_text())
    lesions = label_map["lesions"]
    liver = next(number for number, kind in lesions.items() if kind == TumorType.LIVER)
    lesions[liver], lesions["1"] = lesions["1"], lesions[liver]
    (folder / "label_map.json").write_text(json.dumps(label_map))
    assert ("case-000", "tumor_without_mask") in gates(folder)


def test_cysts_may_be_drawn_or_not():
    mass = Finding(tumor_type=TumorType.LIVER, kind=Kind.MASS, diameters_mm=(10.0,))
    cyst = Finding(tumor_type=TumorType.LIVER, kind=Kind.CYST, diameters_mm=(20.0,))
    tumors_mm3, all_mm3 = reported_volumes(case_record(findings=(mass, cyst)), TumorType.LIVER)
    assert tumors_mm3 == pytest.approx(523.599, abs=1e-3)  # pi / 6 * 10^3
    assert all_mm3 == pytest.approx(523.599 + 4188.790, abs=1e-3)
    assert reported_volumes(case_record(), TumorType.LIVER) is None
