"""The pages as text: self-contained, inert against names, small. test_site_in_browser.py tries them in a browser."""

import base64
import hashlib
import json
import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from hostile_entries import PAYLOADS, hostile_entries
from synthetic_reports import make_report

from rsuper_bench.leaderboard.add import entry_of
from rsuper_bench.leaderboard.board import make_board
from rsuper_bench.leaderboard.build import render_site
from rsuper_bench.leaderboard.index_data import script_json
from rsuper_bench.leaderboard.page import index_page


class Elements(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def entries():
    return hostile_entries()


@pytest.fixture
def site(entries):
    return {path: data.decode() for path, data in render_site(entries).items()}


def pages(site):
    return {path: text for path, text in site.items() if path.endswith(".html")}


def test_there_is_a_page_for_every_listed_entry_and_every_tumor_type(site):
    assert len(pages(site)) == 1 + len(PAYLOADS) + 3 + 10
    index = Elements(site["index.html"])
    links = {attrs["href"] for tag, attrs in index.found if tag == "a"}
    assert {link for link in links if link.startswith(("entries/", "types/"))} == set(pages(site)) - {"index.html"}


def test_links_between_pages_lead_somewhere(site):
    for path, text in pages(site).items():
        folder = path.rpartition("/")[0]
        for tag, attrs in Elements(text).found:
            href = attrs.get("href", "").partition("#")[0] if tag == "a" else ""
            if href and not href.startswith("https://"):
                target = href.removeprefix("../") if href.startswith("../") else f"{folder}/{href}".strip("/")
                assert target in site, (path, href)


def test_pages_load_nothing_from_anywhere(site):
    for text in pages(site).values():
        for tag, attrs in Elements(text).found:
            assert tag not in {"img", "iframe", "object", "embed", "base"}
            assert not {"src", "srcset", "action", "formaction"} & attrs.keys()
            assert not any(name.startswith("on") or name == "style" for name in attrs), (tag, attrs)
            if tag == "link":
                assert attrs["href"].startswith("data:")
            elif "href" in attrs:
                assert re.match(r"https://|#|entries/|types/|board\.|\.\./|[a-z0-9]", attrs["href"])
                assert not attrs["href"].lower().startswith("javascript:")
        assert "@import" not in text
        assert "url(" not in text


def test_the_content_security_policy_names_the_style_and_script_of_the_page(site):
    for text in pages(site).values():
        (policy,) = [attrs["content"] for tag, attrs in Elements(text).found if attrs.get("http-equiv")]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        running = re.findall(r"<(style|script)>(.*?)</\1>", text, re.DOTALL)
        for kind, body in running:
            digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
            assert f"{kind}-src 'sha256-{digest}'" in policy


def test_ids_are_unique_and_anchors_lead_somewhere(site):
    for text in pages(site).values():
        found = Elements(text).found
        ids = [attrs["id"] for _, attrs in found if "id" in attrs]
        assert len(set(ids)) == len(ids)
        anchors = {attrs["href"][1:] for tag, attrs in found if tag == "a" and attrs["href"].startswith("#")}
        assert anchors <= set(ids)


def test_names_are_shown_as_they_are(site):
    for index, payload in enumerate(PAYLOADS):
        assert payload not in site["index.html"]
        cells = unescape(site["index.html"])
        assert payload in cells
        page = next(text for path, text in pages(site).items() if f"__m{index}__" in path)
        assert payload not in page
        assert payload in unescape(page)


def test_any_order_gives_the_same_bytes(entries, site):
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(entries))
        again = render_site(entries[index] for index in order)
        assert {path: data.decode() for path, data in again.items()} == site
        assert list(again) == list(site)


def test_labels_stand_where_the_figures_stand(site):
    assert "One anatomy is in several splits" in site["index.html"]
    for path, text in pages(site).items():
        if "p__smoke__" in path:
            assert "these figures are not evidence" in text
        if path.startswith("entries/p__"):
            assert "phantoms and planted lesions are not patients" in text
    assert "not re-measured here" in site["index.html"]
    assert "not the same cases" in " ".join(site["index.html"].split())


def test_json_in_a_script_element_cannot_end_it():
    value = {"a": "</script><script>&<!--\u2028\u2029"}
    text = script_json(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_a_thousand_entries_with_long_names_are_all_on_a_page_below_a_megabyte():
    report = make_report(0.7, task="seven-tumors-v1", cases=40)
    base = entry_of(report, team="T" * 80, method="m", url="https://example.org", report_digest="2" * 64)
    many = [base.model_copy(update={"method": f"Method {number:04d} ".ljust(80, "x")}) for number in range(1000)]
    text = index_page(make_board(many))
    assert len(text.encode()) < 1_000_000
    (data,) = re.findall(r'<script type="application/json" class="data">(.*?)</script>', text)
    assert len(json.loads(data)["rows"]) == 1000
    assert "The first 100 of 1000 entries" in text


@pytest.mark.parametrize("groups", [1, 100])
def test_what_does_not_fit_is_counted_on_the_page(monkeypatch, groups):
    monkeypatch.setattr("rsuper_bench.leaderboard.page.MAX_PAGE_BYTES", 300_000)
    report = make_report(0.7, cases=20)
    info = report.submission.model_copy(update={"training_data": tuple(f"{'数' * 490} {n}" for n in range(50))})
    base = entry_of(
        report.model_copy(update={"submission": info}), team="表" * 80, method="m", url=None, report_digest="2" * 64
    )
    many = [
        base.model_copy(update={"method": f"{number:04d}".ljust(80, "象"), "fingerprint": f"{number % groups:012x}"})
        for number in range(300)
    ]
    text = index_page(make_board(many))
    assert len(text.encode()) < 300_000
    expected = r"lists the first \d+ of 300 entries" if groups == 1 else r"\d+ more groups of entries"
    assert re.search(expected, text)


def test_reasons_of_figures_are_words_on_the_page_of_an_entry():
    report = make_report(calls=False)
    entry = entry_of(report, team="T", method="M", url=None, report_digest="2" * 64)
    page = render_site([entry])[f"entries/{entry.key}.html"].decode()
    (note,) = re.findall(r"<li><bdi>no frozen threshold for this type</bdi> <small>\((.*?)\)", page)
    assert "Liver, Specificity, frozen threshold" in note
