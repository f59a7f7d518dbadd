"""Several processes on this machine, started as torchrun starts them; what goes wrong is said once, by them."""

from __future__ import annotations

import logging
from collections.abc import Sequence


def launch(processes: int, arguments: Sequence[str]) -> int:
    """Run the command line in several processes of this machine.

    torchrun would end a failure with a log, a traceback and a summary of its own, after which ours is hard to find.

    Args:
        processes: How many.
        arguments: Of ``rsuper-bench``, the same for each.

    Returns:
        Exit code of the process that failed first, as a shell has it; 0 if none did.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    logging.disable(logging.ERROR)  # in this process, which does nothing but wait
    call = ["--standalone", "--nproc-per-node", str(processes), "-m", "rsuper_bench", *arguments]
    try:
        run(parse_args(call))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        code: int = error.get_first_failure()[1].exitcode
        return code if code >= 0 else 128 - code
    except SignalException as signal:
        return 128 + int(signal.sigval)
    return 0
