"""docs/report-to-findings.md shows what the extractor makes of its report today."""

import importlib
import sys
from pathlib import Path

import pytest

from rsuper_bench.dataset_builder.extraction import RulesExtractor

sys.path.append(str(Path(__file__).parents[1] / "docs"))


@pytest.fixture(scope="module")
def script():
    return importlib.import_module("make_report_figure")


def test_tables_are_those_of_the_extractor(script):
    page = script.PAGE.read_text("utf-8")
    parts = script.tables(RulesExtractor().extract("example", script.REPORT))
    assert script.with_tables(page, parts) == page, "run python docs/make_report_figure.py and look at the figure"


def test_the_figure_is_drawn(script, tmp_path):
    read = RulesExtractor().extract("example", script.REPORT)
    script.draw(read, tmp_path / "a.svg")
    script.draw(read, tmp_path / "b.svg")
    drawn = (tmp_path / "a.svg").read_bytes()
    assert drawn == (tmp_path / "b.svg").read_bytes()
    assert all(colour.encode() in drawn for colour in script.COLOURS[: len(read.findings)])
    assert script.FIGURE.is_file()
