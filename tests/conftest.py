"""A real browser for the tests of pages."""

import shutil
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-file-access-from-files",
]


class Pages:
    """Opens pages, and remembers what went wrong on them and what they asked the network for."""

    def __init__(self, browser):
        self._browser = browser
        self.problems = []
        self.requests = []

    def open(self, url, *, width=1280, height=900, **options):
        """A page of its own context; ``options`` are Playwright's (``color_scheme``, ``java_script_enabled``, ...)."""
        page = self._browser.new_context(viewport={"width": width, "height": height}, **options).new_page()
        page.on("console", lambda message: message.type == "error" and self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: (self.problems.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(url.as_uri() if isinstance(url, Path) else url)
        return page

    def close(self):
        for context in self._browser.contexts:
            context.close()


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium. Of a module, not of the session: its event loop forbids asyncio.run() beside it."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine (`make browser` installs it): pages are not tried in one")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def pages(browser):
    opened = Pages(browser)
    yield opened
    opened.close()


@pytest.fixture
def serious_violations():
    """The function, for tests below a folder that has a conftest of its own."""
    import accessibility

    return accessibility.serious_violations
