"""A quote is found where it stands, in whole words and whole numbers, and nowhere else."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsuper_bench.dataset_builder.extraction.llm.quotes import QuoteFinder

WORDS = ["liver", "Mass", "2.1", "cm", "x", "1,8", "left–sided", "(3/45)", "İstanbul", "µm", "ß", "no", ".", "é", "12"]
BLANKS = [" ", "\n", "  ", "\t\n ", "\u00a0"]


@pytest.mark.parametrize(
    ("report", "quote", "expected"),
    [
        ("A 2.1 cm cyst.", "2.1 cm", "2.1 cm"),
        ("A 2.1 cm cyst.", "1 cm", None),  # the tail of another number
        ("A 2.1 cm cyst.", "2", None),  # the head of another number
        ("A 12 mm cyst.", "2 mm", None),
        ("Renal cysts.", "cyst", None),  # part of a word
        ("Renal  \n cyst.", "RENAL cyst", "Renal  \n cyst"),
        ("4.2 × 3.1 cm", "4.2 x 3.1 cm", "4.2 × 3.1 cm"),
        ("well–defined", "well-defined", "well–defined"),
        ("A cyst.", " cyst.\n", "cyst."),
        ("A cyst.", "mass", None),
        ("A cyst.", "", None),
        ("A cyst.", " . ", None),  # no letter and no digit proves nothing
        ("", "cyst", None),
        ("In 2. The 3 cm mass", "2", "2"),  # a full stop is no decimal point
    ],
)
def test_quotes_by_hand(report, quote, expected):
    span = QuoteFinder(report).find(quote)
    assert (None if span is None else report[slice(*span)]) == expected


def test_the_nearest_of_several_places_is_taken():
    report = "Left kidney: 2 cm cyst. Right kidney: 2 cm cyst."
    right = report.index("Right kidney")
    finder = QuoteFinder(report)
    assert finder.find("2 cm cyst") == (13, 22)
    assert finder.find("2 cm cyst", near=(right, right + 12)) == (38, 47)


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(BLANKS)), min_size=1, max_size=25), st.data())
def test_any_run_of_words_is_found_however_the_blanks_are_written(parts, data):
    report = "".join(word + blank for word, blank in parts)
    start = data.draw(st.integers(0, len(parts) - 1))
    end = data.draw(st.integers(start + 1, len(parts)))
    words = [word for word, _ in parts[start:end]]
    span = QuoteFinder(report).find(data.draw(st.sampled_from(BLANKS)).join(words).upper().lower())
    if not any(character.isalnum() for word in words for character in word):
        assert span is None
    elif "ß" not in words and "İstanbul" not in words:  # these change their length with their case
        assert span is not None
        assert report[slice(*span)].split() == words


@given(st.lists(st.sampled_from(["cyst", "liver", ". ", "cysts", "a"]), min_size=1, max_size=30), st.data())
def test_no_place_is_nearer_than_the_one_that_is_found(parts, data):
    report = " ".join(parts)
    finder = QuoteFinder(report)
    start = data.draw(st.integers(0, len(report) - 1))
    near = (start, data.draw(st.integers(start + 1, min(len(report), start + 9))))
    places = [match.span() for match in re.finditer(r"\bcyst\b", report)]
    span = finder.find("cyst", near=near)
    assert (span is None) == (not places)
    if span is not None:
        assert finder._distance(span, near) == min(finder._distance(place, near) for place in places)


@pytest.mark.parametrize(("report", "quote"), [("a " * 50_000, "a a"), ("a" * 100_000, "a"), ("1." * 50_000, "1")])
def test_texts_made_to_be_slow_are_not(report, quote):
    finder = QuoteFinder(report)
    begin = time.perf_counter()
    for _ in range(20):
        finder.find(quote, near=(50_000, 50_003))
    assert time.perf_counter() - begin < 5  # a look at every place took minutes


@given(st.text(max_size=80), st.text(max_size=12))
def test_a_span_holds_the_quote(report, quote):
    span = QuoteFinder(report).find(quote)
    if span is not None:
        assert 0 <= span[0] < span[1] <= len(report)
        assert QuoteFinder(report[slice(*span)]).find(quote) is not None


@pytest.mark.parametrize(
    ("report", "quote", "tenths_mm", "stated"),
    [
        ("2.1 cm", "2.1 cm", 210, True),
        ("2.1 cm", "2.1 cm", 21, False),  # not millimetres
        ("21 mm", "21 mm", 210, True),
        ("21 mm", "21 mm", 2100, False),
        ("2.1 x 1.8 cm", "2.1 x 1.8", 180, True),  # the unit follows the quote
        ("2.1 x 1.8 cm", "2.1 x 1.8", 18, False),
        ("0.7cm", "0.7cm", 70, True),
        (".7 cm", ".7 cm", 70, True),
        ("2,1 cm", "2,1 cm", 210, True),
        ("a 7 lesion", "7", 70, True),  # no unit anywhere near: either
        ("a 7 lesion", "7", 700, True),
        ("large mass", "large mass", 300, False),
        ("2.1-cm", "2.1-cm", 210, True),
    ],
)
def test_a_size_must_stand_in_its_quote(report, quote, tenths_mm, stated):
    finder = QuoteFinder(report)
    assert finder.states_sizes(finder.find(quote), [tenths_mm]) is stated


@pytest.mark.parametrize(
    ("report", "quote", "tenths_mm", "stated"),
    [
        ("A 5 mm and a 2 cm cyst.", "5 mm and a 2 cm", 50, True),
        ("A 5 mm and a 2 cm cyst.", "5 mm and a 2 cm", 500, False),  # the unit of the other number
        ("A 5 mm and a 2 cm cyst.", "5 mm and a 2 cm", 20, False),
        ("2.1 x 1.8 cm", "2.1", 210, True),  # the unit stands behind the next number
        ("2.1 x 1.8 cm", "2.1", 21, False),
        ("Size in cm: 2.1.", "in cm: 2.1", 210, True),
    ],
)
def test_each_number_has_its_own_unit(report, quote, tenths_mm, stated):
    finder = QuoteFinder(report)
    assert finder.states_sizes(finder.find(quote), [tenths_mm]) is stated


@pytest.mark.parametrize("quote", [".1 cm", "A 2.", "2.", ".1", "1 cm", "2"])
def test_a_quote_that_cuts_a_number_is_none(quote):
    assert QuoteFinder("A 2.1 cm cyst.").find(quote) is None


@pytest.mark.parametrize(
    ("report", "quote", "tenths_mm", "stated"),
    [
        ("2 cm", "2 cm", [200, 200], False),  # one number, two diameters
        ("2 x 2 cm", "2 x 2 cm", [200, 200], True),
        ("2 x 1 cm", "2 x 1 cm", [100, 200], True),
        ("2 cm³", "2 cm³", [200], False),
        ("2 cm3 of", "2 cm3 of", [200], False),
        ("2 mL", "2 mL", [20], False),
        ("a 45 HU lesion", "45", [450], False),
        ("a 45 HU lesion of 3 mm", "45 HU lesion of 3 mm", [30], True),
        ("2.1 to 2.5 cm", "2.1", [21], False),
    ],
)
def test_each_size_is_a_length_of_its_own(report, quote, tenths_mm, stated):
    finder = QuoteFinder(report)
    assert finder.states_sizes(finder.find(quote), tenths_mm) is stated
