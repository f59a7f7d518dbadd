"""Lines written by somebody who had not seen the rules of the gate.

Scored once before anything was mended for them: 12 of 120 identifiers missed, 1 of 80 harmless lines stopped
(docs/publish-a-release.md). Since then they are like any other test: what is known to be missed is listed.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from rsuper_bench.dataset_builder.phi import scan_text

MISSED = {"OUTSIDE STUDY FROM BAKERSFIELD REVIEWED"}  # a place in capitals, among words that could be one too
LINES = yaml.safe_load((Path(__file__).parent / "planted_phi_heldout.yaml").read_text("utf-8"))


def test_every_line_has_the_three_fields():
    assert all(set(line) == {"text", "planted", "category"} and line["text"] and line["category"] for line in LINES)


def test_every_planted_identifier_stands_once_in_its_line():
    planted = [line for line in LINES if line["planted"] is not None]
    assert len(planted) == 120
    assert [line for line in planted if line["text"].count(line["planted"]) != 1] == []


def test_harmless_lines_are_as_many_as_said_and_no_line_stands_twice():
    assert sum(line["planted"] is None for line in LINES) == 80
    assert len({line["text"] for line in LINES}) == len(LINES)


def found(line):
    start = line["text"].index(line["planted"])
    return any(hit.start < start + len(line["planted"]) and hit.end > start for hit in scan_text(line["text"]))


def test_identifiers_are_found():
    assert {line["text"] for line in LINES if line["planted"] and not found(line)} == MISSED


def test_harmless_lines_pass():
    assert [line["text"] for line in LINES if not line["planted"] and scan_text(line["text"])] == []
