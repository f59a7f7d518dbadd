"""What the website adds to docs/: reference written from the code, and links that leave docs/ made to work.

The pages stay plain Markdown that reads well in the repository. A line ``<!-- generated: NAME -->`` in one of them is
where the website puts what ``GENERATED`` makes of the code.
"""

from __future__ import annotations

import os.path
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import generated

ROOT = Path(__file__).parents[2]
GENERATED = {
    "commands": generated.command_reference,
    "columns": generated.release_columns,
    "records": generated.record_reference,
    "python": generated.python_reference,
}
_MARK = re.compile(r"^<!-- generated: ([a-z]+) -->$", re.MULTILINE)
_CODE = re.compile(r"(^(?:```|~~~).*?^(?:```|~~~)$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)#\s]+)")


def on_config(config: Any) -> Any:
    """Add pages that the navigation does not name yet."""
    named: set[str] = set()

    def note(items: list[Any]) -> None:
        for item in items:
            target = next(iter(item.values())) if isinstance(item, dict) else item
            if isinstance(target, list):
                note(target)
            else:
                named.add(target)

    note(config["nav"])
    others = sorted(path.name for path in Path(config["docs_dir"]).glob("*.md") if path.name not in named)
    next(item["How to"] for item in config["nav"] if "How to" in item).extend(others)
    return config


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Fill in what is generated, and send links to files outside of docs/ to the repository."""
    folder = Path(config["docs_dir"], page.file.src_uri).parent
    if page.is_homepage:
        page.meta["hide"] = ["navigation", "toc"]

    def outside(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / link[2]))
        if target.is_relative_to(config["docs_dir"]) and target.suffix != ".py":
            return link[0]
        kind = "tree" if target.is_dir() else "blob"
        return f"{link[1]}{config['extra']['repository']}/{kind}/main/{target.relative_to(ROOT).as_posix()}"

    pieces = _CODE.split(markdown)
    pieces[::2] = [_LINK.sub(outside, text) for text in pieces[::2]]
    return _MARK.sub(lambda mark: GENERATED[mark[1]](), "".join(pieces))


def on_post_page(output: str, **_: Any) -> str:
    """Name the search dialog, which the theme leaves without a name for screen readers."""
    dialog = 'data-md-component="search" role="dialog"'
    return output.replace(dialog, f'{dialog} aria-label="Search"')
