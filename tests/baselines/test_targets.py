"""METHOD 1 by example: what a report leaves unknown, and what it rules out."""

import pytest
from toy_world import KIDNEY_LEFT, KIDNEY_RIGHT, LABELS, LIVER, recipe_of, record_of

from rsuper_bench.baselines.targets import Known, channel_labels
from rsuper_bench.benchmark.records import Finding
from rsuper_bench.benchmark.release import LabelMap
from rsuper_bench.benchmark.tumor_types import TumorType


def liver_of(record, *, use_masks=False, **changes):
    return channel_labels(record, LABELS, recipe_of(**changes), use_masks=use_masks)[0]


def kidney_of(record, *, use_masks=False, **changes):
    return channel_labels(record, LABELS, recipe_of(**changes), use_masks=use_masks)[1]


def liver_with(*findings, presence="present"):
    return record_of(
        presence={"liver": presence},
        findings=[Finding(**({"tumor_type": "liver", "kind": "mass"} | f)) for f in findings],
    )


def kidney_with(*findings):
    return record_of(
        presence={"kidney": "present"},
        findings=[Finding(**({"tumor_type": "kidney", "kind": "mass"} | f)) for f in findings],
    )


@pytest.mark.parametrize(
    ("presence", "not_stated", "known", "unknown"),
    [
        ("absent", "unknown", Known.ABSENT, ()),
        ("not_stated", "unknown", Known.UNKNOWN, (LIVER,)),
        ("not_stated", "negative", Known.ABSENT, ()),
        ("uncertain", "unknown", Known.UNKNOWN, (LIVER,)),
        ("uncertain", "negative", Known.UNKNOWN, (LIVER,)),
    ],
)
def test_presence(presence, not_stated, known, unknown):
    label = liver_of(record_of(presence={"liver": presence}), not_stated=not_stated)
    assert (label.known, label.unknown, label.tumors) == (known, unknown, ())


def test_sizes_become_volumes():
    label = liver_of(liver_with({"diameters_mm": (11.0, 10.0)}, {"diameters_mm": (20.0,)}, {}))
    assert label.known is Known.PRESENT
    # METHOD 1: 11 x 10 mm is 604.757 mm^3; a sphere of 20 mm 4188.79 mm^3
    assert [tumor.volume_mm3 for tumor in label.tumors] == [
        pytest.approx(604.757, abs=1e-3),
        pytest.approx(4188.790, abs=1e-3),
        None,
    ]
    assert [tumor.diameter_mm for tumor in label.tumors] == [11.0, 20.0, None]
    assert label.complete
    assert label.unknown == (LIVER,)


def test_an_organ_with_cysts_alone_is_negative():
    assert liver_of(liver_with({"kind": "cyst"})).known is Known.ABSENT
    both = liver_of(liver_with({"kind": "cyst"}, {"diameters_mm": (20.0,)}))
    assert both.known is Known.PRESENT
    assert len(both.tumors) == 1


def test_a_stated_but_undescribed_tumor_is_anywhere_in_the_organ():
    label = liver_of(record_of(presence={"liver": "present"}))
    assert label.known is Known.PRESENT
    assert not label.complete
    assert label.unknown == (LIVER,)
    assert [tumor.volume_mm3 for tumor in label.tumors] == [None]


@pytest.mark.parametrize(
    ("count", "tumors", "complete"),
    [
        ({"value": 3, "relation": "exact"}, 3, True),
        ({"value": 2, "relation": "at_least"}, 2, False),
        ({"value": None, "relation": "innumerable"}, 1, False),
    ],
)
def test_counts(count, tumors, complete):
    label = liver_of(liver_with({"diameters_mm": (20.0,), "count": count}))
    assert len(label.tumors) == tumors
    assert label.complete is complete
    assert [tumor.volume_mm3 is None for tumor in label.tumors] == [False] + [True] * (tumors - 1)


@pytest.mark.parametrize(
    ("findings", "tumors"),
    [
        ([{}], 0),
        ([], 0),  # stated and not described
        ([{"diameters_mm": (20.0,)}, {}], 1),
        ([{"diameters_mm": (20.0,), "count": {"value": 3, "relation": "exact"}}], 1),  # two smaller ones without a size
    ],
)
def test_tumors_without_a_size_can_be_left_out(findings, tumors):
    """Their organ stays unknown, and beside a sized one there may be more: as if they were uncertain."""
    record = liver_with(*findings)
    label = liver_of(record, losses={"unsized": False})
    assert (label.known, label.complete) == (Known.PRESENT if tumors else Known.UNKNOWN, False)
    assert [tumor.diameter_mm for tumor in label.tumors] == [20.0] * tumors
    assert label.unknown == (LIVER,)
    assert len(liver_of(record).tumors) > tumors


