"""A run becomes a submission (METHOD 9, CONTRACTS)."""

import csv
import gzip
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from toy_world import GRID_MM, LIVER, organs_of_toy, recipe_of, toy_case, toy_release

from rsuper_bench.baselines import predict as prediction
from rsuper_bench.baselines.checkpoint import read_checkpoint
from rsuper_bench.baselines.inputs import input_channels, network_input
from rsuper_bench.baselines.organ_gate import gated
from rsuper_bench.baselines.predict import Predictor, predict
from rsuper_bench.baselines.prepare import prepare_case
from rsuper_bench.baselines.probability_map import ProbabilityMap, write_map
from rsuper_bench.baselines.resampling import onto_slabs
from rsuper_bench.baselines.sliding_window import GrowingBox, blended_slabs
from rsuper_bench.baselines.train import train
from rsuper_bench.baselines.weights import write_weights
from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.mask_prediction import denoised_volume_mm3
from rsuper_bench.benchmark.nifti import Grid, Volume, read_nifti
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
    assert volume.data.max() == pytest.approx(score, abs=0.5 / 255 + 1e-5)
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


KILLED = """
import os, signal, sys
from pathlib import Path
from toy_world import toy_release
from rsuper_bench.baselines import probability_map
from rsuper_bench.baselines.predict import predict
from rsuper_bench.benchmark.records import Split

whole, calls = probability_map.onto_slabs, []

def dies(*arguments):
    calls.append(1)
    if len(calls) == 4:  # in the middle of the second map of the second case
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*arguments)

probability_map.onto_slabs = dies
predict(Path(sys.argv[1]), toy_release(), Split.TEST, Path(sys.argv[2]), masks=True)
"""


def test_a_killed_prediction_goes_on_and_ends_the_same(finished, tmp_path, monkeypatch):
    predict(finished, toy_release(), Split.TEST, tmp_path / "whole", masks=True)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, finished, tmp_path / "parts"], cwd=Path(__file__).parent, timeout=240
    )
    assert killed.returncode == -signal.SIGKILL
    torn = [path.name for path in (tmp_path / "parts" / "masks" / "case-09").iterdir()]
    assert "liver.nii.gz" in torn
    assert [name for name in torn if name.startswith(".kidney.nii.gz.")]
    calls, once = [], prediction._predict_case
    monkeypatch.setattr(prediction, "_predict_case", lambda *arguments: calls.append(arguments[2]) or once(*arguments))
    predict(finished, toy_release(), Split.TEST, tmp_path / "parts", masks=True)
    assert [record.case_id for record in calls] == ["case-09"]
    assert tables(tmp_path / "whole") == tables(tmp_path / "parts")


@pytest.mark.parametrize("torn", [b"\xff", b"{", b"[]", b"[1]", b'[{"case_id": "case-08", "tumor_type": "liver"}]'])
def test_a_case_that_is_not_whole_is_predicted_again(finished, tmp_path, monkeypatch, torn):
    predict(finished, toy_release(), Split.TEST, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(prediction, "_forget_parts", stop)
        with pytest.raises(KeyboardInterrupt):
            predict(finished, toy_release(), Split.TEST, tmp_path / "parts")
    (tmp_path / "parts" / ".partial" / "case-08.json").write_bytes(torn)
    predict(finished, toy_release(), Split.TEST, tmp_path / "parts")
    assert tables(tmp_path / "whole") == tables(tmp_path / "parts")


def stop(*_):
    raise KeyboardInterrupt


def test_what_is_wrong_with_a_run_is_said_before_a_case_is_read(finished, tmp_path, monkeypatch):
    for path in finished.iterdir():
        if path.is_file() and path.name != "training_data.json":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(prediction, "_predict_case", stop)
    with pytest.raises(DataError, match=r"training_data\.json: no such file"):
        predict(tmp_path, toy_release(), Split.TEST, tmp_path / "sub")
    assert not (tmp_path / "sub").exists()


@pytest.mark.parametrize("started", [b"\xff", b""])
def test_a_started_file_that_is_no_text_is_of_another_run(finished, tmp_path, started):
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "started").write_bytes(started)
    predict(finished, toy_release(), Split.TEST, tmp_path)
    assert set(tables(tmp_path)) == {"predictions.csv", "submission.yaml"}


def test_nothing_of_another_run_stays(toy_store, finished, tmp_path):
    train(toy_store, recipe_of(seed=8), tmp_path / "other")
    predict(tmp_path / "other", toy_release(), Split.TEST, tmp_path / "sub", masks=True)
    for part in ("masks", "no_masks"):  # over a finished submission, and over an interrupted one
        if part == "no_masks":
            (tmp_path / "sub" / ".partial").mkdir()
            (tmp_path / "sub" / ".partial" / "case-08.json").write_text("[]")  # whose this is nothing says
        predict(finished, toy_release(), Split.TEST, tmp_path / "sub")
        predict(finished, toy_release(), Split.TEST, tmp_path / "fresh")
        assert tables(tmp_path / "sub") == tables(tmp_path / "fresh")


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


