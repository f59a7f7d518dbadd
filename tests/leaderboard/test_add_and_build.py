"""The path of an entry: report -> file -> site."""

import pytest
from typer.testing import CliRunner

from rsuper_bench.benchmark.files import pretty_json, write_text
from rsuper_bench.cli import app


@pytest.fixture
def report_file(tmp_path, report):
    path = tmp_path / "report" / "report.json"
    write_text(path, pretty_json(report()))
    return path


def call(*arguments):
    return CliRunner().invoke(app, ["leaderboard", *map(str, arguments)])


def test_from_report_to_site(tmp_path, report_file):
    entries, site = tmp_path / "entries", tmp_path / "site"
    added = call(
        "add", report_file, "--team", "Team A", "--method", "M 1", "--url", "https://e.org", "--entries", entries
    )
    assert added.exit_code == 0, added.output
    assert added.stdout.strip() == str(entries / "team-a__m-1" / "demo-phantom-v1.json")
    built = call("build", "--entries", entries, "--out", site)
    assert built.exit_code == 0, built.output
    assert {path.name for path in site.iterdir()} == {"index.html", "board.csv", "board.json", "BOARD.md", "entries"}
    assert "M 1" in (site / "index.html").read_text()
