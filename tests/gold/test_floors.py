"""How well the rules extractor reads the gold set: floors under measured figures, so that none is lost unseen."""

from __future__ import annotations

from pathlib import Path

import pytest
from gold_set import DEVELOPMENT, HELDOUT, HELDOUT2
from score import main, rows, score, write_files

from rsuper_bench.dataset_builder.extraction.findings_file import read_findings
from rsuper_bench.dataset_builder.extraction.reports_file import read_reports

FLOORS = {
    DEVELOPMENT: {
        "presence": 0.98,
        "size": 0.96,
        "kind": 0.97,
        "count": 0.98,
        "location": 0.96,
        "side": 0.97,
        "attenuation": 0.97,
        "malignancy": 0.96,
    },
    HELDOUT: {
        "presence": 0.95,
        "size": 0.93,
        "kind": 0.95,
        "count": 0.97,
        "location": 0.95,
        "side": 0.97,
        "attenuation": 0.94,
        "malignancy": 0.94,
    },
}


def on_the_page(content):
    """The figures of docs/report-to-findings.md."""
    names = {"presence, F1", "presence, sensitivity", "presence, precision", "presence, specificity"}
    names |= {"presence, four words", "largest size, exact", *FLOORS[DEVELOPMENT], "diameters_mm", "certainty"}
    return [row for row in rows(content) if row[0] in names]


@pytest.mark.parametrize("half", FLOORS)
def test_floors(half):
    content = score(half)
    measured = {
        "presence": content["micro"]["f1"]["value"],
        "size": content["micro"]["size_exact"]["value"],
        **{name: field["value"] for name, field in content["fields"].items()},
    }
    below = {name: measured[name] for name, floor in FLOORS[half].items() if measured[name] < floor}
    assert not below
    assert len(rows(content)) > 20
    page = (Path(__file__).parents[2] / "docs" / "report-to-findings.md").read_text("utf-8")
    shown = [
        f"{share}; {count}" if name == "presence, F1" else f"{share}, {count}"
        for name, count, share in on_the_page(content)
    ]
    assert [cell for cell in shown if f" {cell} |" not in page] == []


def test_the_set_can_be_written_for_other_extractors(tmp_path):
    write_files(DEVELOPMENT, tmp_path)
    labels, reports = read_findings(tmp_path / "labels.jsonl"), read_reports(tmp_path / "reports.csv")
    assert [row.case_id for row in reports] == list(labels)
    content = score(DEVELOPMENT, labels)
    assert content["disagreements"] == []
    assert all(field["agree"] == field["n"] > 0 for field in content["fields"].values())


@pytest.mark.parametrize("which", [["--heldout"], ["--half", HELDOUT2]], ids=" ".join)
def test_a_heldout_half_lists_no_case(which, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["score.py", *which, "--out", str(tmp_path / "A.json")])
    with pytest.raises(SystemExit):
        main()
    assert not list(tmp_path.iterdir())