def test_weights_of_another_network_are_refused(finished, tmp_path):
    recipe = recipe_of(tumor_types=["liver"])
    write_weights(tmp_path, read_checkpoint(finished / "weights.safetensors").tensors, recipe, {})
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    with pytest.raises(DataError, match=r"expected shape"):
        Predictor(tmp_path)


@pytest.mark.parametrize("where", ["model", "release", "none"])
def test_lesions_outside_the_organ_are_removed(where):
    lesion = np.full((4, 3, 2), 0.7, np.float32)
    organ = np.zeros_like(lesion)
    organ[:2] = 0.9
    shown = np.zeros(lesion.shape, dtype=bool)
    shown[1:3] = True
    kept = gated(lesion, organ if where == "model" else None, shown, where) > 0
    expected = {"model": organ > 0.5, "release": shown, "none": np.ones_like(shown)}
    assert np.array_equal(kept, expected[where])


def test_score_and_volume_by_hand():
    lesion = np.zeros((24, 16, 16), np.float32)
    found = ProbabilityMap(lesion.shape)
    assert (found.largest, found.dense().max()) == (0.0, 0.0)
    lesion[4:8, 5:9, 5:9] = 0.8
    for first in (0, 7):  # a slab border goes through it
        found.add(first, lesion[..., first : first + (7 if first == 0 else 9)])
    assert found.largest == pytest.approx(0.8)
    volume_mm3 = denoised_volume_mm3(Volume(found.dense(), np.diag([GRID_MM, GRID_MM, GRID_MM, 1.0])))
    # 16 mm along each axis, up to the half-way crossing of 0.8 -> 0: 4 (0.8 - 0.5) / 0.8 - 2 = -0.5 mm a side; the
    # 1 mm voxels at half steps that reach 0.5 are 16, and rounded corners can only take from the cube
    assert 0.75 * 16**3 < volume_mm3 <= 16**3


def test_a_map_in_pieces_is_the_map(tmp_path):
    rng = np.random.default_rng(2)
    whole = np.where(rng.random((9, 8, 21)) < 0.1, rng.random((9, 8, 21)), 0.001).astype(np.float32)
    found = ProbabilityMap(whole.shape)
    for first in range(0, 21, 4):
        found.add(first, whole[..., first : first + 4])
    assert found.largest == whole.max()
    assert np.abs(found.dense() - whole)[whole >= 0.5 / 255].max() <= 0.5 / 65535 + 1e-7
    assert found.dense()[whole < 0.5 / 255].max() < 0.5 / 255
    whole[3, 3, 3] = np.nan
    with pytest.raises(DataError, match="not finite"):
        found.add(0, whole)


