"""Full, overlay and attributes-only releases, and joining an overlay with a download of one's own."""

import csv
import gzip
import json
import multiprocessing
import shutil
import sys
import time

import nibabel as nib
import numpy as np
import pyarrow.parquet as pq
import pytest
from test_build import content
from tiny_sources import LPS, SHAPE
from typer.testing import CliRunner

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.nifti import Volume, write_nifti
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.release_info import ReleaseKind
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.cli import app
from rsuper_bench.dataset_builder.attach import attach
from rsuper_bench.dataset_builder.build import BuildPlan, build
from rsuper_bench.dataset_builder.extraction import make_extractor
from rsuper_bench.dataset_builder.folder import FolderSource
from rsuper_bench.dataset_builder.licences import licence_gate
from rsuper_bench.dataset_builder.lint import lint

N = 8
COLUMNS = ["case_id", "patient_id", "report", "ct", "organs", "lesions", "licence", "redistributable", "sex", "age"]


def write_download(folder, free=("c6", "c7")):
    """Eight cases in the layout of the folder source, six of which may not be passed on."""
    rng = np.random.default_rng(1)
    (folder / "scans").mkdir(parents=True)
    (folder / "label_map.json").write_text('{"organs": {"5": "liver"}, "lesions": {"1": "liver"}}')
    rows = []
    for index in range(N):
        name = f"c{index}"
        write_nifti(folder / "scans" / f"{name}.nii.gz", Volume(rng.integers(-900, 900, SHAPE).astype(np.int16), LPS))
        organs, lesions = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
        organs[1:5, 1:4, 1:3] = 5
        lesions[2:4, 1:3, 1:3] = index % 2
        write_nifti(folder / "scans" / f"{name}_organs.nii.gz", Volume(organs, LPS))
        write_nifti(folder / "scans" / f"{name}_lesions.nii.gz", Volume(lesions, LPS))
        report = "There is a 6 mm hypodense mass in the liver." if index % 2 else "Liver: Normal. No focal lesion."
        rows.append(
            {
                "case_id": name,
                "patient_id": f"p{index}",
                "report": f"COMPARISON: CT of 3/{index + 1}/2014.\nFINDINGS: {report}",
                "ct": f"scans/{name}.nii.gz",
                "organs": f"scans/{name}_organs.nii.gz",
                "lesions": f"scans/{name}_lesions.nii.gz",
                "licence": "CC BY 4.0" if name in free else "a DUA",
                "redistributable": "yes" if name in free else "no",
                "sex": "F",
                "age": 50 + index,
            }
        )
    write_rows(folder, rows)
    return folder


