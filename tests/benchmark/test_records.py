"""The vocabulary: strict, frozen, honest about what is not known."""

from math import pi

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from rsuper_bench.benchmark.records import (
    CaseRecord,
    Count,
    Extractor,
    Finding,
    Identifier,
    Kind,
    Presence,
    ReportFindings,
)
from rsuper_bench.benchmark.release import attributes_row, record_from_row
from rsuper_bench.benchmark.tumor_types import SEVEN_TYPES, Sex, Side, TumorType, region_labels

RULES = Extractor(name="rules", version="1")


def case(**changes):
    values = {
        "case_id": "case-1",
        "patient_id": "patient-1",
        "source": "phantom",
        "licence": "CC0-1.0",
        "redistributable": True,
        "split": "train",
        "ct": {
            "file": "ct.nii.gz",
            "sha256": "0" * 64,
            "shape": (4, 5, 6),
            "spacing_mm": (1, 1, 2.5),
            "orientation": "RAS",
        },
        "presence": {},
        "extractor": RULES,
    }
    return CaseRecord.model_validate(values | changes)


@pytest.mark.parametrize(
    ("diameters_mm", "expected_mm3"),
    [
        ((), None),
        ((10,), pi / 6 * 1000),  # a sphere
        ((11, 10), 604.757),  # third axis 10.5: METHOD 1
        ((30, 20, 10), pi / 6 * 6000),
    ],
)
def test_volume_of_reported_sizes(diameters_mm, expected_mm3):
    volume_mm3 = Finding(tumor_type="liver", diameters_mm=diameters_mm).volume_mm3
    assert volume_mm3 == (None if expected_mm3 is None else pytest.approx(expected_mm3, abs=5e-4))


def test_the_seven_types_and_the_others():
    assert {str(kind) for kind in SEVEN_TYPES} == {
        "spleen", "gallbladder", "prostate", "bladder", "uterus", "esophagus", "adrenal",
    }  # fmt: skip
    assert len(TumorType) == 15
    assert TumorType.UTERUS.anatomy.only_sex is Sex.FEMALE
    assert [kind for kind in TumorType if kind.anatomy.sided] == [TumorType.ADRENAL, TumorType.KIDNEY, TumorType.LUNG]


def test_organ_labels_belong_to_one_type_only():
    labels = [label for kind in TumorType for label in kind.anatomy.all_labels]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize(
    ("tumor_type", "available", "side", "location", "expected"),
    [
        ("kidney", ["kidney_left", "kidney_right"], Side.LEFT, None, ("kidney_left",)),
        ("kidney", ["kidney_left", "kidney_right"], None, None, ("kidney_left", "kidney_right")),
        ("kidney", ["kidney_left", "kidney_right"], Side.BILATERAL, None, ("kidney_left", "kidney_right")),
        ("kidney", ["kidney_right"], Side.LEFT, None, ()),
        ("pancreas", ["pancreas"], None, "tail", ("pancreas",)),  # the mask cannot show the tail
        ("pancreas", ["pancreas_head", "pancreas_tail"], None, "tail", ("pancreas_tail",)),
        ("pancreas", ["pancreas_head", "pancreas_tail"], None, None, ("pancreas_head", "pancreas_tail")),
        (
            "lung",
            ["lung_upper_lobe_left", "lung_upper_lobe_right"],
            Side.RIGHT,
            "upper_lobe",
            ("lung_upper_lobe_right",),
        ),
        ("spleen", ["liver"], None, None, ()),
    ],
)
def test_region_is_the_narrowest_place_the_mask_shows(tumor_type, available, side, location, expected):
    assert region_labels(TumorType(tumor_type), available, side=side, location=location) == expected


@pytest.mark.parametrize("presence", [Presence.ABSENT, Presence.NOT_STATED])
def test_a_finding_needs_a_stated_lesion(presence):
    with pytest.raises(ValidationError, match=f"has a spleen finding but presence says '{presence}'"):
        case(presence={"spleen": presence}, findings=[{"tumor_type": "spleen"}])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"location": "tail"}, "liver has no segment 'tail'"),
        ({"evidence": {"colour": (0, 4)}}, "evidence names no field: 'colour'"),
        ({"evidence": {"side": (4, 4)}}, "evidence of 'side' is an empty span"),
        ({"derived": ("colour",)}, "derived names no field: colour"),
        ({"diameters_mm": (1, 2, 3, 4)}, "at most 3"),
        ({"diameters_mm": (0,)}, "greater than 0"),
        ({"certain": True}, "Extra inputs are not permitted"),
    ],
)
def test_findings_refuse_nonsense(changes, message):
    with pytest.raises(ValidationError, match=message):
        Finding(tumor_type="liver", **changes)


def test_exact_count_needs_a_value():
    with pytest.raises(ValidationError, match="an exact count needs a value"):
        Count(value=None)


@pytest.mark.parametrize("text", ["", "../x", "a/b", "-a", ".a", "a" * 129, "a\n", "a b", "é", "a\0"])
def test_unsafe_ids_are_refused(text):
    with pytest.raises(ValidationError):
        TypeAdapter(Identifier).validate_python(text)


@pytest.mark.parametrize("text", ["001", "NA", "1.5", "null", "a" * 128, "A-b_c.d"])
def test_ids_are_text(text):
    assert TypeAdapter(Identifier).validate_python(text) == text


def test_ids_are_never_numbers():
    with pytest.raises(ValidationError):
        TypeAdapter(Identifier).validate_python(1)


@given(
    findings=st.lists(
        st.builds(
            Finding,
            tumor_type=st.sampled_from([TumorType.KIDNEY, TumorType.LIVER]),
            kind=st.sampled_from(Kind),
            side=st.sampled_from([None, *Side]),
            diameters_mm=st.lists(st.floats(0.1, 300), max_size=3).map(tuple),
            evidence=st.dictionaries(
                st.sampled_from(["side", "kind"]), st.integers(0, 99).map(lambda start: (start, start + 3))
            ),
            derived=st.sampled_from([(), ("count",)]),
        ),
        max_size=4,
    ),
    masks=st.dictionaries(st.sampled_from(TumorType), st.floats(0, 1e6)),
)
def test_a_row_holds_all_of_a_record(findings, masks):
    record = case(
        presence={finding.tumor_type: Presence.PRESENT for finding in findings} | {TumorType.UTERUS: Presence.ABSENT},
        findings=findings,
        lesion_masks=masks,
        not_evaluable={TumorType.PROSTATE: "absent_by_sex"},
        sex="F",
        age=61,
    )
    assert record_from_row(attributes_row(record)) == record
    assert CaseRecord.model_validate_json(record.model_dump_json()) == record


def test_report_findings_hold_no_text():
    fields = set(ReportFindings.model_fields)
    assert fields == {"case_id", "presence", "findings", "not_evaluable", "flags", "extractor"}
