"""The site as a pure function of the entries: same files, same bytes; and the check that a site is up to date."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import check_out_folder, write_bytes
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.leaderboard.board import Board, make_board
from rsuper_bench.leaderboard.entry import Entry
from rsuper_bench.leaderboard.page import entry_page, index_page, type_pages
from rsuper_bench.leaderboard.reading import attached_problems, read_entries
from rsuper_bench.leaderboard.readme import with_board
from rsuper_bench.leaderboard.tables import board_csv, board_json, board_markdown, ranking_markdown

INDEX_FILE = "index.html"
PAGES = "entries"
TYPES = "types"
WRITERS = 16  # each waits for the disk; many wait together


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
    return _render(make_board(entries))


def _render(board: Board) -> dict[str, bytes]:
    files = {
        INDEX_FILE: index_page(board),
        "board.csv": board_csv(board),
        "board.json": board_json(board),
        "BOARD.md": board_markdown(board),
    }
    for group in board.groups:
        for row in group.rows:
            files[f"{PAGES}/{row.entry.key}.html"] = entry_page(row, group)
    for kind, page in type_pages(board).items():
        files[f"{TYPES}/{kind}.html"] = page
    return {path: text.encode() for path, text in files.items()}


def build_site(entries: Path, out: Path, *, readme: Path | None = None) -> Path:
    """Read the entries and write the site; pages of entries that are gone are removed.

    Args:
        entries: Folder of entries.
        out: Folder of the site.
        readme: Markdown file that carries the board between its comments.

    Returns:
        The path of ``index.html``.

    Raises:
        ConfigError: If the folder of entries does not exist or holds the site, or ``out`` holds something else.
        DataError: Listing everything wrong with the entries; nothing is written then.
    """
    files, carried = _site_of(entries, out, readme)
    check_out_folder(out, "board.json", [path for path in files if "/" not in path])
    changed = [path for path in files if not _is_current(out / path, files[path])]
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda path: write_bytes(out / path, files[path]), changed))
    for path in _left_over(out, files):
        (out / path).unlink()
    if readme is not None and readme.read_bytes() != carried:
        write_bytes(readme, carried)
    return out / INDEX_FILE


def check_site(entries: Path, out: Path, *, readme: Path | None = None) -> list[Difference]:
    """Compare site and readme on disk with what would be built, writing nothing; also predictions beside entries.

    Raises:
        ConfigError: As :func:`build_site`.
        DataError: As :func:`build_site`, or if predictions beside an entry are not those it was made from.
    """
    files, carried = _site_of(entries, out, readme)
    wrong = attached_problems(entries, read_entries(entries))
    if wrong:
        raise DataError.of(wrong)
    found = []
    for path, data in files.items():
        target = out / path
        if not _is_current(target, data):
            found.append(Difference(path, "changed" if target.is_file() else "missing"))
    if readme is not None and readme.read_bytes() != carried:
        found.append(Difference(str(readme), "changed"))
    return found + [Difference(path, "left over") for path in _left_over(out, files)]


def _site_of(entries: Path, out: Path, readme: Path | None) -> tuple[dict[str, bytes], bytes]:
    """Files of the site, and the readme as it should be (empty without one)."""
    if out.exists() and not out.is_dir():
        raise ConfigError.of([Problem("--out", "is a file", "a folder for the site", "Name a folder.")])
    inside = out.resolve()
    if entries.resolve() in (inside, *inside.parents):
        raise ConfigError.of(
            [Problem("--out", "lies in the folder of entries", "a folder of its own", "Name another.")]
        )
    board = make_board(read_entries(entries))
    carried = b"" if readme is None else with_board(readme, ranking_markdown(board))
    return _render(board), carried


def _is_current(target: Path, data: bytes) -> bool:
    return target.is_file() and target.stat().st_size == len(data) and target.read_bytes() == data


def _left_over(out: Path, files: dict[str, bytes]) -> list[str]:
    """Pages of an earlier build. Nothing else in the folder is ours to judge."""
    found = [f"{PAGES}/{path.name}" for path in (out / PAGES).glob("*__*__*.html")]
    found += [f"{TYPES}/{kind}.html" for kind in TumorType if (out / TYPES / f"{kind}.html").is_file()]
    return sorted(path for path in found if path not in files)
