"""What this machine can run, and how to get the parts it lacks."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from rsuper_bench import __version__

NEEDED_DISK_GIB = 2.0  # the demo writes far less; a release of real CTs far more
NEEDED_MEMORY_GIB = 4.0


@dataclass(frozen=True)
class Check:
    """One line of the examination. ``needed`` parts that are missing make ``doctor`` exit with 1."""

    part: str
    state: str
    ok: bool
    needed: bool
    advice: str = ""


def _package(distribution: str, module: str, advice: str, *, needed: bool) -> Check:
    try:
        found = version(distribution)
    except PackageNotFoundError:
        return Check(distribution, "not installed", ok=False, needed=needed, advice=advice)
    if find_spec(module) is None:
        return Check(distribution, f"{found}, but it cannot be imported", ok=False, needed=needed, advice=advice)
    return Check(distribution, found, ok=True, needed=needed)


def _vllm() -> Check:
    """What ``--serve`` needs: vLLM here, or in the environment that a variable names."""
    from rsuper_bench.dataset_builder.extraction.llm.local_server.python import PYTHON_VARIABLE, has_vllm, vllm_python

    python = vllm_python()
    where = "" if python == Path(sys.executable) else f", by {PYTHON_VARIABLE}"
    if has_vllm(python):
        return Check("vllm", f"found{where}", ok=True, needed=False)
    advice = f"pip install vllm, in an environment of its own, for --serve; name its python in {PYTHON_VARIABLE}"
    return Check("vllm", f"not installed{where}", ok=False, needed=False, advice=advice)


def _device() -> Check:
    if find_spec("torch") is None:
        return Check(
            "device", "unknown without torch", ok=False, needed=False, advice="pip install -e '.[train]' in the clone"
        )
    import torch

    if torch.cuda.is_available():
        names = {torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
        bf16 = "bf16" if torch.cuda.is_bf16_supported() else "no bf16: train with precision fp32"
        return Check(
            "device", f"{torch.cuda.device_count()} x {', '.join(sorted(names))} ({bf16})", ok=True, needed=False
        )
    return Check(
        "device",
        f"CPU, {torch.get_num_threads()} threads",
        ok=True,
        needed=False,
        advice="the demo and the tests run here; the full recipes want a CUDA GPU",
    )


def _free_memory_gib() -> float | None:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (ValueError, OSError):  # not every system tells
        return None


def _resources(folder: Path) -> list[Check]:
    disk_gib = shutil.disk_usage(folder).free / 2**30
    memory_gib = _free_memory_gib()
    memory_ok = memory_gib is None or memory_gib >= NEEDED_MEMORY_GIB
    return [
        Check("cores", str(os.cpu_count() or "unknown"), ok=True, needed=False),
        Check(
            "free memory",
            "unknown" if memory_gib is None else f"{memory_gib:.1f} GiB",
            ok=memory_ok,
            needed=False,
            advice="" if memory_ok else f"the demo wants {NEEDED_MEMORY_GIB:.0f} GiB",
        ),
        Check(
            "free disk",
            f"{disk_gib:.1f} GiB",
            ok=disk_gib >= NEEDED_DISK_GIB,
            needed=False,
            advice="" if disk_gib >= NEEDED_DISK_GIB else f"the demo wants {NEEDED_DISK_GIB:.0f} GiB",
        ),
    ]


def _totalsegmentator() -> Check:
    """The builder calls the program, which may live in an environment of its own."""
    program = shutil.which("TotalSegmentator")
    if program is None:
        advice = "optional, organ masks: pip install TotalSegmentator (its own environment will do)"
        return Check("TotalSegmentator", "not on the path", ok=False, needed=False, advice=advice)
    return Check("TotalSegmentator", program, ok=True, needed=False)


def examine(folder: Path) -> list[Check]:
    """Look at python, packages, device, memory and the disk that holds ``folder``."""
    train = "pip install -e '.[train]' in the clone (add -c constraints.txt for the CPU build of torch)"
    return [
        Check("rsuper-bench", __version__, ok=True, needed=True),
        Check(
            "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}", ok=True, needed=True
        ),
        *(
            _package(name, module, "pip install -e . in the clone", needed=True)
            for name, module in (
                ("numpy", "numpy"),
                ("scipy", "scipy"),
                ("statsmodels", "statsmodels"),
                ("nibabel", "nibabel"),
                ("pyarrow", "pyarrow"),
                ("datasets", "datasets"),
                ("huggingface_hub", "huggingface_hub"),
                ("connected-components-3d", "cc3d"),
                ("surface-distance", "surface_distance"),
            )
        ),
        *(
            _package(name, module, train, needed=False)
            for name, module in (
                ("torch", "torch"),
                ("monai", "monai"),
                ("safetensors", "safetensors"),
                ("blosc2", "blosc2"),
            )
        ),
        _device(),
        *_resources(folder),
        *(
            _package(name, module, f"optional, {what}: pip install -e '.[{extra}]' in the clone", needed=False)
            for name, module, extra, what in (
                ("pydicom", "pydicom", "dicom", "PACS exports"),
                ("highdicom", "highdicom", "dicom", "DICOM segmentations"),
                ("python-gdcm", "gdcm", "dicom", "JPEG compressed DICOM"),
                ("openpyxl", "openpyxl", "build", "tables of public data sets (.xlsx)"),
                ("pypdf", "pypdf", "build", "reports of PanTS (.pdf)"),
            )
        ),
        _totalsegmentator(),
        _package(
            "httpx",
            "httpx",
            "optional, report reading by a language model: pip install -e '.[llm]' in the clone",
            needed=False,
        ),
        _vllm(),
        _package("distributed", "distributed", "optional: pip install -e '.[cluster]' in the clone", needed=False),
    ]
