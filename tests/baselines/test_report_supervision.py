"""All report losses behind one module, and the examples of the documents."""

import re
from pathlib import Path

import pytest
import torch

from rsuper_bench.baselines.losses import (
    MEASURED_SPREAD,
    AttenuationTarget,
    ReportedTumors,
    ReportSupervision,
    attenuation_loss,
    ball_loss,
    volume_band_loss,
)

MM = (1.0, 1.0, 1.0)
SHAPE = (16, 14, 12)
EXAMPLES = re.findall(
    r"^```python\n(.*?)^```",
    (Path(__file__).parents[2] / "docs" / "use-the-losses.md").read_text("utf-8"),
    flags=re.MULTILINE | re.DOTALL,
)


def region_of():
    region = torch.zeros(SHAPE, dtype=torch.bool)
    region[3:-3, 3:-3, 3:-3] = True
    return region


def batch():
    generator = torch.Generator().manual_seed(0)
    known = torch.ones(1, 3, *SHAPE, dtype=torch.bool)
    known[0, 0] = ~region_of()
    return {
        "logits": torch.randn(1, 3, *SHAPE, generator=generator).requires_grad_(),
        "reports": [{"liver": ReportedTumors(region_of(), [6.0], [113.0]), "kidney": ReportedTumors()}],
        "known": known,
        "spacing_mm": MM,
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=["plain loop", "MONAI"])
def test_the_examples_run_and_learn(example):
    torch.manual_seed(0)
    names = {}
    exec(compile(example, "use-the-losses.md", "exec"), names)  # noqa: S102
    assert all(torch.isfinite(value).all() for value in names["network"].parameters())
    assert any(value.grad is not None and value.grad.abs().sum() > 0 for value in names["network"].parameters())
    assert len(example.splitlines()) < 35


def test_it_is_the_weighted_sum_of_the_losses():
    call = batch()
    organ, hu = torch.ones(1, 3, *SHAPE), 50 * torch.randn(1, 1, *SHAPE)
    module = ReportSupervision(["liver", "kidney", "spleen"])
    stated = [{"liver": AttenuationTarget.HYPO}]
    found = module(**call, ct_hu=hu, organ=organ, attenuation=stated)
    logits, region = call["logits"], region_of()
    penalised = call["known"].clone()
    penalised[0, 0] |= region
    row = [call["reports"][0]["liver"], call["reports"][0]["kidney"], None]
    bounds = torch.tensor([113.0])
    probability = logits[:, :1].sigmoid()
    volume = volume_band_loss(probability, region[None, None], bounds, bounds, voxel_mm3=torch.ones(1))
    ball = ball_loss(logits, penalised, [row], spacing_mm=MM)
    hypo = torch.tensor([0])
    attenuation = attenuation_loss(probability, organ[:, :1], hu, hypo, classifier=module.classifier)
    expected = 0.05 * volume.mean() + 0.05 * ball + 0.01 * attenuation.mean()
    torch.testing.assert_close(found, expected)
    found.backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_what_is_ours_reaches_the_losses():
    call = batch()
    call["reports"] = [{"liver": ReportedTumors(region_of(), [6.0], [113.0])}]
    row = [call["reports"][0]["liver"], None, None]
    penalised = call["known"].clone()
    penalised[0, 0] |= region_of()
    ball = ball_loss(call["logits"], penalised, [row], spacing_mm=MM, soft=True)
    soft = ReportSupervision(["liver", "kidney", "spleen"], weights={"ball": 1.0}, soft=True)(**call)
    assert soft == ball
    assert soft != ball_loss(call["logits"], penalised, [row], spacing_mm=MM)
    aware = ReportSupervision(["liver", "kidney", "spleen"], weights={"volume": 1.0}, spread=MEASURED_SPREAD)
    voxels = region_of().sum()
    for volume, inside in ((0.69, False), (0.71, True), (1.0, True), (1.14, True), (1.16, False)):
        p = volume * 113.0 / voxels
        loss = aware(**call | {"logits": torch.full((1, 3, *SHAPE), float(torch.logit(p)))})
        assert (loss == 0) == inside
    assert (loss.item(), volume) == (pytest.approx(0.01 * 113 / (2.31 * 113 + 500), rel=1e-3), 1.16)
    with pytest.raises(ValueError, match="spread must hold 1"):
        ReportSupervision(["liver"], spread=(1.1, 1.2))


def test_an_empty_report_is_exactly_zero():
    call = batch() | {"reports": [{}]}
    loss = ReportSupervision(["liver", "kidney", "spleen"])(**call)
    loss.backward()
    assert loss.item() == 0
    assert (call["logits"].grad == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reports": [{"lver": ReportedTumors()}]}, "reports names no channel: lver; the channels are liver, kidney"),
        ({"reports": []}, "reports has 0 entries for a batch of 1"),
        ({"known": torch.ones(1, 2, *SHAPE)}, "logits .* and known .* differ in shape"),
        ({"logits": torch.full((1, 3, *SHAPE), torch.nan)}, "holds NaN"),
        ({"attenuation": [{"liver": AttenuationTarget.HYPO}]}, "attenuation needs ct_hu and organ"),
        ({"auxiliary": torch.ones(1, 3, 4, 4, 4)}, "logits .* and auxiliary .* differ in shape"),
        ({"reports": [{"liver": ReportedTumors(torch.ones(3, 3, 3), [3.0], [9.0])}]}, "regions .* differ in shape"),
    ],
)
def test_errors_name_the_argument(change, message):
    with pytest.raises(ValueError, match=message):
        ReportSupervision(["liver", "kidney", "spleen"])(**batch() | change)


def test_channels_without_names_are_refused():
    with pytest.raises(ValueError, match="logits has 3 channels, but 2 have names"):
        ReportSupervision(["liver", "kidney"])(**batch())
    for names in ([], ["liver", ""], ["liver", "liver"]):
        with pytest.raises(ValueError, match="channels must have one name each"):
            ReportSupervision(names)
    with pytest.raises(ValueError, match="weights has no term balls"):
        ReportSupervision(["liver"], weights={"balls": 1.0})


def test_boxes_outside_the_crop_are_refused():
    for boxes in ([((0, 17), (0, 14), (0, 12))], [((3, 2), (0, 14), (0, 12))], [((0, 16), (0, 14))]):
        with pytest.raises(ValueError, match="boxes must lie inside the crop"):
            ReportedTumors(region_of(), [6.0], [113.0], boxes=boxes)
    with pytest.raises(ValueError, match="boxes must hold their regions, but region 0 reaches out"):
        ReportedTumors(region_of(), [6.0], [113.0], boxes=[((4, 16), (0, 14), (0, 12))])
    with pytest.raises(ValueError, match="boxes has 2 entries for 1 regions"):
        ReportedTumors(region_of(), [6.0], [113.0], boxes=[((0, 16), (0, 14), (0, 12))] * 2)


def test_a_wider_box_changes_nothing():
    call = batch()
    wide = [{"liver": ReportedTumors(region_of(), [6.0], [113.0], boxes=[((1, 16), (0, 13), (2, 12))])}]
    tight = [{"liver": ReportedTumors(region_of(), [6.0], [113.0])}]
    module = ReportSupervision(["liver", "kidney", "spleen"])
    torch.testing.assert_close(module(**call | {"reports": wide}), module(**call | {"reports": tight}))
