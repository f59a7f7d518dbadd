"""The board inside another Markdown file, between two comments."""

from __future__ import annotations

import re
from pathlib import Path

from rsuper_bench.benchmark.errors import ConfigError, Problem
from rsuper_bench.benchmark.files import read_text

BEGIN = "<!-- board: begin (rsuper-bench leaderboard build --readme) -->"
END = "<!-- board: end -->"
_BETWEEN = re.compile(r"<!-- board: begin[^>\n]*-->\r?\n.*?<!-- board: end -->", re.DOTALL)


def with_board(path: Path, board: str) -> bytes:
    """The text of a file with the board between its comments.

    Raises:
        ConfigError: If the file has not exactly one pair of comments.
    """
    read_text(path, ConfigError)  # for its messages; line ends stay as they are
    text = path.read_bytes().decode()
    found = len(_BETWEEN.findall(text))
    if found != 1:
        fix = f"Put {BEGIN} and {END} on lines of their own where the board belongs."
        raise ConfigError.of([Problem(str(path), f"{found} places for the board", "one", fix)])
    return _BETWEEN.sub(lambda _: f"{BEGIN}\n\n{board.strip()}\n\n{END}", text).encode()