def test_sized_tumors_are_the_same_without_unsized_supervision():
    record = liver_with({"diameters_mm": (20.0,), "attenuation": "hypo"}, {"diameters_mm": (9.0, 8.0)})
    assert liver_of(record, losses={"unsized": False}) == liver_of(record)


def test_an_uncertain_tumor_beside_a_certain_one_leaves_the_number_open():
    label = liver_of(liver_with({"diameters_mm": (20.0,)}, {"certainty": "uncertain"}))
    assert len(label.tumors) == 1
    assert not label.complete


def test_a_tumor_under_two_voxels_is_left_out_and_counted():
    # two voxels of 4 mm are 128 mm^3, a sphere of 6.2 mm
    label = liver_of(liver_with({"diameters_mm": (6.0,)}))
    assert (label.known, label.too_small, label.unknown) == (Known.UNKNOWN, 1, (LIVER,))
    assert liver_of(liver_with({"diameters_mm": (6.3,)})).known is Known.PRESENT


def test_each_side_of_a_paired_organ_is_judged_on_its_own():
    left = kidney_of(kidney_with({"side": "left"}))
    assert [tumor.region for tumor in left.tumors] == [(KIDNEY_LEFT,)]
    # the report is silent on the right side: unknown, unless silence means negative
    assert left.unknown == (KIDNEY_LEFT, KIDNEY_RIGHT)
    assert kidney_of(kidney_with({"side": "left"}), not_stated="negative").unknown == (KIDNEY_LEFT,)
    # a cyst on the right: the reader looked there and saw no tumor
    described = kidney_of(kidney_with({"side": "left"}, {"side": "right", "kind": "cyst"}))
    assert described.unknown == (KIDNEY_LEFT,)


def test_a_tumor_of_unknown_side_makes_both_sides_unknown():
    label = kidney_of(kidney_with({}), not_stated="negative")
    assert label.tumors[0].region == (KIDNEY_LEFT, KIDNEY_RIGHT)
    assert label.unknown == (KIDNEY_LEFT, KIDNEY_RIGHT)


def test_a_named_segment_is_the_region_where_the_mask_shows_it():
    labels = LabelMap(organs={1: "pancreas_head", 2: "pancreas_tail", 3: "pancreas"}, lesions={})
    record = record_of(
        organ_labels=("pancreas_head", "pancreas_tail", "pancreas"),
        presence={"pancreas": "present"},
        findings=[Finding(tumor_type="pancreas", kind="mass", location="tail")],
    )
    recipe = recipe_of(tumor_types=["pancreas"])
    assert channel_labels(record, labels, recipe, use_masks=False)[0].unknown == (2,)


def test_no_organ_mask_no_supervision():
    record = record_of(organ_labels=("liver",), presence={"kidney": "absent"})
    assert kidney_of(record).known is Known.NO_ORGAN


def test_a_case_drawn_for_its_masks_never_reads_its_report():
    record = record_of(presence={"liver": "present", "kidney": "absent"}, masks={"liver": 0.0})
    assert liver_of(record, use_masks=True).known is Known.MASK
    # a type without a mask is unknown there, whatever the report says (METHOD 1)
    assert kidney_of(record, use_masks=True).known is Known.UNKNOWN
    # and drawn for its report, its mask is not read
    assert liver_of(record).known is Known.PRESENT


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (["malignant", "malignant"], "malignant"),
        (["benign"], "benign"),
        (["malignant", "benign"], "unknown"),
        (["malignant", "unknown"], "unknown"),
    ],
)
def test_malignancy_is_what_all_tumors_share(stated, expected):
    record = liver_with(*({"diameters_mm": (20.0,), "malignancy": word} for word in stated))
    assert liver_of(record).malignancy == expected
    masked = record.model_copy(update={"lesion_masks": {TumorType.LIVER: 900.0}})
    assert liver_of(masked, use_masks=True).malignancy == expected


def test_malignancy_of_tumors_that_may_not_be_all_is_unknown():
    more = {"diameters_mm": (20.0,), "malignancy": "malignant", "count": {"value": 1, "relation": "at_least"}}
    assert liver_of(liver_with(more)).malignancy == "unknown"
    cyst_beside = liver_with({"kind": "cyst", "malignancy": "benign"}, {"malignancy": "malignant"})
    assert liver_of(cyst_beside).malignancy == "malignant"
