"""The reader of Merlin and Merlin Plus, on a miniature tree in its layout."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from miniature_sets import PLUS, REPORT, cases, opened, phantom_case, refused, write_csv, write_masks, write_xlsx

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.nifti import write_nifti
from rsuper_bench.benchmark.records import Phase, Split
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.release_info import ReleaseKind
from rsuper_bench.benchmark.tumor_types import Sex, TumorType
from rsuper_bench.dataset_builder.attach import attach
from rsuper_bench.dataset_builder.build import BuildPlan, build
from rsuper_bench.dataset_builder.extraction import make_extractor
from rsuper_bench.dataset_builder.licences import licence_gate
from rsuper_bench.dataset_builder.sources import SourceOptions, open_source


@pytest.fixture(scope="module")
def phantom():
    return phantom_case()


@pytest.fixture
def merlin(tmp_path, merlin_tree):
    return Path(shutil.copytree(merlin_tree, tmp_path / "merlin"))


@pytest.fixture(scope="module")
def merlin_tree(tmp_path_factory, phantom):
    root = tmp_path_factory.mktemp("trees") / "merlin"
    for study in ("AC1", "AC2", "AC3", "AC4", "AC9"):
        write_nifti(root / "merlin_data" / f"{study}.nii.gz", phantom.ct)
    rows = [
        {"study id": "AC1", "Findings": REPORT, "Split": "train", "few shot": False},
        {"study id": "AC2", "Findings": REPORT, "Split": "test", "few shot": False},
        {"study id": "AC3", "Findings": REPORT, "Split": "train", "few shot": False},  # not in Merlin Plus
        {"study id": "AC4", "Findings": None, "Split": "val", "few shot": False},
        {"study id": "AC5", "Findings": REPORT, "Split": "val", "few shot": False},  # no scan
    ]
    write_xlsx(root / "reports_final.xlsx", rows)
    plus = [
        PLUS,
        PLUS | {"Encrypted Accession Number": "AC2", "Patient ID": "Merlin_2", "Age": "99.818", "contrast": "False"},
        PLUS | {"Encrypted Accession Number": "AC4", "Patient ID": "Merlin_4"},
    ]
    write_csv(root / "MerlinPlus" / "merlin_longitudinal_metadata.csv", plus)
    spelling = {"gallbladder": "gall bladder", "urinary_bladder": "bladder", "inferior_vena_cava": "postcava",
                "adrenal_gland_left": "adrenal gland left"}  # fmt: skip
    write_masks(root / "MerlinPlus" / "masks" / "AC1" / "segmentations", phantom, spelling=spelling)
    return root


def test_merlin(merlin, phantom):
    source = opened("merlin", merlin, "plus: merlin/MerlinPlus\n")
    found = cases(source)
    assert list(found) == ["AC1", "AC2"]
    case = found["AC1"]
    assert (case.patient_id, case.split, case.report) == ("Merlin_1", Split.TRAIN, REPORT)
    assert (case.sex, case.age, case.phase, case.kvp) == (Sex.FEMALE, 66.0, Phase.PORTAL_VENOUS, 100.0)
    assert case.scanner == "SIEMENS SOMATOM Definition"
    assert not case.redistributable
    np.testing.assert_array_equal(case.organs.data, phantom.organs.data)
    assert case.lesion_types == ()  # Merlin Plus did not draw every tumor
    assert "2012" not in repr(case)


def test_merlin_ages_and_phases_that_contradict_the_contrast(merlin):
    source = opened("merlin", merlin, "plus: merlin/MerlinPlus\n")
    case = cases(source)["AC2"]
    assert (case.age, case.phase) == (90.0, Phase.UNKNOWN)
    assert any("1 scans have no contrast and a contrast phase" in note for note in source.notes())
    assert case.organs is None


def test_merlin_lists_what_is_missing(merlin):
    source = opened("merlin", merlin, "plus: merlin/MerlinPlus\n")
    assert refused(source) == [
        ("AC3", "no_patient_id"), ("AC4", "empty_report"), ("AC5", "missing_file"), ("AC9", "no_report"),
    ]  # fmt: skip


def test_merlin_tumor_masks_only_when_asked_for(merlin):
    source = opened("merlin", merlin, "plus: merlin/MerlinPlus\ntumor_masks: true\n")
    assert cases(source)["AC1"].lesion_types == (TumorType.PANCREAS,)


def test_merlin_an_empty_tumor_mask_is_no_negative(merlin, phantom):
    folder = merlin / "MerlinPlus" / "masks" / "AC1" / "segmentations"
    write_masks(folder, phantom, tumor=False)
    source = opened("merlin", merlin, "plus: merlin/MerlinPlus\ntumor_masks: true\n")
    case = cases(source)["AC1"]
    assert (case.lesion_types, case.lesions) == ((), None)


def test_merlin_without_patient_ids_is_refused(merlin):
    with pytest.raises(DataError, match="merlin_longitudinal_metadata"):
        opened("merlin", merlin).keys()


def test_merlin_a_patient_in_two_official_splits_keeps_the_held_out_scan(merlin):
    path = merlin / "MerlinPlus" / "merlin_longitudinal_metadata.csv"
    path.write_text(path.read_text().replace("Merlin_2", "Merlin_1"))
    source = opened("merlin", merlin, "plus: merlin/MerlinPlus\n")
    assert list(cases(source)) == ["AC2"]
    assert ("AC1", "split_conflict") in refused(source)
    drawn = opened("merlin", merlin, "plus: merlin/MerlinPlus\nofficial_splits: false\n")
    assert {case.split for case in cases(drawn).values()} == {None}


def test_an_overlay_of_merlin_is_completed_from_a_download(merlin, tmp_path):
    """Nothing of Merlin may be passed on: the overlay holds what was read from it, and a download brings the rest."""
    config = tmp_path / "config.yaml"
    config.write_text("plus: merlin/MerlinPlus\n")
    options = SourceOptions(input=merlin, config=config)
    made = {}
    for kind in ReleaseKind:
        source = open_source("merlin", options)
        made[kind] = tmp_path / kind
        build(BuildPlan(source, "merlin", options.digest_parts(), make_extractor("rules"), made[kind], kind=kind))
    overlay = Release(made[ReleaseKind.OVERLAY])
    assert overlay.records()
    assert list(licence_gate(overlay)) == []
    assert {finding.gate for finding in licence_gate(Release(made[ReleaseKind.FULL]))} == {"licence_forbids"}
    for record in overlay.records():
        row = overlay.columns(record.case_id, ["ct", "organs", "lesions", "preview", "report"])
        assert set(row.values()) == {None}
    attach(overlay, merlin, tmp_path / "joined", config=config)
    for path in sorted(made[ReleaseKind.FULL].rglob("*")):
        if path.is_file() and path.name != "run.json":
            twin = tmp_path / "joined" / path.relative_to(made[ReleaseKind.FULL])
            assert twin.read_bytes() == path.read_bytes(), path.name


def test_a_published_list_of_test_scans_takes_their_patients_out_of_training(merlin):
    """AC1 is in the list; AC3, which the official split trains on, becomes a scan of the same patient."""
    table = merlin / "MerlinPlus" / "merlin_longitudinal_metadata.csv"
    rows = [
        PLUS,
        PLUS | {"Encrypted Accession Number": "AC2", "Patient ID": "Merlin_2"},
        PLUS | {"Encrypted Accession Number": "AC3"},
    ]
    write_csv(table, rows)
    write_csv(merlin.parent / "test.csv", [{"BDMAP ID": "AC1"}, {"BDMAP ID": "AC77"}])
    source = opened("merlin", merlin, "plus: merlin/MerlinPlus\ntest_cases: test.csv\n")
    keys = source.keys()
    assert {key.case_id: key.split for key in keys} == {"AC1": Split.TEST, "AC2": None}
    assert ("AC3", "split_conflict") in refused(source)
    assert any("test split: 1 of 2 scans in test.csv" in note for note in source.notes())


def test_a_list_of_test_scans_that_fits_nothing_is_an_error(merlin):
    write_csv(merlin.parent / "test.csv", [{"study id": "PanTS_1"}])
    with pytest.raises(DataError, match=r"test_cases: test\.csv: no usable scan of it"):
        opened("merlin", merlin, "plus: merlin/MerlinPlus\ntest_cases: test.csv\n").keys()
    with pytest.raises(DataError, match=r"nothing\.csv"):
        opened("merlin", merlin, "plus: merlin/MerlinPlus\ntest_cases: nothing.csv\n").keys()
