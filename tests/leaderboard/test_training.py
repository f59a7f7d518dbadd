"""What trained on what: declared data, the evaluated release, and the leaks between them."""

import pytest
from synthetic_reports import make_report

from rsuper_bench.benchmark.report import SubmissionInfo
from rsuper_bench.leaderboard.add import entry_of
from rsuper_bench.leaderboard.entry import Overlap
from rsuper_bench.leaderboard.training import Mark, data_set_name, leaks, training_matrix
from rsuper_bench.leaderboard.wording import badges


@pytest.fixture
def entry():
    report = make_report(cases=20, draws=100)

    def make(*declared, overlaps=(), smoke=False, method="M"):
        info = SubmissionInfo(team="t", method="m", training_data=declared)
        data = report.data.model_copy(update={"release": "Merlin", "smoke": smoke})
        changed = report.model_copy(update={"submission": info, "data": data})
        return entry_of(changed, team="T", method=method, url=None, report_digest="2" * 64, overlaps=overlaps)

    return make


def overlap(release="Merlin", *, patients=0, images=None):
    return Overlap(
        release=release, digest="3" * 64, split="train", n_patients=50, shared_patients=patients, shared_images=images
    )


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ("Merlin, training split: 200 cases", "Merlin"),
        ("PanTS (9,000 masks)", "PanTS"),
        ("CT-RATE: all", "CT-RATE"),
        (", odd", ", odd"),
    ],
)
def test_names_of_training_sets(declared, name):
    assert data_set_name(declared) == name


@pytest.mark.parametrize(
    ("declared", "options", "mark"),
    [
        (("PanTS",), {}, Mark.DECLARED),
        (("Merlin, training split",), {}, Mark.SAME),
        (("merlin, TEST split",), {}, Mark.LEAK),
        (("Merlin, the latest scans",), {}, Mark.SAME),  # "test" inside a word is not the split
        (("Merlin, training split",), {"smoke": True}, Mark.LEAK),
        (("PanTS",), {"smoke": True}, Mark.DECLARED),
        (("Merlin, training split",), {"overlaps": [overlap()]}, Mark.CLEAR),
        (("Merlin, training split",), {"overlaps": [overlap(patients=3)]}, Mark.LEAK),
        (("Merlin, training split",), {"overlaps": [overlap(images=1)]}, Mark.LEAK),
        (("Merlin, test split",), {"overlaps": [overlap()]}, Mark.LEAK),  # what it says of itself stands
        ((), {"overlaps": [overlap("PanTS", patients=1)]}, Mark.LEAK),  # not declared, but compared
    ],
)
def test_marks(entry, declared, options, mark):
    found = entry(*declared, **options)
    ((_, (cell,)),) = training_matrix([found]).rows
    assert cell.mark is mark
    assert bool(leaks(found)) == (mark is Mark.LEAK)
    assert ("leak" in dict(badges(found))) == (mark is Mark.LEAK)


def test_columns_are_shared_and_the_most_used_come_first(entry):
    matrix = training_matrix(
        [entry("PanTS: masks", "KiTS"), entry("pants", "AbdomenAtlas"), entry(method="nothing declared")]
    )
    assert matrix.columns == ("PanTS", "AbdomenAtlas", "KiTS")
    assert [[cell is not None for cell in cells] for _, cells in matrix.rows] == [
        [True, False, True],
        [True, True, False],
        [False, False, False],
    ]


def test_a_wide_and_long_matrix_says_what_is_left_out(entry):
    wide = entry(*(f"set {number}" for number in range(30)))
    matrix = training_matrix([wide] * 130)
    assert len(matrix.columns) == 24
    assert len(matrix.rows) == 100
    assert (matrix.more_columns, matrix.more_rows) == (6, 30)