def write_rows(folder, rows):
    with (folder / "cases.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def read_rows(folder):
    with (folder / "cases.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def made(download, out, kind):
    source = FolderSource.open(download)
    build(BuildPlan(source, "folder", {}, make_extractor("rules"), out, name="joined", kind=ReleaseKind(kind)))
    return Release(out)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The download, and the releases of each kind made from it."""
    root = tmp_path_factory.mktemp("overlay")
    download = write_download(root / "download")
    return download, {kind: made(download, root / kind, kind) for kind in ReleaseKind}


@pytest.fixture
def download(world, tmp_path):
    return shutil.copytree(world[0], tmp_path / "download")


def test_an_overlay_carries_no_scan_and_no_report_of_others(world):
    overlay, full = world[1]["overlay"], world[1]["full"]
    for path in (overlay.folder / "cases").iterdir():
        for row in pq.read_table(path).to_pylist():
            parts = [row[name] for name in ("ct", "organs", "lesions", "preview", "report", "pathology_report")]
            assert all(part is None for part in parts) or row["case_id"] in ("c6", "c7")
            if row["case_id"] in ("c6", "c7"):
                assert row == full.columns(row["case_id"], list(row))
    assert overlay.records() == full.records()  # every attribute is there
    assert overlay.volumes("c6").ct.data.shape == SHAPE
    with pytest.raises(DataError, match="dataset attach"):
        overlay.volumes("c0")
    plain = [data for name, data in content(overlay.folder).items() if not name.endswith(".parquet")]
    assert not any(b"hypodense mass" in data for data in plain)
    assert "may not be passed on" in (overlay.folder / "README.md").read_text()


def test_attributes_only_carries_none_at_all(world):
    release = world[1]["attributes"]
    assert not (release.folder / "cases").exists()
    assert release.records() == world[1]["full"].records()
    assert not release.has_volumes
    card = (release.folder / "README.md").read_text()
    assert "config_name: cases" not in card
    assert "Attributes only" in card


@pytest.mark.parametrize("kind", ReleaseKind)
def test_each_kind_passes_lint_and_opens(world, kind, tmp_path):
    from datasets import load_dataset

    folder = world[1][kind].folder
    assert list(lint(folder)) == []
    for config in ("attributes", "tumors", *(["cases"] if kind is not ReleaseKind.ATTRIBUTES else [])):
        opened = load_dataset(str(folder), config, cache_dir=str(tmp_path / "cache"))
        assert sum(len(rows) for rows in opened.values()) > 0
    for line in (folder / "manifest.jsonl").read_text().splitlines():
        assert len(line) < 1024


def test_the_licence_gate_knows_what_each_kind_may_send(world):
    found = {kind: {(f.case_id, f.gate) for f in licence_gate(world[1][kind])} for kind in ReleaseKind}
    assert found["full"] == {(f"c{i}", "licence_forbids") for i in range(6)}
    assert found["overlay"] == found["attributes"] == set()


@pytest.mark.parametrize("kind", ["overlay", "attributes"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_attached_is_the_full_release_byte_for_byte(world, tmp_path, kind, jobs):
    download, releases = world
    attach(releases[kind], download, tmp_path / "joined", jobs=jobs)
    assert content(tmp_path / "joined") == content(releases["full"].folder)
    assert "complete already" in attach(releases[kind], download, tmp_path / "joined")
    assert [path.name for path in tmp_path.iterdir()] == ["joined"]


def change_voxel(path):
    loaded = nib.load(path)
    data = np.asarray(loaded.dataobj).copy()
    data[0, 0, 0] += 1
    write_nifti(path, Volume(data, loaded.affine))


def test_everything_that_is_wrong_is_listed_at_once_and_the_rest_is_kept(world, download, tmp_path, monkeypatch):
    good = download / "scans" / "c4.nii.gz"
    kept = good.read_bytes()
    change_voxel(download / "scans" / "c0.nii.gz")
    (download / "scans" / "c1.nii.gz").unlink()
    good.write_bytes(kept[:-20])
    rows = read_rows(download)
    rows[2]["report"] += " Addendum."
    write_rows(download, [row for row in rows if row["case_id"] != "c5"])
    out = tmp_path / "joined"
    with pytest.raises(DataError) as caught:
        attach(world[1]["overlay"], download, out)
    message = str(caught.value)
    for line in ("case c0: ct: differs", "case c1: missing", "case c2: report: differs", "c4", "case c5: missing"):
        assert line in message
    assert "Addendum" not in message
    assert not out.exists()
    with (tmp_path / "joined.problems.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 5

    # Mended, the run goes on: cases that were right are not read again.
    shutil.rmtree(download)
    shutil.copytree(world[0], download)
    read = []
    make = FolderSource.make
    monkeypatch.setattr(FolderSource, "make", lambda self, key: read.append(key.case_id) or make(self, key))
    attach(world[1]["overlay"], download, out)
    assert set(read) >= {"c0", "c1", "c2", "c4", "c5"}
    assert content(out) == content(world[1]["full"].folder)
    assert not (tmp_path / "joined.problems.csv").exists()


def attach_slowly(overlay, download, out):
    make = FolderSource.make

    def slow(self, key):
        time.sleep(0.2)
        return make(self, key)

    FolderSource.make = slow  # in a process of its own, which ends with it
    attach(Release(overlay), download, out)


def test_killed_attach_goes_on(world, download, tmp_path, monkeypatch):
    overlay, out = world[1]["overlay"].folder, tmp_path / "joined"
    process = multiprocessing.get_context("spawn").Process(target=attach_slowly, args=(overlay, download, out))
    process.start()
    staged = tmp_path / ".joined.building" / "cases"
    end = time.monotonic() + 120
    while len(list(staged.glob("*.json"))) < 2 and process.is_alive() and time.monotonic() < end:
        time.sleep(0.02)
    process.kill()
    process.join()
    done = {path.stem for path in staged.glob("*.json")}
    assert process.exitcode == -9
    assert 2 <= len(done) < N
    assert not out.exists()
    read = []
    make = FolderSource.make
    monkeypatch.setattr(FolderSource, "make", lambda self, key: read.append(key.case_id) or make(self, key))
    attach(Release(overlay), download, out)
    assert not done & set(read)
    assert content(out) == content(world[1]["full"].folder)


def test_swapped_and_extra_files_are_found(world, download, tmp_path):
    scans = download / "scans"
    one, other = (scans / "c0.nii.gz").read_bytes(), (scans / "c1.nii.gz").read_bytes()
    (scans / "c0.nii.gz").write_bytes(other)
    (scans / "c1.nii.gz").write_bytes(one)
    rows = read_rows(download)
    extra = rows[0] | {"case_id": "c99", "patient_id": "p99", "ct": "scans/c2.nii.gz"}
    rows[3]["lesions"] = rows[5]["lesions"] = rows[2]["lesions"]  # 3: a mask without the lesion
    rows[4]["organs"] = ""
    write_rows(download, [*rows, extra])
    (scans / "stray.nii.gz").write_bytes(b"stray")
    with pytest.raises(DataError) as caught:
        attach(world[1]["overlay"], download, tmp_path / "joined")
    found = {problem.where: problem.found for problem in caught.value.problems[1:]}
    assert found == {
        "case c0: ct": "differs",
        "case c1: ct": "differs",
        "case c3: lesions": "differs",
        "case c4: organs": "missing",
        "case c5: lesions": "differs",
    }
    # What the release does not know is no part of it.
    shutil.rmtree(download)
    shutil.copytree(world[0], download)
    (scans / "stray.nii.gz").write_bytes(b"stray")
    write_rows(download, [*read_rows(download), extra])
    attach(world[1]["overlay"], download, tmp_path / "joined")
    assert content(tmp_path / "joined") == content(world[1]["full"].folder)


def test_another_compression_is_the_same_scan(world, download, tmp_path):
    for path in (download / "scans").iterdir():
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 9))
    attach(world[1]["overlay"], download, tmp_path / "joined")
    assert content(tmp_path / "joined") == content(world[1]["full"].folder)


def test_another_zlib_gives_the_same_voxels_and_a_release_that_passes(world, tmp_path, monkeypatch):
    from rsuper_bench.dataset_builder import prepared_case

    bytes_of = prepared_case.nifti_bytes
    monkeypatch.setattr(prepared_case, "nifti_bytes", lambda v: gzip.compress(gzip.decompress(bytes_of(v)), 9, mtime=0))
    attach(world[1]["overlay"], world[0], tmp_path / "joined")
    assert list(lint(tmp_path / "joined")) == []
    for name in ("c0", "c6"):
        one, other = Release(tmp_path / "joined").volumes(name), world[1]["full"].volumes(name)
        np.testing.assert_array_equal(one.ct.data, other.ct.data)


def test_a_changed_overlay_is_not_joined(world, tmp_path):
    folder = shutil.copytree(world[1]["overlay"].folder, tmp_path / "overlay")
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    lines[0]["record"] = "0" * 64
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(DataError, match=r"does not fit the table of attributes \(c0\)"):
        attach(Release(folder), world[0], tmp_path / "joined")


def test_nothing_to_attach(world, tmp_path):
    with pytest.raises(ConfigError, match="carries all its images"):
        attach(world[1]["full"], world[0], tmp_path / "joined")
    with pytest.raises(ConfigError, match="no such folder"):
        attach(world[1]["overlay"], tmp_path / "nowhere", tmp_path / "joined")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds something else"):
        attach(world[1]["overlay"], world[0], tmp_path / "mine")
    assert (tmp_path / "mine" / "note.txt").read_text() == "mine"


def test_commands(world, tmp_path):
    run = CliRunner().invoke
    arguments = ["--source", "folder", "--input", str(world[0]), "--kind", "overlay", "--version", "2.0.1"]
    result = run(app, ["dataset", "build", *arguments, "--out", str(tmp_path / "overlay")])
    assert result.exit_code == 0, result.output
    info = Release(tmp_path / "overlay").info
    assert (info.version, info.kind) == ("2.0.1", "overlay")
    result = run(
        app,
        ["dataset", "attach", str(tmp_path / "overlay"), "--scans", str(world[0]), "--out", str(tmp_path / "joined")],
    )
    assert result.exit_code == 0, result.output
    assert "8 cases, 6 of them from" in result.stdout
    assert Release(tmp_path / "joined").volumes("c0").lesions is not None


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--kind", "overlays", "Did you mean 'overlay'?"), ("--version", "1.0", "three numbers such as 1.2.0")],
)
def test_wrong_options(tmp_path, monkeypatch, capsys, option, value, message):
    from rsuper_bench.cli import main

    arguments = ["dataset", "build", "--source", "phantom", "--out", str(tmp_path / "x"), option, value]
    monkeypatch.setattr(sys, "argv", ["rsuper-bench", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_lesions_come_back_with_their_types(world, tmp_path):
    attach(world[1]["attributes"], world[0], tmp_path / "joined")
    joined = Release(tmp_path / "joined")
    mask = joined.label_map.lesion_mask(joined.volumes("c1").lesions.data, TumorType.LIVER)
    assert mask.sum() == 8


def test_a_release_holds_no_path_of_this_machine_and_no_formula(download, tmp_path):
    rows = read_rows(download)
    rows[0]["case_id"] = "=HYPERLINK(1)"
    rows[1]["ct"] = "scans/none.nii.gz"
    (download / "scans" / "c2.nii.gz").write_bytes((download / "scans" / "c2.nii.gz").read_bytes()[:-9])
    write_rows(download, rows)
    arguments = ["--source", "folder", "--input", str(download), "--reject-bad", "--out", str(tmp_path / "release")]
    result = CliRunner().invoke(app, ["dataset", "build", *arguments])
    assert result.exit_code == 0, result.output
    with (tmp_path / "release" / "rejected.csv").open() as file:
        rejected = list(csv.DictReader(file))
    assert len(rejected) == 3  # every input case is in the release or here
    assert len(Release(tmp_path / "release").records()) == N - 3
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rejected for cell in row.values())
    for name, data in content(tmp_path / "release").items():
        assert str(tmp_path).encode() not in data, name
