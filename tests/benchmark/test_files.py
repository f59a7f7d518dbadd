"""Small files: atomic, deterministic, one clear error with every problem in it."""

import os
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, StringConstraints

from rsuper_bench.benchmark.errors import SHOWN_PROBLEMS, ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import (
    atomic_path,
    canonical_json,
    check_model,
    check_out_file,
    csv_text,
    digest_of,
    id_problems,
    read_model,
    read_table,
    write_text,
)
from rsuper_bench.benchmark.task import Task


def table(path, text, **options):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, ["case_id", "report"], **options)


def test_cells_stay_text(tmp_path):
    rows = table(tmp_path / "t.csv", "case_id,report\r\n001,NA\n1,null\n")
    assert rows == [{"case_id": "001", "report": "NA"}, {"case_id": "1", "report": "null"}]


def test_byte_order_mark_and_quoted_newlines(tmp_path):
    rows = table(tmp_path / "t.csv", '\ufeffcase_id,report\na,"two\nlines, one cell"\n\n')
    assert rows == [{"case_id": "a", "report": "two\nlines, one cell"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty file"),
        ("case_id\na\n", "no column 'report'"),
        ("case_id,report,report\na,b,c\n", "column 'report' stands twice"),
        ("case_id,report\na\n", "row 2: 1 cells"),
        ("case_id,report\na,b\0\n", "NUL bytes"),
        (b"case_id,report\na,\xff\n", "is not UTF-8"),
        ('case_id,report\na,"open\n', "not valid CSV"),
    ],
)
def test_bad_tables_say_where(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        table(tmp_path / "t.csv", content)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv: no such file"):
        read_table(tmp_path / "nowhere.csv", ["a"])


def test_all_problems_at_once_without_the_values(tmp_path):
    path = tmp_path / "task.yaml"
    path.write_text("name: Nope\ntumor_typs: [liver]\nconfidence: 2\n")
    with pytest.raises(ConfigError) as caught:
        read_model(path, Task)
    message = str(caught.value)
    assert "Did you mean 'tumor_types'?" in message
    assert len(caught.value.problems) == 5  # name, description, tumor_types, tumor_typs, confidence
    assert "Nope" not in message  # values may be report text
    assert caught.value.exit_code == 2


def test_long_lists_are_cut_with_a_count():
    error = DataError.of([Problem("w", "f", "e", "x")] * (SHOWN_PROBLEMS + 3))
    assert "... and 3 more problems" in str(error)
    assert len(error.problems) == SHOWN_PROBLEMS + 3


@pytest.mark.parametrize("text", ["a: [", "a: !!python/object/apply:os.system ['true']", "\t- x"])
def test_yaml_that_cannot_be_parsed_or_wants_to_run(tmp_path, text):
    path = tmp_path / "task.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="cannot be parsed"):
        read_model(path, Task)


def test_ids_are_checked_together():
    problems = id_problems(["a", "../b", "a", "c"], "cases.csv", "case_id")
    assert [problem.where for problem in problems] == ["cases.csv: row 3: case_id", "cases.csv: row 4: case_id"]
    assert "already in row 2" in problems[1].found


def test_atomic_write_leaves_the_old_file_when_it_fails(tmp_path):
    path = tmp_path / "f.txt"
    write_text(path, "old")

    def fail_midway():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail_midway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_formulas_are_neutralised(text):
    cell = csv_text([{"a": text}], ["a"]).splitlines()[1].strip('"')
    assert cell.startswith("'")


def test_numbers_are_untouched_and_none_is_empty():
    assert csv_text([{"a": -1.5, "b": None}], ["a", "b"]) == "a,b\n-1.5,\n"


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.none())))
def test_digest_does_not_depend_on_key_order(value):
    assert digest_of(value) == digest_of(dict(reversed(value.items())))


def test_nan_is_not_json():
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": float("nan")})


class Recorded(BaseModel):
    names: tuple[str, ...]
    title: Annotated[str, StringConstraints(min_length=1)]


def test_what_is_expected_is_said_without_the_library_s_turns_of_phrase():
    with pytest.raises(DataError) as caught:
        check_model({"names": "one", "title": ""}, Recorded, "file", DataError)
    assert [problem.expected for problem in caught.value.problems] == ["a list", "text with at least 1 character"]
    with pytest.raises(DataError, match="the whole file: not valid; expected keys and values"):
        check_model([], Recorded, "file", DataError)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_device_is_no_place_for_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="a device or a pipe"):
        check_out_file(pipe)
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n" + "1,2\n" * 6, "more than 5 rows"),
        ("a,b\n" + "\n" * 50 + "1,2\n", None),  # empty lines are no rows
        ("a" + "," * (17 * 1024**2), "a line of 17825793 characters"),
        (",".join(f"c{n}" for n in range(10_001)) + "\n", "10001 columns"),
    ],
)
def test_giant_tables_are_refused_early(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    if message is None:
        assert read_table(tmp_path / "t.csv", ["a"], max_rows=5) == [{"a": "1", "b": "2"}]
        return
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "t.csv", ["a"], max_rows=5)
