"""Each loss against its words, written out voxel by voxel in plain Python floats."""

from math import exp, log, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from rsuper_bench.baselines.losses import (
    AttenuationTarget,
    attenuation_classifier,
    attenuation_features,
    attenuation_target_from_mask,
    grow,
    malignancy_loss,
    segmentation_loss,
    volume_band_loss,
    volume_loss,
)
from rsuper_bench.benchmark.records import Malignancy

SHAPE = (3, 4, 2)
seeds = st.integers(0, 2**31)


def sigmoid(x):
    return 1 / (1 + exp(-x))


def slow_segmentation(logits, target, known, balance):
    """METHOD 2 for nested lists [sample][channel][voxel]."""
    entropies, on, off, found, excess, present = [], [], [], [], [], []
    for channel in range(len(logits[0])):
        tp = fp = t = 0.0
        for x, y, k in zip(logits, target, known, strict=True):
            rows = list(zip(x[channel], y[channel], k[channel], strict=True))
            rows = [row for row in rows if row[2]]
            if not rows:
                continue
            costs = [(-b * log(sigmoid(a)) - (1 - b) * log(1 - sigmoid(a)), b) for a, b, _ in rows]
            entropies.append(sum(cost for cost, _ in costs) / len(x[channel]))
            if any(b for _, b in costs):
                on.append(sum(b * cost for cost, b in costs) / sum(b for _, b in costs))
            if any(1 - b for _, b in costs):
                off.append(sum((1 - b) * cost for cost, b in costs) / sum(1 - b for _, b in costs))
            tp += sum(sigmoid(a) * b for a, b, _ in rows)
            fp += sum(sigmoid(a) * (1 - b) for a, b, _ in rows)
            t += sum(b for _, b, _ in rows)
        found, excess, present = [*found, tp], [*excess, fp], [*present, t]
    tversky = []
    for tp, fp, t in zip(found, excess, present, strict=True):
        if t > 0:
            alpha = min(max(fp / (fp + t - tp), 0.2), 0.8)
            tversky.append(1 - tp / (tp + alpha * fp + (1 - alpha) * (t - tp)))

    def mean(values):
        return sum(values) / len(values) if values else 0.0

    return (mean(entropies) if balance == "crop" else mean(on) + mean(off)) + mean(tversky)


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from(["crop", "own"]), st.floats(0, 1), st.floats(0, 1))
def test_segmentation(seed, balance, foreground, share_known):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(2, 3, *SHAPE))
    target = (rng.random((2, 3, *SHAPE)) < foreground).astype(float)
    known = rng.random((2, 3, *SHAPE)) < share_known
    known[rng.random((2, 3)) < 0.2] = False
    flat = [array.reshape(2, 3, -1).tolist() for array in (logits, target, known)]
    fast = segmentation_loss(*(torch.from_numpy(array) for array in (logits, target, known)), balance=balance)
    assert fast.item() == pytest.approx(slow_segmentation(*flat, balance), rel=1e-9, abs=1e-12)


def slow_volume(probabilities, low, high, voxel_mm3, tolerance=0.1, softness=500.0):
    """METHOD 3 for one sample; ``probabilities`` are those inside the region."""

    def distance(v, target):
        return abs(v - target) / (v + target + softness)

    def cost(v, target):
        tolerated = max((1 - tolerance) * target, min(target, 100.0))
        return min(max(distance(v, target) - distance(tolerated, target), 0), 1)

    total = sum(probabilities) * voxel_mm3
    counted = total if low == high else sum(p for p in probabilities if p >= 0.01) * voxel_mm3
    if counted < low:
        return cost(counted, low)
    return cost(total, high) if total > high else 0.0


@settings(max_examples=60, deadline=None)
@given(seeds, st.floats(0, 3000), st.floats(0, 3000), st.floats(0.1, 60), st.booleans(), st.booleans())
def test_volume(seed, low, more, voxel_mm3, exact, endless):
    rng = np.random.default_rng(seed)
    probability = rng.random((1, 1, 4, 4, 4)) ** 4
    region = rng.random((1, 1, 4, 4, 4)) < 0.7
    high = low if exact else float("inf") if endless else low + more
    bounds = (torch.tensor([value], dtype=torch.float64) for value in (low, high))
    voxel = torch.tensor([voxel_mm3], dtype=torch.float64)
    tensors = torch.from_numpy(probability), torch.from_numpy(region)
    slow = slow_volume(probability[region].tolist(), low, high, voxel_mm3)
    assert volume_band_loss(*tensors, *bounds, voxel_mm3=voxel).item() == pytest.approx(slow, abs=1e-9)
    if exact:
        reported = torch.tensor([low], dtype=torch.float64)
        assert volume_loss(*tensors, reported, voxel_mm3=voxel).item() == pytest.approx(slow, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_attenuation_features(seed):
    rng = np.random.default_rng(seed)
    tumor, organ = rng.random((1, 1, *SHAPE)), rng.random((1, 1, *SHAPE))
    hu = rng.normal(60, 80, (1, 1, *SHAPE))
    weights = (tumor * organ).ravel().tolist()
    rest = (organ - tumor * organ).ravel().tolist()
    values = ((hu - 50) / 100).ravel().tolist()

    def statistics(weights):
        total = sum(weights)
        mean = sum(w * v for w, v in zip(weights, values, strict=True)) / total
        return mean, sqrt(sum(w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True)) / total)

    (om, od), (tm, td) = statistics(rest), statistics(weights)
    expected = [om, od, tm, td, tm - om, td - od, organ.mean(), sum(weights) / len(weights)]
    found = attenuation_features(*(torch.from_numpy(a) for a in (tumor, organ, hu)))[0]
    assert found.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_classifier_is_eight_to_128_to_three():
    classifier = attenuation_classifier("mlp")
    assert [tuple(parameter.shape) for parameter in classifier.parameters()] == [(128, 8), (128,), (3, 128), (3,)]


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(0, 3))
def test_what_the_words_of_a_mask_are(seed, count):
    rng = np.random.default_rng(seed)
    organ = np.zeros((12, 12, 6), dtype=bool)
    organ[1:-1, 1:-1, 1:-1] = True
    hu, lesion = rng.normal(100, 20, organ.shape), np.zeros(organ.shape, dtype=bool)
    for place in range(count):
        box = np.s_[2:4, 2 + 3 * place : 4 + 3 * place, 2:4]
        lesion[box] = True
        hu[box] += rng.choice([-60, 0, 60])
    labels, found = ndimage.label(lesion)
    healthy = hu[organ & ~lesion]
    away = [(hu[labels == i].mean() - healthy.mean()) / healthy.std(ddof=1) for i in range(1, found + 1)]
    signs = {1 if a > 0 else -1 for a in away if abs(a) > 0.2}
    expected = {0: "NONE", 1: "HYPER" if 1 in signs else "HYPO", 2: "MIXED"}[len(signs)]
    answer = attenuation_target_from_mask(*(torch.from_numpy(a) for a in (hu, lesion, organ)))
    assert answer is AttenuationTarget[expected]


