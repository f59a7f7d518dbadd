"""Organ masks for cases that have none: from a folder, or from TotalSegmentator (a stand-in program here)."""

import csv
import json
import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_sources import TinySource

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.files import read_model
from rsuper_bench.benchmark.nifti import Volume, read_nifti, write_nifti
from rsuper_bench.dataset_builder.label_map import LABEL_MAP, ORGAN_NUMBER
from rsuper_bench.dataset_builder.organ_masks import (
    TOTALSEGMENTATOR_LABELS,
    OrganMasksConfig,
    WithOrganMasks,
    beside,
    read_labels,
)
from rsuper_bench.dataset_builder.rejection import CaseError, Reason

# Writes what TotalSegmentator would: a label map on the grid of the CT, with liver (5) and a rib (92).
STAND_IN = """#!{python}
import sys
from pathlib import Path
import nibabel as nib, numpy as np
arguments = sys.argv[1:]
assert "--ml" in arguments and "--device" in arguments and ("--fast" in arguments) == {fast}, arguments
ct = nib.load(arguments[arguments.index("-i") + 1])
labels = np.zeros(ct.shape, np.uint8)
labels[1:3, 1:3, 1:3], labels[4, 4, 3] = {number}, 92
if not {silent}:
    nib.save(nib.Nifti1Image(labels, ct.affine), arguments[arguments.index("-o") + 1])
sys.exit({code})
"""


def program(tmp_path, *, number=5, fast=False, silent=False, code=0):
    path = tmp_path / "TotalSegmentator"
    path.write_text(STAND_IN.format(python=sys.executable, number=number, fast=fast, silent=silent, code=code))
    path.chmod(0o755)
    return str(path)


def bare(n=3):
    """Cases without organ masks."""
    return TinySource(n, changes={f"case-{i:03d}": {"organs": None} for i in range(n)})


def with_masks(folder, config, n=3):
    return WithOrganMasks(bare(n), beside(OrganMasksConfig.model_validate(config), folder))


def ct_of(source, index=0):
    return source.make(source.keys()[index]).ct


def test_totalsegmentator_is_called_and_its_labels_become_ours(tmp_path):
    source = with_masks(tmp_path, {"totalsegmentator": {"command": program(tmp_path), "device": "cpu"}})
    case = source.make(source.keys()[0])
    assert set(np.unique(case.organs.data)) == {0, ORGAN_NUMBER["liver"]}  # a rib has no label in a release
    assert (case.organs.data == ORGAN_NUMBER["liver"]).sum() == 8
    assert case.organs.same_grid(case.ct)
    notes = " ".join(source.notes())
    assert "organs without a label in the organ masks: uterus" in notes
    assert "labels of the organ masks have no label in a release" in notes


def test_the_fast_model_is_asked_for(tmp_path):
    config = {"command": program(tmp_path, fast=True), "fast": True}
    source = with_masks(tmp_path, {"totalsegmentator": config})
    assert source.make(source.keys()[0]).organs is not None


@pytest.mark.parametrize(("options", "message"), [({"code": 3}, "exit code 3"), ({"silent": True}, "no mask written")])
def test_a_segmenter_that_fails_rejects_the_case(tmp_path, options, message):
    source = with_masks(tmp_path, {"totalsegmentator": {"command": program(tmp_path, **options)}})
    with pytest.raises(CaseError, match=message) as caught:
        source.make(source.keys()[0])
    assert caught.value.reason is Reason.SEGMENTER_FAILED


def test_a_segmenter_that_hangs_is_stopped(tmp_path):
    path = tmp_path / "TotalSegmentator"
    path.write_text("#!/bin/sh\nexec sleep 60\n")
    path.chmod(0o755)
    source = with_masks(tmp_path, {"totalsegmentator": {"command": str(path), "timeout_s": 1}})
    with pytest.raises(CaseError, match="not ready after 1 s"):
        source.make(source.keys()[0])


def test_a_label_that_the_table_does_not_name_is_refused(tmp_path):
    source = with_masks(tmp_path, {"totalsegmentator": {"command": program(tmp_path, number=200)}})
    with pytest.raises(CaseError) as caught:
        source.make(source.keys()[0])
    assert caught.value.reason is Reason.UNKNOWN_LABEL


def test_a_program_that_is_not_installed_is_a_wrong_call(tmp_path):
    with pytest.raises(ConfigError, match="not installed"):
        with_masks(tmp_path, {"totalsegmentator": {"command": "no-such-segmenter"}})


def test_a_case_that_has_masks_keeps_them(tmp_path):
    source = WithOrganMasks(TinySource(2), OrganMasksConfig.model_validate({"totalsegmentator": {"command": "false"}}))
    assert source.make(source.keys()[0]).organs is not None


def test_label_maps_of_a_folder(tmp_path):
    ct = ct_of(bare())
    labels = np.zeros(ct.data.shape, np.uint8)
    labels[1:3], labels[4] = 7, 9
    write_nifti(tmp_path / "masks" / "case-000.nii.gz", Volume(labels, ct.affine))
    (tmp_path / "labels.csv").write_text("label,name\n7,Liver\n9,spaceship\n")
    source = with_masks(tmp_path, {"folder": "masks", "labels": "labels.csv"})
    organs = [source.make(key).organs for key in list(source.keys())]
    assert (organs[0].data == ORGAN_NUMBER["liver"]).sum() == (labels == 7).sum()
    assert organs[1] is None
    notes = source.notes()
    assert "2 cases have no organ mask: case-001, case-002" in notes
    assert any("spaceship" in note for note in notes)
    assert any("organs without a label in the organ masks: spleen, gallbladder" in note for note in notes)


