"""MedFormer: its size by hand, its attention against torch's own, and the properties of its parts."""

import shutil

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from rsuper_bench.baselines.networks import NETWORKS
from rsuper_bench.baselines.networks.attention import AttentionBlock, BidirectionalAttention, MapFusion, SemanticMap
from rsuper_bench.baselines.networks.medformer import MedFormer

TOKENS, EXPANSION = 27, 4


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def conv_block(i, o):
    return 27 * i * o + 27 * o * o + 4 * o + (i * o if i != o else 0)


def halving(i, o):
    return 27 * i * o + 2 * o


def linear(i, o):
    return i * o + o


def attention_block(c, *, updates_map):
    """Depth-wise 27 c, projections to query and value, map projections, outputs, feed-forward parts, norms."""
    wide = EXPANSION * c
    features = 27 * c + linear(c, 2 * c if updates_map else c) + linear(c, c)
    semantic = linear(c, 2 * c) + (linear(c, c) if updates_map else 0)
    feed_forward = linear(c, wide) + 28 * wide + linear(wide, c)
    map_feed_forward = linear(c, wide) + linear(wide, c) + 2 * c if updates_map else 0
    return features + semantic + feed_forward + map_feed_forward + 3 * 2 * c


def by_hand(w, inputs, outputs, blocks=(2, 4, 6), conv_blocks=2):
    full, half, a, b, c = w, 2 * w, 4 * w, 8 * w, 10 * w
    total = conv_block(inputs, full) + halving(full, half) + conv_blocks * conv_block(half, half)
    for before, now, number in ((half, a, blocks[0]), (a, b, blocks[1]), (b, c, blocks[2])):
        total += halving(before, now) + linear(now, TOKENS) + linear(now, now)
        total += number * attention_block(now, updates_map=True)
    # fusion: width c in and out for each scale, a mark a scale, two transformer layers
    total += sum(linear(now, c) + linear(c, now) + c for now in (a, b, c))
    total += 2 * (linear(c, 3 * c) + linear(c, c) + linear(c, 4 * c) + linear(4 * c, c) + 4 * c)
    for coarse, fine in ((b, a), (c, b)):
        total += linear(coarse, fine) + linear(2 * fine, fine) + linear(coarse, fine)  # narrow, join, map
    total += blocks[1] * attention_block(b, updates_map=True)
    total += (blocks[0] - 1) * attention_block(a, updates_map=True) + attention_block(a, updates_map=False)
    for coarse, fine in ((a, half), (half, full)):
        total += linear(coarse, fine) + conv_block(2 * fine, fine) + (conv_blocks - 1) * conv_block(fine, fine)
    return total + linear(full, outputs) + linear(half, outputs)


@pytest.mark.parametrize(("width", "inputs", "outputs"), [(32, 1, 28), (32, 16, 56), (8, 1, 2)])
def test_parameters_as_counted_by_hand(width, inputs, outputs):
    with torch.device("meta"):
        assert count(MedFormer(inputs, outputs, width=width)) == by_hand(width, inputs, outputs)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("medformer", 35_137_193),
        ("dynunet", 16_546_328),
        ("segresnet", 1_176_420),
        ("segresnet_ds", 87_165_976),
        ("swin_unetr", 62_187_982),
    ],
)
def test_parameters_of_the_defaults(name, parameters):
    """One image channel, 14 tumor types. A change here makes older checkpoints useless: say so in the changelog."""
    assert count(NETWORKS[name](1, 28)) == parameters


def test_the_channels_of_the_paper():
    with torch.device("meta"):
        network = MedFormer(1, 28)
    down = [network.halve[0].out_channels, *(merge[0].out_channels for merge in network.merging)]
    up = [network.joins[1].narrow, network.joins[0].narrow, network.join_half.narrow, network.join_full.narrow]
    assert down == [64, 128, 256, 320]
    assert [layer.out_channels for layer in up] == [256, 128, 64, 32]
    assert [level[0].attention.heads for level in network.encoder] == [4, 8, 10]
    assert [level[0].attention.heads for level in network.decoder] == [4, 8]
    assert all(item.weights.out_channels == 3**3 for item in network.maps)
    assert (network.fusion.layers.num_layers, network.fusion.scale.shape[-1]) == (2, 320)


def test_attention_both_ways_is_attention_each_way():
    torch.manual_seed(0)
    attention = BidirectionalAttention(8, heads=2).eval()
    features, semantic = torch.randn(2, 8, 3, 4, 5), torch.randn(2, 7, 8)
    found, map_found = attention(features, semantic)

    def heads(tokens):
        return tokens.reshape(2, -1, 2, 4).transpose(1, 2)

    query, value = attention.pointwise(attention.depthwise(features)).flatten(2).transpose(1, 2).split(8, -1)
    map_query, map_value = attention.map_projection(semantic).split(8, -1)
    to_features = scaled_dot_product_attention(heads(query), heads(map_query), heads(map_value))
    to_map = scaled_dot_product_attention(heads(map_query), heads(query), heads(value))
    expected = attention.output(to_features.transpose(1, 2).reshape(2, 60, 8).transpose(1, 2).reshape(2, 8, 3, 4, 5))
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(map_found, attention.map_output(to_map.transpose(1, 2).reshape(2, 7, 8)), atol=1e-6)


