"""Tasks: what counts as positive, and what is left out with which reason."""

import pytest

from rsuper_bench.benchmark.errors import ConfigError
from rsuper_bench.benchmark.records import CaseRecord
from rsuper_bench.benchmark.stratum import Axis
from rsuper_bench.benchmark.task import NotStated, Task, load_task, shipped_tasks, stated_presence
from rsuper_bench.benchmark.tumor_types import TumorType

KIDNEY = TumorType.KIDNEY


def case(presence, *findings, **changes):
    return CaseRecord.model_validate(
        {
            "case_id": "c",
            "patient_id": "p",
            "source": "s",
            "licence": "CC0-1.0",
            "redistributable": True,
            "split": "test",
            "ct": {"file": "c", "sha256": "0" * 64, "shape": (1, 1, 1), "spacing_mm": (1, 1, 1), "orientation": "RAS"},
            "presence": {} if presence is None else {"kidney": presence},
            "findings": [{"tumor_type": "kidney", **finding} for finding in findings],
            "extractor": {"name": "rules", "version": "1"},
        }
        | changes
    )


def task(**changes):
    return Task.model_validate({"name": "t-v1", "description": "", "tumor_types": ["kidney"]} | changes)


CYST, MASS = {"kind": "cyst"}, {"kind": "mass"}
UNSURE = {"kind": "mass", "certainty": "uncertain"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (case("absent"), (False, None)),
        (case("present", MASS), (True, None)),
        (case("present"), (True, None)),  # stated without a description
        (case("present", CYST), (False, None)),  # a cyst is not a tumor
        (case("present", CYST, MASS), (True, None)),
        (case("present", UNSURE), (None, "uncertain")),
        (case("present", UNSURE, MASS), (True, None)),
        (case("present", CYST, UNSURE), (None, "uncertain")),
        (case("uncertain", UNSURE), (None, "uncertain")),
        (case("not_stated"), (None, "not_stated")),
        (case(None), (None, "not_stated")),
        (case("absent", not_evaluable={"kidney": "resected"}), (None, "resected")),
    ],
)
def test_truth_from_the_report(record, expected):
    truth = task().truth(record, KIDNEY)
    assert (truth.positive, truth.reason) == expected


def test_a_task_may_count_cysts_and_silence():
    assert task(positive_kinds=["cyst"]).truth(case("present", CYST), KIDNEY).positive is True
    assert task(not_stated="negative").truth(case(None), KIDNEY).positive is False


@pytest.mark.parametrize(("masks", "expected"), [({"kidney": 5.0}, True), ({"kidney": 0.0}, False), ({}, None)])
def test_truth_from_masks(masks, expected):
    truth = task(reference="mask").truth(case("present", MASS, lesion_masks=masks), KIDNEY)
    assert truth.positive is expected
    assert (truth.reason is None) is (expected is not None)


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        ({"malignancy": "malignant", "malignancy_source": "pathology"}, True),
        ({"malignancy": "benign", "malignancy_source": "pathology"}, False),
        ({"malignancy": "malignant", "malignancy_source": "report"}, None),
    ],
)
def test_truth_from_pathology(finding, expected):
    assert task(reference="pathology").truth(case("present", MASS | finding), KIDNEY).positive is expected


@pytest.mark.parametrize(("sex", "expected"), [("M", "absent_by_sex"), ("F", "not_stated"), (None, "not_stated")])
def test_organs_of_the_other_sex_are_excluded(sex, expected):
    assert task(tumor_types=["uterus"]).truth(case("absent", sex=sex), TumorType.UTERUS).reason == expected


def test_stated_presence_of_chosen_kinds():
    assert stated_presence(case("present", CYST), KIDNEY) == "absent"
    assert stated_presence(case("present", CYST), KIDNEY, ("cyst",)) == "present"


def test_fingerprint_moves_with_all_that_moves_a_score():
    base = task().fingerprint
    assert task(description="other words").fingerprint == base
    for change in (
        {"positive_kinds": ["cyst"]}, {"not_stated": "negative"}, {"reference": "mask"}, {"tumor_types": ["liver"]},
        {"bootstrap_replicates": 500}, {"call_rule": "volume"}, {"name": "t-v2"},
    ):  # fmt: skip
        assert task(**change).fingerprint != base, change


def test_shipped_tasks_load():
    assert {"seven-tumors-v1", "abdomen-v1", "demo-phantom-v1"} <= set(shipped_tasks())
    for name in shipped_tasks():
        assert load_task(name).name == name
    assert len(load_task("seven-tumors-v1").tumor_types) == 7


def test_unknown_task():
    with pytest.raises(ConfigError, match="Did you mean 'seven-tumors-v1'"):
        load_task("seven-tumor-v1")


def test_a_type_twice_is_refused():
    with pytest.raises(ValueError, match="stands twice"):
        task(tumor_types=["kidney", "kidney"])


def test_a_changed_copy_has_another_fingerprint():
    first = task()
    before = first.fingerprint
    assert first.model_copy(update={"not_stated": NotStated.NEGATIVE}).fingerprint != before
    assert first.model_copy(update={"strata": (Axis.SIZE,), "description": "other"}).fingerprint == before


@pytest.mark.parametrize("points", [{"specifity": 0.9}, {"specificity": 1.1}, {"sensitivity": float("nan")}])
def test_misspelt_and_impossible_operating_points_are_refused(points):
    with pytest.raises(ValueError, match="operating_points"):
        task(operating_points=points)