def test_one_file_an_organ(tmp_path):
    ct = ct_of(bare())
    for name, place in (("spleen", 1), ("kidney_left", 2), ("rib_left_1", 3)):
        mask = np.zeros(ct.data.shape, np.uint8)
        mask[place] = 1
        write_nifti(tmp_path / "masks" / "case-001" / "segmentations" / f"{name}.nii.gz", Volume(mask, ct.affine))
    source = with_masks(tmp_path, {"folder": "masks"})
    organs = source.make(source.keys()[1]).organs
    assert set(np.unique(organs.data)) == {0, ORGAN_NUMBER["spleen"], ORGAN_NUMBER["kidney_left"]}


def test_required_masks(tmp_path):
    ct = ct_of(bare())
    write_nifti(tmp_path / "masks" / "case-001.nii.gz", Volume(np.ones(ct.data.shape, np.uint8), ct.affine))
    source = with_masks(tmp_path, {"folder": "masks", "required": True})
    keys = source.keys()
    assert [key.case_id for key in keys] == ["case-001"]
    assert [(item.input_id, item.reason) for item in source.rejections()] == [
        ("case-000", Reason.NO_ORGAN_MASK),
        ("case-002", Reason.NO_ORGAN_MASK),
    ]


def test_a_changed_mask_changes_the_key(tmp_path):
    ct = ct_of(bare())
    path = tmp_path / "masks" / "case-000.nii.gz"
    write_nifti(path, Volume(np.ones(ct.data.shape, np.uint8), ct.affine))
    before = with_masks(tmp_path, {"folder": "masks"}).keys()[0]
    os.utime(path, (1, 1))
    after = with_masks(tmp_path, {"folder": "masks"}).keys()[0]
    assert replace(before, input_digest="") == replace(after, input_digest="")
    assert before.input_digest != after.input_digest


def test_it_travels_to_workers(tmp_path):
    ct = ct_of(bare())
    write_nifti(tmp_path / "masks" / "case-000.nii.gz", Volume(np.ones(ct.data.shape, np.uint8), ct.affine))
    source = with_masks(tmp_path, {"folder": "masks"})
    key = source.keys()[0]
    copy = pickle.loads(pickle.dumps(source))  # noqa: S301 (our own bytes)
    np.testing.assert_array_equal(copy.make(key).organs.data, source.make(key).organs.data)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"folder": "none"}, "no such folder"),
        ({"folder": ".", "labels": "none.csv"}, "no such file"),
    ],
)
def test_places_that_are_not_there(tmp_path, config, message):
    with pytest.raises(ConfigError, match=message):
        with_masks(tmp_path, config)


@pytest.mark.parametrize("text", ["{}", "folder: a\ntotalsegmentator: {}", "totalsegmentator: {speed: 1}", "labels: a"])
def test_a_bad_config(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError):
        read_model(tmp_path / "config.yaml", OrganMasksConfig)


@pytest.mark.parametrize("text", ["label,name\n0,liver\n", "label,name\n1,liver\n1,spleen\n", "label,name\nx,liver\n"])
def test_a_bad_label_table(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises((ConfigError, DataError), match="each number"):
        read_labels(tmp_path / "labels.csv")


def test_the_table_of_totalsegmentator_is_complete():
    labels = read_labels(TOTALSEGMENTATOR_LABELS).organs
    assert sorted(labels) == list(range(1, 118))
    assert labels[5] == "liver"


def test_the_folder_source_takes_organ_masks(tmp_path):
    from rsuper_bench.dataset_builder.sources import SourceOptions, open_source

    root = tmp_path / "input"
    ct = ct_of(bare())
    write_nifti(root / "ct.nii.gz", ct)
    with (root / "cases.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["case_id", "patient_id", "report", "ct"], ["a", "p", "x", "ct.nii.gz"]])
    write_nifti(tmp_path / "masks" / "a.nii.gz", Volume(np.full(ct.data.shape, 5, np.uint8), ct.affine))
    (tmp_path / "config.yaml").write_text(json.dumps({"organ_masks": {"folder": "masks"}}))
    source = open_source("folder", SourceOptions(input=root, config=tmp_path / "config.yaml"))
    assert (source.make(source.keys()[0]).organs.data == ORGAN_NUMBER["liver"]).all()


DATA = Path(os.environ.get("RSUPER_BENCH_DATA", "")) / "ct" / "totalseg_example"


@pytest.mark.real_data
@pytest.mark.skipif(not (DATA / "seg_total.nii.gz").is_file(), reason="RSUPER_BENCH_DATA has no ct/totalseg_example")
def test_what_totalsegmentator_really_wrote(tmp_path):
    """Its published output for a real CT; volumes of the organs are kept to the voxel."""
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "case-000.nii.gz").write_bytes((DATA / "seg_total.nii.gz").read_bytes())
    source = WithOrganMasks(
        TinySource(1, changes={"case-000": {"organs": None, "ct": read_nifti(DATA / "ct.nii.gz")}}),
        beside(OrganMasksConfig.model_validate({"folder": "masks"}), tmp_path),
    )
    case = source.make(source.keys()[0])
    theirs = read_nifti(DATA / "seg_total.nii.gz").data
    assert case.organs.same_grid(case.ct)
    for number, name in read_labels(TOTALSEGMENTATOR_LABELS).organs.items():
        if name in ORGAN_NUMBER:
            assert (case.organs.data == ORGAN_NUMBER[name]).sum() == (theirs == number).sum(), name
    assert "liver" in {LABEL_MAP.organs[int(number)] for number in np.unique(case.organs.data) if number}
