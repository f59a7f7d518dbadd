"""What of an answer is kept: values with a real quote, with their spans; the rest is counted."""

import json

import pytest
from fake_llm_server import NOTHING, finding, honest, quoted
from fake_llm_server import report as numbered_report
from pydantic import ValidationError

from rsuper_bench.benchmark.records import Certainty, Count, CountRelation, Malignancy, NotEvaluable, Presence
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.llm.answers import (
    Answer,
    PathologyAnswer,
    ReportAnswer,
    answer_schema,
    schema_digest,
)
from rsuper_bench.dataset_builder.extraction.llm.prompt import ANSWERS, prompt_text
from rsuper_bench.dataset_builder.extraction.llm.verify import verify_pathology, verify_report

REPORT = (
    "FINDINGS: Multiple hypodense metastases in segment 7 of the liver, the largest 2.1 x 1.8 cm (series 3, image 45), "
    "previously 1.5 cm. Possible 7 mm cyst in the left kidney. The spleen is normal. Status post cholecystectomy."
)


def read(*findings, organs=(), report=REPORT):
    return verify_report(ReportAnswer.model_validate({"organs": list(organs), "findings": list(findings)}), report)


def metastases(**changes):
    values = {
        "kind": quoted("metastases", "metastasis"),
        "location": quoted("segment 7", "segment_7"),
        "size": {"quote": "2.1 x 1.8 cm", "time": "current", "tenths_mm": [210, 180]},
        "count": {"quote": "Multiple", "relation": "at_least", "value": 2},
        "attenuation": quoted("hypodense", "hypo"),
        "malignancy": quoted("metastases", "malignant"),
        "series": quoted("series 3", 3),
        "image": quoted("image 45", 45),
    }
    return finding("liver", "liver", **values | changes)


def test_every_value_keeps_its_words():
    (found,) = read(metastases()).findings
    words = {name: REPORT[slice(*span)] for name, span in found.evidence.items()}
    assert words == {
        "tumor_type": "liver",
        "kind": "metastases",
        "location": "segment 7",
        "diameters_mm": "2.1 x 1.8 cm",
        "count": "Multiple",
        "attenuation": "hypodense",
        "malignancy": "metastases",
        "malignancy_source": "metastases",
        "series": "series 3",
        "image": "image 45",
    }
    assert found.diameters_mm == (21.0, 18.0)
    assert found.count == Count(value=2, relation=CountRelation.AT_LEAST)
    assert found.derived == ("certainty",)


def test_every_value_is_backed_or_derived():
    (found,) = read(finding("liver", "liver")).findings  # all the rest is abstained from
    assert set(found.evidence) | set(found.derived) == {"tumor_type", "kind", "count", "certainty"}


@pytest.mark.parametrize("field", [name for name in NOTHING if name not in ("side", "certainty")])
def test_a_value_without_a_real_quote_is_dropped_and_counted(field):
    honest_values = metastases()
    lie = honest_values[field] | {"quote": "words that are not there"}
    reading = read(metastases(**{field: lie}))
    (found,) = reading.findings
    name = "diameters_mm" if field == "size" else field
    assert name not in found.evidence
    assert reading.dropped == {f"no_quote:{name}": 1}
    if field == "malignancy":
        assert found.malignancy_source is None


def test_a_finding_whose_organ_is_made_up_is_dropped_whole():
    reading = read(finding("pancreas", "pancreatic head"), metastases())
    assert [found.tumor_type for found in reading.findings] == ["liver"]
    assert reading.dropped == {"no_quote:tumor_type": 1}
    assert reading.presence[TumorType.PANCREAS] is Presence.NOT_STATED


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("size", {"quote": "2.1 x 1.8 cm", "time": "current", "tenths_mm": [21, 18]}, "diameters_mm"),  # mm for cm
        ("size", {"quote": "2.1 x 1.8 cm", "time": "current", "tenths_mm": [210, 180, 150]}, "diameters_mm"),
        ("series", quoted("series 3", 4), "series"),
        ("image", quoted("image 45", 4), "image"),
        ("location", quoted("segment 7", "uncinate"), "location"),  # of the pancreas
        ("side", quoted("left", "left"), "side"),  # the liver has none
        ("count", {"quote": "Multiple", "relation": "exact", "value": None}, "count"),
    ],
)
def test_a_value_that_its_quote_does_not_state_is_dropped_and_counted(field, value, name):
    reading = read(metastases(**{field: value}))
    assert reading.dropped == {f"misfit:{name}": 1}
    assert name not in reading.findings[0].evidence


def test_an_earlier_size_is_no_size():
    reading = read(metastases(size={"quote": "1.5 cm", "time": "prior", "tenths_mm": [150]}))
    assert reading.findings[0].diameters_mm == ()
    assert reading.dropped == {}


def organ(name, quote, status):
    return {"quote": quote, "organ": name, "status": status}


def test_presence_follows_findings_then_organs():
    doubted = finding("kidney", "kidney", certainty=quoted("Possible", "uncertain"))
    organs = [
        organ("spleen", "spleen is normal", "absent"),
        organ("liver", "liver", "absent"),  # the finding says otherwise
        organ("gallbladder", "Status post cholecystectomy", "resected"),
        organ("pancreas", "The pancreas is normal", "absent"),  # made up
        organ("adrenal", "hypodense", "uncertain"),
    ]
    reading = read(metastases(), doubted, organs=organs)
    stated = {kind: presence for kind, presence in reading.presence.items() if presence is not Presence.NOT_STATED}
    assert stated == {"liver": "present", "kidney": "uncertain", "spleen": "absent", "adrenal": "uncertain"}
    assert reading.not_evaluable == {TumorType.GALLBLADDER: NotEvaluable.RESECTED}
    assert reading.flags == ("contradiction:liver",)
    assert reading.dropped == {"no_quote:presence": 1}
    assert reading.findings[1].certainty is Certainty.UNCERTAIN