def test_attention_costs_grow_with_the_number_of_positions():
    attention = BidirectionalAttention(8, heads=2)
    semantic, spent = torch.randn(1, 27, 8), []
    for length in (8, 16, 32):
        with FlopCounterMode(display=False) as counter:
            attention(torch.randn(1, 8, length, 8, 8), semantic)
        spent.append(counter.get_total_flops())
    assert spent[2] - spent[1] == 2 * (spent[1] - spent[0])
    assert spent[1] < 2 * spent[0]  # the map's own part does not grow


def test_tokens_are_means_over_positions():
    torch.manual_seed(0)
    summary = SemanticMap(6, 27)
    features = torch.randn(2, 6, 4, 4, 4)
    shuffled = features.flatten(2)[..., torch.randperm(64)].reshape(2, 6, 4, 4, 4)
    assert torch.allclose(summary(features), summary(shuffled), atol=1e-5)
    flat = torch.ones(1, 6, 4, 4, 4)
    assert torch.allclose(summary(flat), summary.values(flat)[..., 0, 0, 0][:, None].expand(1, 27, 6), atol=1e-5)


def test_tokens_have_no_order_in_attention():
    torch.manual_seed(0)
    block = AttentionBlock(8, heads=2, expansion=2)
    features, semantic, order = torch.randn(1, 8, 4, 4, 4), torch.randn(1, 5, 8), torch.randperm(5)
    found, updated = block(features, semantic)
    found_again, updated_again = block(features, semantic[:, order])
    assert torch.allclose(found, found_again, atol=1e-5)
    assert torch.allclose(updated[:, order], updated_again, atol=1e-5)


def test_fused_maps_know_the_other_scales():
    torch.manual_seed(0)
    fusion = MapFusion((4, 8, 12), width=12, heads=2, depth=2, expansion=2)
    maps = [torch.randn(1, 27, width, requires_grad=True) for width in (4, 8, 12)]
    fused = fusion(maps)
    assert [item.shape for item in fused] == [item.shape for item in maps]
    for item in fused:
        gradients = torch.autograd.grad(item.sum(), maps, retain_graph=True)
        assert all(bool(gradient.any()) for gradient in gradients)


def test_a_far_corner_changes_every_voxel():
    """The semantic map carries what the convolutions do not reach."""
    torch.manual_seed(0)
    network = MedFormer(1, 1, width=4, attention_blocks=(1, 1, 1)).eval()
    image = torch.randn(1, 1, 64, 32, 32)
    changed = image.clone()
    changed[..., :4, :4, :4] += 5
    with torch.no_grad():
        difference = (network(image) - network(changed)).abs()
    assert (difference > 0).float().mean() > 0.99


def test_the_auxiliary_output_has_half_the_size_and_can_be_left_out():
    image = torch.randn(1, 1, 32, 32, 35)
    final, auxiliary = MedFormer(1, 3, width=4, attention_blocks=(1, 1, 1)).train()(image)
    assert final.shape == (1, 3, 32, 32, 35)
    assert auxiliary.shape == (1, 3, 16, 16, 18)
    assert torch.is_tensor(MedFormer(1, 3, width=4, attention_blocks=(1, 1, 1), auxiliary=False).train()(image))


def test_it_compiles_in_one_piece():
    """Tracing forward and backward finds no break; the slow test below also makes machine code."""
    torch.manual_seed(0)
    network = MedFormer(1, 2, width=4, attention_blocks=(1, 1, 1)).train()
    image = torch.randn(1, 1, 32, 32, 32)
    eager = network(image)
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)(image)
    for one, other in zip(eager, compiled, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
def test_a_compiled_block_computes_and_learns_the_same():
    """One block: machine code of the whole network takes minutes on a CPU; `make gpu-check` compiles all of it."""
    torch.manual_seed(0)
    block = AttentionBlock(8, heads=2, expansion=2)
    features, semantic = torch.randn(1, 8, 4, 4, 4), torch.randn(1, 5, 8)
    gradients = []
    for forward in (block, torch.compile(block)):
        block.zero_grad()
        found, updated = forward(features, semantic)
        (found.square().mean() + updated.square().mean()).backward()
        gradients.append([found.detach(), updated.detach(), *(p.grad.clone() for p in block.parameters())])
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-4 * float(one.abs().max()) + 1e-6)
