"""A run becomes a submission (METHOD 9, CONTRACTS)."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest
import torch
from toy_world import GRID_MM, LIVER, organs_of_toy, recipe_of, toy_case, toy_release

from rsuper_bench.baselines import predict as prediction
from rsuper_bench.baselines.detection import detections, gate
from rsuper_bench.baselines.inputs import input_channels, network_input
from rsuper_bench.baselines.predict import Predictor, predict, probability_bytes
from rsuper_bench.baselines.prepare import prepare_case
from rsuper_bench.baselines.train import train
from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.nifti import Volume, read_nifti
from rsuper_bench.benchmark.records import Split
from rsuper_bench.benchmark.submission import load_submission


@pytest.fixture(scope="module")
def finished(toy_store, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    train(toy_store, recipe_of(), out)
    return out


def tables(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_submission_holds_every_case_and_type(finished, tmp_path):
    predict(finished, toy_release(), Split.TEST, tmp_path)
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["case_id"], row["tumor_type"]) for row in rows] == [
        (case, kind) for case in ("case-08", "case-09") for kind in ("liver", "kidney")
    ]
    assert all(0 <= float(row["score"]) <= 1 and float(row["volume_mm3"]) >= 0 for row in rows)
    submission = load_submission(tmp_path)
    assert submission.info.method == "toy"
    assert "organ masks of the release" in submission.info.description
    assert submission.info.training_data == ("toy, training split: 4 cases with masks and 4 cases with reports",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["predictions.csv", "submission.yaml"]


def test_masks_lie_on_the_grid_of_the_ct_and_agree_with_the_scores(finished, tmp_path):
    predict(finished, toy_release(), Split.TEST, tmp_path, masks=True)
    path = tmp_path / "masks" / "case-08" / "liver.nii.gz"
    image = nib.load(path)
    assert image.get_data_dtype() == np.uint8
    assert image.dataobj.slope == pytest.approx(1 / 255)
    volume, ct = read_nifti(path), toy_release().volumes("case-08").ct
    assert volume.same_grid(ct)
    with (tmp_path / "predictions.csv").open() as file:
        score = float(next(csv.DictReader(file))["score"])
    assert volume.data.max() == pytest.approx(score, abs=0.5 / 255 + 1e-6)
    assert (volume.data[organs_of_toy() != LIVER] == 0).all()


def test_an_interrupted_prediction_goes_on_and_ends_the_same(finished, tmp_path, monkeypatch):
    predict(finished, toy_release(), Split.TEST, tmp_path / "whole", masks=True)
    whole, calls = prediction._predict_case, []

    def stops(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(prediction, "_predict_case", stops)
    with pytest.raises(KeyboardInterrupt):
        predict(finished, toy_release(), Split.TEST, tmp_path / "parts", masks=True)
    assert not (tmp_path / "parts" / "predictions.csv").exists()
    predict(finished, toy_release(), Split.TEST, tmp_path / "parts", masks=True)
    assert len(calls) == 3  # the first case was not done again
    assert tables(tmp_path / "whole") == tables(tmp_path / "parts")


def test_cases_of_another_run_are_done_again(finished, tmp_path):
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "started").write_text("another run")
    (tmp_path / ".partial" / "case-08.json").write_text(json.dumps([{"case_id": "case-08", "score": "1"}]))
    predict(finished, toy_release(), Split.TEST, tmp_path)
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 5


def test_reports_and_lesions_of_the_case_cannot_move_a_score(finished, tmp_path):
    predict(finished, toy_release(), Split.TEST, tmp_path / "one")
    blind = toy_release()
    for case_id, (record, volumes) in blind.cases.items():
        bare = record.model_copy(update={"findings": (), "presence": {}, "lesion_masks": {}})
        blind.cases[case_id] = (bare, type(volumes)(volumes.ct, volumes.organs, None))
    predict(finished, blind, Split.TEST, tmp_path / "two")
    assert tables(tmp_path / "one") == tables(tmp_path / "two")


def test_an_unfinished_run_and_an_empty_split_are_refused(toy_store, finished, tmp_path):
    train(toy_store, recipe_of(), tmp_path / "run", stop_after=1)
    with pytest.raises(DataError, match=r"no weights.safetensors.*\n.*--resume"):
        predict(tmp_path / "run", toy_release(), Split.TEST, tmp_path / "sub")
    with pytest.raises(DataError, match="no cases in split validation"):
        predict(finished, toy_release(), Split.VALIDATION, tmp_path / "sub")


def test_weights_of_another_recipe_are_refused(finished, tmp_path):
    for path in finished.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    recipe = recipe_of(tumor_types=["liver"])
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    with pytest.raises(DataError, match=r"expected shape"):
        Predictor(tmp_path)


@pytest.mark.parametrize("where", ["model", "release", "none"])
def test_lesions_outside_the_organ_are_removed(where):
    record, volumes = toy_case(0, Split.TEST, with_masks=True)
    recipe = recipe_of(organ_gate=where)
    case = prepare_case(record, volumes, toy_release().label_map, recipe)
    lesions = np.full((2, *case.index.shape), 0.7, np.float32)
    organs = np.zeros_like(lesions)
    organs[:, :5] = 0.9
    kept = gate(lesions, organs, case, toy_release().label_map, recipe) > 0
    expected = {"model": organs[0] > 0.5, "release": organs_of_toy() == LIVER, "none": np.ones_like(kept[0])}
    assert np.array_equal(kept[0], expected[where])


def test_score_and_volume_by_hand():
    record, volumes = toy_case(0, Split.TEST, with_masks=True)
    recipe = recipe_of()
    case = prepare_case(record, volumes, toy_release().label_map, recipe)
    lesions = np.zeros((2, *case.index.shape), np.float32)
    lesions[0, 4:8, 5:9, 5:9] = 0.8
    found = detections(lesions, case, recipe)
    assert found["kidney"] == (0.0, 0.0)
    score, volume_mm3 = found["liver"]
    assert score == pytest.approx(0.8)
    # 16 mm along each axis, up to the half-way crossing of 0.8 -> 0: 4 (0.8 - 0.5) / 0.8 - 2 = -0.5 mm a side; the
    # 1 mm voxels at half steps that reach 0.5 are 16, and rounded corners can only take from the cube
    assert 0.75 * 16**3 < volume_mm3 <= 16**3


def test_probability_maps_are_bytes_with_a_slope_and_no_time():
    data = np.linspace(0, 1, 60, dtype=np.float32).reshape(3, 4, 5)
    one = probability_bytes(Volume(data, np.diag([GRID_MM, 1, 1, 1])))
    assert one == probability_bytes(Volume(data.copy(), np.diag([GRID_MM, 1, 1, 1])))
    back = read_nifti(one, name="map")
    assert np.abs(back.data - data).max() <= 0.5 / 255 + 1e-6


def test_the_relative_ct_is_measured_against_the_whole_organ():
    record, volumes = toy_case(1, Split.TRAIN, with_masks=True)
    recipe = recipe_of(organ_input=True)
    label_map = toy_release().label_map
    case = prepare_case(record, volumes, label_map, recipe)
    seen = network_input(case.ct, case.organs, case.index, label_map, recipe)
    assert seen.shape[0] == input_channels(recipe) == 4
    assert torch.equal(seen[2].bool(), torch.from_numpy(organs_of_toy() == LIVER))
    median, deviation = case.index.organ_hu[LIVER]
    voxel = tuple(np.argwhere(case.organs == LIVER)[0])
    assert seen[1][voxel] == pytest.approx((case.ct[voxel] - median) / deviation / 2, abs=1e-5)
    assert seen[1][volumes.lesions.data == 1].mean() < -2.5  # 60 HU below, at 8 HU of noise, cut at 6 deviations
    assert seen[1][case.organs == 0].abs().sum() == 0
    cropped = network_input(case.ct[4:], case.organs[4:], case.index, label_map, recipe)
    assert torch.equal(cropped, seen[:, 4:])
