"""Submissions in every form they arrive in, honest and hostile."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rsuper_bench.benchmark import submission_archive
from rsuper_bench.benchmark.errors import ConfigError, SubmissionError
from rsuper_bench.benchmark.nifti import Volume, write_nifti
from rsuper_bench.benchmark.submission import CaseType, Prediction, load_submission, read_submission, tumor_type_of
from rsuper_bench.benchmark.tumor_types import TumorType

INFO = "team: t\nmethod: m\n"
GOOD = "case_id,tumor_type,score\n001,liver,0.5\n1,liver,0.25\nNA,liver,1\n"


def folder_of(path: Path, table: str | bytes = GOOD, info: str = INFO) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "submission.yaml").write_text(info)
    (path / "predictions.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    return path


def zip_of(path: Path, files: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def problems_of(path: Path) -> str:
    with pytest.raises(SubmissionError) as caught:
        load_submission(path)
    return str(caught.value)


def test_ids_are_text(tmp_path):
    read = load_submission(folder_of(tmp_path / "s"))
    assert read.predictions == {
        CaseType("001", TumorType.LIVER): Prediction(0.5),
        CaseType("1", TumorType.LIVER): Prediction(0.25),
        CaseType("NA", TumorType.LIVER): Prediction(1.0),
    }


@pytest.mark.parametrize(
    "table",
    [
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        "score,case_id,tumor_type\n0.5,001,liver\n0.25,1,liver\n\n1e0,NA,liver\n",
        'case_id,tumor_type,score,volume_mm3\n"001",liver,.5,\n1,liver,+2.5e-1,\nNA,liver,1.,\n',
    ],
)
def test_spellings_of_one_table_are_one_submission(tmp_path, table):
    assert load_submission(folder_of(tmp_path / "a", table)).digest == load_submission(folder_of(tmp_path / "b")).digest


def test_folder_zip_and_parquet_have_one_digest(tmp_path):
    expected = load_submission(folder_of(tmp_path / "plain")).digest
    flat = zip_of(tmp_path / "flat.zip", {"submission.yaml": INFO, "predictions.csv": GOOD})
    nested = zip_of(
        tmp_path / "nested.zip",
        {
            "sub/": "",
            "sub/submission.yaml": INFO,
            "sub/predictions.csv": GOOD,
            "sub/.DS_Store": "x",
            "__MACOSX/sub/._predictions.csv": "x",
        },
    )
    parquet = tmp_path / "parquet"
    parquet.mkdir()
    (parquet / "submission.yaml").write_text(INFO)
    columns = {"case_id": ["001", "1", "NA"], "tumor_type": ["liver"] * 3, "score": [0.5, 0.25, 1.0]}
    pq.write_table(pa.table(columns), parquet / "predictions.parquet")
    assert {load_submission(path).digest for path in (flat, nested, parquet)} == {expected}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c,liver,nan", "score is NaN or infinite: row 2 c liver"),
        ("c,liver,inf", "score is NaN or infinite"),
        ("c,liver,1e999", "score is NaN or infinite"),
        ("c,liver,", "score is empty"),
        ("c,liver,1.5", "score out of range"),
        ("c,liver,-0.1", "score out of range"),
        ("c,liver,high", "score is not a number"),
        ("c,liver,1_0", "score is not a number"),
        ("c,liver,=1+1", "score is not a number"),
        ('c,liver,"0,5"', "Write decimals with a point"),
        ("c,liver,0,5", "4 cells; expected 3 cells"),
        ("c,livr,0.5", "Did you mean 'liver'?"),
        ("c,Liver,0.5", "unknown tumor type"),
        ("../../etc,liver,0.5", "unsafe case id"),
        ("c\u202e,liver,0.5", "unsafe case id"),
        (",liver,0.5", "unsafe case id"),
        ("c,liver,0.5\nc,liver,0.9", "row 3 c liver (first in row 2)"),
    ],
)
def test_bad_rows_are_named(tmp_path, row, message):
    assert message in problems_of(folder_of(tmp_path / "s", f"case_id,tumor_type,score\n{row}\n"))


def test_bad_volumes_are_named(tmp_path):
    table = "case_id,tumor_type,score,volume_mm3\nc,liver,0.5,-3\nd,liver,0.5,inf\n"
    text = problems_of(folder_of(tmp_path / "s", table))
    assert "volume_mm3 out of range" in text
    assert "volume_mm3 is NaN or infinite" in text


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"", "empty file"),
        (b"\x00\x01\x02\xff" * 100, "is not UTF-8"),
        (b"a\x00b", "NUL"),
        (b"case_id;tumor_type;score\nc;liver;0,5\n", "separated by ';'"),
        (b"case_id,type,score\nc,liver,0.5\n", "no column 'tumor_type'"),
        (b"case_id,tumor_type,score,score\nc,liver,0.5,0.6\n", "stands twice"),
        (b"case_id,tumor_type,score,extra\nc,liver,0.5,1\n", "unknown column 'extra'"),
        ("case_id,tumor_type,score\nc,liver,0.5\n".encode("utf-16"), "is not UTF-8"),
    ],
)
def test_bad_tables_are_named(tmp_path, table, message):
    assert message in problems_of(folder_of(tmp_path / "s", table))


def test_every_problem_at_once(tmp_path):
    table = "case_id,tumor_type,score\nc,liver,nan\nd,livr,0.5\ne f,liver,0.5\ng,liver,2\n"
    text = problems_of(folder_of(tmp_path / "s", table, info="team: t\nlicense: MIT\n"))
    for part in ("NaN", "livr", "unsafe", "out of range", "method: missing", "Did you mean 'licence'?"):
        assert part in text


@pytest.mark.parametrize(
    ("column", "values", "messages"),
    [
        ("case_id", [1, 2, 3], ["001 is not 1"]),
        ("score", ["0.1", "0.2", "0.3"], ["is string"]),
        ("score", [0.1, float("nan"), None], ["NaN or infinite: row 3", "is empty: row 4"]),
    ],
)
def test_bad_parquet_is_named(tmp_path, column, values, messages):
    folder = folder_of(tmp_path / "s")
    (folder / "predictions.csv").unlink()
    columns = {"case_id": ["a", "b", "c"], "tumor_type": ["liver"] * 3, "score": [0.5, 0.25, 1.0]} | {column: values}
    pq.write_table(pa.table(columns), folder / "predictions.parquet")
    text = problems_of(folder)
    assert all(message in text for message in messages)


def test_a_parquet_that_is_none(tmp_path):
    folder = folder_of(tmp_path / "s")
    (folder / "predictions.csv").rename(folder / "predictions.parquet")
    assert "not readable" in problems_of(folder)


def test_both_tables_are_one_too_many(tmp_path):
    folder = folder_of(tmp_path / "s")
    (folder / "predictions.parquet").write_bytes(b"")
    assert "both predictions.csv and predictions.parquet" in problems_of(folder)


def test_an_empty_folder(tmp_path):
    (tmp_path / "s").mkdir()
    text = problems_of(tmp_path / "s")
    assert "submission.yaml: no such file" in text
    assert "neither predictions nor masks" in text


def test_nothing_there(tmp_path):
    with pytest.raises(ConfigError, match="no such submission"):
        load_submission(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "info", ["[", "- a\n- b\n", "team: [1]\nmethod: m", "!!python/object/apply:os.getcwd []", "&a [*a]"]
)
def test_hostile_yaml(tmp_path, info):
    assert "submission.yaml" in problems_of(folder_of(tmp_path / "s", info=info))


@pytest.mark.parametrize("name", ["../evil.csv", "/evil.csv", "a/../../evil.csv", "..\\evil.csv", "C:\\evil.csv"])
def test_zip_slip_is_refused_before_anything_is_written(tmp_path, name):
    path = zip_of(tmp_path / "s.zip", {"submission.yaml": INFO, "predictions.csv": GOOD, name: "x"})
    target = tmp_path / "inner" / "target"
    target.mkdir(parents=True)
    with pytest.raises(SubmissionError, match="leaves the archive"):
        submission_archive.unpack_zip(path, target)
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "inner", target, path]


def test_links_are_refused(tmp_path):
    path = tmp_path / "s.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("predictions.csv")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert "a link or a special file" in problems_of(path)


def test_names_that_stand_twice_are_refused(tmp_path):
    path = tmp_path / "s.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("predictions.csv", GOOD)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("predictions.csv", GOOD)
    assert "stands twice" in problems_of(path)


def test_bombs_are_refused(tmp_path, monkeypatch):
    path = zip_of(tmp_path / "s.zip", {"submission.yaml": INFO, "predictions.csv": b"0" * 4_000_000})
    monkeypatch.setattr(submission_archive, "FREE_BYTES", 1_000_000)
    assert "times its size" in problems_of(path)
    monkeypatch.setattr(submission_archive, "MAX_BYTES", 3_000_000)
    assert "unpacks to 4000" in problems_of(path)
    monkeypatch.setattr(submission_archive, "MAX_FILES", 1)
    assert "2 files" in problems_of(path)


def test_a_zip_whose_directory_lies_about_sizes(tmp_path):
    path = zip_of(tmp_path / "s.zip", {"submission.yaml": INFO, "predictions.csv": b"x" * 100_000})
    data = path.read_bytes()
    path.write_bytes(data.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    text = problems_of(path)
    assert "error: s.zip" in text


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04" + b"\x00" * 50])
def test_a_file_that_is_no_zip(tmp_path, data):
    (tmp_path / "s.zip").write_bytes(data)
    assert "not a readable zip" in problems_of(tmp_path / "s.zip")


def test_masks_of_both_layouts_are_found(tmp_path):
    mask = Volume(np.zeros((4, 4, 4), dtype=np.uint8), np.eye(4))
    folder = tmp_path / "s"
    for name in ("masks/c1/liver.nii.gz", "c2/predictions/pancreatic_lesion.nii.gz", "c2/predictions/liver.nii.gz"):
        write_nifti(folder / name, mask)
    (folder / "submission.yaml").write_text(INFO)
    read = load_submission(folder)
    assert sorted(read.masks) == [("c1", "liver"), ("c2", "pancreas")]
    assert not read.has_table


def test_masks_with_bad_names_are_listed(tmp_path):
    mask = Volume(np.zeros((4, 4, 4), dtype=np.uint8), np.eye(4))
    folder = folder_of(tmp_path / "s")
    for name in ("masks/c 1/liver.nii.gz", "masks/c1/livr.nii.gz", "masks/a/b/liver.nii.gz"):
        write_nifti(folder / name, mask)
    (folder / "masks/c1/liver.mha").write_bytes(b"")
    _, problems = read_submission(folder)
    found = " ".join(str(problem) for problem in problems)
    assert found.count("unsafe case id") == 2
    assert "unknown tumor type" in found
    assert "not a mask" in found


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pancreatic", "pancreas"),
        ("adrenal_gland", "adrenal"),
        ("urinary_bladder", "bladder"),
        ("gall_bladder", "gallbladder"),
        ("soft_tissue", "soft_tissue"),
        ("femur", None),
    ],
)
def test_names_of_organs(name, kind):
    assert tumor_type_of(name) == kind
