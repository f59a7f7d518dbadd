"""The board in a real browser: what a reader can do with it by mouse and keyboard, and what a name cannot."""

import pytest
from accessibility import serious_violations
from hostile_entries import hostile_entries
from synthetic_reports import make_report

from rsuper_bench.leaderboard.add import entry_of
from rsuper_bench.leaderboard.board import make_board
from rsuper_bench.leaderboard.build import render_site
from rsuper_bench.leaderboard.page import index_page

TYPES = ("Spleen", "Gallbladder", "Prostate", "Bladder", "Uterus", "Esophagus", "Adrenal")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    entries = hostile_entries()
    for path, data in render_site(entries).items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(data)
    return folder, f"seven-tumors-v1-{entries[0].fingerprint}"


@pytest.fixture
def board(pages, built):
    """Opens the index, with a fragment, and finds things in its first group."""
    folder, key = built

    def open_at(fragment="", **options):
        page = pages.open((folder / "index.html").as_uri() + (f"#g={key}&{fragment}" if fragment else ""), **options)
        return page, page.locator(f"[id='{key}']")

    yield open_at
    assert pages.problems == []
    assert [url for url in pages.requests if not url.startswith(f"file://{folder}")] == []


def methods(section):
    return section.locator("table.rows tbody tr th a").all_text_contents()


def column(section, title):
    heads = [text.strip() for text in section.locator("table.rows thead th").all_text_contents()]
    cells = section.locator("table.rows tbody tr").all()
    return [row.locator("td, th").nth(heads.index(title)).text_content() for row in cells]


def test_it_renders_and_names_do_nothing(board):
    page, section = board()
    assert page.title() == "rsuper-bench leaderboard"
    assert page.locator("img, td script, th script, svg[onload]").count() == 0
    assert methods(section) == ["M4", "M3", "M2", "M1", "M0"]
    assert "<img src=x onerror" in section.locator("table.rows").text_content()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_the_script_shows_the_rows_that_the_page_itself_holds(board, pages, built):
    _, live = board()
    plain = pages.open(built[0] / "index.html", java_script_enabled=False).locator(f"[id='{built[1]}']")
    assert plain.locator("form.controls").is_hidden()
    served = [" ".join(text.split()) for text in plain.locator("table.rows tbody tr").all_text_contents()]
    shown = [" ".join(text.split()) for text in live.locator("table.rows tbody tr").all_text_contents()]
    assert served == shown


def test_sorting_by_mouse_and_by_keyboard(board):
    page, section = board()
    heading = section.locator("th", has=page.locator("button[value=spleen]"))
    section.locator("button[value=spleen]").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert section.locator("button[value=rank]").locator("..").get_attribute("aria-sort") is None
    page.keyboard.press("Enter")  # the focus stays on the heading
    assert heading.get_attribute("aria-sort") == "ascending"
    assert methods(section) == ["M0", "M1", "M2", "M3", "M4"]
    section.locator("button[value=method]").focus()
    page.keyboard.press("Space")
    assert methods(section) == ["M0", "M1", "M2", "M3", "M4"]
    page.keyboard.press("Space")
    assert methods(section) == ["M4", "M3", "M2", "M1", "M0"]


def test_searching_and_filtering(board):
    page, section = board()
    section.get_by_label("Search").fill("m3")
    assert methods(section) == ["M3"]
    assert section.get_by_role("status").text_content() == "1 of 5 entries"
    section.get_by_label("Search").fill("no such method")
    assert methods(section) == []
    section.get_by_role("button", name="Reset").click()
    assert len(methods(section)) == 5
    assert "#" in page.url
    assert "q=" not in page.url


def test_choosing_a_metric_and_types(board):
    _, section = board()
    primary = column(section, "Mean")
    section.locator("select[name=metric]").select_option("auroc")
    assert all(text.startswith("0.") for text in column(section, "Mean"))
    assert section.locator("table.rows caption").text_content().startswith("AUROC (ranks stay")
    section.locator("select[name=metric]").select_option(index=0)
    assert column(section, "Mean") == primary
    for label in TYPES[2:]:
        section.get_by_role("checkbox", name=label, exact=True).uncheck()
    assert section.locator("table.rows thead button").all_text_contents() == ["Rank", "Method", "Mean", *TYPES[:2]]
    section.get_by_role("checkbox", name="Spleen", exact=True).uncheck()
    last = section.get_by_role("checkbox", name="Gallbladder", exact=True)
    last.click()
    assert last.is_checked()  # one type always stays


