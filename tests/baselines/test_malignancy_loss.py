import pytest
import torch

from rsuper_bench.baselines.losses import malignancy_loss, malignancy_target, segmentation_loss
from rsuper_bench.benchmark.records import Malignancy

SHAPE = (6, 6, 6)
MALIGNANT, BENIGN, UNKNOWN = Malignancy.MALIGNANT, Malignancy.BENIGN, Malignancy.UNKNOWN


def arguments(label, *, masks):
    """One case with a drawn lesion, or one with a region the report leaves open."""
    place = torch.zeros(1, 1, *SHAPE)
    place[..., 2:4, 2:4, 2:4] = 1
    empty = torch.zeros_like(place)
    return {
        "logits": torch.randn(1, 2, *SHAPE, generator=torch.Generator().manual_seed(0)).requires_grad_(),
        "lesion": place if masks else empty,
        "unknown": empty if masks else place,
        "lesion_probability": torch.full_like(place, 0.7).requires_grad_(),
        "malignancy": [label],
    }, place[0, 0] > 0


@pytest.mark.parametrize(("label", "channel"), [(MALIGNANT, 0), (BENIGN, 1)])
def test_a_mask_of_known_malignancy_is_the_target_of_its_channel(label, channel):
    call, place = arguments(label, masks=True)
    target = torch.zeros(1, 2, *SHAPE)
    target[0, channel] = place
    expected = segmentation_loss(call["logits"], target, torch.ones_like(target))
    assert malignancy_loss(**call).item() == pytest.approx(expected.item())


@pytest.mark.parametrize(("label", "channel"), [(MALIGNANT, 0), (BENIGN, 1)])
def test_a_report_hands_the_lesion_probability_to_the_stated_channel(label, channel):
    call, place = arguments(label, masks=False)
    target = torch.zeros(1, 2, *SHAPE)
    target[0, channel] = 0.7 * place
    loss = malignancy_loss(**call)
    assert loss.item() == pytest.approx(segmentation_loss(call["logits"], target, torch.ones_like(target)).item())
    loss.backward()
    assert call["lesion_probability"].grad is None


@pytest.mark.parametrize("masks", [True, False])
def test_unknown_malignancy_spares_the_lesion_and_pushes_the_rest_down(masks):
    call, place = arguments(UNKNOWN, masks=masks)
    malignancy_loss(**call).backward()
    assert (call["logits"].grad[0][:, place] == 0).all()
    assert (call["logits"].grad[0][:, ~place] > 0).all()


def test_no_lesion_makes_both_channels_zero():
    call, _ = arguments(UNKNOWN, masks=True)
    call["lesion"] = torch.zeros_like(call["lesion"])
    malignancy_loss(**call).backward()
    assert (call["logits"].grad > 0).all()


def test_consistency_by_hand():
    call, _ = arguments(MALIGNANT, masks=True)
    call["logits"] = torch.zeros(1, 2, *SHAPE)  # 0.5 + 0.5 against 0.7
    gained = malignancy_loss(**call, consistency_weight=2.0) - malignancy_loss(**call)
    assert gained.item() == pytest.approx(0.6, rel=1e-5)
    gained.backward()
    assert (call["lesion_probability"].grad < 0).all()


def test_common_label():
    assert malignancy_target([MALIGNANT, MALIGNANT]) is MALIGNANT
    assert malignancy_target([BENIGN]) is BENIGN
    assert malignancy_target([MALIGNANT, BENIGN]) is UNKNOWN
    assert malignancy_target([MALIGNANT, UNKNOWN]) is UNKNOWN
    assert malignancy_target([]) is UNKNOWN


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": torch.zeros(1, 3, *SHAPE)}, "logits must have two channels"),
        ({"unknown": torch.zeros(1, 2, *SHAPE)}, "logits of one channel .* and unknown .* differ in shape"),
        ({"malignancy": []}, "malignancy has 0 labels for a batch of 1"),
        ({"lesion_probability": torch.full((1, 1, *SHAPE), torch.nan)}, "lesion_probability holds NaN"),
    ],
)
def test_errors_name_the_argument(change, message):
    call, _ = arguments(MALIGNANT, masks=True)
    with pytest.raises(ValueError, match=message):
        malignancy_loss(**call | change)
