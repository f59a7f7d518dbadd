import pytest
import torch
from toy_world import recipe_of

from rsuper_bench.baselines.networks import NETWORKS, Segmenter, build_model
from rsuper_bench.baselines.recipe import NetworkSpec, load_recipe, shipped_recipes
from rsuper_bench.benchmark.errors import ConfigError


class Copy(torch.nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.repeat = out_channels // in_channels

    def forward(self, image):
        return torch.cat([image] * self.repeat, 1)


@pytest.fixture
def copying(monkeypatch):
    monkeypatch.setitem(NETWORKS, "copy", lambda in_channels, out_channels: Copy(in_channels, out_channels))


@pytest.mark.parametrize("fold", [1, 2, 4])
def test_folding_moves_every_voxel_back_to_its_place(copying, fold):
    network = Segmenter(NetworkSpec(name="copy", fold=fold), 1, 1, initial_probability=0.5)
    image = torch.randn(2, 1, 8, 4, 12)
    outputs = network(image)
    assert torch.equal(outputs.final, image)
    assert torch.equal(outputs.organs, image)


def test_untrained_lesion_channels_say_the_initial_probability(monkeypatch):
    monkeypatch.setitem(NETWORKS, "zero", lambda i, o: torch.nn.Conv3d(i, o, 1))
    network = Segmenter(NetworkSpec(name="zero"), 1, 2, initial_probability=0.02)
    torch.nn.init.zeros_(network.network.weight)
    torch.nn.init.zeros_(network.network.bias)
    outputs = network(torch.randn(1, 1, 4, 4, 4))
    assert torch.allclose(outputs.final.sigmoid(), torch.tensor(0.02))
    assert torch.allclose(outputs.organs.sigmoid(), torch.tensor(0.5))


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if name.startswith(("demo", "smoke"))])
def test_shipped_networks_give_one_map_a_type(name):
    recipe = load_recipe(name)
    model = build_model(recipe)
    inputs = 2 + len(recipe.tumor_types) if recipe.organ_input else 1
    outputs = model(torch.zeros(1, inputs, 16, 16, 16))
    assert outputs.final.shape == outputs.organs.shape == (1, len(recipe.tumor_types), 16, 16, 16)
    assert outputs.auxiliary is outputs.final


def test_deep_supervision_gives_an_auxiliary_output():
    spec = {"name": "dynunet", "options": {"levels": 4, "width": 4, "norm_name": "instance"}}
    model = build_model(recipe_of(network=spec)).train()
    outputs = model(torch.randn(1, 1, 16, 16, 16))
    assert outputs.auxiliary.shape == outputs.final.shape
    assert not torch.equal(outputs.auxiliary, outputs.final)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"name": "segresnat"}, "Did you mean 'segresnet'"),
        ({"name": "segresnet", "options": {"filters": 8}}, "refuses its options"),
        ({"name": "toy", "fold": 3}, "not divisible by fold 3"),
    ],
)
def test_a_wrong_network_is_refused(network, message):
    with pytest.raises(ConfigError, match=message):
        build_model(recipe_of(network=network))
