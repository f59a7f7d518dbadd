"""The path of an entry: report -> file -> site; and what is refused on the way."""

import json

import pytest
from synthetic_reports import make_report
from typer.testing import CliRunner

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.files import pretty_json, write_text
from rsuper_bench.benchmark.report import SubmissionInfo
from rsuper_bench.cli import app
from rsuper_bench.leaderboard.add import add_entry, entry_of
from rsuper_bench.leaderboard.build import build_site, check_site, render_site
from rsuper_bench.leaderboard.reading import read_entries


@pytest.fixture
def put(tmp_path):
    """Add an entry to ``tmp_path / "entries"`` the way a user does."""

    def add(level=0.7, *, team="Team", method="Method", url=None, replace=False, **changes):
        path = tmp_path / "report.json"
        write_text(path, pretty_json(make_report(level, **changes)))
        return add_entry(path, tmp_path / "entries", team=team, method=method, url=url, replace=replace)

    return add


def call(*arguments):
    return CliRunner().invoke(app, ["leaderboard", *map(str, arguments)])


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_from_report_to_site_on_the_command_line(tmp_path):
    entries, site, folder = tmp_path / "entries", tmp_path / "site", tmp_path / "report"
    write_text(folder / "report.json", pretty_json(make_report()))
    added = call("add", folder, "--team", "Team A", "--method", "M 1", "--url", "https://e.org", "--entries", entries)
    assert added.exit_code == 0, added.output
    assert added.stdout.strip() == str(entries / "team-a__m-1" / "demo-phantom-v1.json")
    checked = call("build", "--entries", entries, "--out", site, "--check")
    assert checked.exit_code == 1
    assert "missing: index.html" in checked.stderr
    assert not site.exists()
    built = call("build", "--entries", entries, "--out", site)
    assert built.exit_code == 0, built.output
    assert {path.name for path in site.iterdir()} == {
        "index.html",
        "board.csv",
        "board.json",
        "BOARD.md",
        "entries",
        "types",
    }
    assert call("build", "--entries", entries, "--out", site, "--check").exit_code == 0


def test_a_page_of_somebody_else_is_not_replaced(tmp_path, put):
    put()
    site = tmp_path / "home"
    write_text(site / "index.html", "my home page")
    built = call("build", "--entries", tmp_path / "entries", "--out", site)
    assert isinstance(built.exception, ConfigError)
    assert "holds index.html of something else" in str(built.exception)
    assert files_of(site) == {"index.html": b"my home page"}


def test_no_case_and_no_patient_leaves_the_report(put):
    text = put().read_text()
    assert "case-0" not in text
    assert "case-x" not in text
    assert f"{1:016x}" not in text


def test_same_files_same_bytes_in_any_order(tmp_path, put):
    for index, level in enumerate((0.7, 0.72, 0.5, 0.9)):
        put(level, team=f"T{index}", seed=index)
    found = read_entries(tmp_path / "entries")
    assert render_site(found) == render_site(reversed(found))
    first = build_site(tmp_path / "entries", tmp_path / "one")
    build_site(tmp_path / "entries", tmp_path / "two")
    assert first.name == "index.html"
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_check_names_every_kind_of_difference_and_writes_nothing(tmp_path, put):
    entries, site = tmp_path / "entries", tmp_path / "site"
    gone = put(team="Gone")
    put(team="Stays")
    build_site(entries, site)
    assert check_site(entries, site) == []
    (site / "board.csv").unlink()
    (site / "BOARD.md").write_text("edited by hand")
    gone.unlink()
    (site / "notes.txt").write_text("not ours")
    before = files_of(site)
    found = {difference.path: difference.state for difference in check_site(entries, site)}
    assert found["board.csv"] == "missing"
    assert found["BOARD.md"] == "changed"
    assert found["index.html"] == "changed"
    assert found["entries/gone__method__demo-phantom-v1.html"] == "left over"
    assert "notes.txt" not in found
    assert files_of(site) == before
    build_site(entries, site)
    assert check_site(entries, site) == []
    assert (site / "notes.txt").exists()
    assert not (site / "entries" / "gone__method__demo-phantom-v1.html").exists()


def test_an_entry_is_not_overwritten_unasked(put):
    path = put(0.6)
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"there is an entry of this team, method and task.*\n.*--replace"):
        put(0.9)
    assert path.read_bytes() == before
    assert put(0.9, replace=True).read_bytes() != before


def test_an_entry_of_somebody_else_is_never_overwritten(put):
    put(team="Team A")
    with pytest.raises(DataError, match=r"holds another team's entry"):
        put(team="team a", replace=True)


def test_all_refused_fields_at_once(put):
    info = SubmissionInfo(team="t", method="m", training_data=("ok", "bad\u202edata"))
    with pytest.raises(DataError) as caught:
        put(team="a\u202eb", method="x" * 81, url="javascript:alert(1)", submission=info)
    message = str(caught.value)
    for where in ("entry: team", "entry: method", "entry: url", "entry: training_data.1"):
        assert where in message
    assert "\u202e" not in message
    assert "alert" not in message


def test_refused_names_write_nothing(tmp_path, put):
    with pytest.raises(DataError):
        put(team="\u200b")
    assert not (tmp_path / "entries").exists()


