"""The website: builds without a warning, holds what the code says, and works in a browser without a network."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from accessibility import serious_violations

pytest.importorskip("mkdocs", reason="the docs extra is not installed")
pytest.importorskip("material", reason="the docs extra is not installed")
pytest.importorskip("mkdocstrings", reason="the docs extra is not installed")

ROOT = Path(__file__).parents[1]
MAIN = ["index.html", "start/load-a-release.html", "statistics.html", "reference/command-line.html", "reproduce.html"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    # Without --quiet, which hides warnings from --strict too.
    call = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    environment = {"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1", "HOME": str(out)}
    built = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert built.returncode == 0, built.stdout + built.stderr
    return out


def test_every_document_is_a_page_of_the_navigation(site):
    home = (site / "index.html").read_text("utf-8")
    for path in sorted((ROOT / "docs").rglob("*.md")):
        page = path.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert (site / page).is_file()
        assert f'href="{page}"' in home, f"{page} is in no menu"


def test_the_reference_is_written_from_the_code(site):
    from rsuper_bench import benchmark
    from rsuper_bench.baselines import losses
    from rsuper_bench.cli import app
    from rsuper_bench.dataset_builder.schema import FEATURES
    from rsuper_bench.schema import RECORDS

    commands, python, formats = (
        (site / "reference" / f"{name}.html").read_text("utf-8") for name in ("command-line", "python", "file-formats")
    )

    def options(command):
        for inner in getattr(command, "commands", {}).values():
            yield from options(inner)
        yield from (name for parameter in command.params for name in parameter.opts if name.startswith("--"))

    assert [name for name in options(typer.main.get_command(app)) if name not in commands and name != "--version"] == []
    # Functions and classes know where they are from; an alias of a type and a constant do not.
    public = [
        (package, name)
        for package in (benchmark, losses)
        for name in package.__all__
        if name not in ("Band", "MEASURED_SPREAD")
    ]
    names = [f"{getattr(module, name).__module__}.{name}" for module, name in public]
    assert [name for name in names if f'id="{name}"' not in python] == []
    assert [name for name in RECORDS if f'id="record-{name}"' not in formats] == []
    columns = {name for features in FEATURES.values() for name in features if not name.startswith("presence_")}
    assert [name for name in columns if f"<code>{name}</code>" not in formats] == []
    assert "{tumor_type: string, volume_mm3: float64}" in formats  # braces are markup, too
    assert "<!-- generated" not in commands + python + formats


def test_nothing_of_the_machine_is_in_it(site):
    assert [path for path in site.rglob("*") if path.suffix in (".py", ".pyc")] == []
    texts = [path for path in site.rglob("*") if path.suffix in (".html", ".js", ".json", ".xml", ".css", ".txt")]
    assert [path for path in texts if str(ROOT) in path.read_text("utf-8")] == []


def test_links_out_of_the_pages_lead_to_the_repository(site):
    page = (site / "index.html").read_text("utf-8")
    assert 'href="https://github.com/rsuper-bench/rsuper-bench/blob/main/NOTICE"' in page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", MAIN)
def test_a_page_is_fine_in_a_browser(site, pages, page, scheme):
    opened = pages.open(site / page, color_scheme=scheme)
    assert opened.evaluate("getComputedStyle(document.body).colorScheme") == scheme
    assert serious_violations(opened) == []
    opened.set_viewport_size({"width": 360, "height": 740})
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360
    assert [picture for picture in opened.query_selector_all("img") if not picture.get_attribute("alt")] == []
    broken = "[...document.images].filter(image => !image.complete || !image.naturalWidth).map(image => image.src)"
    assert opened.evaluate(broken) == []
    assert pages.problems == []
    assert [url for url in pages.requests if not url.startswith(("file:", "data:", "blob:"))] == []


def test_search_works_from_the_disk(site, pages):
    opened = pages.open(site / "index.html")
    opened.locator(".md-search__input").click()
    opened.keyboard.type("sensitivity")
    opened.wait_for_selector(".md-search-result__item a", timeout=20_000)
    assert pages.problems == []
    assert [url for url in pages.requests if not url.startswith(("file:", "data:", "blob:", "about:"))] == []
