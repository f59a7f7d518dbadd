"""bfloat16 in the network alone; torch.compile on request."""

import json

import pytest
import torch
from toy_world import recipe_of

from rsuper_bench.baselines.checkpoint import read_checkpoint
from rsuper_bench.baselines.networks import build_model
from rsuper_bench.baselines.train import train


def inside(model, image):
    """Type of what a convolution of the network gives out."""
    seen = []
    layer = next(module for module in model.modules() if isinstance(module, torch.nn.Conv3d))
    handle = layer.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    outputs = model(image)
    handle.remove()
    return seen[0], outputs


@pytest.mark.parametrize(
    ("precision", "expected"), [("auto", torch.float32), ("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_the_network_alone_computes_in_the_chosen_precision(precision, expected):
    model = build_model(recipe_of(precision=precision))
    computed, outputs = inside(model, torch.randn(1, 1, 16, 16, 16))
    assert computed is expected
    assert outputs.final.dtype is outputs.organs.dtype is torch.float32
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_fp32_stays_so_inside_the_autocast_of_a_caller():
    with torch.autocast("cpu", torch.bfloat16):
        computed, _ = inside(build_model(recipe_of(precision="fp32")), torch.randn(1, 1, 16, 16, 16))
    assert computed is torch.float32


def test_bf16_trains_as_fp32_within_its_eight_bits(toy_store, tmp_path):
    """A bfloat16 has 8 significant bits: 0.4 % a value; over eight steps the losses stay within 3 %."""
    losses = {}
    for precision in ("fp32", "bf16"):
        train(toy_store, recipe_of(precision=precision), tmp_path / precision)
        lines = (tmp_path / precision / "losses.jsonl").read_text().splitlines()
        losses[precision] = [json.loads(line)["loss"] for line in lines]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.03)
    assert losses["bf16"] != losses["fp32"]
    weights = read_checkpoint(tmp_path / "bf16" / "weights.safetensors").tensors
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_a_gpu_without_bf16_is_refused_before_the_first_step(monkeypatch):
    from rsuper_bench.baselines.start import _check_precision
    from rsuper_bench.benchmark.errors import ConfigError

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "an old GPU")
    with pytest.raises(ConfigError, match="an old GPU does not compute in bfloat16"):
        _check_precision(recipe_of(precision="bf16"), torch.device("cuda"))
    _check_precision(recipe_of(precision="auto"), torch.device("cuda"))


@pytest.mark.parametrize("wanted", [False, True])
def test_the_network_is_compiled_on_request_and_its_names_stay(toy_store, tmp_path, monkeypatch, wanted):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(module))
    network = {"name": "toy", "fold": 2, "compile": wanted}
    run = train(toy_store, recipe_of(network=network), tmp_path, stop_after=1)
    assert compiled == ([run.model.segmenter.network] if wanted else [])


def test_channels_last_are_for_the_cpu():
    weight = "segmenter.network.0.weight"
    on_cpu = build_model(recipe_of()).state_dict()[weight]
    assert on_cpu.is_contiguous(memory_format=torch.channels_last_3d)
    assert build_model(recipe_of(), "meta").state_dict()[weight].is_contiguous()
