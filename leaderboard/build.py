"""The site as a pure function of the entries: same files, same bytes; and the check that a site is up to date."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rsuper_bench.benchmark.errors import ConfigError, Problem
from rsuper_bench.benchmark.files import check_out_folder, write_bytes
from rsuper_bench.leaderboard.board import make_board
from rsuper_bench.leaderboard.entry import Entry
from rsuper_bench.leaderboard.page import entry_page, index_page
from rsuper_bench.leaderboard.reading import read_entries
from rsuper_bench.leaderboard.tables import board_csv, board_json, board_markdown

INDEX_FILE = "index.html"
PAGES = "entries"


@dataclass(frozen=True)
class Difference:
    """One file of a site on disk that is not what would be built."""

    path: str
    state: str  # missing, changed or left over


def render_site(entries: Iterable[Entry]) -> dict[str, bytes]:
    """Every file of the site by its path, in a fixed order.

    Raises:
        DataError: If the entries contradict each other.
    """
    board = make_board(entries)
    files = {
        INDEX_FILE: index_page(board),
        "board.csv": board_csv(board),
        "board.json": board_json(board),
        "BOARD.md": board_markdown(board),
    }
    for group in board.groups:
        for row in group.rows:
            files[f"{PAGES}/{row.entry.key}.html"] = entry_page(row, group)
    return {path: text.encode() for path, text in files.items()}


def build_site(entries: Path, out: Path) -> Path:
    """Read the entries and write the site; pages of entries that are gone are removed.

    Returns:
        The path of ``index.html``.

    Raises:
        ConfigError: If the folder of entries does not exist or holds the site, or ``out`` holds something else.
        DataError: Listing everything wrong with the entries; nothing is written then.
    """
    files = _site_of(entries, out)
    check_out_folder(out, "board.json", [path for path in files if "/" not in path])
    for path, data in files.items():
        target = out / path
        if not target.is_file() or target.read_bytes() != data:
            write_bytes(target, data)
    for path in _left_over(out, files):
        (out / path).unlink()
    return out / INDEX_FILE


def check_site(entries: Path, out: Path) -> list[Difference]:
    """Compare the site on disk with what would be built, writing nothing.

    Raises:
        ConfigError: As :func:`build_site`.
        DataError: As :func:`build_site`.
    """
    files = _site_of(entries, out)
    found = []
    for path, data in files.items():
        target = out / path
        if not target.is_file():
            found.append(Difference(path, "missing"))
        elif target.read_bytes() != data:
            found.append(Difference(path, "changed"))
    return found + [Difference(path, "left over") for path in _left_over(out, files)]


def _site_of(entries: Path, out: Path) -> dict[str, bytes]:
    if out.exists() and not out.is_dir():
        raise ConfigError.of([Problem("--out", "is a file", "a folder for the site", "Name a folder.")])
    inside = out.resolve()
    if entries.resolve() in (inside, *inside.parents):
        raise ConfigError.of(
            [Problem("--out", "lies in the folder of entries", "a folder of its own", "Name another.")]
        )
    return render_site(read_entries(entries))


def _left_over(out: Path, files: dict[str, bytes]) -> list[str]:
    """Entry pages of an earlier build. Nothing else in the folder is ours to judge."""
    pages = out / PAGES
    if not pages.is_dir():
        return []
    found = (f"{PAGES}/{path.name}" for path in pages.glob("*__*__*.html"))
    return sorted(path for path in found if path not in files)
