"""From a PACS export to a release on the command line, as docs/from-pacs-to-release.md tells it."""

import csv
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset
from synthetic_dicom import MRN, NAME, ct_slice, hounsfield, save, structured_report, uid, write_series

from rsuper_bench.cli import main
from rsuper_bench.dataset_builder.dicom import DicomSource, load_dicom_config

CONFIG = """
source: Planted General Hospital
licence: internal use only
min_slices: 6
salt_file: private/salt
linkage_file: private/linkage.csv
reports: {file: reports.csv, accession: Accession, report: Report}
"""


@pytest.fixture(autouse=True)
def quiet_hub(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def hospital(tmp_path, monkeypatch):
    """Five studies of three patients: three good ones, one without a report, one that is a scout only."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for number, patient in ((1, "p"), (2, "p"), (3, "q"), (4, "r"), (5, "r")):
        folder, study = tmp_path / "export" / f"DOE^JANE {number}", f"study-{number}"
        tags = {"PatientID": f"{MRN}-{patient}", "study": study}
        if number != 5:
            write_series(folder, hounsfield(seed=number), **tags)
        write_series(folder, hounsfield(2), series="scout", SeriesDescription="Scout", **tags)
        if number not in (3, 4):
            text = "Liver: hypodense mass, 2.1 cm. Prior of 2021-01-03. Spleen is normal."
            rows.append({"Accession": f"ACC-{study}", "Report": text})
    report = structured_report("Normal liver.", study="study-3")
    report.PatientID = f"{MRN}-q"
    save(report, tmp_path / "export" / "sr")
    (tmp_path / "export" / "AUTORUN.INF").write_text("junk")
    with (tmp_path / "reports.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["Accession", "Report"])
        writer.writeheader()
        writer.writerows([*rows, {"Accession": "ACC-nobody", "Report": "Whose?"}])
    (tmp_path / "hospital.yaml").write_text(CONFIG)
    return tmp_path


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["rsuper-bench", *arguments])
    try:
        main()
    except SystemExit as stop:
        return stop.code or 0
    return 0


BUILD = ("dataset", "build", "--source", "dicom", "--input", "export", "--config", "hospital.yaml")


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


def test_an_export_becomes_a_release(hospital, monkeypatch, capsys):
    assert run(monkeypatch, *BUILD, "--out", "release") == 0
    said = capsys.readouterr()
    rows = list(csv.DictReader((hospital / "release" / "rejected.csv").open()))
    by_reason = sorted((row["reason"], "." in row["input_id"]) for row in rows)
    assert by_reason == [
        ("localizer", True), ("localizer", True), ("localizer", True), ("localizer", True), ("localizer", True),
        ("no_report", False), ("no_usable_series", False), ("report_without_study", False),
    ]  # fmt: skip
    data = load_dataset(str(hospital / "release"), "cases")
    cases = [row for split in data.values() for row in split]
    assert len(cases) == 3
    assert {row["sex"] for row in cases} == {"F"}
    assert sorted(row["report"][:6] for row in cases) == ["Findin", "Liver:", "Liver:"]
    assert sum("Prior of [day -60_]." in row["report"] for row in cases) == 2  # the study was on 2021-03-04
    patients = {row["case_id"]: row["patient_id"] for row in cases}
    assert len(set(patients.values())) == 2

    # Nothing that names a patient, a study or a day is in the release or was said.
    shown = repr([{key: value for key, value in row.items() if key not in ("ct", "preview")} for row in cases])
    headers = b"".join(bytes(row["ct"].to_bytes()) for row in cases)
    for secret in (NAME, "Penelope", "DOE^JANE", MRN, "ACC-study", uid("study-1"), "20210304", "19600102", "Rita"):
        assert secret not in shown + said.out + said.err
        assert secret.encode() not in headers
        for name, data in content(hospital / "release").items():
            assert secret.encode() not in data, name
    assert run(monkeypatch, "dataset", "lint", "release") == 0
    assert run(monkeypatch, "dataset", "leakage", "release") == 0


def test_shards_give_the_same_bytes(hospital, monkeypatch):
    assert run(monkeypatch, *BUILD, "--out", "one") == 0
    for shard in ("1/2", "2/2"):
        assert run(monkeypatch, *BUILD, "--out", "two", "--shard", shard) == 0
    assert run(monkeypatch, *BUILD, "--out", "two") == 0
    assert content(hospital / "two") == content(hospital / "one")


@pytest.mark.slow
def test_several_workers_give_the_same_bytes(hospital, monkeypatch):
    assert run(monkeypatch, *BUILD, "--out", "one") == 0
    assert run(monkeypatch, *BUILD, "--out", "two", "--jobs", "2") == 0
    assert content(hospital / "two") == content(hospital / "one")


def test_a_second_run_has_nothing_to_do_until_a_report_changes(hospital, monkeypatch, capsys):
    assert run(monkeypatch, *BUILD, "--out", "release") == 0
    assert run(monkeypatch, *BUILD, "--out", "release") == 0
    assert "nothing to do" in capsys.readouterr().out
    table = hospital / "reports.csv"
    table.write_text(table.read_text().replace("2.1 cm", "2.2 cm"))
    assert run(monkeypatch, *BUILD, "--out", "release") == 2
    assert "holds another release" in capsys.readouterr().err


def test_an_export_without_a_ct_is_one_clear_error(tmp_path, monkeypatch, capsys):
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "readme").write_text("nothing here")
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "dataset", "build", "--source", "dicom", "--input", "export", "--out", "release") == 1
    assert "no usable study of 0 (no DICOM file)" in capsys.readouterr().err
    assert not (tmp_path / "release").exists()


def test_the_page_can_be_followed(tmp_path, monkeypatch, capsys):
    """Config, commands and Python of docs/from-pacs-to-release.md as they stand there."""
    page = (Path(__file__).parents[2] / "docs" / "from-pacs-to-release.md").read_text("utf-8")
    pattern = r"^```{}\n(.*?)^```"
    blocks = {
        kind: re.findall(pattern.format(kind), page, re.MULTILINE | re.DOTALL) for kind in ("yaml", "bash", "python")
    }
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hospital.yaml").write_text(blocks["yaml"][0])
    rows = ["AccessionNumber,ReportText"]
    for number in range(4):
        write_series(tmp_path / "export", hounsfield(20, seed=number), study=f"s{number}", PatientID=f"p{number}")
        rows.append(f"ACC-s{number},Normal liver.")
    (tmp_path / "reports.csv").write_text("\n".join(rows) + "\n")
    commands = [line for line in "".join(blocks["bash"]).splitlines() if line.startswith("rsuper-bench dataset")]
    assert len(commands) == 3
    for line in commands:
        assert run(monkeypatch, *shlex.split(line)[1:]) == 0, line
    for script in blocks["python"]:
        exec(script, {})  # noqa: S102 (our own page)
    assert "(10, 12, 20) Normal liver." in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "private").iterdir()) == ["linkage.csv", "salt"]


ORIENTATIONS = {
    "supine": [1, 0, 0, 0, 1, 0],
    "prone": [-1, 0, 0, 0, -1, 0],
    "rows to the right": [-1, 0, 0, 0, 1, 0],
    "turned about the long axis": [np.cos(0.3), np.sin(0.3), 0, -np.sin(0.3), np.cos(0.3), 0],
    "oblique": [1, 0, 0, 0, np.cos(0.2), np.sin(0.2)],
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_every_voxel_lies_where_the_standard_says(tmp_path, name):
    """PS3.3 C.7.6.2.1.1: position of column i, row j of a slice from its own header."""
    orientation = np.round(ORIENTATIONS[name], 6)
    row, column = orientation[:3], orientation[3:]
    normal = np.cross(row, column)
    data = hounsfield()
    places = [np.array([10.0, -20.0, 30.0]) + 4.0 * k * normal for k in range(len(data))]
    for index, slice_hu in enumerate(data):
        tags = {"ImageOrientationPatient": list(orientation)}
        item = ct_slice(slice_hu, position=places[index], series="a", instance=index, **tags)
        save(item, tmp_path / "export" / f"{index}")
    save(structured_report("Normal.", study="study-1"), tmp_path / "export" / "sr")
    config = load_dicom_config(None, export=tmp_path / "export").model_copy(update={"min_slices": 6})
    source = DicomSource.open(tmp_path / "export", config)
    ct = source.make(source.keys()[0]).ct
    inverse = np.linalg.inv(ct.affine)
    for k, j, i in ((0, 0, 0), (7, 11, 9), (3, 2, 5), (5, 10, 1)):
        lps = places[k] + row * 0.7 * i + column * 0.8 * j
        voxel = inverse @ [-lps[0], -lps[1], lps[2], 1]
        np.testing.assert_allclose(voxel, np.rint(voxel), atol=1e-3)
        assert ct.data[tuple(np.rint(voxel[:3]).astype(int))] == data[k, j, i]
    assert ct.canonical().orientation == "RAS"


def test_without_the_extra_the_call_says_what_to_install(tmp_path, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("rsuper_bench.dataset_builder.dicom")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pydicom", None)  # as if it were not installed
    (tmp_path / "export").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "dataset", "build", "--source", "dicom", "--input", "export", "--out", "release") == 2
    assert "pip install -e '.[dicom]' in the clone" in capsys.readouterr().err
