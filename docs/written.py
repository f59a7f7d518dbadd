"""Parts of pages that scripts write, so that no figure is typed by hand."""

from __future__ import annotations

import re


def with_part(page: str, name: str, script: str, text: str) -> str:
    """A page with new text between ``<!-- NAME: written by SCRIPT -->`` and ``<!-- end of NAME -->``.

    Args:
        page: The Markdown file.
        name: Of the part.
        script: File name of the script that writes it.
        text: Lines of the part.

    Raises:
        SystemExit: The page lacks the two lines.
    """
    start, end = f"<!-- {name}: written by {script} -->", f"<!-- end of {name} -->"
    between = re.compile(rf"({re.escape(start)}\n).*({re.escape(end)})", re.DOTALL)
    if not between.search(page):
        raise SystemExit(f"the page lacks the lines {start} and {end} around what the script writes: put them back")
    return between.sub(lambda found: f"{found[1]}{text.rstrip()}\n{found[2]}", page)
