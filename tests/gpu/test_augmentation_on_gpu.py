"""Augmentation on a CUDA GPU: it waits for nothing, and gives what the CPU gives."""

import pytest
import torch
from gpu_batch import recipe_for, synthetic_batch

from rsuper_bench.baselines.augment import MASKS, Change, augmented
from rsuper_bench.baselines.turning import Turn

CHANGES = (
    Change(Turn.of_degrees(10, -20, 30), blur=1.0, brightness=1.2, contrast=0.8, shift=0.1, gamma=1.3),
    Change(Turn.of_degrees(0, 0, 90)),
    Change(brightness=0.8),
)


def changed_batch(size, changes=CHANGES):
    return synthetic_batch(recipe_for("combined", size, 8), ("reports", "masks", "reports"), changes=changes)


def compared(batch, device):
    expected, found = augmented(batch), augmented(batch.to(device))
    for name in MASKS:
        assert torch.equal(getattr(found.targets, name).cpu(), getattr(expected.targets, name)), name
    assert torch.equal(found.organs.cpu(), expected.organs)
    for row, other in zip(found.targets.tumors, expected.targets.tumors, strict=True):
        for one, two in zip(row, other, strict=True):
            assert (one is None) == (two is None)
            if one is not None and one.regions is not None:
                assert torch.equal(one.regions.cpu(), two.regions)
    torch.testing.assert_close(found.hu.cpu(), expected.hu, rtol=0, atol=0.05)
    torch.testing.assert_close(found.image.cpu(), expected.image, rtol=0, atol=0.005)


def test_the_comparison_itself_on_a_cpu():
    compared(changed_batch(32), torch.device("cpu"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; `make gpu-check` runs it on one")
def test_the_gpu_agrees_with_the_cpu(cuda):
    compared(changed_batch(64), cuda)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; `make gpu-check` runs it on one")
def test_it_never_waits_for_the_gpu(cuda):
    noisy = (Change(CHANGES[0].turn, 1.0, 0.1, 7, 1.2, 0.8, 0.1, 1.3), Change(), Change(noise=0.1, noise_seed=3))
    batch = changed_batch(64, noisy).pin_memory()
    augmented(batch.to(cuda))  # the first time allocates, and finds plans and kernels
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = augmented(batch.to(cuda))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    again = augmented(batch.to(cuda))
    assert torch.equal(found.image, again.image)