def test_exit_codes(tmp_path, put):
    put()
    missing = call("build", "--entries", tmp_path / "nowhere", "--out", tmp_path / "site")
    assert isinstance(missing.exception, ConfigError)
    inside = call("build", "--entries", tmp_path / "entries", "--out", tmp_path / "entries" / "site")
    assert isinstance(inside.exception, ConfigError)
    on_file = call("build", "--entries", tmp_path / "entries", "--out", tmp_path / "report.json")
    assert isinstance(on_file.exception, ConfigError)


HOSTILE_FILES = {
    "empty": b"",
    "not JSON": b"{",
    "a list": b"[]",
    "not UTF-8": b"\xff\xfe{}",
    "NaN": b'{"seed": NaN}',
    "a key twice": b'{"seed": 0, "seed": 1}',
    "bottomless": b"[" * 200_000,
    "10 MB": b'{"team": "' + b"A" * 10 * 1024**2 + b'"}',
    "a long unknown key": b'{"' + b"\\u001b[31m" * 50_000 + b'": 1}',
}


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_hostile_files_are_one_short_message(tmp_path, put, name):
    put()
    target = tmp_path / "entries" / "a__b" / "demo-phantom-v1.json"
    target.parent.mkdir()
    target.write_bytes(HOSTILE_FILES[name])
    with pytest.raises(DataError, match=r"a__b/demo-phantom-v1\.json") as caught:
        build_site(tmp_path / "entries", tmp_path / "site")
    assert len(str(caught.value)) < 10_000
    assert "\x1b" not in str(caught.value)
    assert not (tmp_path / "site").exists()


def test_every_bad_file_is_listed(tmp_path, put):
    path = put()
    edit(path, fingerprint="xyz", status="withdrawn")
    (tmp_path / "entries" / "stray.json").write_text("{}")
    (tmp_path / "entries" / "run.exe").write_text("")
    (tmp_path / "entries" / "README.md").write_text("notes are welcome")
    (tmp_path / "entries" / "link__x").mkdir()
    (tmp_path / "entries" / "link__x" / "demo-phantom-v1.json").symlink_to(path)
    with pytest.raises(DataError) as caught:
        read_entries(tmp_path / "entries")
    message = str(caught.value)
    for part in (
        "demo-phantom-v1.json: fingerprint",
        "stray.json",
        "run.exe: not an entry",
        "link__x",
        "not a plain file",
    ):
        assert part in message
    assert "README" not in message


def test_one_method_cannot_stand_twice(tmp_path, put):
    path = put()
    copy = tmp_path / "entries" / "other__name" / path.name
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"other__name/demo-phantom-v1\.json: not in its place; expected team__method/"):
        read_entries(tmp_path / "entries")


def change_score(entry, name, metric, **changes):
    entry["scores"][name][metric] |= changes


PRIMARY = "sensitivity_at_specificity_90"
EDITS = {
    "is not the mean of the tumor types": lambda entry: change_score(entry, "mean", PRIMARY, value=0.95),
    "must lie in": lambda entry: change_score(entry, "liver", "auroc", value=1.5),
    "scores must be of": lambda entry: entry["scores"].pop("liver"),
    "has no sensitivity_at_specificity_90": lambda entry: entry["scores"]["mean"].pop(PRIMARY),
    "a withdrawn entry needs a reason": lambda entry: entry.update(status="withdrawn"),
    "replicates are not of the primary": lambda entry: entry["replicates"].update(metric="auroc"),
    "replicates must be 1 to": lambda entry: entry["replicates"].update(values=[]),
    "task and task_definition": lambda entry: entry.update(task="other-v1"),
    "data that say they are real": lambda entry: entry["data"].update(synthetic=False),
    "falls": lambda entry: entry["roc"]["liver"].reverse(),
    "holds line breaks": lambda entry: entry["data"].update(release="a\nb"),
    "Did you mean 'team'": lambda entry: entry.update(taem="x"),
    "keys of digests": lambda entry: entry["digests"].update({"<b>": None}),
    "auroc must not hold": lambda entry: change_score(entry, "liver", "auroc", method="m\u202e"),
    "unknown key": lambda entry: entry.update(html="<script>"),
}


@pytest.mark.parametrize("message", EDITS)
def test_entries_edited_by_hand_are_refused(tmp_path, put, message):
    path = put()
    entry = json.loads(path.read_text())
    EDITS[message](entry)
    path.write_text(json.dumps(entry))
    with pytest.raises(DataError, match=message):
        read_entries(tmp_path / "entries")


def test_an_entry_reads_back_as_it_was(tmp_path, put):
    put(url="https://example.org")
    (found,) = read_entries(tmp_path / "entries")
    digest = found.digests["report"]
    made = entry_of(make_report(), team="Team", method="Method", url="https://example.org", report_digest=digest)
    assert found == made


def test_a_report_with_a_case_twice_is_refused(tmp_path):
    """The easiest positive again and again would raise every figure."""
    report = make_report()
    (best,) = (item for item in report.outcomes if item.case_id == "case-001" and item.tumor_type == "liver")
    twice = report.model_copy(update={"outcomes": (*report.outcomes, best)})
    write_text(tmp_path / "report.json", pretty_json(twice))
    with pytest.raises(DataError, match="a fingerprint that is not that of its task and truth"):
        add_entry(tmp_path, tmp_path / "entries", team="T", method="M")
    assert not (tmp_path / "entries").exists()
