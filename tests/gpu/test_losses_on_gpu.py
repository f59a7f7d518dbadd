"""The report losses on a CUDA GPU: no synchronisation, and the results of the CPU."""

import copy

import pytest
import torch
from report_supervision_case import report_case

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; `make gpu-check` runs it on one"),
]


def logits_of(case, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = case.mask.shape
    final, auxiliary = (torch.randn(shape, generator=generator) for _ in range(2))
    return final, auxiliary


@pytest.fixture
def errors_on_synchronisation():
    yield lambda: torch.cuda.set_sync_debug_mode("error")
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_report_supervision_never_waits_for_the_gpu(errors_on_synchronisation, dtype):
    case = report_case("cuda")
    final, auxiliary = (logits.to("cuda", dtype).requires_grad_() for logits in logits_of(case))
    torch.cuda.synchronize()
    errors_on_synchronisation()
    (case.mask_loss(final, auxiliary) + case.report_loss(final, auxiliary)).backward()
    torch.cuda.set_sync_debug_mode("default")
    assert torch.isfinite(final.grad).all()
    assert final.grad.abs().sum() > 0


def test_the_gpu_agrees_with_the_cpu():
    case = report_case("cpu", size=64)
    final, auxiliary = (logits.requires_grad_() for logits in logits_of(case))
    expected = case.mask_loss(final, auxiliary) + case.report_loss(final, auxiliary)
    expected.backward()
    there = report_case("cuda", size=64)
    there.classifier.load_state_dict(copy.deepcopy(case.classifier.state_dict()))
    other = [logits.detach().cuda().requires_grad_() for logits in (final, auxiliary)]
    found = there.mask_loss(*other) + there.report_loss(*other)
    found.backward()
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-4, atol=1e-6)
    # a rounding may swap two voxels of equal rank: nearly all gradients agree, not each
    apart = (other[0].grad.cpu() - final.grad).abs() > 1e-3 * final.grad.abs().max()
    assert apart.float().mean() < 1e-3


def test_the_gpu_repeats_itself():
    case = report_case("cuda", size=64)
    final, auxiliary = (logits.cuda() for logits in logits_of(case))
    gradients = []
    for _ in range(2):
        again = final.clone().requires_grad_()
        case.report_loss(again, auxiliary).backward()
        gradients.append(again.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-9)
