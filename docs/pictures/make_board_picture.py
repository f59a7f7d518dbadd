"""Picture of the board that ships: ``python docs/pictures/make_board_picture.py [--out FILE]`` (needs Chromium)."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from rsuper_bench.leaderboard.build import build_site

ENTRIES = Path(__file__).parents[2] / "leaderboard" / "submissions"
SIZE = {"width": 1180, "height": 900}


def main() -> None:
    """Build the board, choose two entries, and take the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("board.png"))
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        index = build_site(ENTRIES, Path(folder) / "site")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(index.absolute().as_uri())
        for box in page.locator("section.board tbody .pick input").all()[:2]:
            box.check()
        page.locator("section.board").first.scroll_into_view_if_needed()
        page.evaluate("document.querySelector('section.board').scrollIntoView()")
        page.mouse.move(0, 0)
        page.screenshot(path=arguments.out)
        browser.close()
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