@settings(max_examples=30, deadline=None)
@given(
    seeds,
    st.lists(st.sampled_from(list(Malignancy)), min_size=2, max_size=2),
    st.sampled_from(["crop", "own"]),
    st.floats(0, 2),
)
def test_malignancy(seed, labels, balance, consistency):
    rng = np.random.default_rng(seed)
    logits, lesion_logits = rng.normal(size=(2, 2, *SHAPE)), rng.normal(size=(2, 1, *SHAPE))
    unknown = rng.random((2, 1, *SHAPE)) < 0.3
    lesion = (rng.random((2, 1, *SHAPE)) < 0.3) & ~unknown
    probability = 1 / (1 + np.exp(-lesion_logits))
    target, known = np.zeros(logits.shape), np.ones(logits.shape, dtype=bool)
    for sample, label in enumerate(labels):
        for voxel in np.ndindex(SHAPE):
            place = (sample, 0, *voxel)
            if label is Malignancy.UNKNOWN:
                known[(sample, slice(None), *voxel)] = not (lesion[place] or unknown[place])
            else:
                channel = 0 if label is Malignancy.MALIGNANT else 1
                target[(sample, channel, *voxel)] = probability[place] if unknown[place] else float(lesion[place])
    slow = slow_segmentation(*(a.reshape(2, 2, -1).tolist() for a in (logits, target, known)), balance)
    slow += consistency * np.abs((1 / (1 + np.exp(-logits))).sum(1, keepdims=True) - probability).mean()
    fast = malignancy_loss(
        *(torch.from_numpy(a) for a in (logits, lesion, unknown, probability)),
        labels,
        balance=balance,
        consistency_weight=consistency,
    )
    assert fast.item() == pytest.approx(slow, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(
    seeds, st.sampled_from([1, 63, 64, 65, 150]), st.tuples(*[st.sampled_from([0.7, 1.0, 2.5])] * 3), st.floats(0, 80)
)
def test_growing_columns_of_any_length(seed, length, spacing, radius_mm):
    rng = np.random.default_rng(seed)
    mask = rng.random((7, 5, length)) > 1 - 3 / (35 * length)
    far = ndimage.distance_transform_edt(~mask, sampling=spacing) if mask.any() else np.full(mask.shape, np.inf)
    expected = (far <= radius_mm * (1 + 1e-6)) if radius_mm >= min(spacing) else mask
    assert np.array_equal(grow(torch.from_numpy(mask), radius_mm, spacing).numpy(), expected)


def test_volume_and_malignancy_are_the_same_inside_autocast():
    torch.manual_seed(0)
    logits = torch.randn(2, 2, 6, 6, 6).bfloat16()
    place = (torch.rand(2, 1, 6, 6, 6) > 0.5).float()

    def losses():
        volume = volume_loss(logits[:, :1].sigmoid(), place, torch.tensor([50.0, 0.0]), voxel_mm3=torch.ones(2))
        labels = [Malignancy.MALIGNANT, Malignancy.UNKNOWN]
        return volume, malignancy_loss(logits, place, 1 - place, place, labels, consistency_weight=1.0)

    outside = losses()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = losses()
    for one, two in zip(outside, inside, strict=True):
        assert two.dtype == torch.float32
        assert torch.equal(one, two)


def test_malignancy_gradient_is_exact_in_double_precision():
    """Without the Tversky term, whose alpha is detached on purpose: by its known coefficients."""
    torch.manual_seed(0)
    logits = torch.randn(1, 2, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    place, probability = torch.zeros(1, 1, 3, 3, 2), torch.rand(1, 1, 3, 3, 2, dtype=torch.float64)
    place[..., 0] = 1

    def only_cross_entropy(x):  # no positives: the Tversky term has no channel
        return malignancy_loss(x, 0 * place, place, probability, [Malignancy.UNKNOWN], consistency_weight=0.5)

    assert torch.autograd.gradcheck(only_cross_entropy, (logits,))