def test_two_entries_side_by_side_by_keyboard(board):
    page, section = board()
    assert "Choose two entries" in section.locator(".compare").text_content()
    boxes = section.locator("tbody .pick input")
    for number in (0, 4):
        boxes.nth(number).focus()
        page.keyboard.press("Space")
    panel = section.locator(".compare")
    assert panel.locator(".verdict").text_content().startswith("M4 is clearly better than M0")
    table = panel.locator("table").first
    assert table.locator("tbody th").all_text_contents() == ["Mean", *TYPES]
    first, second, difference = (
        table.locator("tbody tr").first.locator("td.n").nth(n).text_content() for n in range(3)
    )
    gap = float(first[:4]) - float(second[:4])
    assert difference == f"+{gap:.1f}"
    assert panel.locator("polyline").count() == 2 * len(TYPES)
    boxes.nth(1).check()  # a third takes the place of the first
    assert not boxes.nth(0).is_checked()
    assert panel.locator(".verdict").text_content().startswith("M3 is clearly better than M0")


def test_the_page_knows_of_every_pair_who_is_clearly_better(board, built):
    page, _ = board()
    found = page.evaluate(
        "key => [0, 1, 2, 3, 4].map(a => [0, 1, 2, 3, 4].map(b => clearlyBetter(boards.get(key), a, b)))", built[1]
    )
    (group,) = [group for group in make_board(hostile_entries()).groups if group.key == built[1]]
    assert found == group.better.astype(int).tolist()
    assert group.better.any()


def test_an_address_brings_a_view_back(board):
    page, section = board()
    section.locator("select[name=metric]").select_option("auroc")
    section.locator("button[value=bladder]").click()
    section.get_by_role("checkbox", name="Spleen", exact=True).uncheck()
    section.get_by_label("Search").fill("m")
    for number in (0, 1):
        section.locator("tbody .pick input").nth(number).check()
    fragment = page.url.partition("#")[2].partition("&")[2]
    for part in ("metric=auroc", "sort=bladder.desc", "types=gallbladder", "q=m", "compare="):
        assert part in fragment
    _, again = board(fragment)
    for look in ("table.rows", ".compare"):
        assert again.locator(look).text_content() == section.locator(look).text_content()
    assert again.locator("select[name=metric]").input_value() == "auroc"
    assert not again.get_by_role("checkbox", name="Spleen", exact=True).is_checked()


@pytest.mark.parametrize(
    "fragment",
    [
        "metric=__proto__&sort=constructor.desc&types=<img src=x onerror=alert(1)>&compare=x,y&page=-5&show=toString",
        "q=%3Cscript%3Ealert(1)%3C/script%3E",
        "compare=%E0%A4%A&page=99999999999999999999",
        "sort=" + "x" * 5000,
    ],
)
def test_hostile_addresses_do_nothing(board, fragment):
    page, section = board(fragment)
    assert page.title() == "rsuper-bench leaderboard"
    assert section.locator("table.rows thead button").count() == 3 + len(TYPES)
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["index", "entry", "type"])
def test_axe_finds_nothing_serious(board, pages, built, kind, scheme):
    if kind == "index":
        page, section = board(color_scheme=scheme)
        for number in (0, 1):
            section.locator("tbody .pick input").nth(number).check()
    else:
        found = {"entry": "entries/*__m1__*.html", "type": "types/spleen.html"}[kind]
        page = pages.open(next(built[0].glob(found)), color_scheme=scheme)
    assert serious_violations(page) == []
    assert pages.problems == []


@pytest.mark.parametrize("kind", ["index.html", "entries/*__m1__*.html", "types/spleen.html"])
def test_on_a_phone_and_on_paper_nothing_is_cut_off(pages, built, kind):
    page = pages.open(next(built[0].glob(kind)), width=360, height=740, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    page.emulate_media(media="print")
    assert page.locator("form.controls, .pager, .theme, nav").filter(visible=True).count() == 0
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    second = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--c2')")
    assert (colour, second.strip()) == ("rgb(255, 255, 255)", "#7d1f5e")  # a dark screen prints as a light one
    assert pages.problems == []


def test_the_theme_can_be_chosen_by_keyboard(board):
    page, _ = board(color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Dark").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_many_entries_come_a_hundred_at_a_time(pages, tmp_path):
    base = entry_of(make_report(cases=20, draws=100), team="T", method="m", url=None, report_digest="2" * 64)
    board = make_board(base.model_copy(update={"method": f"m{number:03d}"}) for number in range(230))
    (tmp_path / "index.html").write_text(index_page(board))
    page = pages.open(tmp_path / "index.html")
    section, pager = page.locator("section.board"), page.locator(".pager")
    assert (len(methods(section)), pager.locator("span").text_content()) == (100, "1–100 of 230")
    assert pager.get_by_role("button", name="Previous").is_disabled()
    pager.get_by_role("button", name="Next").click()
    pager.get_by_role("button", name="Next").click()
    assert methods(section)[0] == "m200"
    assert pager.get_by_role("button", name="Next").is_disabled()
    assert "page=3" in page.url
    section.get_by_label("Search").fill("m15")  # found on whatever page it stands
    assert methods(section) == [f"m15{digit}" for digit in range(10)]
    assert pager.is_hidden()
    assert pages.problems == []
