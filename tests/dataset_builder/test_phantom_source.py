"""Phantoms: deterministic, anatomically plausible, and true to what they say of themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.nifti import nifti_bytes
from rsuper_bench.benchmark.records import Attenuation, Kind, NotEvaluable, Phase, Presence, Split
from rsuper_bench.benchmark.tumor_types import Sex, TumorType, region_labels
from rsuper_bench.dataset_builder.label_map import LABEL_MAP, LESION_NUMBER, ORGAN_NUMBER
from rsuper_bench.dataset_builder.lesions.config import LesionConfig
from rsuper_bench.dataset_builder.phantom import PhantomConfig, PhantomSource, load_phantom_config
from rsuper_bench.dataset_builder.phantom.config import SUPPORTED_TYPES, Scanner
from rsuper_bench.dataset_builder.raw_case import CaseKey
from rsuper_bench.dataset_builder.report_grammar import ReportStyle

SMALL = {"shape": (64, 48, 76), "spacing_mm": (5.0, 5.0, 5.0), "center_mm": (0.0, 0.0, -40.0)}
UPPER = {"shape": (64, 48, 48), "spacing_mm": (4.0, 4.0, 4.0), "body_scale": 0.7, "center_mm": (0.0, 0.0, 40.0)}
QUIET = {"noise_hu": 0.0, "texture_hu": 0.0, "scanners": (Scanner(name="ideal", blur_mm=0.0),)}


def source(seed=0, **config):
    return PhantomSource(PhantomConfig(**(SMALL | config)), seed)


def keys_of(phantoms):
    return list(phantoms.keys())


def case(index=0, seed=0, **config):
    phantoms = source(seed, **config)
    return phantoms.make(keys_of(phantoms)[index])


def everything(made):
    lesions = made.lesions and nifti_bytes(made.lesions)
    return (nifti_bytes(made.ct), nifti_bytes(made.organs), lesions, made.report, made.planted_findings, made.sex)


def organ(made, kind):
    numbers = [ORGAN_NUMBER[name] for name in region_labels(kind, ORGAN_NUMBER)]
    return np.isin(made.organs.data, numbers)


def middle_mm(made, *labels):
    mask = np.isin(made.organs.data, [ORGAN_NUMBER[label] for label in labels])
    return made.organs.affine[:3, :3] @ np.argwhere(mask).mean(0) + made.organs.affine[:3, 3]


def tumors(made, kind=None):
    found = [item for item in made.planted_findings if item.kind is not Kind.CYST]
    return [item for item in found if kind in (None, item.tumor_type)]


def test_a_case_depends_on_seed_and_id_only():
    few, many = source(n_cases=3), source(n_cases=40)
    late, early = many.make(many.keys()[2]), few.make(few.keys()[0])
    assert everything(few.make(few.keys()[2])) == everything(late)
    assert everything(many.make(many.keys()[0])) == everything(early)
    assert everything(early) != everything(case(0, seed=1))


def test_ids():
    keys = source(n_cases=12).keys()
    assert [key.case_id for key in keys] == [f"phantom-{index:05d}" for index in range(12)]
    assert all(key.split is None for key in keys)
    with pytest.raises(DataError, match="no such phantom"):
        source(n_cases=12).make(CaseKey("phantom-00012", "x"))


def test_patients_with_several_cts_stay_in_one_split():
    phantoms = source(n_train=40, n_validation=20, n_test=20, share_followup=0.6)
    splits = {}
    for key in keys_of(phantoms):
        splits.setdefault(key.patient_id, []).append(key.split)
    assert [key.split for key in keys_of(phantoms)].count(Split.TRAIN) == 40
    assert all(len(set(group)) == 1 for group in splits.values())
    assert max(len(group) for group in splits.values()) > 1
    assert max(len(group) for group in splits.values()) <= 4


def test_cts_of_a_patient_show_the_same_person():
    phantoms = source(share_followup=1.0, n_cases=2, prevalence=1.0, tumor_types=("liver",))
    first, second = (phantoms.make(key) for key in keys_of(phantoms))
    assert first.patient_id == second.patient_id
    assert first.case_id != second.case_id
    assert first.sex == second.sex
    assert len(tumors(first)) == len(tumors(second))
    overlap = (organ(first, TumorType.SPLEEN) & organ(second, TumorType.SPLEEN)).sum()
    assert overlap > 0.9 * organ(first, TumorType.SPLEEN).sum()
    assert not np.array_equal(first.ct.data, second.ct.data)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_anatomy_lies_where_it_should(seed):
    made = case(seed=seed, share_female=0.0)
    assert made.ct.orientation == made.organs.orientation == "RAS"
    x, y, z = range(3)  # grow to the right, to the front, to the head
    liver, spleen = middle_mm(made, "liver"), middle_mm(made, "spleen")
    assert liver[x] > 30
    assert spleen[x] < -30
    for paired in ("kidney", "adrenal_gland", "lung"):
        assert middle_mm(made, f"{paired}_right")[x] > 0 > middle_mm(made, f"{paired}_left")[x]
    assert middle_mm(made, "adrenal_gland_left")[z] > middle_mm(made, "kidney_left")[z]
    assert (
        middle_mm(made, "pancreas_head")[x] > middle_mm(made, "pancreas_body")[x] > middle_mm(made, "pancreas_tail")[x]
    )
    assert middle_mm(made, "vertebrae")[y] < middle_mm(made, "aorta")[y] < middle_mm(made, "liver")[y]
    assert middle_mm(made, "aorta")[x] < middle_mm(made, "inferior_vena_cava")[x]
    assert middle_mm(made, "prostate")[z] < middle_mm(made, "urinary_bladder")[z] < liver[z]
    assert middle_mm(made, "esophagus")[z] > middle_mm(made, "stomach")[z]


def test_organs_have_human_sizes():
    ml = {name: [] for name in ("liver", "spleen", "kidney_left", "urinary_bladder", "prostate")}
    for index in range(6):
        made = case(index, share_female=0.0, prevalence=0.0, cyst_rate={})
        for name in ml:
            ml[name].append((made.organs.data == ORGAN_NUMBER[name]).sum() * made.organs.voxel_mm3 / 1000)
    for name, (low, high) in {
        "liver": (1000, 2300), "spleen": (90, 400), "kidney_left": (80, 250), "urinary_bladder": (60, 350),
        "prostate": (15, 70),
    }.items():  # fmt: skip
        assert low < np.mean(ml[name]) < high, name


def test_the_image_is_a_ct():
    made = case()
    assert made.ct.data.dtype == np.int16
    assert made.ct.data.min() >= -1024
    assert made.ct.data.max() <= 3071
    body = made.organs.data > 0
    assert made.ct.data[~body].mean() < -900
    lungs = np.isin(made.organs.data, [ORGAN_NUMBER["lung_left"], ORGAN_NUMBER["lung_right"]])
    assert made.ct.data[lungs].mean() < -600
    assert made.ct.data[made.organs.data == ORGAN_NUMBER["vertebrae"]].mean() > 120


def test_noise_is_what_was_asked_for():
    loud, quiet = (
        case(noise_hu=noise, scanners=(Scanner(name="s"),), prevalence=0.0, cyst_rate={}) for noise in (30.0, 0.0)
    )
    difference = loud.ct.data.astype(float) - quiet.ct.data
    assert difference[loud.organs.data > 0].std() == pytest.approx(30, rel=0.05)


@pytest.mark.parametrize("phase", [Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.NON_CONTRAST])
def test_phases_enhance_the_vessels(phase):
    made = case(phases={phase: 1.0}, organ_variation_hu=0.0)
    aorta = made.ct.data[made.organs.data == ORGAN_NUMBER["aorta"]]
    expected = {Phase.ARTERIAL: 310, Phase.PORTAL_VENOUS: 150, Phase.NON_CONTRAST: 42}[phase]
    assert made.phase is phase
    assert np.median(aorta) == pytest.approx(expected, abs=25)


@pytest.mark.parametrize("kind", SUPPORTED_TYPES)
def test_every_type_can_be_planted(kind):
    sex = 0.0 if kind is TumorType.PROSTATE else 1.0
    made = case(tumor_types=(kind,), prevalence=1.0, share_female=sex, lesions=LesionConfig(size_mm=(14, 25)))
    drawn = made.lesions.data > 0
    assert set(np.unique(made.lesions.data)) == {0, LESION_NUMBER[kind]}
    assert organ(made, kind)[drawn].all()
    assert len(tumors(made, kind)) == ndimage.label(drawn, np.ones((3, 3, 3)))[1]


@pytest.mark.parametrize("wanted", list(Attenuation)[:4])
def test_attenuation_is_seen_in_the_image(wanted):
    config = LesionConfig(
        attenuation={wanted: 1.0}, contrast_hu=(40, 50), iso_contrast_hu=(0, 3), size_mm=(25, 35), texture=0,
        border_mm=0.1, multifocal=0,
    )  # fmt: skip
    for index in range(3):
        made = case(index, tumor_types=("liver",), prevalence=1.0, cyst_rate={}, lesions=config, **QUIET, **UPPER)
        (finding,) = tumors(made)
        assert finding.attenuation is wanted
        lesion = made.lesions.data > 0
        liver = float(np.median(made.ct.data[organ(made, TumorType.LIVER) & ~lesion]))
        values = made.ct.data[lesion] - liver
        dark, bright = (values < -35).mean(), (values > 35).mean()
        match wanted:
            case Attenuation.HYPO:
                assert dark > 0.95
            case Attenuation.HYPER:
                assert bright > 0.95
            case Attenuation.MIXED:
                assert 0.3 < dark < 0.7
                assert 0.3 < bright < 0.7
            case _:
                assert (abs(values) < 10).mean() > 0.95


def test_masks_agree_with_the_planted_findings():
    for index in range(4):
        made = case(index, prevalence=0.8)
        for kind in made.lesion_types:
            drawn_mm3 = LABEL_MAP.lesion_mask(made.lesions.data, kind).sum() * made.lesions.voxel_mm3
            assert sum(item.volume_mm3 for item in tumors(made, kind)) == pytest.approx(drawn_mm3, rel=1e-6)


def test_sizes_are_in_the_configured_range():
    made = [
        case(index, tumor_types=("liver",), prevalence=1.0, lesions=LesionConfig(size_mm=(20, 30)))
        for index in range(8)
    ]
    sizes = [(6 / np.pi * item.volume_mm3) ** (1 / 3) for one in made for item in tumors(one)]
    assert len(sizes) >= 8
    assert min(sizes) > 19
    assert max(sizes) < 31
    assert max(sizes) - min(sizes) > 3


def test_lesion_slices_are_counted_from_the_head():
    made = case(tumor_types=("liver",), prevalence=1.0, lesions=LesionConfig(multifocal=0))
    (finding,) = tumors(made)
    depth = np.flatnonzero(made.lesions.data.any((0, 1)))
    assert depth.min() <= made.ct.data.shape[2] - finding.image <= depth.max()


def test_cysts_are_water_and_in_no_mask():
    made = case(
        tumor_types=("liver",), prevalence=0.0, cyst_rate={"liver": 1.0}, cyst_size_mm=(30, 35), **QUIET, **UPPER
    )
    (cyst, *_) = made.planted_findings
    assert cyst.kind is Kind.CYST
    assert not made.lesions.data.any()
    dark = (made.ct.data < 20) & organ(made, TumorType.LIVER)
    assert dark.sum() * made.ct.voxel_mm3 == pytest.approx(sum(f.volume_mm3 for f in made.planted_findings), rel=0.35)


def test_sexes():
    man, woman = case(share_female=0.0), case(share_female=1.0)
    assert (man.sex, woman.sex) == (Sex.MALE, Sex.FEMALE)
    assert man.not_evaluable == {TumorType.UTERUS: NotEvaluable.ABSENT_BY_SEX}
    assert woman.not_evaluable == {TumorType.PROSTATE: NotEvaluable.ABSENT_BY_SEX}
    assert TumorType.UTERUS not in man.lesion_types


def test_organs_outside_the_grid_are_not_evaluable():
    made = case(tumor_types=("bladder", "liver"), prevalence=1.0, **UPPER)
    assert made.not_evaluable == {TumorType.BLADDER: NotEvaluable.OUT_OF_VIEW}
    assert "bladder" not in made.report.lower()


def test_masks_are_missing_in_training_only():
    phantoms = source(n_train=20, n_validation=3, n_test=3, mask_share=0.25, share_followup=0.0, **UPPER)
    made = [phantoms.make(key) for key in keys_of(phantoms)]
    assert sum(one.lesions is not None for one in made[:20]) == 5
    assert all(one.lesions is not None for one in made[20:])
    assert all(one.lesion_types == () for one in made if one.lesions is None)


def test_reports_tell_the_measured_sizes():
    style = ReportStyle(unsized=0, hedged=0, equivocal=0, grouped=0, prior=0)
    phantoms = source(size_noise=0.0, prevalence=0.7, report=style, **UPPER)
    for key in keys_of(phantoms)[:6]:
        made, expected = phantoms.make(key), phantoms.expected(key)
        true_mm = [item.diameters_mm[0] for item in made.planted_findings]
        assert len(expected.findings) == len(made.planted_findings)
        for told in expected.findings:
            assert min(abs(told.diameters_mm[0] - size) for size in true_mm) <= 0.5
        for kind, presence in expected.presence.items():
            found = any(item.tumor_type is kind for item in made.planted_findings)
            assert presence in ((Presence.PRESENT,) if found else (Presence.ABSENT, Presence.NOT_STATED))


def test_size_noise_has_the_configured_spread():
    style = ReportStyle(unsized=0, grouped=0, prior=0, diameters=(1, 0, 0), hedged=0)
    lesions = LesionConfig(size_mm=(30, 40), multifocal=0)
    grid = {"shape": (40, 32, 32), "spacing_mm": (8.0, 8.0, 8.0), "center_mm": (0.0, 0.0, 40.0)}
    phantoms = source(
        n_cases=60, tumor_types=("liver",), prevalence=1.0, cyst_rate={}, lesions=lesions, report=style,
        size_noise=0.2, share_followup=0.0, **grid,
    )  # fmt: skip
    ratios = []
    for key in keys_of(phantoms):
        told = phantoms.expected(key).findings[0].diameters_mm[0]
        ratios.append(np.log(told / phantoms.make(key).planted_findings[0].diameters_mm[0]))
    # sd of the log ratio: the common error and a third of it for the axis, sqrt(1 + 1/9) x 0.2 = 0.211
    assert np.std(ratios) == pytest.approx(0.211, rel=0.25)
    assert abs(np.mean(ratios)) < 0.06


def test_prevalence_can_differ_by_type():
    made = case(tumor_types=("liver", "kidney"), prevalence={"liver": 1.0}, cyst_rate={}, **UPPER)
    assert {item.tumor_type for item in made.planted_findings} == {TumorType.LIVER}


@pytest.mark.parametrize("name", ["phantom-demo", "phantom-default"])
def test_shipped_configs_load_and_work(name):
    config = load_phantom_config(name)
    phantoms = PhantomSource(config, 0)
    made = phantoms.make(keys_of(phantoms)[0])
    assert made.ct.data.shape == config.shape
    assert made.ct.spacing_mm == pytest.approx(config.spacing_mm)
    assert set(made.not_evaluable.values()) <= {NotEvaluable.ABSENT_BY_SEX}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_case: 3", "Did you mean 'n_cases'"),
        ("n_train: 3", "together or not at all"),
        ("tumor_types: [lung]", "phantoms have no lung"),
        ("tumor_types: [liver, liver]", "stands twice"),
        ("lesions: {size_mm: [30, 10]}", "lower end"),
        ("lesions: {attenuation: {unknown: 1}}", "known attenuation"),
        ("lesions: {attenuation: {hypo: 0}}", "above 0"),
        ("cyst_size_mm: [0, 10]", "starts above 0"),
        ("prevalence: 1.5", "less than or equal to 1"),
        ("shape: [8, 64, 64]", "greater than or equal to 16"),
        ("report: {unsized: 2}", "less than or equal to 1"),
    ],
)
def test_wrong_configs_are_named(tmp_path, text, message):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_phantom_config(path)


@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(*[st.integers(16, 40)] * 3),
    spacing=st.sampled_from([(6.0, 6.0, 6.0), (9.0, 8.0, 12.0), (5.0, 5.0, 20.0)]),
    center=st.tuples(st.floats(-60, 60), st.floats(-40, 40), st.floats(-260, 200)),
    scale=st.sampled_from([0.5, 1.0, 1.3]),
    size=st.tuples(st.floats(1, 40), st.floats(40, 120)),
    outline=st.floats(0, 0.5),
    seed=st.integers(0, 2**31),
)
def test_any_grid_and_any_size_keep_the_promises(shape, spacing, center, scale, size, outline, seed):
    config = PhantomConfig(
        n_cases=1, shape=shape, spacing_mm=spacing, center_mm=center, body_scale=scale, prevalence=0.8,
        lesions=LesionConfig(size_mm=size, irregularity=outline, multifocal=0.6),
    )  # fmt: skip
    phantoms = PhantomSource(config, seed)
    (key,) = keys_of(phantoms)
    made = phantoms.make(key)
    assert made.ct.data.shape == made.organs.data.shape == made.lesions.data.shape == shape
    for kind in TumorType:
        drawn = LABEL_MAP.lesion_mask(made.lesions.data, kind)
        assert organ(made, kind)[drawn].all()
        assert drawn.any() == bool(tumors(made, kind))
    assert set(made.lesion_types).isdisjoint(made.not_evaluable)
    assert set(made.lesion_types) | set(made.not_evaluable) == set(config.tumor_types)
    phantoms.expected(key)


def test_organ_masks_may_be_off_at_the_border_and_nowhere_else():
    exact, off = case(**UPPER), case(**UPPER, organ_mask_error_mm=2.0)
    np.testing.assert_array_equal(exact.ct.data, off.ct.data)
    assert exact.report == off.report
    np.testing.assert_array_equal(exact.lesions.data, off.lesions.data)
    for kind in (TumorType.LIVER, TumorType.SPLEEN):
        one, two = organ(exact, kind), organ(off, kind)
        dice = 2 * (one & two).sum() / (one.sum() + two.sum())
        assert 0.8 < dice < 0.98  # what segmenters reach
        inside = ndimage.distance_transform_edt(one, exact.ct.spacing_mm) > 12  # six standard deviations
        assert inside.any()
        assert two[inside].all()
    assert everything(case(**UPPER, organ_mask_error_mm=2.0)) == everything(off)
