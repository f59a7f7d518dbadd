"""Before the first step: everything that cannot work is found at once, then the run is made or taken up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from rsuper_bench.baselines.checkpoint import WEIGHTS_FILE, has_state
from rsuper_bench.baselines.data import TrainingData
from rsuper_bench.baselines.distributed import Team
from rsuper_bench.baselines.networks import build_model
from rsuper_bench.baselines.provenance import note_session, provenance_of
from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.baselines.run_state import Run
from rsuper_bench.baselines.store import STORE_FILE, Store
from rsuper_bench.baselines.weights import RECIPE_FILE, written_recipe
from rsuper_bench.benchmark.errors import ConfigError, Problem, RsuperBenchError
from rsuper_bench.benchmark.files import pretty_json, write_text

DATA_FILE = "training_data.json"


def start(
    store: Store,
    recipe: Recipe,
    out: Path,
    *,
    resume: bool,
    device: torch.device,
    team: Team,
    on_note: Callable[[str], None] | None = None,
) -> tuple[Run, TrainingData]:
    """Check everything, then make the run or take it up where it was saved. Nothing is written before that.

    Raises:
        ConfigError: With all problems of recipe, machine and folder.
        DataError: With all problems of the store.
    """
    found = _Problems()
    with found.noted():
        check_call(recipe, out, store=store, resume=resume, device=device, team=team)
    with found.noted():
        data = TrainingData(store, recipe)
    found.raise_all()
    provenance = provenance_of(recipe, store.info.release_digest, device, team.size)
    run = Run.fresh(out, recipe, store_digest=store.digest, device=device, provenance=provenance)
    notes = _smaller_cases(data, recipe)
    if resume and (warning := run.restore()) is not None:
        notes.append(warning)
    if recipe.network.compile:
        run.model.segmenter.network.compile()
    team.wait()  # every process has read the old state before a new one is written
    if team.leads:
        out.mkdir(parents=True, exist_ok=True)
        if not recipe.is_written(written_recipe(out)):  # that of an older version stays: its digest is in the state
            write_text(out / RECIPE_FILE, recipe.to_yaml())
        write_text(out / DATA_FILE, pretty_json({"release": store.info.release_digest, **data.summary()}))
        notes += note_session(out, run.provenance, step=run.step, notes=notes)
        for note in notes:
            if on_note is not None:
                on_note(note)
    return run, data


def check_call(
    recipe: Recipe, out: Path, *, store: Store | None, resume: bool, device: torch.device, team: Team
) -> None:
    """Find what is wrong without reading a case: preparing and checking all of them may take hours.

    Args:
        recipe: What is trained on ``store``.
        out: Folder of the run.
        store: None where it is still to be prepared.
        resume: Whether to go on with what is in ``out``.
        device: Where to train.
        team: The processes that share each batch.

    Raises:
        ConfigError: With all problems of recipe, machine and folder.
        DataError: With those of the store too.
    """
    found = _Problems()
    with found.noted():
        if store is not None:
            store.check(recipe)
    with found.noted():
        team.share(recipe.batch)
    with found.noted():
        _check_precision(recipe, device)
    with found.noted():
        _check_out(out, resume=resume)
    with found.noted():
        build_model(recipe)
    found.raise_all()


class _Problems:
    """Errors of several checks, raised as one."""

    def __init__(self) -> None:
        self.errors: list[RsuperBenchError] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        try:
            yield
        except RsuperBenchError as error:
            self.errors.append(error)

    def raise_all(self) -> None:
        problems = [problem for error in self.errors for problem in error.problems]
        if self.errors:
            raise type(self.errors[0]).of(problems)


def _check_out(out: Path, *, resume: bool) -> None:
    if (out / STORE_FILE).exists():
        problem = Problem(str(out), "holds prepared cases", "a folder of the run's own", "Name another --out.")
        raise ConfigError.of([problem])
    if resume and not has_state(out) and (out / WEIGHTS_FILE).exists():
        problem = Problem(str(out), "holds finished weights and no state", "a run to go on with", "Name another --out.")
        raise ConfigError.of([problem])
    if not resume and (has_state(out) or (out / WEIGHTS_FILE).exists()):
        fix = "Add --resume to go on with it, or name another --out."
        raise ConfigError.of([Problem(str(out), "holds a run", "a new folder", fix)])


def _check_precision(recipe: Recipe, device: torch.device) -> None:
    if recipe.precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        found = f"{torch.cuda.get_device_name(device)} does not compute in bfloat16"
        fix = "Use --set precision=auto, which takes it where it is there."
        raise ConfigError.of([Problem("precision: bf16", found, "a GPU that does", fix)])


def _smaller_cases(data: TrainingData, recipe: Recipe) -> list[str]:
    """A crop larger than a case is filled with air outside it, which is known to hold no tumor; that costs time."""
    cases = [case.index for pool in data.pools.values() for case in pool]
    smaller = sum(any(n < c for n, c in zip(case.shape, recipe.crop, strict=True)) for case in cases)
    if not smaller:
        return []
    shown = " x ".join(map(str, recipe.crop))
    return [f"{smaller} of {len(cases)} cases are smaller than the crop of {shown} voxels: filled with air around them"]


@contextmanager
def enough_memory(recipe: Recipe) -> Iterator[None]:
    """Say what to do when the memory is too small for a step.

    Raises:
        ConfigError: If it is.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as cause:
        # On a GPU it has a class of its own, on a CPU only its words.
        if not isinstance(cause, MemoryError | torch.OutOfMemoryError) and "can't allocate memory" not in str(cause):
            raise
        where = "GPU" if isinstance(cause, torch.OutOfMemoryError) else "this machine"
        fix = "Lower crop or network.options, or compute a step in parts: --set accumulate=2."
        found = f"crop {list(recipe.crop)} and batch {recipe.batch} do not fit into its memory"
        raise ConfigError.of([Problem(where, found, "a step that fits", fix)]) from None
