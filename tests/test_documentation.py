"""Commands, links and names in the documents are true of this version."""

import json
import os.path
import re
import shlex
from pathlib import Path

import pytest
import typer

from rsuper_bench.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *PAGES]


def commands(text):
    """Lines of fenced blocks, and code in a sentence that has arguments."""
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)
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


SCRIPTS = [
    (document, line)
    for document in DOCUMENTS
    for line in re.findall(r"\bpython3? ((?:docs|tests)/[^`\n]+)", (ROOT / document).read_text("utf-8"))
]


@pytest.mark.parametrize(("document", "line"), SCRIPTS)
def test_a_shown_script_is_there_and_has_the_options(document, line):
    path, *arguments = shlex.split(line, comments=True)
    text = (ROOT / path).read_text("utf-8")
    options = [argument for argument in arguments if argument.startswith("--")]
    assert [option for option in options if f'"{option}"' not in text] == []


FIGURELESS = {"CONTRIBUTING.md", "docs/leaderboard.md", "docs/llm-extraction.md"}  # name a script, give no figure of it


@pytest.mark.parametrize("document", sorted({document for document, _ in SCRIPTS} - FIGURELESS))
def test_pages_that_give_figures_of_scripts_say_when_they_were_measured(document):
    text = (ROOT / document).read_text("utf-8")
    drawn = "docs/pictures/" in text and "tests/" not in text  # pictures alone
    assert drawn or re.search(r"\b20\d\d-\d\d-\d\d\b|\b\d{1,2} [A-Z][a-z]+ 20\d\d\b", text)


def links(text):
    """Relative targets of links and pictures outside of code."""
    text = re.sub(r"^(```|~~~).*?^\1|`[^`\n]+`", "", text, flags=re.MULTILINE | re.DOTALL)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"https?:|mailto:", target)]


def anchors(text):
    """What GitHub and the website make of the headings: lower case, hyphens for spaces, punctuation gone."""
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    broken = []
    for link in links((ROOT / document).read_text("utf-8")):
        target, _, anchor = link.partition("#")
        path = Path(os.path.normpath(ROOT / Path(document).parent / target)) if target else ROOT / document
        known = path.exists() and path.is_relative_to(ROOT)
        if not known or (anchor and anchor not in anchors(path.read_text("utf-8"))):
            broken.append(link)
    assert broken == []


def test_broken_links_would_be_found():
    text = "[a](b.md#c) `[no](code.md)` ![p](q.png)\n```\n[no](block.md)\n# no heading\n```\n## What it *is*: 3 things"
    assert links(text) == ["b.md#c", "q.png"]
    assert anchors(text) == {"what-it-is-3-things"}


def verbs(command, name=""):
    inner = getattr(command, "commands", None)
    return [name] if inner is None else [verb for key in inner for verb in verbs(inner[key], f"{name} {key}".strip())]


def test_every_verb_recipe_and_task_is_shown_somewhere():
    from importlib.resources import files

    from rsuper_bench.baselines.recipe import shipped_recipes

    text = " ".join((ROOT / document).read_text("utf-8") for document in DOCUMENTS)
    tasks = [file.name.removesuffix(".yaml") for file in files("rsuper_bench.benchmark").joinpath("tasks").iterdir()]
    names = [f"rsuper-bench {verb}" for verb in verbs(typer.main.get_command(app))]
    # A recipe or a task counts where it stands as a name of its own: `combined`, not "combined"; sizes of one as one.
    recipes = sorted({re.sub("^(demo|small)_", "", name) for name in shipped_recipes()})
    names += [f"`{name}`" for name in (*recipes, *tasks)]
    assert [name for name in names if name not in text] == []


def test_every_reason_code_is_explained():
    from rsuper_bench.dataset_builder.rejection import Reason

    pages = " ".join(
        (ROOT / "docs" / name).read_text("utf-8") for name in ("folder-input.md", "from-pacs-to-release.md")
    )
    pages += (ROOT / "docs" / "public-datasets.md").read_text("utf-8")
    assert [reason for reason in Reason if f"`{reason}`" not in pages] == []


@pytest.mark.parametrize("baseline", ["mask_only", "report_only", "combined"])
def test_the_table_of_the_demo_has_the_figures_of_its_entries_on_the_board(baseline):
    folder = ROOT / "leaderboard" / "submissions" / f"rsuper-bench-demo__{baseline.replace('_', '-')}"
    scores = json.loads((folder / "demo-phantom-v1.json").read_text("utf-8"))["scores"]["mean"]
    found = [scores[name] for name in ("auroc", "sensitivity", "specificity")]
    figures = [f"{score['value']:.2f} [{score['low']:.2f}, {score['high']:.2f}]" for score in found]
    rows = [line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if line.startswith(f"| {baseline} |")]
    assert [row.split(" | ")[2:] for row in rows] == [[*figures[:2], f"{figures[2]} |"]]
