"""report.html: one file that opens anywhere, says what it may say, and obeys no name that stands in it."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from conftest import THREE
from page_reports import HOSTILE, LIVER, all_excluded, hostile, made_up, with_cases, without_literature
from PIL import Image

from rsuper_bench.benchmark.evaluation import SYNTHETIC
from rsuper_bench.benchmark.report_page import report_page
from rsuper_bench.benchmark.roc_curve import MAX_POINTS, roc_curves
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.benchmark.worst_cases import WorstCases, worst_cases

COLORS = re.compile(r'(?:fill|stroke)="#[0-9a-f]{3,6}"')


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    several = made_up(folder / "three", THREE, readers=2)
    every = made_up(folder / "fourteen", tuple(TumorType), n=40)
    return {
        "three types, readers": several,
        "every type": every,
        "one type, synthetic": made_up(folder / "one", (LIVER,), synthetic=True),
        "no thresholds, no radiologist": without_literature(made_up(folder / "bare", THREE, frozen=False)),
        "all excluded": all_excluded(folder / "excluded"),
        "hostile": hostile(several),
    }


@pytest.fixture(scope="module")
def written(reports, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    files = {}
    for name, report in reports.items():
        worst = worst_cases(report)
        if name == "hostile":  # with pictures, so that their captions are tried too
            worst = with_picture(worst)
        files[name] = folder / f"{name.split(',')[0].replace(' ', '_')}.html"
        files[name].write_text(report_page(report, worst), encoding="utf-8")
    return files


def with_picture(worst: WorstCases) -> WorstCases:
    buffer = io.BytesIO()
    Image.new("RGB", (60, 20)).save(buffer, "JPEG")
    return WorstCases(tuple(replace(item, jpeg=buffer.getvalue(), shows="organ") for item in worst.cases))


NAMES = [
    "three types, readers",
    "every type",
    "one type, synthetic",
    "no thresholds, no radiologist",
    "all excluded",
    "hostile",
]


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_in_a_browser(pages, serious_violations, written, name):
    for width, scheme in ((1280, "light"), (390, "dark")):
        page = pages.open(written[name], width=width, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert serious_violations(page) == []
        assert page.locator("h2").count() >= 9
        targets = page.locator("nav a").evaluate_all("(links) => links.map((link) => link.getAttribute('href'))")
        assert [target for target in targets if page.locator(target).count() != 1] == []
        assert page.locator("svg.chart").count() >= 3
        overlong = "[...document.querySelectorAll('svg.chart')].filter((s) => s.getBoundingClientRect().width < 100)"
        assert page.evaluate(f"{overlong}.filter((s) => s.checkVisibility()).length") == 0
    assert pages.problems == []
    assert {url for url in pages.requests if not url.startswith("data:")} == {written[name].as_uri()}


def test_no_name_is_obeyed(pages, written, reports):
    page = pages.open(written["hostile"])
    assert page.title().startswith("<script>")
    assert page.locator("h1").text_content() == reports["hostile"].submission.method
    assert page.locator("script").count() == 1
    assert page.locator("img[src='x'], b:text-is('reader 0')").count() == 0
    assert page.get_by_text("<b>reader 0</b>").count() > 0
    assert HOSTILE not in written["hostile"].read_text()
    assert "<script>document" not in written["hostile"].read_text()
    # Even markup that slipped through could not act: the policy knows the page's own script only.
    page.evaluate("""document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="document.title=1">');
        const script = document.createElement('script'); script.textContent = 'document.title = 2';
        document.body.append(script)""")
    page.wait_for_timeout(100)
    assert page.title().startswith("<script>")


def test_tables_sort_by_mouse_and_keyboard(pages, written):
    page = pages.open(written["every type"])
    table = page.locator("#summary table")
    heading = table.locator("thead th").nth(3)

    def column():
        figures = "(cells) => cells.map((cell) => Number(cell.firstChild.textContent))"
        return table.locator("tbody tr:not(.mean) td:nth-child(4)").evaluate_all(figures)

    unsorted = column()
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert column() == sorted(unsorted, reverse=True) != unsorted
    assert "mean" in table.locator("tbody tr").last.get_attribute("class")
    heading.get_by_role("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert column() == sorted(unsorted)
    first = table.locator("thead th").nth(0).get_by_role("button")
    first.focus()
    page.keyboard.press("Enter")
    names = table.locator("tbody tr:not(.mean) th").all_text_contents()
    assert names == sorted(names)
    assert heading.get_attribute("aria-sort") is None


def test_words_sort_as_words(pages, written):
    page = pages.open(written["every type"])
    table = page.locator("#worst table")
    heading = table.locator("thead th").nth(2)
    heading.get_by_role("button").click()
    words = table.locator("tbody td:nth-child(3)").all_text_contents()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert words == sorted(words)
    assert set(words) == {"false alarm", "missed"}
    table.locator("thead th").nth(3).get_by_role("button").click()
    figures = [float(text) for text in table.locator("tbody td:nth-child(4)").all_text_contents()]
    assert figures == sorted(figures, reverse=True)


def test_the_theme_can_be_chosen(pages, written):
    page = pages.open(written["one type, synthetic"], color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    curve = "getComputedStyle(document.querySelector('svg.chart .s-method')).stroke"
    words = "getComputedStyle(document.querySelector('svg.chart text')).fill"
    light = [page.evaluate(part) for part in (paper, curve, words)]
    page.get_by_role("button", name="Dark").click()
    dark = [page.evaluate(part) for part in (paper, curve, words)]
    assert all(a != b for a, b in zip(light, dark, strict=True))
    page.emulate_media(media="print")
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    page.emulate_media(media="screen", color_scheme="dark")
    page.get_by_role("button", name="Light").click()
    assert [page.evaluate(part) for part in (paper, curve, words)] == light


def test_it_prints_whole(pages, written):
    page = pages.open(written["every type"], color_scheme="dark")
    closed = page.locator("details:not([open])").count()
    assert closed > 0
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    assert page.locator("details:not([open])").count() == 0
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_the_methods_can_be_copied(pages, written, reports):
    page = pages.open(written["three types, readers"])
    page.get_by_role("button", name="Copy the paragraph").click()
    page.wait_for_function("document.querySelector('.copied').textContent !== ''")
    text = page.locator("#methods").text_content()
    report = reports["three types, readers"]
    for part in (
        report.fingerprint,
        "100 replicates",
        "seed 0",
        "2 readers read the same cases",
        "Wilson",
        "60 CT scans",
    ):
        assert part in text


def test_without_scripts_it_is_complete(pages, written):
    page = pages.open(written["three types, readers"], java_script_enabled=False)
    assert page.locator("#summary tbody tr").count() == 4
    assert page.locator("th button:visible, .theme:visible, button.copy:visible").count() == 0


def test_phantoms_are_called_phantoms(written):
    text = written["one type, synthetic"].read_text()
    assert f'<p class="note warn">{SYNTHETIC}</p>' in text
    assert "No verdict: phantoms are not patients." in text
    assert "orientation only" in text


def test_figures_follow_the_theme(written):
    for path in written.values():
        text = path.read_text()
        charts = "".join(re.findall(r'<svg class="chart".*?</svg>', text, flags=re.DOTALL))
        assert COLORS.findall(charts) == []
        assert " style=" not in text  # which the content policy would drop
        ids = re.findall(r'\sid="([^"]*)"', text)
        assert len(ids) == len(set(ids))


def test_literature_gets_no_verdict(written):
    text = written["every type"].read_text()
    assert "No verdict beside radiologists: nobody read the same cases." in text
    assert text.count("other patients, unpaired, no verdict") == 2  # beside each kind of chart that shows them
    assert "Literature figures are of other patients: unpaired" in text


def test_few_cases_are_suppressed(reports, written):
    text = written["every type"].read_text()
    assert text.count("fewer than 10 cases") > 10
    assert "no size with 10 cases" in text


def test_same_report_same_page(reports):
    report = reports["three types, readers"]
    assert report_page(report, worst_cases(report)) == report_page(report, worst_cases(report))


def test_the_page_does_not_grow_with_the_cases(reports):
    report = reports["one type, synthetic"]
    small = report_page(report, worst_cases(report))
    large = with_cases(report, 25_000)
    curves = roc_curves(large)
    assert MAX_POINTS / 2 < len(curves[LIVER].rate) <= MAX_POINTS
    assert len(report_page(large, worst_cases(large))) < len(small) + 20 * MAX_POINTS