def test_a_lesion_without_a_finding_stays_present_and_is_flagged():
    reading = read(organs=[organ("liver", "metastases", "present")])
    assert reading.presence[TumorType.LIVER] is Presence.PRESENT
    assert reading.flags == ("present_without_finding:liver",)


def test_what_is_kept_holds_no_text():
    kept = read(metastases(), organs=[organ("spleen", "spleen is normal", "absent")]).model_dump_json()
    for words in ("Multiple", "series 3", "2.1 x", "segment 7", "is normal"):
        assert words not in kept


def test_pathology_needs_both_quotes():
    text = "Liver, core biopsy: metastatic adenocarcinoma. Kidney: atypical cells."

    def diagnosis(organ, nature):
        return {"organ": organ, "malignancy": nature}

    answer = PathologyAnswer.model_validate(
        {
            "diagnoses": [
                diagnosis(quoted("Liver", "liver"), quoted("adenocarcinoma", "malignant")),
                diagnosis(quoted("Spleen", "spleen"), quoted("adenocarcinoma", "malignant")),
                diagnosis(quoted("Liver", "liver"), quoted("hemangioma", "benign")),
                diagnosis(quoted("Kidney", "kidney"), quoted("atypical", "unknown")),
            ]
        }
    )
    reading = verify_pathology(answer, text)
    assert reading.natures == {TumorType.LIVER: (Malignancy.MALIGNANT,)}
    assert reading.dropped == {"no_quote:pathology_malignancy": 1, "no_quote:pathology_organ": 1}


def objects_in(schema):
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from objects_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects_in(value)


@pytest.mark.parametrize("model", [ReportAnswer, PathologyAnswer])
def test_the_schema_bounds_everything(model):
    schema = answer_schema(model)
    for part in objects_in(schema):
        if part.get("type") == "string" and "enum" not in part:
            assert part["maxLength"] <= 240
        if part.get("type") == "array":
            assert part["maxItems"] <= 24
        if part.get("type") == "integer":
            assert part["minimum"] >= 0
            assert part["maximum"] < 10**6
        assert part.get("type") != "number"  # an unbounded one is 215E537602
        if part.get("type") == "object":
            assert part["additionalProperties"] is False
            assert set(part["required"]) == set(part["properties"])
    assert "title" not in schema
    assert "pydantic" not in json.dumps(schema)
    assert "FieldInfo" not in json.dumps(schema)  # a name that changes with the library would change the digest
    assert schema_digest(model) == schema_digest(model)


@pytest.mark.parametrize(
    "change",
    [
        {"findings": [{**metastases(), "kind": quoted("liver", "tumour")}]},
        {"findings": [{**metastases(), "size": {"quote": "x", "time": "current", "tenths_mm": [0]}}]},
        {"findings": [{**metastases(), "size": {"quote": "x", "time": "current", "tenths_mm": [21.5]}}]},
        {"findings": [{**metastases(), "location": quoted("x", "elbow")}]},
        {"findings": [{**metastases(), "extra": 1}]},
        {"findings": [{key: value for key, value in metastases().items() if key != "side"}]},
        {"findings": [metastases()] * 25},
        {"organs": [organ("liver", "x", "maybe")]},
        {"organs": [organ("liver", "x" * 241, "absent")]},
    ],
)
def test_an_answer_outside_the_schema_is_refused(change):
    with pytest.raises(ValidationError):
        ReportAnswer.model_validate({"organs": [], "findings": []} | change)


def test_prompts_name_what_the_schema_names():
    for name, model in ANSWERS.items():
        text = prompt_text(name)
        assert issubclass(model, Answer)
        for key in model.model_fields:
            assert f'"{key}"' in text
    findings = prompt_text("findings-v1")
    for words in ("present", "absent", "uncertain", "resected", "not_seen", "wall_thickening", "at_least", "prior"):
        assert f'"{words}"' in findings


def test_the_fake_server_is_right_about_its_own_reports():
    for number in range(40):
        reading = verify_report(ReportAnswer.model_validate(honest(numbered_report(number))), numbered_report(number))
        assert reading.dropped == {}
        assert len(reading.findings) == 1


@pytest.mark.parametrize("turn", [1, -1])
def test_of_two_entries_for_an_organ_the_lesion_counts_in_any_order(turn):
    text = "The left kidney is normal. A mass in the right kidney."
    entries = [
        {"quote": "left kidney is normal", "organ": "kidney", "status": "absent"},
        {"quote": "mass in the right kidney", "organ": "kidney", "status": "present"},
    ][::turn]
    reading = read(organs=entries, report=text)
    assert reading.presence["kidney"] is Presence.PRESENT
    assert reading.flags == ("present_without_finding:kidney",)


def test_a_finding_said_twice_is_one():
    reading = read(metastases(), metastases(), metastases(kind=None))
    assert len(reading.findings) == 2
    assert reading.dropped == {"repeated:finding": 1}


@pytest.mark.parametrize(("relation", "value"), [("exact", None), ("at_least", None), ("innumerable", 5)])
def test_a_count_that_contradicts_itself_is_left_out(relation, value):
    reading = read(metastases(count={"quote": "Multiple", "relation": relation, "value": value}))
    assert reading.dropped == {"misfit:count": 1}
    assert "count" in reading.findings[0].derived
