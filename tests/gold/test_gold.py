"""The gold set keeps its own rules; what an extractor makes of it is in test_gold_floors.py."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from gold_set import HALVES, HELDOUT2, GoldReport, read_gold

from rsuper_bench.benchmark.records import Certainty, Presence
from rsuper_bench.benchmark.tumor_types import TumorType


@pytest.fixture(scope="module", params=HALVES)
def half(request) -> list[GoldReport]:
    return read_gold(request.param)


def every_half() -> list[GoldReport]:
    return [report for name in HALVES for report in read_gold(name)]


def test_every_type_is_labelled(half):
    for report in half:
        assert set(report.findings.presence) == set(TumorType), report.findings.case_id


def test_presence_follows_from_the_findings(half):
    for report in half:
        for kind, stated in report.findings.presence.items():
            mine = [found for found in report.findings.findings if found.tumor_type is kind]
            if any(found.certainty is Certainty.CERTAIN for found in mine):
                assert stated is Presence.PRESENT, (report.findings.case_id, kind)
            elif mine:
                assert stated is Presence.UNCERTAIN, (report.findings.case_id, kind)
            else:
                assert stated in (Presence.ABSENT, Presence.NOT_STATED), (report.findings.case_id, kind)


def test_removed_organs_are_not_stated(half):
    for report in half:
        for kind in report.findings.not_evaluable:
            assert report.findings.presence[kind] is Presence.NOT_STATED, (report.findings.case_id, kind)


def test_sides_are_of_paired_organs(half):
    for report in half:
        for found in report.findings.findings:
            assert found.side is None or found.tumor_type.anatomy.sided, report.findings.case_id


def test_every_labelled_size_stands_in_the_text(half):
    for report in half:
        numbers = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", report.text.replace(",", "."))}
        for found in report.findings.findings:
            for size_mm in found.diameters_mm:
                assert size_mm in numbers or round(size_mm / 10, 3) in numbers, (report.findings.case_id, size_mm)


def test_every_labelled_image_stands_in_the_text(half):
    for report in half:
        numbers = {int(number) for number in re.findall(r"\d+", report.text)}
        for found in report.findings.findings:
            assert {found.series, found.image} - {None} <= numbers, report.findings.case_id


def test_halves_share_no_report():
    reports = every_half()
    assert len({report.findings.case_id for report in reports}) == len(reports) >= 150
    assert len({" ".join(report.text.split()) for report in reports}) == len(reports)


def positives(reports: list[GoldReport]) -> Counter[TumorType]:
    return Counter(
        kind for report in reports for kind, stated in report.findings.presence.items() if stated is Presence.PRESENT
    )


def test_every_type_can_be_scored():
    found = positives(every_half())
    assert min(found[kind] for kind in TumorType) >= 8


def test_new_heldout_set_can_score_every_type():
    reports = read_gold(HELDOUT2)
    assert len(reports) == 120
    found = positives(reports)
    assert min(found[kind] for kind in TumorType) >= 5
