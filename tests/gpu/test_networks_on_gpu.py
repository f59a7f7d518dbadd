"""The networks and a whole training step where they are meant to run."""

import copy

import pytest
import torch
from gpu_batch import recipe_for, synthetic_batch

from rsuper_bench.baselines.networks import Channels, Segmenter, build_model
from rsuper_bench.baselines.networks.attention import AttentionBlock
from rsuper_bench.baselines.objectives import OBJECTIVES
from rsuper_bench.baselines.recipe import NetworkSpec
from rsuper_bench.benchmark.tumor_types import TumorType

pytestmark = pytest.mark.gpu
SMALL = {
    "medformer": {"width": 16, "attention_blocks": [1, 1, 1]},
    "dynunet": {"levels": 4, "width": 16, "norm_name": "instance"},
    "segresnet": {"init_filters": 16, "blocks_down": [1, 1, 1], "blocks_up": [1, 1]},
    "segresnet_ds": {"width": 16, "blocks_down": [1, 1, 1]},
    "swin_unetr": {"width": 12, "depths": [1, 1, 1, 1]},
}


def small(name):
    if name != "medformer":
        pytest.importorskip("monai", reason="monai is not installed")
    torch.manual_seed(0)
    channels = Channels((TumorType.LIVER, TumorType.KIDNEY), malignancy=True)
    return Segmenter(NetworkSpec(name=name, options=SMALL[name]), 1, channels, initial_probability=0.5)


def terms_of(model, batch, recipe):
    offered = OBJECTIVES[recipe.objective](model, batch, recipe.losses)
    return {name: offered[name]() * recipe.weight(name, 1) for name in recipe.weights}


@pytest.fixture
def exact():
    """float32 products with all their bits."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize("name", SMALL)
def test_the_gpu_computes_what_the_cpu_computes(name, cuda, exact):
    network = small(name).train()
    image = torch.randn(2, 1, 64, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network.network(image)
        found = network.to(cuda).network(image.to(cuda))
    for one, other in zip(*(x if isinstance(x, list) else [x] for x in (expected, found)), strict=True):
        assert (one - other.cpu()).abs().max() < 1e-3 * one.abs().max()


@pytest.mark.parametrize("name", SMALL)
def test_bfloat16_stays_close_and_learns(name, cuda):
    network = small(name).train().to(cuda)
    image = torch.randn(2, 1, 64, 64, 64, device=cuda)
    outputs = network(image)
    assert {part.dtype for part in outputs} == {torch.float32}
    torch.stack([part.square().mean() for part in outputs]).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())
    with torch.no_grad():
        raw = network.network(image)
    exact = (raw[0] if isinstance(raw, list) else raw)[:, :2] + network.bias[:, :2]
    difference = (outputs.final - exact).square().mean().sqrt()
    assert 0 < difference < 0.1 * exact.std()


def test_one_batch_can_be_learned(cuda):
    recipe = recipe_for("combined", 64, 8)
    torch.manual_seed(0)
    model = build_model(recipe).to(cuda).train()
    batch = synthetic_batch(recipe, ("masks", "reports")).to(cuda)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(20):
        optimizer.zero_grad(set_to_none=True)
        terms = terms_of(model, batch, recipe)
        loss = torch.stack(list(terms.values())).sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(value.isfinite() for value in terms.values())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("name", ["combined", "combined_malignancy"])
def test_a_training_step_never_waits_for_the_gpu(cuda, name):
    """Forward, every loss of the objective, backward: nothing is read back to the host."""
    recipe = recipe_for(name, 64, 8)
    model = build_model(recipe).to(cuda).train()
    batch = synthetic_batch(recipe, ("masks", "reports")).to(cuda)
    torch.stack(list(terms_of(model, batch, recipe).values())).sum().backward()  # kernels and plans are made here
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        torch.stack(list(terms_of(model, batch, recipe).values())).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_compiled_block_computes_the_same(cuda):
    torch.manual_seed(0)
    block = AttentionBlock(32, heads=4, expansion=4).to(cuda)
    features, semantic = torch.randn(2, 32, 16, 16, 16, device=cuda), torch.randn(2, 27, 32, device=cuda)
    with torch.no_grad():
        eager, compiled = block(features, semantic), torch.compile(copy.deepcopy(block))(features, semantic)
    for one, other in zip(eager, compiled, strict=True):
        assert torch.allclose(one, other, atol=1e-2)
