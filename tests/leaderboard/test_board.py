"""Who is compared with whom, and how it is written down."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_reports import make_report

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.report import SubmissionInfo
from rsuper_bench.leaderboard.add import entry_of
from rsuper_bench.leaderboard.board import make_board
from rsuper_bench.leaderboard.entry import Entry
from rsuper_bench.leaderboard.page import index_page
from rsuper_bench.leaderboard.reported import Reported, published_figures
from rsuper_bench.leaderboard.tables import board_csv, board_json, board_markdown, escape_markdown
from rsuper_bench.leaderboard.wording import reader_figure, shares_text


@pytest.fixture
def entry():
    def make(level=0.7, *, team="Team", method="Method", url=None, status=None, reason=None, **changes):
        made = entry_of(make_report(level, **changes), team=team, method=method, url=url, report_digest="2" * 64)
        if status is None:
            return made
        return Entry.model_validate(made.model_dump() | {"status": status, "reason": reason})

    return make


LEVELS = [
    entry_of(
        make_report(0.4 + 0.1 * level, seed=level, noise=0.06, cases=20, draws=100),
        team="T",
        method="M",
        url=None,
        report_digest="2" * 64,
    )
    for level in range(6)
]


def placed(group):
    return {row.entry.method: (row.rank.rank, row.rank.last) for row in group.ranked}


def test_ties_share_a_rank(entry):
    board = make_board(
        [
            entry(0.70, method="a", seed=1, noise=0.03),
            entry(0.71, method="b", seed=2, noise=0.03),
            entry(0.40, method="c", seed=3),
        ]
    )
    assert placed(board.groups[0]) == {"b": (1, 2), "a": (1, 2), "c": (3, 3)}
    assert [row.entry.method for row in board.groups[0].rows] == ["b", "a", "c"]
    assert [[other.method for other in row.tied] for row in board.groups[0].rows] == [["a"], ["b"], []]


def test_fingerprints_are_never_ranked_together(entry):
    board = make_board([entry(0.9, method="a", fingerprint="a" * 12), entry(0.5, method="b", fingerprint="b" * 12)])
    assert [placed(group) for group in board.groups] == [{"a": (1, 1)}, {"b": (1, 1)}]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), min_size=1, max_size=9), st.randoms())
def test_a_group_is_ranked_as_if_it_stood_alone_in_any_order(drawn, random):
    made = [
        LEVELS[level].model_copy(update={"method": f"m{number}", "fingerprint": letter * 12})
        for number, (letter, level) in enumerate(drawn)
    ]
    alone = {}
    for letter in "abc":
        members = [entry for entry in made if entry.fingerprint == letter * 12]
        for group in make_board(members).groups:
            alone |= placed(group)
    random.shuffle(made)
    together = [placed(group) for group in make_board(made).groups]
    assert {method: place for group in together for method, place in group.items()} == alone
    assert sum(map(len, together)) == len(made)
    for group in together:
        assert min(rank for rank, _ in group.values()) == 1


def test_real_before_synthetic_before_smoke(entry):
    board = make_board(
        [
            entry(method="smoke", smoke=True, fingerprint="a" * 12),
            entry(method="phantom", fingerprint="b" * 12),
            entry(method="real", task="seven-tumors-v1"),
        ]
    )
    assert [group.rows[0].entry.method for group in board.groups] == ["real", "phantom", "smoke"]
    assert [len(group.labels) for group in board.groups] == [0, 1, 2]
    assert "not evidence" in board.groups[2].labels[0]


def test_withdrawn_entries_are_not_ranked(entry):
    board = make_board([entry(0.9, method="a", status="withdrawn", reason="leak"), entry(0.5, method="b")])
    assert placed(board.groups[0]) == {"b": (1, 1)}
    assert [found.reason for found in board.withdrawn] == ["leak"]


def test_what_cannot_be_ranked_says_why(entry):
    other_draws = make_report(0.9).replicates.model_copy(update={"seed": 5})
    board = make_board(
        [
            entry(0.5, method="a"),
            entry(0.6, method="b"),
            entry(0.9, method="no replicates", replicates=None),
            entry(0.9, method="other draws", replicates=other_draws),
        ]
    )
    (group,) = board.groups
    assert placed(group) == {"b": (1, 1), "a": (2, 2)}
    reasons = {row.entry.method: row.unranked for row in group.rows if row.unranked}
    assert "no bootstrap replicates" in reasons["no replicates"]
    assert "--seed 0" in reasons["other draws"]


def test_without_negatives_nothing_is_ranked(entry):
    full = make_report(calls=False)
    undefined = {"value": None, "reason": "no negative cases"}
    changes = {
        "scores": {name: dict.fromkeys(metrics, undefined) for name, metrics in full.scores.items()},
        "counts": {kind: {"positive": 100, "negative": 0, "excluded": 1} for kind in full.counts},
        "outcomes": [outcome for outcome in full.outcomes if outcome.reference],
    }
    ((row,),) = (group.rows for group in make_board([entry(calls=False, **changes)]).groups)
    assert (row.rank, row.unranked) == (None, "the primary metric is undefined: no negative cases")


def test_entries_of_other_draws_cannot_unseat_verified_ones(entry):
    """Three with draws of their own outnumber one that was scored again, and still it is the one that is ranked."""
    own = make_report(0.9).replicates.model_copy(update={"seed": 5})
    made = entry(0.5, method="verified")
    done = {name: made.digests[name] for name in ("submission", "release", "reference")}
    done |= {"rsuper_bench": "1", "python": "1", "numpy": "1"}
    verified = Entry.model_validate(made.model_dump() | {"provenance": "verified", "verification": done})
    others = [entry(0.9, method=f"m{number}", replicates=own) for number in range(3)]
    (group,) = make_board([verified, *others]).groups
    assert placed(group) == {"verified": (1, 1)}


def test_an_entry_of_fewer_cases_is_not_of_the_same_truth(entry):
    easy = entry(0.9, method="easy", cases=100, fingerprint=entry().fingerprint)
    with pytest.raises(DataError, match=r"team__easy/.*numbers of cases differ from the others"):
        make_board([entry(method="a"), entry(method="b"), easy])


def test_duplicates_and_contradictions_are_listed_together(entry):
    twin = entry(method="twin")
    other = entry(0.8, method="other", digests={"reference": "9" * 64})
    with pytest.raises(DataError) as caught:
        make_board([twin, twin, entry(0.6, method="third"), other])
    assert "team__twin/demo-phantom-v1.json: stands twice" in str(caught.value)
    assert "team__other/demo-phantom-v1.json: its task, reference or numbers of cases differ" in str(caught.value)


def test_a_task_may_choose_another_primary_metric(entry, tmp_path):
    path = tmp_path / "auroc-v1.yaml"
    path.write_text(
        "name: auroc-v1\ndescription: By AUROC.\ntumor_types: [liver, kidney]\nprimary: auroc\nsynthetic: true\n"
    )
    board = make_board([entry(0.5, method="a", task=path), entry(0.8, method="b", task=path)])
    assert placed(board.groups[0]) == {"b": (1, 1), "a": (2, 2)}
    assert "AUROC, mean over tumor types" in board_markdown(board)
    page = index_page(board)
    assert "<dd>AUROC, mean over 2 tumor types</dd>" in page
    assert '"metrics":[["auroc","AUROC",""]' in page


def test_an_empty_board_is_a_board():
    board = make_board([])
    assert "No entries yet" in board_markdown(board)
    assert json.loads(board_json(board))["groups"] == []
    assert len(board_csv(board).splitlines()) == 1


NAMES = [
    '=HYPERLINK("https://evil.example")',
    "+1",
    "@sum",
    "-1+1",
    "a | b",
    "`code` *bold* _it_",
    "[x](javascript:alert(1))",
]


@pytest.mark.parametrize("name", [*NAMES, "<img src=x onerror=alert(1)>", "# heading", "www.evil.example", "\\| x"])
def test_names_are_harmless_in_csv_and_markdown(entry, name):
    board = make_board([entry(team=name, method="m")])
    (row,) = csv.DictReader(io.StringIO(board_csv(board)))
    assert row["team"].lstrip("'") == name
    assert row["team"][0] not in "=+-@"
    assert json.loads(board_json(board))["groups"][0]["entries"][0]["team"] == name
    (line,) = [line for line in board_markdown(board).splitlines() if "| m |" in line]
    assert line.count("|") == 8 + 1  # rank, method, team, mean, three types, marks
    cell = line.split("|")[3]
    assert not set("<>`*_[]#\\@") & set(cell.replace("&#", ""))
    assert "www." not in cell
    assert "://" not in cell


def test_markdown_escapes_become_the_name_again():
    from html import unescape

    for name in NAMES:
        assert unescape(escape_markdown(name)) == name


def test_json_and_csv_hold_ranks_intervals_and_reasons(entry):
    info = SubmissionInfo(team="t", method="m", training_data=("A", "B"))
    board = make_board([entry(0.7, method="a", submission=info), entry(0.4, method="b")])
    found = json.loads(board_json(board))["groups"][0]["entries"]
    assert [(one["method"], one["rank"], one["rank_last"]) for one in found] == [("a", 1, 1), ("b", 2, 2)]
    assert found[0]["scores"]["mean"]["auroc"]["value"] == pytest.approx(0.7)
    rows = list(csv.DictReader(io.StringIO(board_csv(board))))
    assert rows[0]["training_data"] == "A; B"
    assert rows[0]["synthetic"] == "true"
    assert float(rows[1]["liver_sensitivity_at_specificity_90_low"]) == pytest.approx(0.26)


def test_the_published_figures_have_sources_and_no_rank():
    reported = published_figures()
    assert len(reported.figures) == 6
    assert "not re-measured here" in reported.statement
    assert all(share <= 1 for row in reported.figures for share in (*row.sensitivity, *row.specificity, *row.f1))
    broken = reported.model_dump() | {"sources": {}}
    with pytest.raises(ValueError, match=r"unknown sources: aapm-2026, bassi-2025"):
        Reported.model_validate(broken)


def test_figures_in_words():
    assert shares_text((0.667, 0.884)) == "66.7–88.4"
    assert shares_text((0.8,)) == "80"
    assert shares_text(()) == "–"
    assert reader_figure(None, "0.67-0.78", "") == ("67.0–78.0", "")
    assert reader_figure(0.9, "", "IQR 0.81-0.94") == ("90.0", "IQR 81.0–94.0")
    assert reader_figure(None, "", "") == ("–", "")
