"""Reports in many styles, each read into the statements a person makes of it (extraction_statements.yaml)."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from extraction_statements import EXTRACTOR, statements

from rsuper_bench.benchmark.records import Presence

TABLE = yaml.safe_load((Path(__file__).with_name("extraction_statements.yaml")).read_text(encoding="utf-8"))
CASES = [(theme, row["report"], row["says"]) for theme, rows in TABLE.items() for row in rows]


@pytest.mark.parametrize(
    ("theme", "report", "says"), CASES, ids=[f"{theme}: {text[:50]!a}" for theme, text, _ in CASES]
)
def test_statements(theme, report, says):
    assert statements(report) == set(says), theme


@pytest.mark.parametrize(
    ("report", "flag"),
    [
        ("45 cm left kidney lesion.", "implausible_measurement"),
        ("Liver mass measuring 23 x 2.1 cm.", "unit_slip_measurement"),
        ("Liver mass measuring 2.3 x 19 mm.", "unit_slip_measurement"),
        ("Left kidney cyst measuring 2.4 x 2.1 x 1.9 mm.", "unit_slip_measurement"),
        ("Liver lesion, 3 x x 2 cm.", "malformed_measurement"),
        ("Liver lesion measuring _____ cm.", "blank_measurement"),
        ("Liver lesion measuring 3.5 x 2.4 x 4.1.", "unitless_measurement"),
        ("FINDINGS: The liver is normal. IMPRESSION: 3 cm liver mass.", "contradiction:liver"),
        ("FINDINGS: 3 cm mass in the left kidney. IMPRESSION: 3 cm right renal mass.", "contradiction:kidney"),
        ("FINDINGS: 3.1 cm mass in the left kidney. IMPRESSION: 5.1 cm left renal mass.", "contradiction:kidney"),
        ("HISTORY: Renal mass 3 cm.", "only_history"),
    ],
)
def test_flags(report, flag):
    assert flag in EXTRACTOR.extract("case", report).flags


@pytest.mark.parametrize(
    "report",
    [
        "Liver mass measuring 7.2 x 0.8 cm.",
        "Flat liver lesion of 30 x 4 mm.",
        "Liver lesion of 4 x 3 mm.",
        "FINDINGS: No suspicious liver lesion. 1 cm liver cyst. IMPRESSION: Liver cyst.",
        "Sigmoid carcinoma. The rectum is normal.",
    ],
)
def test_no_flags(report):
    flags = EXTRACTOR.extract("case", report).flags
    assert not any(flag.startswith(("contradiction", "unit_slip", "implausible", "malformed")) for flag in flags)


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("...", "empty"),
        ("\0\x01\x02\x03 liver cyst \x05\x06", "not_text"),
        ("\ufffd\ufffd liver \ufffd\ufffd cyst", "not_text"),
        (
            "Die Leber ist normal groß und homogen, ohne Nachweis fokaler Läsionen. Milz und Pankreas normal.",
            "not_english",
        ),
        ("Hígado de tamaño normal, sin lesiones focales. Bazo normal. Masa renal izquierda de 3 cm.", "not_english"),
        ("Le foie est de taille normale. Lésion hypodense du segment VI mesurant 2 cm. Rate normale.", "not_english"),
    ],
)
def test_texts_that_are_no_report(report, reason):
    record = EXTRACTOR.extract("case", report)
    assert record.flags == (f"failed:{reason}",)
    assert record.findings == ()
    assert set(record.presence.values()) == {Presence.NOT_STATED}


def test_a_huge_report_is_read_up_to_a_limit_and_says_so():
    record = EXTRACTOR.extract("case", "2 cm cyst in the left kidney. " + "The bones are normal. " * 450_000)
    assert "truncated" in record.flags
    assert record.presence["kidney"] is Presence.PRESENT
