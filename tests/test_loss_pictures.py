"""The pictures of docs/what-the-losses-see.md: all there, small, and drawn the same each time."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

DOCS = Path(__file__).parents[1] / "docs"
SCRIPT = DOCS / "pictures" / "make_pictures.py"
SHOWN = re.findall(r"!\[[^\]]+\]\((pictures/[\w-]+\.png)\)", (DOCS / "what-the-losses-see.md").read_text("utf-8"))


def draw(folder, *names):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *names, "--out", str(folder)], capture_output=True, text=True, cwd=folder
    )


def test_the_page_shows_every_picture_there_is():
    pages = "".join(path.read_text("utf-8") for path in DOCS.glob("*.md"))
    assert [path.name for path in (DOCS / "pictures").glob("*.png") if f"pictures/{path.name}" not in pages] == []
    assert len(SHOWN) == len(set(SHOWN)) >= 6


@pytest.mark.parametrize("name", SHOWN)
def test_a_picture_is_small_and_not_empty(name):
    path = DOCS / name
    assert path.stat().st_size < 200_000
    with Image.open(path) as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(2**24)) > 100


@pytest.mark.slow
def test_drawn_twice_is_drawn_the_same(tmp_path):
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        result = draw(folder)
        assert result.returncode == 0, result.stderr
    first, second = ({path.name: path.read_bytes() for path in folder.glob("*.png")} for folder in folders)
    assert first == second
    assert {f"pictures/{name}" for name in first} == set(SHOWN)


def test_a_picture_that_does_not_exist_is_refused(tmp_path):
    result = draw(tmp_path, "bal")
    assert result.returncode == 2
    assert "no picture bal" in result.stderr
