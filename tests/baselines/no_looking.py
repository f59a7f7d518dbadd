"""Guards of the path of an accelerator: no value read on the host, no shape that depends on one, few operations."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

READS = {
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.masked_select.default,
    torch.ops.aten.equal.default,
    torch.ops.aten.is_nonzero.default,
    torch.ops.aten.bincount.default,
    torch.ops.aten._unique2.default,
}
INDEXING = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
    torch.ops.aten._unsafe_index.Tensor,
}


class NoLooking(TorchDispatchMode):
    """What ``torch.cuda.set_sync_debug_mode("error")`` refuses on a GPU, as far as a CPU can show it."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in READS:
            raise AssertionError(f"{func} reads a value on the host")
        if func in INDEXING and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        ):
            raise AssertionError(f"{func} with a boolean mask makes a shape depend on values")
        return func(*args, **(kwargs or {}))


class Counting(TorchDispatchMode):
    """Counts operations: on an accelerator each costs its start, whatever it works on."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))
