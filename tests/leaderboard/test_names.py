"""Names and links of strangers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsuper_bench.leaderboard.names import clean_text, clean_url, slug, visible_text

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@pytest.mark.parametrize(
    "name", ["R-Super", "Grüne Wiese", "深度学习", "<b>bold</b>", "=1+1", "a | b", "जनवरी", "  padded  "]
)
def test_visible_names_are_kept(name):
    assert clean_text(name) == name.strip()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "line\nbreak",
        "tab\there",
        "nul\0",
        "bell\x07",
        "escape\x1b[31m",
        "right\u202eleft",
        "isolate\u2066x",
        "zero\u200bwidth",
        "joined\u200dx",
        "bom\ufeff",
        "mark\u200f",
        "line\u2028sep",
        "private\ue000",
        "tag\U000e0041",
        "z" + "\u0301" * 9,
        "half \ud800",
    ],
)
def test_what_cannot_be_seen_or_reorders_is_refused(name):
    with pytest.raises(ValueError, match=r"must not"):
        clean_text(name)


def test_equal_looking_spellings_become_one():
    assert clean_text("Cafe\u0301") == clean_text("Café")


def test_visible_text_folds_line_ends():
    assert visible_text(" a\n  b\t") == "a b"
    assert visible_text(" \n") == ""
    with pytest.raises(ValueError, match=r"U\+202E"):
        visible_text("a\u202eb")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "https://example.org:8443/a/b?x=1&y=2#z",
        "https://github.com/a/b-c_d",
        "https://xn--bcher-kva.example/%C3%BC",
    ],
)
def test_https_links_are_kept(url):
    assert clean_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,<script>",
        " https://example.org",
        "HTTPS://example.org",
        "//example.org",
        "https:example.org",
        "https://",
        "https:///path",
        "https://localhost",
        "https://user:pass@example.org",
        "https://example.org@evil.example",
        "https://example.org:port",
        "https://example.org:99999",
        "https://exa mple.org",
        'https://example.org/"onmouseover="x',
        "https://example.org/<script>",
        "https://example.org/\u202egpj",
        "https://bücher.example",
        "https://[::1]/",
        "https://[bad/",
        "https://-a.example",
        "https://a..b",
        "https://example.org\\@evil.example",
        "https://example.org\n",
    ],
)
def test_everything_else_is_refused(url):
    with pytest.raises(ValueError, match=r"must (be|start|not|name)"):
        clean_url(url)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("R-Super, re-implemented", "r-super-re-implemented"),
        ("Grüne Wiese", "grune-wiese"),
        ("a__b", "a-b"),
        ("../../etc/passwd", "etc-passwd"),
        ("CON", "con"),
    ],
)
def test_slugs(name, expected):
    assert slug(name) == expected


def test_names_without_ascii_letters_stay_different():
    found = {slug(name) for name in ("模型", "系统", "模型 A", "系统 A", "!!!", "???")}
    assert len(found) == 6


@given(st.text(min_size=1, max_size=200))
def test_every_slug_is_a_safe_file_name(name):
    try:
        clean_text(name)
    except ValueError:
        return
    found = slug(name)
    assert SLUG.fullmatch(found)
    assert len(found) <= 60
