import pytest
import torch
from toy_world import recipe_of

from rsuper_bench.baselines.networks import NETWORKS, Channels, Segmenter, Sides, build_model
from rsuper_bench.baselines.recipe import NetworkSpec, load_recipe, shipped_recipes
from rsuper_bench.benchmark.errors import ConfigError
from rsuper_bench.benchmark.tumor_types import TumorType

ONE = Channels((TumorType.LIVER,))
TWO = Channels((TumorType.LIVER, TumorType.KIDNEY))
SMALL = {
    "medformer": {"width": 4, "attention_blocks": [1, 1, 1]},
    "dynunet": {"levels": 4, "width": 4, "norm_name": "instance"},
    "segresnet": {"init_filters": 8, "blocks_down": [1, 1, 1], "blocks_up": [1, 1]},
    "segresnet_ds": {"width": 4, "blocks_down": [1, 1, 1]},
    "swin_unetr": {"width": 12, "depths": [1, 1, 1, 1]},
}
SIDE = {"swin_unetr": 64}
DEEP = ("medformer", "dynunet", "segresnet_ds")


class Copy(torch.nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.repeat = out_channels // in_channels

    def forward(self, image):
        return torch.cat([image] * self.repeat, 1)


@pytest.fixture
def copying(monkeypatch):
    monkeypatch.setitem(NETWORKS, "copy", lambda in_channels, out_channels: Copy(in_channels, out_channels))


def small(name, channels=TWO, **options):
    torch.manual_seed(0)
    return Segmenter(NetworkSpec(name=name, options=SMALL[name] | options), 1, channels, initial_probability=0.5)


def image_for(name, batch=1):
    side = SIDE.get(name, 32)
    return torch.randn(batch, 1, side, side, side, generator=torch.Generator().manual_seed(1))


def test_every_shipped_network_is_tested():
    assert set(SMALL) == set(NETWORKS) - {"toy"}


@pytest.mark.parametrize("fold", [1, 2, 4])
def test_folding_moves_every_voxel_back_to_its_place(copying, fold):
    network = Segmenter(NetworkSpec(name="copy", fold=fold), 1, ONE, initial_probability=0.5)
    image = torch.randn(2, 1, 8, 4, 12)
    outputs = network(image)
    assert torch.equal(outputs.final, image)
    assert torch.equal(outputs.organs, image)


class Numbered(torch.nn.Module):
    """Each channel says its own number; the auxiliary output has half the size and says 100 more."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.channels = out_channels

    def forward(self, image):
        numbers = torch.arange(float(self.channels)).reshape(1, -1, 1, 1, 1)
        sides = image.shape[2:]
        return [numbers.expand(1, -1, *sides), 100 + numbers.expand(1, -1, *(n // 2 for n in sides))]


@pytest.mark.parametrize("fold", [1, 2])
def test_the_auxiliary_output_is_that_of_the_lesions_at_full_size(monkeypatch, fold):
    monkeypatch.setitem(NETWORKS, "numbered", Numbered)
    outputs = Segmenter(NetworkSpec(name="numbered", fold=fold), 1, TWO, initial_probability=0.5)(
        torch.zeros(1, 1, 8, 8, 16)
    )
    assert outputs.auxiliary.shape == outputs.final.shape == (1, 2, 8, 8, 16)
    assert torch.equal(outputs.auxiliary, outputs.final + 100)
    assert torch.equal(outputs.organs, outputs.final + 2 * fold**3)


def test_untrained_lesion_and_malignancy_channels_say_the_initial_probability(monkeypatch):
    monkeypatch.setitem(NETWORKS, "zero", lambda i, o: torch.nn.Conv3d(i, o, 1))
    channels = Channels(TWO.tumor_types, malignancy=True)
    network = Segmenter(NetworkSpec(name="zero"), 1, channels, initial_probability=0.02)
    torch.nn.init.zeros_(network.network.weight)
    torch.nn.init.zeros_(network.network.bias)
    outputs = network(torch.randn(1, 1, 4, 4, 4))
    assert torch.allclose(outputs.final.sigmoid(), torch.tensor(0.02))
    assert torch.allclose(outputs.malignancy.sigmoid(), torch.tensor(0.02))
    assert torch.allclose(outputs.organs.sigmoid(), torch.tensor(0.5))


def test_each_channel_stands_for_one_thing():
    assert TWO.names == ("liver lesion", "kidney lesion", "liver organ", "kidney organ")
    with_malignancy = Channels(TWO.tumor_types, malignancy=True)
    assert with_malignancy.names[4:] == ("liver malignant", "liver benign", "kidney malignant", "kidney benign")
    with_restoration = Channels(TWO.tumor_types, malignancy=True, restoration=True)
    assert with_restoration.names[:-1] == with_malignancy.names
    for channels in (TWO, with_malignancy, with_restoration):
        assert len(channels.names) == channels.count
        numbered = torch.arange(float(channels.count)).reshape(1, -1, 1, 1, 1)
        lesions, organs, malignancy, restored = channels.split(numbered)
        named = [channels.names[int(value)] for value in lesions.flatten()]
        assert named == ["liver lesion", "kidney lesion"]
        assert [channels.names[int(value)] for value in organs.flatten()] == ["liver organ", "kidney organ"]
    assert [channels.names[int(value)] for value in malignancy[0, 1].flatten()] == ["kidney malignant", "kidney benign"]
    assert [channels.names[int(value)] for value in restored.flatten()] == ["CT"]


def test_malignancy_has_channels_only_where_it_has_a_loss():
    assert not Channels.of(load_recipe("combined")).malignancy
    assert Channels.of(load_recipe("combined_malignancy")).malignancy


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if name.startswith(("demo", "smoke"))])
def test_shipped_networks_give_one_map_a_type(name):
    recipe = load_recipe(name)
    model = build_model(recipe)
    inputs = 2 + len(recipe.tumor_types) if recipe.organ_input else 1
    outputs = model(torch.zeros(1, inputs, 16, 16, 16))
    assert outputs.final.shape == outputs.organs.shape == (1, len(recipe.tumor_types), 16, 16, 16)
    assert outputs.auxiliary is outputs.final
    assert (outputs.malignancy is None) == ("malignancy" not in recipe.weights)


def test_the_papers_recipes_train_medformer_on_128_voxels():
    for name, channels in (("combined", 2), ("mask_only", 2), ("report_only", 2), ("combined_malignancy", 4)):
        recipe = load_recipe(name)
        assert (recipe.network.name, recipe.crop) == ("medformer", (128, 128, 128))
        model = build_model(recipe)  # refuses a crop the network cannot take
        assert model.segmenter.channels.count == channels * len(recipe.tumor_types)


def test_channels_come_last_only_in_folded_networks_without_depthwise_layers():
    def last(network):
        model = build_model(recipe_of(network=network, crop=[64, 64, 64]))
        weight = next(p for p in model.segmenter.network.parameters() if p.ndim == 5 and p.shape[1] > 1)
        return weight.stride(1) == 1

    folded = {"options": SMALL["dynunet"], "fold": 2}
    assert last({"name": "dynunet", **folded})
    assert not last({"name": "dynunet", **folded, "fold": 1})
    assert not last({"name": "medformer", "options": SMALL["medformer"], "fold": 2})


@pytest.mark.parametrize("name", SMALL)
def test_shapes_while_training_and_after(name):
    network, image = small(name), image_for(name)
    shape = (1, 2, *image.shape[2:])
    outputs = network.train()(image)
    assert outputs.final.shape == outputs.auxiliary.shape == outputs.organs.shape == shape
    assert (outputs.auxiliary is not outputs.final) == (name in DEEP)
    with torch.no_grad():
        evaluated = network.eval()(image)
    assert evaluated.auxiliary is evaluated.final


@pytest.mark.parametrize("name", SMALL)
def test_a_gradient_reaches_every_parameter(name):
    network = small(name).train()
    outputs = network(image_for(name))
    torch.stack([part.square().mean() for part in outputs[:3]]).sum().backward()
    still = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert still == []


@pytest.mark.parametrize("name", SMALL)
def test_a_case_does_not_change_its_neighbour_in_the_batch(name):
    network, pair = small(name).train(), image_for(name, batch=2)  # batch statistics would count while training
    with torch.no_grad():
        together = network(pair)
        alone = network(pair[1:])
        other = network(torch.stack([10 * pair[0] + 3, pair[1]]))
    assert torch.allclose(together.final[1:], alone.final, atol=1e-5)
    assert torch.allclose(together.final[1], other.final[1], atol=1e-5)
    assert not torch.allclose(together.final[0], together.final[1], atol=1e-2)


@pytest.mark.parametrize("name", SMALL)
def test_same_seed_same_bytes(name):
    image = image_for(name)
    with torch.no_grad():
        first, second = (small(name).train()(image) for _ in range(2))
    for one, other in zip(first[:3], second[:3], strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", SMALL)
def test_bfloat16_agrees_with_float32(name):
    network, image = small(name).train(), image_for(name)
    with torch.autocast("cpu", torch.bfloat16):
        low = network(image)
    assert low.final.dtype == low.auxiliary.dtype == low.organs.dtype == torch.float32
    low.final.square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    with torch.no_grad():
        full = network(image)
    # bfloat16 keeps 8 bits: 2^-8 a step; the errors of a few dozen layers stay well below the signal
    assert (low.final - full.final).square().mean().sqrt() < 0.1 * full.final.std()
    assert not torch.equal(low.final, full.final)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"name": "segresnat"}, "Did you mean 'segresnet'"),
        ({"name": "medformr"}, "Did you mean 'medformer'"),
        ({"name": "segresnet", "options": {"filters": 8}}, "refuses its options"),
        ({"name": "medformer", "options": {"width": 0}}, "width is 0"),
        ({"name": "medformer", "options": {"attention_blocks": [2, 2]}}, "three counts are needed"),
        ({"name": "medformer", "options": {"attention_blocks": 2}}, "three counts are needed"),
        ({"name": "medformer", "options": {"attention_blocks": [1, "a", 1]}}, r"attention_blocks is \[1, 'a', 1\]"),
        ({"name": "medformer", "options": {"width": True, "map_size": 2.5}}, "width is True, map_size is 2.5"),
        ({"name": "medformer", "options": {"auxiliary": "no"}}, "auxiliary is 'no'"),
        ({"name": "dynunet", "options": {"levels": 1}}, "refuses its options"),
        ({"name": "dynunet", "options": {"width": 0}}, "width is 0"),
        ({"name": "segresnet", "options": {"blocks_down": []}}, r"blocks_down is \[\]"),
        ({"name": "segresnet", "options": {"init_filters": -8}}, "refuses its options"),
        ({"name": "swin_unetr", "options": {"depths": [2]}}, "four counts are needed"),
        ({"name": "medformer", "options": {"heads": 3}}, "refuses its options"),
        ({"name": "toy", "fold": 3}, "divisible by fold 3"),
        ({"name": "medformer"}, r"cannot take crop \[16, 16, 16\]: a side must be longer than 16"),
        ({"name": "swin_unetr", "options": {"width": 12}}, "multiple of 32"),
        ({"name": "dynunet", "fold": 2, "options": {"levels": 5}}, "multiple of 16, after folding by 2"),
    ],
)
def test_a_network_that_cannot_work_is_refused(network, message):
    with pytest.raises(ConfigError, match=message):
        build_model(recipe_of(network=network))


@pytest.mark.parametrize(
    ("shape", "message"),
    [((32, 32, 32), None), ((32, 32, 48), None), ((32, 32, 40), "multiple of 16"), ((16, 16, 16), "longer than 16")],
)
def test_sides_say_what_is_wrong(shape, message):
    refusal = Sides(16, 16).refusal(shape)
    assert (refusal is None) if message is None else (message in refusal)


@pytest.mark.parametrize("name", SMALL)
def test_a_network_takes_exactly_the_sizes_it_says(name):
    """Sizes the rule allows run, and those it refuses would fail inside the network."""
    network = small(name, ONE).train()
    step = network.network.sides.multiple
    if step == 1:
        network(torch.randn(1, 1, 17, 20, 33))
        return
    network(torch.randn(1, 1, 2 * step, step, step))
    with pytest.raises(ValueError, match=rf"image \(32, {2 * step}, {2 * step + 1}\): every side must be a multiple"):
        network(torch.randn(1, 1, 32, 2 * step, 2 * step + 1))
