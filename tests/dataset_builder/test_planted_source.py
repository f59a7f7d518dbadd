"""Planted cases: a phantom stands in for the real CT; the real one is used where its folder is given."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.nifti import Volume, nifti_bytes, read_nifti, write_nifti
from rsuper_bench.benchmark.records import Attenuation, Kind, NotEvaluable, Phase, Presence
from rsuper_bench.benchmark.tumor_types import Sex, TumorType, region_labels
from rsuper_bench.dataset_builder.label_map import LABEL_MAP, ORGAN_NUMBER
from rsuper_bench.dataset_builder.lesions.config import LesionConfig
from rsuper_bench.dataset_builder.phantom import PhantomConfig, PhantomSource
from rsuper_bench.dataset_builder.planted import PlantedConfig, PlantedSource
from rsuper_bench.dataset_builder.raw_case import CaseKey
from rsuper_bench.dataset_builder.report_grammar import ReportStyle

OFFSET = 100  # given label numbers are other people's: here ours plus this


@pytest.fixture(scope="module")
def anatomy(tmp_path_factory):
    """A healthy phantom written as CT, foreign label map and label table, turned to LPS like many real files."""
    folder = tmp_path_factory.mktemp("anatomy")
    config = PhantomConfig(
        shape=(72, 52, 70), body_scale=0.8, center_mm=(0, 0, -45), prevalence=0, cyst_rate={}, stone_rate={},
        share_female=0, n_cases=1,
    )  # fmt: skip
    phantoms = PhantomSource(config, 3)
    made = phantoms.make(phantoms.keys()[0])
    flipped = made.ct.affine @ np.diag([-1, -1, 1, 1.0])
    flipped[:2, 3] = -made.ct.affine[:2, 3]
    write_nifti(folder / "ct.nii.gz", Volume(made.ct.data[::-1, ::-1], flipped))
    given = np.where(made.organs.data > 0, made.organs.data.astype(np.int16) + OFFSET, 0).astype(np.int16)
    given[made.organs.data == ORGAN_NUMBER["body"]] = 0
    write_nifti(folder / "organs.nii.gz", Volume(given[::-1, ::-1], flipped))
    rows = [{"label": number + OFFSET, "name": name} for number, name in LABEL_MAP.organs.items()]
    write_table(folder / "labels.csv", rows)
    return folder, made


def write_table(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["label", "name"])
        writer.writeheader()
        writer.writerows(rows)


def planted(folder, n=6, seed=0, **config):
    paths = (folder / "ct.nii.gz", folder / "organs.nii.gz", folder / "labels.csv")
    return PlantedSource(*paths, n, seed, PlantedConfig(**config))


def cases(source):
    return [source.make(key) for key in list(source.keys())]


def everything(made):
    return nifti_bytes(made.ct), nifti_bytes(made.organs), nifti_bytes(made.lesions), made.report, made.planted_findings


def organ(made, kind):
    return np.isin(made.organs.data, [ORGAN_NUMBER[name] for name in region_labels(kind, ORGAN_NUMBER)])


def check_promises(made):
    """Lesions lie in their organs, agree with what is said of them, and change the image nowhere else."""
    assert made.ct.orientation == made.organs.orientation == made.lesions.orientation == "RAS"
    assert made.synthetic
    assert made.derived_from
    for kind in TumorType:
        drawn = LABEL_MAP.lesion_mask(made.lesions.data, kind)
        findings = [item for item in made.planted_findings if item.tumor_type is kind]
        assert organ(made, kind)[drawn].all()
        assert ndimage.label(drawn, np.ones((3, 3, 3)))[1] == len(findings)
        volume_mm3 = drawn.sum() * made.lesions.voxel_mm3
        assert sum(item.volume_mm3 for item in findings) == pytest.approx(volume_mm3, rel=1e-6)
        assert all(item.kind is Kind.MASS for item in findings)


def test_cases_keep_their_promises(anatomy):
    made = cases(planted(anatomy[0], n=8, prevalence=0.5))
    for one in made:
        check_promises(one)
    assert any(one.planted_findings for one in made)
    assert len({one.derived_from for one in made}) == 1
    assert len({one.patient_id for one in made}) == 8
    assert len({nifti_bytes(one.ct) for one in made}) == 8


def test_same_seed_same_bytes_whatever_the_number(anatomy):
    few, many = planted(anatomy[0], n=2), planted(anatomy[0], n=5)
    third = many.make(list(many.keys())[3])
    key = list(few.keys())[1]
    assert everything(few.make(key)) == everything(many.make(key))
    assert everything(many.make(CaseKey("planted-00003", "x"))) == everything(third)
    other = planted(anatomy[0], n=2, seed=1).make(key)
    assert everything(other) != everything(few.make(key))


def test_keys_name_the_anatomy_and_the_input(anatomy):
    keys = list(planted(anatomy[0]).keys())
    assert [key.case_id for key in keys] == [f"planted-{index:05d}" for index in range(6)]
    assert {key.derived_from for key in keys} == {planted(anatomy[0]).derived_from}
    assert keys[0].input_digest
    assert {key.derived_from for key in planted(anatomy[0], anatomy="example").keys()} == {"example"}  # noqa: SIM118


def test_labels_become_ours(anatomy):
    folder, phantom = anatomy
    made = planted(folder, healthy=1.0).make(CaseKey("planted-00000", "x"))
    for name in ("liver", "spleen", "kidney_left", "kidney_right", "pancreas_tail", "aorta", "vertebrae"):
        assert np.array_equal(made.organs.data == ORGAN_NUMBER[name], phantom.organs.data == ORGAN_NUMBER[name])
    body = ORGAN_NUMBER["body"]
    overlap = ((made.organs.data == body) & (phantom.organs.data == body)).sum()
    assert overlap > 0.9 * (phantom.organs.data == body).sum()
    assert made.sex is Sex.MALE


def test_healthy_cases_hold_the_anatomy_and_a_little_noise(anatomy):
    folder, phantom = anatomy
    made = planted(folder, healthy=1.0, noise_hu=4.0, shift_hu=3.0).make(CaseKey("planted-00000", "x"))
    assert made.planted_findings == ()
    assert not made.lesions.data.any()
    inside = (phantom.ct.data > -500) & (phantom.ct.data < 500)
    change = (made.ct.data.astype(float) - phantom.ct.data)[inside]
    assert change.std() == pytest.approx(4.0, rel=0.1)
    assert abs(change.mean()) <= 3.2


def test_the_image_changes_at_the_lesions_only(anatomy):
    folder, phantom = anatomy
    made = planted(folder, healthy=0, prevalence=0.6, noise_hu=0, shift_hu=0).make(CaseKey("planted-00001", "x"))
    assert made.planted_findings
    near = ndimage.binary_dilation(made.lesions.data > 0, iterations=1)
    assert np.array_equal(made.ct.data[~near], phantom.ct.data[~near])
    assert not np.array_equal(made.ct.data[near], phantom.ct.data[near])


@pytest.mark.parametrize(("wanted", "sign"), [(Attenuation.HYPO, -1), (Attenuation.HYPER, 1), (Attenuation.ISO, 0)])
def test_attenuation_is_seen_in_the_image(anatomy, wanted, sign):
    look = LesionConfig(
        attenuation={wanted: 1},
        contrast_hu=(40, 40),
        iso_contrast_hu=(0, 2),
        size_mm=(20, 30),
        multifocal=0,
        border_mm=0,
    )
    source = planted(anatomy[0], healthy=0, prevalence=1, tumor_types=("liver",), lesions=look, shift_hu=0)
    made = source.make(CaseKey("planted-00000", "x"))
    (finding,) = made.planted_findings
    assert finding.attenuation is wanted
    lesion = made.lesions.data > 0
    liver = np.median(made.ct.data[organ(made, TumorType.LIVER) & ~lesion])
    # 40 HU as configured; noise of 4 HU averages out over more than 70 voxels.
    assert made.ct.data[lesion].mean() - liver == pytest.approx(40 * sign, abs=4)


def test_lesions_carry_the_organs_own_texture(anatomy):
    look = LesionConfig(attenuation={Attenuation.HYPO: 1}, size_mm=(30, 35), texture=1.0, multifocal=0, border_mm=0.1)
    config = {"healthy": 0, "prevalence": 1, "tumor_types": ("liver",), "lesions": look, "noise_hu": 0, "shift_hu": 0}
    made = planted(anatomy[0], **config).make(CaseKey("planted-00000", "x"))
    core = ndimage.binary_erosion(made.lesions.data > 0)
    liver = ndimage.binary_erosion(organ(made, TumorType.LIVER) & (made.lesions.data == 0), iterations=2)
    assert made.ct.data[core].std() == pytest.approx(made.ct.data[liver].std(), rel=0.3)


def test_reports_describe_exactly_what_was_planted(anatomy):
    style = ReportStyle(unsized=0, hedged=0, equivocal=0, grouped=0, prior=0, not_stated=0)
    source = planted(anatomy[0], n=8, prevalence=0.5, report=style)
    for key in list(source.keys()):
        made, expected = source.make(key), source.expected(key)
        told = sorted((item.tumor_type, round(item.diameters_mm[0])) for item in expected.findings)
        true = sorted((item.tumor_type, int(item.diameters_mm[0] + 0.5)) for item in made.planted_findings)
        assert told == true
        positive = {item.tumor_type for item in made.planted_findings}
        for kind, presence in expected.presence.items():
            assert presence is (Presence.PRESENT if kind in positive else Presence.ABSENT)


def test_no_words_of_contrast_without_contrast(anatomy):
    source = planted(anatomy[0], n=12, prevalence=0.6, phase=Phase.NON_CONTRAST)
    assert not any("enhancing" in made.report or "WITH CONTRAST" in made.report for made in cases(source))


def test_only_organs_in_view_are_told_of(anatomy):
    source = planted(anatomy[0], tumor_types=("liver", "lung", "uterus"), min_organ_mm3=2500.0)
    made = source.make(CaseKey("planted-00000", "x"))
    assert TumorType.UTERUS not in made.lesion_types
    assert made.not_evaluable[TumorType.UTERUS] is NotEvaluable.OUT_OF_VIEW


def test_the_anatomy_is_not_changed_by_planting(anatomy):
    source = planted(anatomy[0], healthy=0, prevalence=1.0)
    first = everything(source.make(CaseKey("planted-00000", "x")))
    source.make(CaseKey("planted-00001", "x"))
    assert everything(source.make(CaseKey("planted-00000", "x"))) == first


def test_bad_input_is_named(anatomy, tmp_path):
    folder = anatomy[0]
    ct, organs, labels = folder / "ct.nii.gz", folder / "organs.nii.gz", folder / "labels.csv"
    with pytest.raises(DataError, match="no such file"):
        PlantedSource(tmp_path / "none.nii.gz", organs, labels, 2, 0).keys()
    with pytest.raises(DataError, match="1 to 99999"):
        PlantedSource(ct, organs, labels, 0, 0)
    with pytest.raises(DataError, match="no such planted case"):
        planted(folder, n=2).make(CaseKey("planted-00002", "x"))
    with pytest.raises(DataError, match="no such planted case"):
        planted(folder, n=2).make(CaseKey("phantom-00000", "x"))
    cut = read_nifti(organs)
    write_nifti(tmp_path / "cut.nii.gz", Volume(cut.data[:-1], cut.affine))
    with pytest.raises(DataError, match="the grid of the CT"):
        PlantedSource(ct, tmp_path / "cut.nii.gz", labels, 2, 0).keys()
    write_table(tmp_path / "words.csv", [{"label": "one", "name": "liver"}, {"label": "x", "name": "spleen"}])
    with pytest.raises(DataError, match=r"row 2.*(?s:.*)row 3"):
        PlantedSource(ct, organs, tmp_path / "words.csv", 2, 0).keys()
    write_table(tmp_path / "other.csv", [{"label": 1, "name": "femur_left"}])
    with pytest.raises(DataError, match="no wanted organ"):
        PlantedSource(ct, organs, tmp_path / "other.csv", 2, 0).keys()


@pytest.mark.real_data
def test_a_real_ct_can_be_planted_into():
    root = os.environ.get("RSUPER_BENCH_DATA")
    if not root:
        pytest.skip("RSUPER_BENCH_DATA is not set: no real CT to plant into")
    folder = Path(root) / "ct" / "totalseg_example"
    paths = (folder / "ct.nii.gz", folder / "seg_total.nii.gz", folder / "labels_total.csv")
    source = PlantedSource(*paths, 10, 0, PlantedConfig(phase=Phase.NON_CONTRAST))
    made = cases(source)
    for one in made:
        check_promises(one)
    shown = {kind for one in made for kind in one.lesion_types}
    assert {"liver", "kidney", "spleen", "pancreas", "gallbladder", "stomach", "colon", "adrenal"} <= shown
    assert len({item.tumor_type for one in made for item in one.planted_findings}) >= 8
    assert any(not one.planted_findings for one in made)
