"""Extractor errors made on purpose: which organs, which errors, and what is left alone."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
from toy_world import LABELS, recipe_of, record_of

from rsuper_bench.baselines import report_errors
from rsuper_bench.baselines.data import TrainingData
from rsuper_bench.baselines.model_card import model_card
from rsuper_bench.baselines.prepare import prepare
from rsuper_bench.baselines.recipe import load_recipe
from rsuper_bench.baselines.report_errors import MEASURED, ReportError, misread
from rsuper_bench.baselines.targets import Known, channel_label
from rsuper_bench.baselines.trained_on import TrainedOn
from rsuper_bench.benchmark.errors import ConfigError
from rsuper_bench.benchmark.records import Count, Finding, Side
from rsuper_bench.benchmark.tumor_types import TumorType

TUMOR = {"kind": "mass", "diameters_mm": (20.0, 15.0), "attenuation": "hypo"}
REPORTS_ONLY = {"objective": "report_only", "cases": [{"reports": 1}, {"reports": 1}]}


@cache
def recipe_with(rate):
    return recipe_of(report_errors=rate)


def read(record, kind, rate=1.0):
    """The label as it is read, as it is misread, and the error."""
    recipe = recipe_with(rate)
    label = channel_label(record, LABELS, recipe, kind, use_masks=False)
    return label, *misread(label, record, LABELS, recipe, kind)


def case(number, *, liver="present", kidney="present", **tumor):
    findings = []
    if liver == "present":
        findings.append(Finding(tumor_type="liver", **TUMOR | tumor))
    if kidney == "present":
        findings.append(Finding(tumor_type="kidney", side=Side.LEFT, **TUMOR | tumor))
    return record_of(f"case-{number}", presence={"liver": liver, "kidney": kidney}, findings=findings)


def only(monkeypatch, error):
    monkeypatch.setattr(report_errors, "MEASURED", {error: 1, ReportError.MISSED: 1e-12})


def test_no_errors_unless_asked_for(toy_store):
    plain, zero = (TrainingData(toy_store, recipe_of(**REPORTS_ONLY, **more)) for more in ({}, {"report_errors": 0}))
    for one, two in zip(plain.pools["reports"], zero.pools["reports"], strict=True):
        assert list(one.labels) == list(two.labels)
        assert list(two.errors) == []
    assert zero.summary()["reports"]["report_errors"] == {}


def test_every_organ_with_supervision_is_wrong_at_rate_one():
    for number in range(60):
        record = case(number, liver=("present", "absent")[number % 2])
        for kind in (TumorType.LIVER, TumorType.KIDNEY):
            label, wrong, error = read(record, kind)
            assert wrong != label
            assert (error is ReportError.INVENTED) == (label.known is Known.ABSENT)


@pytest.mark.parametrize("presence", ["uncertain", "not_stated"])
def test_an_organ_of_which_the_report_says_nothing_cannot_be_misread(presence):
    label, wrong, error = read(case(1, liver=presence), TumorType.LIVER)
    assert (wrong, error) == (label, None)


def test_share_and_kinds_are_as_asked_for_and_more_errors_hold_the_fewer():
    def errors(rate):
        found = {}
        for number in range(2000):
            _, wrong, error = read(case(number, liver="absent"), TumorType.KIDNEY, rate)
            if error is not None:
                found[number] = (error, wrong)
        return found

    tenth, fifth, every = errors(0.1), errors(0.2), errors(1)
    # four standard deviations of 2000 draws: 0.027 and 0.036
    assert len(tenth) / 2000 == pytest.approx(0.1, abs=0.027)
    assert len(fifth) / 2000 == pytest.approx(0.2, abs=0.036)
    assert tenth.items() <= fifth.items() <= every.items()
    counts, total = Counter(error for error, _ in every.values()), sum(MEASURED.values())
    for error, number in MEASURED.items():  # this tumor has all that can be misread
        assert counts[error] / 2000 == pytest.approx(number / total, abs=0.043)


def test_an_error_follows_from_seed_case_and_type_alone(toy_store):
    def errors(data):
        return {item.index.record.case_id: (item.labels, item.errors) for item in data.pools["reports"]}

    recipe = recipe_of(**REPORTS_ONLY, report_errors=0.5)
    every = errors(TrainingData(toy_store, recipe))
    few = errors(TrainingData(toy_store, recipe.model_copy(update={"max_report_cases": 5})))
    assert len(few) == 5
    assert few.items() <= every.items()
    turned = TrainingData(toy_store, recipe.model_copy(update={"tumor_types": recipe.tumor_types[::-1]}))
    for case_id, (labels, _) in errors(turned).items():
        assert list(labels) == list(every[case_id][0])[::-1]
    assert errors(TrainingData(toy_store, recipe.model_copy(update={"seed": 8}))) != every


def test_cases_with_masks_and_the_store_are_left_alone(toy_store):
    clean, wrong = (TrainingData(toy_store, recipe_of(report_errors=rate)) for rate in (0, 1))
    assert [list(case.labels) for case in clean.pools["masks"]] == [list(case.labels) for case in wrong.pools["masks"]]
    assert not any(case.errors for case in wrong.pools["masks"])
    assert [case.index for case in clean.pools["reports"]] == [case.index for case in wrong.pools["reports"]]
    assert recipe_of().grid_digest == recipe_of(report_errors=1).grid_digest
    assert recipe_of().digest != recipe_of(report_errors=1).digest
    assert all(
        (one.targets.mask == two.targets.mask).all() and (one.hu == two.hu).all()
        for one, two in ((clean.batch(step), wrong.batch(step)) for step in range(3))  # the stage with masks alone
    )


def test_the_summary_counts_the_errors(toy_store):
    summary = TrainingData(toy_store, recipe_of(report_errors=1)).summary()
    clean = TrainingData(toy_store, recipe_of()).summary()["reports"]["known"]
    stated = sum(kind.get("present", 0) + kind.get("absent", 0) for kind in clean.values())
    assert sum(summary["reports"]["report_errors"].values()) == stated == 8
    assert summary["reports"]["report_errors"]["invented"] == sum(kind.get("absent", 0) for kind in clean.values())
    assert summary["masks"]["report_errors"] == {}


def test_a_missed_tumor_leaves_an_organ_free_of_tumors(monkeypatch):
    only(monkeypatch, ReportError.MISSED)
    label, wrong, _ = read(case(1), TumorType.LIVER)
    assert (label.known, wrong.known, wrong.tumors) == (Known.PRESENT, Known.ABSENT, ())


def test_an_invented_tumor_has_a_size_and_the_side_it_needs():
    for number in range(50):
        _, wrong, _ = read(case(number, kidney="absent"), TumorType.KIDNEY)
        (tumor,) = wrong.tumors
        assert 8 <= tumor.diameter_mm <= 40
        assert len(tumor.region) == 1  # one kidney


@pytest.mark.parametrize(
    ("error", "changed"),
    [
        (ReportError.SIZE, ("diameter_mm", "volume_mm3")),
        (ReportError.PLACE, ("region",)),
        (ReportError.ATTENUATION, ("attenuation",)),
    ],
)
def test_an_error_of_a_value_changes_that_value_alone(monkeypatch, error, changed):
    only(monkeypatch, error)
    for number in range(30):
        label, wrong, made = read(case(number), TumorType.KIDNEY)
        assert made is error
        if not wrong.tumors:  # 20 mm read as 2 mm: too small for the grid
            assert error is ReportError.SIZE
            continue
        (one,), (two,) = label.tumors, wrong.tumors
        differ = {name for name in vars(one) if getattr(one, name) != getattr(two, name)}
        assert differ
        assert differ <= set(changed)


def test_misread_sizes_are_of_the_kinds_that_happen(monkeypatch):
    only(monkeypatch, ReportError.SIZE)
    two_axes = {tumor.diameter_mm for number in range(80) for tumor in read(case(number), TumorType.LIVER)[1].tumors}
    assert two_axes == {200.0, 15.0}  # cm for mm, the other axis; 2 mm is too small for the grid
    one_axis = [read(case(number, diameters_mm=(30.0,)), TumorType.LIVER)[1].tumors for number in range(200)]
    sizes = np.array([tumors[0].diameter_mm for tumors in one_axis if tumors])
    assert ((sizes >= 15) & (sizes <= 60)).all()  # 300 mm would have been noticed, 3 mm is too small for the grid
    assert not ((sizes > 24) & (sizes < 37.5)).any()


def test_one_becomes_several_and_several_one(monkeypatch):
    only(monkeypatch, ReportError.COUNT)
    counts = {len(read(case(number), TumorType.LIVER)[1].tumors) for number in range(40)}
    assert counts == {2, 3}
    for count in (Count(value=3), Count(value=None, relation="innumerable"), Count(value=2, relation="at_least")):
        _, wrong, _ = read(case(1, count=count), TumorType.LIVER)
        assert len(wrong.tumors) == 1
        assert wrong.complete


def test_what_a_report_does_not_state_cannot_be_wrong():
    """No size, no brightness, one place: it is missed, or its number is wrong."""
    bare = {"diameters_mm": (), "attenuation": "unknown"}
    errors = {read(case(number, **bare), TumorType.LIVER)[2] for number in range(60)}
    assert errors == {ReportError.MISSED, ReportError.COUNT}
    undescribed = record_of("case-u", presence={"liver": "present"})
    assert read(undescribed, TumorType.LIVER)[2] is ReportError.MISSED


@pytest.mark.parametrize("rate", ["-0.1", "1.5", ".nan", "often", "true"])
def test_a_share_outside_0_to_1_is_refused(rate):
    with pytest.raises(ConfigError, match="report_errors"):
        load_recipe("smoke", [f"report_errors={rate}"])


def test_errors_in_reports_that_are_never_read_are_refused():
    with pytest.raises(ConfigError, match=r"report_errors 0\.2 has no effect: no stage draws cases for their reports"):
        load_recipe("mask_only", ["report_errors=0.2"])
    for name in ("report_only", "multi_task", "clip_like", "pseudo_labels"):
        assert load_recipe(name, ["report_errors=0.2"]).report_errors == 0.2


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_the_card_of_pseudo_labels_says_that_reports_were_misread(share):
    """Its student is trained on masks alone, so no pool of its own counts them."""
    recipe = load_recipe("pseudo_labels", [f"report_errors={share}"])
    card = model_card("org/name", recipe, TrainedOn(release="0", pools={}), (), licence="mit", weights="0")
    assert ("20 % of their organs **wrong on purpose**" in card) == (share > 0)


def test_a_store_serves_any_share_of_errors(tmp_path, toy_store):
    from toy_world import toy_release

    again = prepare(toy_release(), recipe_of(report_errors=0.5), tmp_path / "store")
    assert again.digest == toy_store.digest