def test_probability_maps_are_bytes_with_a_slope_and_no_time(tmp_path):
    data = np.linspace(0, 1, 60 * 9, dtype=np.float32).reshape(3, 4, 45)
    volume = Volume(data, np.array([[0, 1.0, 0, 5], [-GRID_MM, 0, 0, 6], [0, 0, 2, 7], [0, 0, 0, 1]]))
    for name in ("one", "two"):
        write_map(tmp_path / f"{name}.nii.gz", volume, volume.grid)
    assert (tmp_path / "one.nii.gz").read_bytes() == (tmp_path / "two.nii.gz").read_bytes()
    back = read_nifti(tmp_path / "one.nii.gz")
    assert back.same_grid(volume)
    assert np.abs(back.data - data).max() <= 0.5 / 255 + 1e-6
    # byte for byte what nibabel writes for the same voxels, but for the slope that it is not told
    image = nib.Nifti1Image(np.rint(data * 255).astype(np.uint8), volume.affine)
    image.header.set_qform(volume.affine, code=1)
    image.header.set_sform(volume.affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    theirs, ours = bytearray(image.to_bytes()), bytearray(gzip.decompress((tmp_path / "one.nii.gz").read_bytes()))
    theirs[112:120] = ours[112:120]
    assert theirs == ours


@pytest.mark.parametrize("turned", [False, True])
def test_a_map_comes_back_onto_the_grid_of_the_ct(turned):
    x, y, z = np.meshgrid(*(np.arange(n, dtype=float) for n in (12, 10, 40)), indexing="ij")
    coarse = Volume((x + 2 * y + 3 * z).astype(np.float32), np.diag([4.0, 4.0, 4.0, 1.0]))
    affine = np.array([[2.0, 0, 0, 3], [0, 2.0, 0, 2], [0, 0, 2.0, 1], [0, 0, 0, 1]])
    if turned:  # LPS, oblique about z
        affine[:2, :2] = [[-1.6, 1.2], [-1.2, -1.6]]
        affine[:2, 3] = 30
    grid = Grid((20, 16, 70), affine)
    back = np.concatenate(list(onto_slabs(coarse, grid)), axis=2)
    assert back.shape == grid.shape
    voxel = np.array([4, 5, 66])
    place = affine[:3, :3] @ voxel + affine[:3, 3]  # a linear map is interpolated exactly
    assert back[tuple(voxel)] == pytest.approx(place @ [1, 2, 3] / 4, abs=1e-4)


def test_a_grid_that_sees_nothing_of_a_map_gives_zeros_and_borders_go_on():
    data = np.zeros((6, 6, 90), np.float32)
    data[0, :, 40:] = 0.5
    beside = Grid((6, 6, 90), np.array([[1.0, 0, 0, -3], [0, 1, 0, 0.3], [0, 0, 1, 0.2], [0, 0, 0, 1]]))
    back = np.concatenate(list(onto_slabs(Volume(data, np.eye(4)), beside)), axis=2)
    assert (back[:4, :, 45:] == 0.5).all()  # beyond its outermost voxels a map goes on
    assert (back[:, :, :32] == 0).all()


@pytest.mark.parametrize(("shape", "crop"), [((14, 9, 31), (8, 8, 8)), ((6, 9, 7), (8, 8, 8)), ((5, 20, 9), (8, 6, 4))])
def test_blended_slabs_are_what_monai_blends_at_once(shape, crop):
    from monai.inferers import sliding_window_inference

    torch.manual_seed(0)
    image, layer = torch.randn(2, *shape), torch.nn.Conv3d(2, 3, 3, padding=1)

    def window(origin):
        part = torch.zeros(2, *crop)
        spans = [slice(max(o, 0), min(o + c, n)) for o, c, n in zip(origin, crop, shape, strict=True)]
        own = [slice(span.start - o, span.stop - o) for span, o in zip(spans, origin, strict=True)]
        part[:, own[0], own[1], own[2]] = image[:, spans[0], spans[1], spans[2]]
        return part

    slabs = list_of(blended_slabs(shape, crop, window, lambda x: layer(x).sigmoid(), device=torch.device("cpu")))
    with torch.inference_mode():
        expected = sliding_window_inference(image[None], crop, 4, lambda x: layer(x).sigmoid(), 0.5, mode="gaussian")[0]
    assert slabs[0][0] == 0
    assert torch.allclose(torch.cat([slab for _, slab in slabs], -1), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("box", "shape", "expected"),
    [
        (((3, 3, 3), (7, 7, 7)), (20, 20, 20), [(1, 1, 1)]),  # around the centre
        (((0, 16, 3), (4, 20, 7)), (20, 20, 20), [(0, 12, 1)]),  # at the border of the case
        (((0, 0, 2), (4, 4, 14)), (5, 8, 20), [(-2, 0, 2), (-2, 0, 6)]),  # longer than a crop; the case is shorter
        (None, (20, 20, 20), []),  # no organ
    ],
)
def test_crops_that_show_an_organ(box, shape, expected):
    found = GrowingBox.around([] if box is None else [box])
    assert found.windows(shape, (8, 8, 8)) == expected
    if box is not None:
        inside = np.zeros(shape, dtype=bool)
        inside[tuple(slice(a, b) for a, b in zip(*box, strict=True))] = True
        grown = GrowingBox()
        for first in range(0, shape[2], 3):
            grown.add(first, inside[..., first : first + 3])
        assert (grown.low, grown.high) == box


def test_the_score_of_multi_task_is_that_of_its_head(toy_store, tmp_path):
    weights = {"segmentation": 1, "organs": 1, "presence": 1}
    recipe = recipe_of(objective="multi_task", cases=[{"masks": 1, "reports": 1}] * 2, weights=weights)
    train(toy_store, recipe, tmp_path / "run")
    predict(tmp_path / "run", toy_release(), Split.TEST, tmp_path / "sub", masks=True)
    with (tmp_path / "sub" / "predictions.csv").open() as file:
        row = next(csv.DictReader(file))
    predictor = Predictor(tmp_path / "run")
    record, volumes = toy_release().cases["case-08"]
    case = prepare_case(record, replace(volumes, lesions=None), toy_release().label_map, recipe)
    # the liver is 10 voxels wide in y and z, from 3 to 13; x from 1 to 11: one crop of 16 around (6, 8, 8)
    image = network_input(case.ct[:16], case.organs[:16], case.index, toy_release().label_map, recipe)
    with torch.inference_mode():
        expected = predictor.network(image[None]).presence[0, 0].sigmoid().item()
    assert float(row["score"]) == pytest.approx(expected, abs=1e-5)
    assert float(row["score"]) != pytest.approx(
        read_nifti(tmp_path / "sub/masks/case-08/liver.nii.gz").data.max(), 0.01
    )


def test_unwanted_windows_leave_zeros():
    def slabs(wanted):
        def window(origin):
            return torch.zeros(1, 4, 4, 4) if origin[2] in wanted else None

        found = blended_slabs((4, 4, 12), (4, 4, 4), window, lambda x: x + 1, device=torch.device("cpu"))
        return torch.cat([slab.clone() for _, slab in found], -1) if wanted else list(found)

    assert slabs(()) == []
    assert slabs((0,))[0, 0, 0].tolist() == [1.0] * 4 + [0.0] * 8
    assert slabs((0, 2, 4, 6, 8))[0, 0, 0].tolist() == [1.0] * 12


def list_of(slabs):
    return [(first, slab.clone()) for first, slab in slabs]  # each is overwritten by the next


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
