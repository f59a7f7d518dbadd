import pytest
import yaml
from toy_world import recipe_of

from rsuper_bench.baselines.recipe import BASELINES, Recipe, load_recipe, shipped_recipes
from rsuper_bench.baselines.schedule import ema_decay, learning_rate
from rsuper_bench.benchmark.errors import ConfigError

FAMILIES = ("", "small_", "demo_")


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipe_survives_a_round_trip(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert Recipe.model_validate(yaml.safe_load(recipe.to_yaml())) == recipe


@pytest.mark.parametrize("family", FAMILIES)
def test_the_three_baselines_differ_only_in_objective_weights_and_cases(family):
    free = {"name", "objective", "weights", "cases"}
    baselines = [load_recipe(f"{family}{objective}") for objective in BASELINES]
    first, *others = [recipe.model_dump(exclude=free) for recipe in baselines]
    assert all(other == first for other in others)
    assert [recipe.objective for recipe in baselines] == list(BASELINES)
    # A weight that two objectives share is the same number in both.
    for term in ("segmentation", "organs"):
        assert len({str(recipe.weights[term]) for recipe in baselines}) == 1
    assert baselines[1].weights == baselines[2].weights


@pytest.mark.parametrize("family", FAMILIES)
def test_the_candidate_differs_from_combined_in_three_options_of_the_losses(family):
    combined, plus = (
        load_recipe(f"{family}{row}").model_dump(exclude={"name"}) for row in ("combined", "combined_plus")
    )
    losses, changed = combined.pop("losses"), plus.pop("losses")
    assert plus == combined
    assert (changed["volume"].pop("target"), losses["volume"].pop("target")) == ("noise_aware", "reported")
    assert (changed["ball"].pop("soft"), losses["ball"].pop("soft")) == (True, False)
    assert changed == losses
    assert changed["unsized"] is True


def test_full_recipes_hold_the_papers_defaults():
    recipe = load_recipe("combined")
    assert (recipe.grid_mm, recipe.crop, recipe.window_hu) == (1.0, (128, 128, 128), (-991, 500))
    assert (recipe.betas, recipe.weight_decay, recipe.max_grad_norm, recipe.ema) == ((0.9, 0.999), 0.05, 1.0, 0.999)
    # METHOD 8: L = seg + 0.1 (0.5 volume + 0.5 ball) + 0.01 attenuation
    assert recipe.weights == {"segmentation": 1.0, "organs": 1.0, "volume": 0.05, "ball": 0.05, "attenuation": 0.01}
    assert [(stage.steps, stage.learning_rate) for stage in recipe.stages] == [(100_000, 1e-3), (100_000, 1e-4)]
    assert [set(pools) for pools in recipe.cases] == [{"masks"}, {"masks", "reports"}]


def test_set_reaches_inside():
    recipe = load_recipe("smoke", ["stages.1.steps=9", "weights.ball=[0, 2.5]", "network.name=dynunet"])
    assert recipe.stages[1].steps == 9
    assert (recipe.weight("ball", 0), recipe.weight("ball", 1)) == (0, 2.5)
    assert recipe.network.name == "dynunet"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("batchh=2", "Did you mean 'batch'?"),
        ("losses.ball.marginn=1", "Did you mean 'margin'?"),
        ("stages.0.stepz=1", "Did you mean 'steps'?"),
        ("weights.bal=1", "has no term bal"),
        ("weights.ball=.nan", "smoke: weights.ball: not valid; expected a number from 0, or a list"),
        ("weights.ball=[1, -2]", "smoke: weights.ball: not valid; expected a number from 0, or a list"),
        ("weights.ball=[1, 2, 3]", "3 values for 2 stages"),
        ("weights={segmentation: 0, organs: 0, volume: 0, ball: [0, 1], attenuation: 0}", "each stage needs a term"),
        ("cases=[{masks: 1}]", "1 entries for 2 stages"),
        ("cases=[{masks: 1}, {rumors: 1}]", "not valid"),
        ("objective=mask_only", "has no term"),
        ("tumor_types=[liver, liver]", "stands twice"),
        ("window_hu=[200, 100]", "lower end"),
        ("stages.0.steps=99999999999", "less than or equal to 1000000000"),
        ("crop=[48, 48, 480000]", "less than or equal to 4096"),
        ("stages.0.warmup_steps=99999999", "stages.0 has 4 steps, no more than its warmup_steps 99999999"),
        ("betas=[0.9, 1.0]", "betas are below 1"),
        ("stages.7.steps=1", "no place '7'"),
        ("augmentation.blur_voxels=[1, 3]", "less than or equal to 2"),
        ("batch", "KEY=VALUE"),
        ("batch=[", "not YAML"),
        ("seed=-1", "not valid"),
    ],
)
def test_a_wrong_value_is_refused(override, message):
    with pytest.raises(ConfigError, match=None) as caught:
        load_recipe("smoke", [override])
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "key"),
    [("report_only", "max_mask_cases"), ("mask_only", "max_report_cases")],
)
def test_a_limit_of_cases_that_are_never_drawn_is_refused(name, key):
    with pytest.raises(ConfigError, match=rf"{key} 4 has no effect: no stage draws cases for their {key[4:-6]}s"):
        load_recipe(name, [f"{key}=4"])
    assert getattr(load_recipe(name, [f"{key}=null"]), key) is None
    for other in ("combined", "pseudo_labels"):  # its teacher draws masks in report cases
        assert getattr(load_recipe(other, [f"{key}=4"]), key) == 4


def test_all_wrong_keys_are_listed_at_once():
    with pytest.raises(ConfigError) as caught:
        load_recipe("smoke", ["batchh=2", "sede=1"])
    assert len(caught.value.problems) == 2


def test_unknown_name_and_broken_file(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'report_only'"):
        load_recipe("reports_only")
    (tmp_path / "x.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match=r"x.yaml:\d+: cannot be parsed"):
        load_recipe(tmp_path / "x.yaml")
    with pytest.raises(ConfigError, match="no such file"):
        load_recipe(tmp_path / "y.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ConfigError, match="not valid"):
        load_recipe(tmp_path / "list.yaml", [])


def test_weights_missing_a_term_are_refused():
    with pytest.raises(ValueError, match="weights lacks ball"):
        recipe_of(weights={"segmentation": 1, "organs": 1, "volume": 1, "attenuation": 1})


def test_schedule_by_hand():
    recipe = recipe_of(
        stages=[
            {"steps": 14, "learning_rate": 0.01, "warmup_steps": 4},
            {"steps": 10, "learning_rate": 0.001},
        ]
    )
    assert learning_rate(recipe, 0) == pytest.approx(0.0025)
    assert learning_rate(recipe, 3) == pytest.approx(0.01)
    assert learning_rate(recipe, 4) == pytest.approx(0.01)
    assert learning_rate(recipe, 9) == pytest.approx(0.01 * 0.5**0.9)
    assert learning_rate(recipe, 14) == pytest.approx(0.001)
    assert learning_rate(recipe, 19) == pytest.approx(0.001 * 0.5**0.9)
    assert recipe.steps == 24
    with pytest.raises(IndexError):
        learning_rate(recipe, 24)


def test_average_forgets_the_random_start():
    recipe = recipe_of(ema=0.999)
    assert ema_decay(recipe, 0) == pytest.approx(0.1)
    assert ema_decay(recipe, 10**6) == 0.999
