"""The verbs validate, calibrate and evaluate, and the files they write."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET  # our own SVG
from pathlib import Path

import pytest
from conftest import write_submission
from typer.testing import CliRunner

from rsuper_bench.benchmark.errors import ConfigError, RsuperBenchError
from rsuper_bench.benchmark.markdown import escape
from rsuper_bench.benchmark.report import load_report
from rsuper_bench.cli import app


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, RsuperBenchError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


HOSTILE = "evil <script>alert(1)</script> | [x](javascript:0) `a` *b*\nc"


@pytest.fixture(scope="module")
def evaluated(small_release, test_rows, validation_rows, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    write_submission(folder / "validation", validation_rows, method=HOSTILE)
    write_submission(folder / "test", test_rows, method=HOSTILE)
    data = ("--data", small_release.folder)
    run(
        "calibrate",
        folder / "validation",
        *data,
        "--split",
        "validation",
        "--rule",
        "youden",
        "--out",
        folder / "T.json",
    )
    run("evaluate", folder / "test", *data, "--thresholds", folder / "T.json", "--out", folder / "out")
    return folder


def test_validate_says_yes(small_release, test_rows, submit):
    output = run("validate", submit(test_rows), "--data", small_release.folder, "--split", "test")
    assert "valid for release-types-v1, test: 60 cases" in output


def test_validate_lists_everything(small_release, test_rows, submit):
    rows = [
        *test_rows[2:],
        ("case_unknown", "liver", 0.5),
        ("case_unknown", "livr", 0.5),
        ("case_test_0009", "liver", 7),
    ]
    with pytest.raises(RsuperBenchError) as caught:
        run("validate", submit(rows), "--data", small_release.folder, "--split", "test")
    text = str(caught.value)
    for part in ("have no", "case_unknown", "livr", "stand twice"):
        assert part in text
    assert caught.value.exit_code == 1


def test_evaluate_writes_what_the_contract_names(evaluated):
    out = evaluated / "out"
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    names = ("roc", "sens_spec", "cases", "forest_sex")
    figures = {f"figures/{name}.{kind}" for name in names for kind in ("png", "svg")}
    assert files == {"report.json", "report.md", "report.html", "run.json", *figures}
    assert not list(evaluated.glob(".*"))
    value = json.loads((out / "report.json").read_text())
    assert {"task", "fingerprint", "scores", "readers", "coverage", "excluded", "outcomes", "digests"} <= value.keys()
    assert set(value["scores"]["liver"]["sensitivity"]) >= {"value", "low", "high", "k", "n", "method", "reason"}
    assert "started" not in (out / "report.json").read_text()
    assert load_report(out).submission.method == HOSTILE


def test_the_same_call_writes_the_same_bytes(evaluated, small_release):
    again = evaluated / "again"
    arguments = ("--data", small_release.folder, "--thresholds", evaluated / "T.json", "--jobs", "3")
    run("evaluate", evaluated / "test", *arguments, "--out", again)
    for path in (evaluated / "out").rglob("*"):
        if path.is_file() and path.name != "run.json":
            assert path.read_bytes() == (again / path.relative_to(evaluated / "out")).read_bytes(), path.name


def test_names_are_harmless_in_markdown(evaluated):
    text = (evaluated / "out/report.md").read_text()
    assert "<script>" not in text
    assert "[x](" not in text
    assert text.splitlines()[0].startswith("# evil &lt;script&gt;")
    assert escape("a|b\n`c`") == "a\\|b \\`c\\`"


def test_markdown_tables_are_square(evaluated):
    lines = (evaluated / "out/report.md").read_text().splitlines()
    widths = [line.replace("\\|", "").count("|") for line in lines if line.startswith("|")]
    blocks = "\n".join(lines).split("\n\n")
    for block in blocks:
        if block.startswith("|"):
            assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1
    assert widths


def test_markdown_says_whose_figures_the_radiologists_are(evaluated):
    text = (evaluated / "out/report.md").read_text()
    assert "not the same cases" in text
    assert "no verdict" in text
    characterisation = text.split("**Characterisation")[1]
    assert "kidney" in characterisation
    assert "[^kidney]: Grade: usable" in text


def test_figures_are_pictures(evaluated):
    for path in (evaluated / "out/figures").glob("*.svg"):
        assert ET.parse(path).getroot().tag.endswith("svg")  # noqa: S314
    assert (evaluated / "out/figures/roc.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_evaluation_replaces_the_first(evaluated, small_release):
    out = evaluated / "twice"
    for seed in (0, 1):
        run("evaluate", evaluated / "test", "--data", small_release.folder, "--seed", seed, "--out", out)
    assert load_report(out).seed == 1


def test_a_refused_evaluation_writes_nothing(evaluated, small_release, submit, test_rows):
    out = evaluated / "never"
    with pytest.raises(RsuperBenchError, match="no"):
        run("evaluate", submit(test_rows[5:]), "--data", small_release.folder, "--out", out)
    assert not out.exists()


def test_missing_cases_can_be_scored_as_failures(evaluated, small_release, submit, test_rows):
    output = run(
        "evaluate",
        submit(test_rows[9:]),
        "--data",
        small_release.folder,
        "--missing",
        "fail",
        "--out",
        evaluated / "fail",
    )
    assert "AUROC" in output
    assert "scored the worst way" in (evaluated / "fail/report.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("validate", "nowhere", "--data", "DATA"), 2),
        (("validate", "SUB", "--data", "nowhere"), 2),
        (("validate", "SUB", "--data", "DATA", "--task", "seven-tumors"), 2),
        (("calibrate", "SUB", "--data", "DATA", "--rule", "best", "--out", "T.json"), 2),
        (("evaluate", "SUB", "--data", "DATA", "--thresholds", "none.json", "--out", "o"), 1),
        (("evaluate", "SUB", "--data", "DATA", "--out", "SUB"), 2),
        (("evaluate", "SUB", "--data", "DATA", "--out", "DATA"), 2),
        (("evaluate", "SUB", "--data", "DATA", "--out", "LINK"), 2),
    ],
)
def test_wrong_calls_have_a_message_and_a_code(
    small_release, submit, test_rows, tmp_path, monkeypatch, arguments, code
):
    monkeypatch.chdir(tmp_path)
    names = {"SUB": submit(test_rows), "DATA": small_release.folder, "LINK": tmp_path / "link"}
    (tmp_path / "link").symlink_to("nowhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RsuperBenchError, match="error: ") as caught:
        run(*[names.get(argument, argument) for argument in arguments])
    assert caught.value.exit_code == code
    assert sorted(tmp_path.rglob("*")) == before


def test_calibrate_and_evaluate_list_all_that_validate_lists(small_release, submit, test_rows, tmp_path):
    (case_id, kind, _), *rest = test_rows
    folder = submit([(case_id, kind, "nan"), *rest[1:], ("ghost", kind, 0.5)])
    data = ("--data", small_release.folder, "--split", "test")
    validated = CliRunner().invoke(app, [str(part) for part in ("validate", folder, *data)])
    for verb in ("evaluate", "calibrate"):
        out = tmp_path / verb
        result = CliRunner().invoke(app, [str(part) for part in (verb, folder, *data, "--out", out)])
        assert len(result.exception.problems) == 3
        assert str(result.exception) == str(validated.exception)
        assert not out.exists()


def test_evaluate_replaces_nothing_of_somebody_else(small_release, submit, test_rows, tmp_path):
    out = tmp_path / "paper"
    figures = out / "figures"
    figures.mkdir(parents=True)
    (figures / "mine.svg").write_text("drawn for a week")
    call = (
        "evaluate",
        submit(test_rows),
        "--data",
        small_release.folder,
        "--split",
        "test",
        "--out",
        tmp_path / "paper",
    )
    result = CliRunner().invoke(app, [str(part) for part in call])
    assert isinstance(result.exception, ConfigError)
    assert "holds figures of something else" in str(result.exception)
    assert (figures / "mine.svg").read_text() == "drawn for a week"


def test_a_table_that_cannot_be_read_is_not_missing_besides(small_release, submit, test_rows):
    folder = submit(test_rows)
    table = folder / "predictions.csv"
    table.write_text(table.read_text().replace(",", ";"))
    call = ("validate", folder, "--data", small_release.folder, "--split", "test")
    result = CliRunner().invoke(app, [str(part) for part in call])
    assert [problem.where for problem in result.exception.problems] == ["predictions.csv"]


def test_an_example_submission_is_valid(small_release, tmp_path):
    example, data = tmp_path / "example", ("--data", small_release.folder, "--split", "test")
    assert "60 cases x 3 types" in run("validate", "--example", example, *data)
    assert "no problems" in run("validate", example, *data)
    run("evaluate", example, *data, "--out", tmp_path / "out")
    assert load_report(tmp_path / "out").scores["liver"]["auroc"].value == 0.5
    with pytest.raises(ConfigError, match="is there already"):
        run("validate", "--example", example, *data)


def test_an_example_for_calls_by_volume_has_volumes(small_release, tmp_path):
    task = tmp_path / "task.yaml"
    task.write_text("name: volumes-v1\ndescription: ''\ntumor_types: [liver]\ncall_rule: volume\n")
    data = ("--data", small_release.folder, "--split", "validation", "--task", task)
    run("validate", "--example", tmp_path / "example", *data)
    assert "no problems" in run("validate", tmp_path / "example", *data)


@pytest.mark.parametrize("arguments", [(), ("SUB", "--example", "x")])
def test_validate_checks_or_writes(small_release, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="a submission"):
        run("validate", *arguments, "--data", small_release.folder)
