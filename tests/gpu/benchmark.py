"""All that `make gpu-check` measures, in one table: ``python tests/gpu/benchmark.py [--out TABLE.md]``.

Runs the tests marked ``gpu``, then times training steps with and without report supervision, every network, every loss
alone, and torch.compile. ``--device cpu --size 32`` is a dry run of the same code: its times mean nothing.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from gpu_batch import TYPES, recipe_for, synthetic_batch
from gpu_losses import loss_rows
from gpu_table import Table, Timing, measure, measure_in_turn
from torch.nn.utils import clip_grad_norm_

from rsuper_bench.baselines.batch import Batch
from rsuper_bench.baselines.networks import NETWORKS, Channels, Model, Segmenter, build_model
from rsuper_bench.baselines.objectives import OBJECTIVES
from rsuper_bench.baselines.recipe import NetworkSpec, Recipe
from rsuper_bench.benchmark.tumor_types import TumorType

HERE = Path(__file__).parent
TIME_TARGET, MEMORY_TARGET = 10, 15  # per cent more than masks alone (PERFORMANCE section 1)
OPTIONS = {"dynunet": {"levels": 6}, "segresnet": {"init_filters": 32}}  # the others have full-size defaults


def tests(table: Table) -> None:
    """Run the tests of this folder that need a GPU."""
    if table.device.type != "cuda":
        table.add("tests", "tests/gpu", "not run", "they need a CUDA GPU")
        return
    if find_spec("pytest") is None:
        table.add("tests", "tests/gpu", "not run", "pytest is not installed")
        return
    command = [sys.executable, "-m", "pytest", str(HERE), "-m", "gpu", "-q", "-p", "no:cacheprovider", "--tb=short"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parents[1])
    print(result.stdout[-20_000:], result.stderr[-4_000:], sep="\n", file=sys.stderr)
    summary = [line for line in result.stdout.splitlines() if re.search(r"\d+ (passed|failed|skipped|error)", line)]
    failed = re.findall(r"^(?:FAILED|ERROR) \S*::(\S+)", result.stdout, flags=re.MULTILINE)
    outcome = summary[-1].strip("= ") if summary else f"exit code {result.returncode}"
    table.add("tests", "tests/gpu", outcome, f"failed: {', '.join(failed)}" if failed else "")


def training_step(model: Model, optimizer: torch.optim.Optimizer, recipe: Recipe, batch: Batch) -> None:
    """One step as the trainer does it, without its logging."""
    offered = OBJECTIVES[recipe.objective](model, batch, recipe.losses)
    terms = [offered[name]() * recipe.weight(name, 1) for name in recipe.weights]
    optimizer.zero_grad(set_to_none=True)
    torch.stack(terms).sum().backward()
    clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
    optimizer.step()


def steps(table: Table, size: int, width: int, warmup: int, repeats: int, profile: Path | None) -> None:
    """The cost of report supervision in a training step; where its time goes, if a file for that is named."""
    combined, masks_only = (recipe_for(name, size, width) for name in ("combined", "mask_only"))
    torch.manual_seed(0)
    model = build_model(combined).to(table.device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    settings = {
        "a mask and a report case": ("masks", "reports"),
        "two report cases": ("reports", "reports"),
    }
    for name, pools in settings.items():
        batch = synthetic_batch(combined, pools).to(table.device)
        calls = {
            "masks alone": partial(training_step, model, optimizer, masks_only, batch),
            "with report supervision": partial(training_step, model, optimizer, combined, batch),
        }
        timings = measure_in_turn(calls, table.device, warmup=warmup, repeats=max(repeats // 2, 1), rounds=3)
        before, after = timings.values()
        what = f"MedFormer, {size}^3, batch 2, {len(TYPES)} lesion channels, {name} (ten tumors a report)"
        table.add("step", f"{what}: {next(iter(calls))}", before)
        table.add("step", f"{what}: with report supervision", after, _more(before, after))
    if profile is not None:
        with torch.profiler.profile() as profiler:
            calls["with report supervision"]()
        order = "self_cuda_time_total" if table.device.type == "cuda" else "self_cpu_time_total"
        profile.write_text(profiler.key_averages().table(sort_by=order, row_limit=40), encoding="utf-8")


def _more(before: Timing, after: Timing) -> str:
    note = _against(after.median_ms / before.median_ms, TIME_TARGET, "time")
    if before.peak_mib is None or after.peak_mib is None:
        return "a dry run: no verdict"
    return f"{note}, {_against(after.peak_mib / before.peak_mib, MEMORY_TARGET, 'memory')}"


def _against(ratio: float, target: float, what: str) -> str:
    more = 100 * (ratio - 1)
    return f"{more:+.1f} % {what} (target {target} %: {'met' if more <= target else 'missed'})"


def networks(table: Table, size: int, width: int | None, warmup: int, repeats: int) -> None:
    """Forward and backward of every network, and prediction."""
    image = torch.randn(2, 1, size, size, size, device=table.device)
    for name in sorted(NETWORKS):
        if name != "medformer" and find_spec("monai") is None:
            table.add("network", name, "not run", "monai is not installed")
            continue
        network = _network(name, width).to(table.device)
        parameters = sum(parameter.numel() for parameter in network.parameters()) / 1e6
        what = f"{name}, {size}^3, batch 2, {parameters:.1f} M parameters"
        if problem := network.refusal((size,) * 3):
            table.add("network", what, "not run", problem)
            continue
        both_ways, forward = partial(forward_backward, network, image), partial(predict, network, image)
        _network_row(table, f"{what}: forward and backward", both_ways, warmup, repeats)
        network.eval()
        _network_row(table, f"{what}: prediction", forward, warmup, repeats)
        del network, both_ways, forward


def compiled(table: Table, size: int, width: int | None, warmup: int, repeats: int) -> None:
    """MedFormer under torch.compile: whether it says the same, and how fast."""
    image = torch.randn(2, 1, size, size, size, device=table.device)
    network = _network("medformer", width).to(table.device)
    what = f"medformer, {size}^3, batch 2, torch.compile"
    step = partial(forward_backward, network, image)
    table.add(
        "compile", f"{what} off: forward and backward", measure(step, table.device, warmup=warmup, repeats=repeats)
    )
    eager = network(image).final.detach()
    network.network.compile()
    try:
        start = time.perf_counter()
        step()
        if table.device.type == "cuda":
            torch.cuda.synchronize()
        table.add("compile", f"{what} on: first step", f"{time.perf_counter() - start:.0f} s")
    except Exception as cause:  # whatever a compiler may raise is the result here
        table.add("compile", what, "failed", type(cause).__name__)
        return
    table.add(
        "compile", f"{what} on: forward and backward", measure(step, table.device, warmup=warmup, repeats=repeats)
    )
    difference = (network(image).final.detach() - eager).square().mean().sqrt() / eager.std()
    table.add("compile", f"{what}: difference between on and off in deviations", f"{difference.item():.4f}")


def _network(name: str, width: int | None) -> Segmenter:
    torch.manual_seed(0)
    options = dict(OPTIONS.get(name, {}))
    if width is not None:
        options["init_filters" if name == "segresnet" else "width"] = 12 if name == "swin_unetr" else width
    channels = Channels(tuple(TumorType(kind) for kind in TYPES))
    return Segmenter(NetworkSpec(name=name, options=options), 1, channels, initial_probability=0.5).train()


def forward_backward(network: Segmenter, image: torch.Tensor) -> None:
    """A pass both ways with the plainest of losses."""
    network.zero_grad(set_to_none=True)
    outputs = network(image)
    (outputs.final.mean() + outputs.auxiliary.mean() + outputs.organs.mean()).backward()


@torch.no_grad()
def predict(network: Segmenter, image: torch.Tensor) -> None:
    """A pass without gradients."""
    network(image)


def _network_row(table: Table, what: str, call: Callable[[], None], warmup: int, repeats: int) -> None:
    try:
        timing = measure(call, table.device, warmup=warmup, repeats=repeats)
    except torch.cuda.OutOfMemoryError:
        torch.cuda.empty_cache()
        table.add("network", what, "out of memory")
        return
    table.add("network", what, timing)


def main() -> None:
    """Run what the time allows, most important first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--size", type=int, default=128, help="side of the crop in voxels")
    parser.add_argument("--width", type=int, help="channels of the networks at full resolution (default: their own)")
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=270, help="start nothing new after so long")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--profile", type=Path, help="text file for the operations of one step, slowest first")
    parser.add_argument("--out", type=Path, help="markdown file to write the table to")
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: no CUDA GPU here; use --device cpu --size 32 for a dry run")
    table = Table(torch.device(given.device), given.out)
    effort = {"warmup": given.warmup, "repeats": given.repeats}
    parts: list[tuple[str, float, Callable[[], None]]] = [  # with the seconds each may need
        ("step", 40, lambda: steps(table, given.size, given.width or 32, **effort, profile=given.profile)),
        ("tests", 90, lambda: tests(table)),
        ("compile", 100, lambda: compiled(table, given.size, given.width, **effort)),
        ("loss", 35, lambda: loss_rows(table, given.size, **effort)),
        ("network", 35, lambda: networks(table, given.size, given.width, **effort)),
    ]
    start = time.perf_counter()
    for name, needed, part in parts:
        if name == "compile" and given.no_compile:
            continue
        if (spent := time.perf_counter() - start) + needed > given.seconds:
            table.add(name, "all", "not run", f"{spent:.0f} of {given.seconds:.0f} s were spent")
            continue
        part()
    table.add("run", "all of the above", f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
