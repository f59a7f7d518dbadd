"""The held-out lines keep their own rules; no gate reads them here, so that they stay unseen."""

from __future__ import annotations

from pathlib import Path

import yaml

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
