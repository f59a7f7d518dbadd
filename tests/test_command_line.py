"""The front door: help, exit codes, schemas, doctor."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from rsuper_bench.cli import app
from rsuper_bench.schema import RECORDS, json_schema


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "rsuper_bench", *arguments], capture_output=True, text=True)


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom rsuper_bench.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'monai', 'numpy', 'pydantic', 'datasets', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("name", RECORDS)
def test_schema_of_every_record_is_json_schema(name):
    result = CliRunner().invoke(app, ["schema", name])
    assert result.exit_code == 0, result.output
    schema = json.loads(result.stdout)
    assert schema["type"] == "object"
    assert schema["properties"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    "name", ["CaseRecord", "case_record", "Finding", "EvaluationReport", "Recipe", "planted-config"]
)
def test_schemas_are_known_by_the_names_of_their_classes(name):
    assert json_schema(name)["title"].lower() == name.replace("_", "").replace("-", "").lower()


def test_unknown_schema_is_a_wrong_call():
    result = run("schema", "fnding")
    assert result.returncode == 2
    assert result.stdout == ""
    assert "Did you mean 'finding'?" in result.stderr
    assert "Traceback" not in result.stderr


def test_unknown_verb_is_a_wrong_call():
    result = run("evalate")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_a_place_that_cannot_be_written_is_one_message(tmp_path):
    (tmp_path / "reports.csv").write_text("case_id,report\na,Normal liver.\n")
    (tmp_path / "file").write_text("kept")
    for out in (tmp_path, tmp_path / "file" / "findings.jsonl", "/proc/findings.jsonl"):
        result = run("dataset", "extract", tmp_path / "reports.csv", "--out", out)
        assert result.returncode in (1, 2)
        assert result.stderr.count("error: ") == 1
        assert "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "reports.csv"]


def test_version_on_stdout():
    result = run("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("rsuper-bench ")


def test_doctor_names_what_is_missing_and_how_to_get_it():
    result = run("doctor")
    assert result.returncode == 0, result.stderr
    for part in ("python", "torch", "monai", "datasets", "device", "free memory", "free disk"):
        assert part in result.stdout
    assert "pip install" in " ".join(result.stdout.split())  # an optional part is missing; lines may wrap
