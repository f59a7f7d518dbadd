"""The board between two comments of another Markdown file."""

import pytest
from synthetic_reports import make_report
from typer.testing import CliRunner

from rsuper_bench.benchmark.errors import ConfigError
from rsuper_bench.cli import app
from rsuper_bench.leaderboard.add import entry_of, write_entry
from rsuper_bench.leaderboard.readme import BEGIN, END, with_board


@pytest.fixture
def build(tmp_path):
    entry = entry_of(make_report(cases=20, draws=100), team="T", method="a | b", url=None, report_digest="2" * 64)
    write_entry(entry, tmp_path / "entries" / entry.path)
    readme = tmp_path / "README.md"

    def run(*options):
        folders = ["--entries", str(tmp_path / "entries"), "--out", str(tmp_path / "site")]
        return CliRunner().invoke(app, ["leaderboard", "build", *folders, "--readme", str(readme), *options])

    return readme, run


def test_the_board_stands_between_the_comments_and_the_rest_stays(build):
    readme, run = build
    readme.write_bytes(f"# Mine\r\n\nbefore\n{BEGIN}\nstale words\n{END}\nafter \\1 \\g<0>\n".encode())
    assert run("--check").exit_code == 1
    assert b"stale words" in readme.read_bytes()
    assert run().exit_code == 0
    text = readme.read_bytes().decode()
    assert text.startswith(f"# Mine\r\n\nbefore\n{BEGIN}\n\n### demo-phantom-v1\n")
    assert text.endswith(f"\n\n{END}\nafter \\1 \\g<0>\n")
    assert "| 1 | a &#124; b | T |" in text
    assert "stale words" not in text
    assert run("--check").exit_code == 0
    once = readme.read_bytes()
    assert run().exit_code == 0
    assert readme.read_bytes() == once
    readme.write_text(text.replace("| 1 | a", "| 0 | a"))
    checked = run("--check")
    assert checked.exit_code == 1
    assert "README.md" in checked.stderr


@pytest.mark.parametrize("text", ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n"])
def test_a_file_without_one_place_is_refused(tmp_path, text):
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(ConfigError, match=r"places for the board; expected one"):
        with_board(tmp_path / "README.md", "board")


def test_a_refused_readme_leaves_no_half_built_site(build, tmp_path):
    readme, run = build
    readme.write_text("no comments")
    assert isinstance(run().exception, ConfigError)
    assert not (tmp_path / "site").exists()
