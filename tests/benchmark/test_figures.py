"""Figures for papers: complete, the same bytes twice, and drawn of any name."""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ET  # our own SVG
from pathlib import Path

import pytest
from page_reports import HOSTILE, LIVER, all_excluded, made_up
from PIL import Image

from rsuper_bench.benchmark.figures import figure_names, write_figures
from rsuper_bench.benchmark.report_markdown import report_markdown
from rsuper_bench.benchmark.strata_panels import MAX_STRATA, forest_rows, shown_strata
from rsuper_bench.benchmark.stratum import Axis


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return made_up(tmp_path_factory.mktemp("report"), (LIVER,), synthetic=True, readers=1)


def test_all_as_png_and_svg_the_same_twice(report, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_figures(report, tmp_path / "a")
        write_figures(report, tmp_path / "b")
    names = {path.name for path in (tmp_path / "a").iterdir()}
    wanted = ("roc", "sens_spec", "cases", "size", "forest_size", "forest_sex", "forest_age", "forest_scanner")
    assert names == {f"{name}.{kind}" for name in wanted for kind in ("png", "svg")}
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    for name in wanted:
        words = text_of(tmp_path / "a" / f"{name}.svg")
        assert "phantoms are not patients" in words, name
        assert Image.open(tmp_path / "a" / f"{name}.png").width > 500


def text_of(path: Path) -> str:
    return " ".join(ET.fromstring(path.read_text("utf-8")).itertext())  # noqa: S314


def test_report_md_shows_every_figure(report):
    text = report_markdown(report)
    for name in figure_names(report):
        assert f"](figures/{name}.png)" in text


def test_nothing_to_draw_is_drawn_too(tmp_path):
    write_figures(all_excluded(tmp_path / "r"), tmp_path / "figures")
    assert "AUROC undefined" in text_of(tmp_path / "figures" / "roc.svg")


def test_names_are_words_and_not_formulas(report, tmp_path):
    write_figures(report, tmp_path)
    words = text_of(tmp_path / "forest_scanner.svg")
    assert HOSTILE[:15] in words
    assert "<script" not in (tmp_path / "forest_scanner.svg").read_text("utf-8")


def test_a_hundred_scanners_are_not_drawn(report):
    found = report.strata[Axis.SCANNER]
    shown = next(kinds for kinds in found.values() if kinds[LIVER].sensitivity.value is not None)
    many = {f"scanner {index:03d} $\\frac$": shown for index in range(100)}
    crowded = report.model_copy(update={"strata": {**report.strata, Axis.SCANNER: many}})
    assert len(shown_strata(crowded, Axis.SCANNER)) == MAX_STRATA
    assert len(forest_rows(crowded, Axis.SCANNER, "sensitivity")) == MAX_STRATA + 1


def test_one_stratum_for_all_has_no_forest(report):
    assert set(report.strata[Axis.SOURCE]) == {"made up"}
    assert "forest_source" not in figure_names(report)
