"""What cannot work is said before the first step, all of it at once, and nothing is written."""

import pytest
import torch
from pydantic import ValidationError
from toy_world import recipe_of, toy_release

from rsuper_bench.baselines.prepare import prepare
from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.baselines.schedule import learning_rate
from rsuper_bench.baselines.train import train
from rsuper_bench.benchmark.errors import ConfigError, DataError, RsuperBenchError

STAGES = [{"steps": 1, "learning_rate": 0.01}] * 2


def test_all_problems_come_at_once_and_nothing_is_written(toy_store, tmp_path):
    recipe = recipe_of(grid_mm=3.0, tumor_types=["lung"], network={"name": "toyy"}, precision="bf16")
    with pytest.raises(DataError) as caught:
        train(toy_store, recipe, tmp_path / "run")
    found = [str(problem) for problem in caught.value.problems]
    assert len(found) == 4
    for part in ("prepared for a grid of 4.0 mm", "no training case has lesion masks", "no report of a training case"):
        assert any(part in problem for problem in found), part
    assert any("Did you mean 'toy'?" in problem for problem in found)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("objective", "cases", "weights", "message"),
    [
        ("mask_only", [{"masks": 1}] * 2, {"segmentation": 1, "organs": 1}, "no training case has lesion masks"),
        (
            "report_only",
            [{"reports": 1}] * 2,
            {"segmentation": 1, "organs": 1, "volume": 1, "ball": 1, "attenuation": 1},
            "no report of a training case states a tumor",
        ),
    ],
)
def test_a_store_without_what_the_objective_learns_from(tmp_path, objective, cases, weights, message):
    release = toy_release(n_train=2, masked=0)
    silent = {name: (record.model_copy(update={"findings": (), "presence": {}}), volumes)
              for name, (record, volumes) in release.cases.items()}  # fmt: skip
    release.cases = silent
    recipe = recipe_of(objective=objective, cases=cases, weights=weights)
    store = prepare(release, recipe, tmp_path / "store")
    with pytest.raises(DataError, match=message):
        train(store, recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_crop_larger_than_the_cases_is_filled_and_noted(toy_store, tmp_path):
    """Cases have 24 x 16 x 16 voxels."""
    notes = []
    recipe = recipe_of(crop=[32, 16, 16], stages=STAGES)
    assert train(toy_store, recipe, tmp_path / "run", on_note=notes.append).step == 2
    assert notes == ["8 of 8 cases are smaller than the crop of 32 x 16 x 16 voxels: filled with air around them"]


def test_a_folder_with_something_else_is_refused(toy_store, tmp_path):
    with pytest.raises(ConfigError, match="holds prepared cases"):
        train(toy_store, recipe_of(), toy_store.folder)
    (tmp_path / "weights.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match="holds a run"):
        train(toy_store, recipe_of(), tmp_path)
    with pytest.raises(ConfigError, match="holds finished weights and no state"):
        train(toy_store, recipe_of(), tmp_path, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError("Unable to allocate 8 EiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_memory_that_is_too_small_is_explained(toy_store, tmp_path, monkeypatch, error):
    from rsuper_bench.baselines import train as loop

    def full(*_, **__):
        raise error

    monkeypatch.setattr(loop, "backward", full)
    with pytest.raises(ConfigError, match=r"crop \[16, 16, 16\] and batch 2 do not fit(?s:.*)--set accumulate=2"):
        train(toy_store, recipe_of(), tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"weights": {"segmentaton": 1.0}}, ["no term segmentaton (did you mean 'segmentation'?)", "weights lacks"]),
        ({"weights": {"clip": 1.0}}, ["no term clip (its terms are segmentation, organs"]),
        ({"batch": 4, "accumulate": 3, "window_hu": [5, 1]}, ["in 3 equal parts", "window_hu is its lower end"]),
        ({"cases": [{"masks": 1}], "tumor_types": ["liver", "liver"]}, ["1 entries for 2 stages", "stands twice"]),
        ({"precision": "fp16"}, ["'auto', 'bf16' or 'fp32'"]),
        ({"overlay_every": 0}, ["greater than 0"]),
    ],
)
def test_values_that_do_not_fit_together(changes, messages):
    with pytest.raises(ValidationError) as caught:
        recipe_of(**changes)
    for message in messages:
        assert message in str(caught.value)


def test_a_loss_that_explodes_on_a_cpu_is_no_traceback(toy_store, tmp_path):
    """There a loss refuses logits that are not finite: it is the same error, with the term and the cases."""
    stages = [{"steps": 4, "learning_rate": 1e30}, {"steps": 4, "learning_rate": 1e30}]
    with pytest.raises(RsuperBenchError, match=r"step \d: \w+(?s:.*)Look at case-0\d"):
        train(toy_store, recipe_of(stages=stages, augmentation=None), tmp_path / "run")


@pytest.mark.parametrize(
    ("warmup", "expected"), [("linear", [0.25, 0.5, 0.75, 1.0]), ("exponential", [0.01**0.75, 0.1, 0.01**0.25, 1.0])]
)
def test_warm_up_then_polynomial_decay(warmup, expected):
    stage = {"steps": 8, "learning_rate": 2.0, "warmup_steps": 4, "warmup": warmup}
    recipe: Recipe = recipe_of(stages=[stage, stage])
    rates = [learning_rate(recipe, step) for step in range(16)]
    assert rates[:4] == pytest.approx([2 * part for part in expected])
    assert rates[4:8] == pytest.approx([2 * (1 - done / 4) ** 0.9 for done in range(4)])
    assert rates[8:] == rates[:8]
