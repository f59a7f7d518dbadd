"""Whatever comes in, one record comes out: true spans, no text, and the same every time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsuper_bench.benchmark.errors import ConfigError
from rsuper_bench.benchmark.records import Malignancy, MalignancySource, Presence
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction import RulesExtractor, make_extractor
from rsuper_bench.dataset_builder.extraction.rules.lexicon import lexicon, plural_of, tokens_of
from rsuper_bench.dataset_builder.extraction.rules.measurements import measurements_in
from rsuper_bench.dataset_builder.extraction.rules.sections import SectionKind, read_sections

EXTRACTOR = RulesExtractor()
WORDS = (
    "liver", "kidney", "left", "right", "cyst", "mass", "no", "not", "without", "possible", "likely", "2", "cm", "3",
    "x", "12", "mm", "previously", "was", "(", ")", ",", ".", ";", ":", "and", "or", "in", "of", "the", "a", "there",
    "is", "unremarkable", "findings", "impression", "history", "metastases", "segment", "7", "upper", "pole", "from",
    "to", "which", "it", "largest", "two", "multiple", "____", "--", "1.", "measures", "measuring", "spleen", "except",
    "for", "status", "post", "cholecystectomy", "absent", "seen", "hypodense", "é", "µ",
    "both", "the former", "another", "second", "remaining", "lesions", "T1:", "#1", "series 3", "image 4", "(3/4)",
    "1/2/2020", "versus", "likely", "favored over", "soft tissue", "target lesions", "R:", "S4:", "each", "only", ";",
    "adenoma", "nodules", "lung", "RUL", "wall thickening", "bladder", "bowel", "abdomen", "negative", "half", "12 HU",
)  # fmt: skip
BLANKS = ["\n", "\n\n", "\t", ""]
REPORT = "FINDINGS: A 2.1 x 1.8 cm hypodense lesion in segment 7 of the liver, possibly a cyst. No renal mass."


@given(st.lists(st.sampled_from([*WORDS, *BLANKS]), max_size=60).map(" ".join))
@settings(max_examples=300, deadline=None)
def test_any_words_give_a_record_with_true_spans(report):
    record = EXTRACTOR.extract("case", report)
    assert set(record.presence) == set(TumorType)
    for finding in record.findings:
        for start, end in finding.evidence.values():
            assert 0 <= start < end <= len(report)
        stated = {name for name in ("side", "location") if getattr(finding, name) is not None}
        stated |= {"tumor_type", "kind", "count", "certainty"} | ({"diameters_mm"} if finding.diameters_mm else set())
        assert stated <= set(finding.evidence) | set(finding.derived)


@given(st.text(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_a_record(report):
    assert EXTRACTOR.extract("case", report).case_id == "case"


@given(st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_mojibake_gives_a_record(data):
    EXTRACTOR.extract("case", data.decode("latin-1"))


@pytest.mark.parametrize(
    "report", ["", " ", "\n\n", ".", ":", "\0\x01\x02", "HISTORY: pancreatic cancer 3 cm.", "_____ cm", "3 x x 2"]
)
def test_reports_that_say_nothing(report):
    record = EXTRACTOR.extract("case", report)
    assert set(record.presence.values()) == {Presence.NOT_STATED}
    assert record.findings == ()


@pytest.mark.parametrize(
    "unit",
    [
        "a 2 cm cyst in the liver and ",
        "1 x ",
        "(",
        "no ",
        "liver, ",
        ":",
        "A: ",
        ". ",
        ".",
        ",",
        "\n",
        "2 cm ",
        "___",
        " ",
        "1 ",
        "ab",
        "1" + " " * 900,
        "se" + " " * 900,
    ],
)
def test_huge_reports_are_read_in_bounded_time(unit):
    report = (unit * (60_000 // len(unit) + 1))[:60_000]
    start = time.perf_counter()
    EXTRACTOR.extract("case", report)
    assert time.perf_counter() - start < 10  # linear: under 1 s; quadratic rules took minutes


@pytest.mark.slow
def test_ten_megabytes_are_cut_and_flagged():
    record = EXTRACTOR.extract("case", "The liver is normal. 2 cm cyst in the left kidney. " * 200_000)
    assert "truncated" in record.flags
    assert record.presence[TumorType.KIDNEY] is Presence.PRESENT


def test_the_record_holds_no_report_text():
    line = EXTRACTOR.extract("case", REPORT.replace("FINDINGS", "Mrs Smith FINDINGS")).model_dump_json()
    assert "Smith" not in line
    assert "segment 7 of" not in line


def test_evidence_points_at_the_words():
    (finding,) = EXTRACTOR.extract("case", REPORT).findings
    quoted = {name: REPORT[start:end] for name, (start, end) in finding.evidence.items()}
    assert quoted["diameters_mm"] == "2.1 x 1.8 cm"
    assert quoted["attenuation"] == "hypodense"
    assert quoted["location"] == "segment 7"
    assert quoted["kind"] == "lesion"
    assert finding.derived == ("certainty",)


def test_same_report_same_record():
    assert EXTRACTOR.extract("case", REPORT) == RulesExtractor().extract("case", REPORT)


def test_pathology_sets_the_malignancy_of_its_organ():
    report = "3 cm mass in the pancreatic head. 1 cm lesion in the left kidney."
    record = EXTRACTOR.extract("case", report, "Pancreas, biopsy: ductal adenocarcinoma.")
    pancreas, kidney = record.findings
    assert (pancreas.malignancy, pancreas.malignancy_source) == (Malignancy.MALIGNANT, MalignancySource.PATHOLOGY)
    assert "malignancy" in pancreas.derived
    assert kidney.malignancy is Malignancy.UNKNOWN


def test_pathology_denial_is_no_malignancy():
    record = EXTRACTOR.extract(
        "case", "3 cm mass in the pancreatic head.", "Pancreas, biopsy: negative for malignancy."
    )
    assert record.findings[0].malignancy is Malignancy.UNKNOWN


@pytest.mark.parametrize(
    ("name", "message"), [("rule", "Did you mean 'rules'"), ("llm", "through a server"), ("x", "one of")]
)
def test_unknown_extractors(name, message):
    with pytest.raises(ConfigError, match=message):
        make_extractor(name)
    assert make_extractor("rules").info.name == "rules"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4 x 3 x 2 cm", [(40, 30, 20)]),
        ("4cm x 3cm", [(40, 30)]),
        ("4 × 3 mm", [(4, 3)]),
        ("0.5 cm", [(5,)]),
        (".5 cm", [(5,)]),
        ("1,5 cm", [(15,)]),
        ("12-mm", [(12,)]),
        ("5-8 mm", [(8,)]),
        ("5 mm to 2 cm", [(20,)]),
        ("2.3 and 1.5 cm", [(23,)]),
        ("12 cm2 and 5 cm3 and 9 mm Hg and 3 ml", []),
        ("T12 L4-5 10/20/05 grade 3", []),
        ("1.5-mm slices", [(1.5,)]),
    ],
)
def test_measurement_grammar(text, expected):
    assert [size.diameters_mm for size in measurements_in(text) if size.flag is None] == expected


@pytest.mark.parametrize(
    ("text", "flag"), [("3 x x 2 cm", "malformed"), ("120 cm", "implausible"), ("0 mm", "implausible")]
)
def test_odd_measurements_are_flagged(text, flag):
    assert [size.flag for size in measurements_in(text)] == [flag]


def test_sections_and_offsets():
    report = "HISTORY: pain. TECHNIQUE: 5 mm.\nFINDINGS:\nLIVER: Normal.\n\nIMPRESSION:\n1. Cyst.\n2. Fine."
    read = [
        (sentence.section, sentence.topic and sentence.topic.text, sentence.text) for sentence in read_sections(report)
    ]
    assert read == [
        (SectionKind.HISTORY, None, "pain."),
        (SectionKind.SKIP, None, "5 mm."),
        (SectionKind.FINDINGS, "LIVER", "Normal."),
        (SectionKind.IMPRESSION, None, "1. Cyst."),
        (SectionKind.IMPRESSION, None, "2. Fine."),
    ]
    assert all(report[sentence.start : sentence.end] == sentence.text for sentence in read_sections(report))


def test_report_without_findings_header_goes_on_after_the_preamble():
    report = "EXAM: CT.\n\nTECHNIQUE: 5 mm slices.\n\nThe liver is normal. 2 cm cyst in the left kidney."
    record = EXTRACTOR.extract("case", report)
    assert record.presence[TumorType.LIVER] is Presence.ABSENT
    assert record.presence[TumorType.KIDNEY] is Presence.PRESENT


@pytest.mark.parametrize("tumor_type", list(TumorType))
def test_every_synonym_and_segment_of_the_vocabulary_is_known(tumor_type):
    for word in tumor_type.anatomy.synonyms:
        hit = lexicon().match([token for token, _, _ in tokens_of(word)], 0)
        assert hit is not None
        assert tumor_type in hit[0].organs
    noun = tumor_type.anatomy.synonyms[0]
    for segment in tumor_type.anatomy.segments:
        name = segment.name.replace("_", " ")
        (finding,) = EXTRACTOR.extract("case", f"There is a 2 cm mass in the {name} of the {noun}.").findings
        assert (finding.tumor_type, finding.location) == (tumor_type, segment.name)


@pytest.mark.parametrize(
    ("word", "plural"),
    [
        ("cyst", "cysts"),
        ("metastasis", "metastases"),
        ("area of low density", "areas of low density"),
        ("focus", "foci"),
        ("hypodensity", "hypodensities"),
        ("calculus", "calculi"),
        ("mass", "masses"),
        ("vertebra", "vertebrae"),
    ],
)
def test_plurals(word, plural):
    assert plural_of(word) == plural


TWO_KIDNEYS = "Left kidney: 4 cm enhancing mass in the lower pole and a 2 cm simple cyst. Right kidney: 12 mm nodule."


@pytest.mark.parametrize(
    ("report", "tissue", "expected"),
    [
        (TWO_KIDNEYS, "Left kidney, nephrectomy: renal cell carcinoma.", ["malignant", "benign", "unknown"]),
        (TWO_KIDNEYS, "Right kidney, core biopsy: oncocytoma, benign.", ["unknown", "benign", "benign"]),
        (TWO_KIDNEYS, "LEFT KIDNEY, CYST WALL: benign cyst.", ["unknown", "benign", "unknown"]),
        ("Liver: 9 mm cyst, segment 2. 3 cm mass, segment 6.", "Liver: adenocarcinoma.", ["benign", "malignant"]),
        (
            "Colon: 2 cm polyp in the sigmoid. 4 cm mass in the cecum.",
            "Cecum: adenocarcinoma. Sigmoid colon: tubular adenoma.",
            ["benign", "malignant"],
        ),
        ("2 cm left adrenal adenoma.", "Left adrenal gland: adrenocortical carcinoma.", ["malignant"]),
        ("1 cm simple cyst of the left kidney.", "Left kidney: renal cell carcinoma.", ["benign"]),
    ],
)
def test_pathology_means_the_lesion_that_was_biopsied(report, tissue, expected):
    found = RulesExtractor().extract("a", report, tissue).findings
    assert [str(finding.malignancy) for finding in found] == expected
