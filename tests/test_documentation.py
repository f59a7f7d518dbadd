"""Every command that the documents show is one that this version takes."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from rsuper_bench.cli import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


def commands(text):
    """Lines of fenced blocks, and code in a sentence that has arguments."""
    blocks = re.findall(r"^```bash\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    inline = [code for code in re.findall(r"`([^`\n]+)`", text) if "…" not in code and "..." not in code]
    return [line for line in [*lines, *inline] if line.startswith("rsuper-bench ")]


SHOWN = [(document, line) for document in DOCUMENTS for line in commands((ROOT / document).read_text("utf-8"))]


def test_the_documents_show_commands():
    assert len(SHOWN) > 15


@pytest.mark.parametrize(("document", "line"), SHOWN)
def test_a_shown_command_is_understood(document, line):
    command, arguments = typer.main.get_command(app), shlex.split(line, comments=True)[1:]
    if arguments == ["--help"]:
        return
    while hasattr(command, "commands"):
        name, *arguments = arguments
        assert name in command.commands, f"{document} shows a verb that does not exist"
        command = command.commands[name]
    if arguments:  # a verb may be named without its arguments
        command.make_context(command.name, arguments)


def test_every_reason_code_is_explained():
    from rsuper_bench.dataset_builder.rejection import Reason

    pages = " ".join(
        (ROOT / "docs" / name).read_text("utf-8") for name in ("folder-input.md", "from-pacs-to-release.md")
    )
    pages += (ROOT / "docs" / "public-datasets.md").read_text("utf-8")
    assert [reason for reason in Reason if f"`{reason}`" not in pages] == []
