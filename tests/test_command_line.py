"""The front door: help, exit codes, schemas, doctor."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from rsuper_bench.cli import app
from rsuper_bench.schema import RECORDS


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


def test_version_on_stdout():
    result = run("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("rsuper-bench ")


def test_doctor_names_what_is_missing_and_how_to_get_it():
    result = run("doctor")
    assert result.returncode == 0, result.stderr
    for part in ("python", "torch", "monai", "datasets", "device", "free memory", "free disk"):
        assert part in result.stdout
    assert "pip install" in result.stdout  # at least one optional part is missing on a plain machine
