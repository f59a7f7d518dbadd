"""Verbs of the training group: ``prepare``, ``train``, ``predict``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rsuper_bench.commands.evaluation import SplitName

if TYPE_CHECKING:
    from rich.progress import Progress

    from rsuper_bench.baselines.recipe import Recipe
    from rsuper_bench.baselines.store import Store

RecipeOption = Annotated[str, typer.Option(help="A shipped name (mask_only, combined, ...) or a YAML file.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value, e.g. stages.0.steps=10.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command()(prepare)
    app.command()(train)
    app.command()(predict)


def prepare(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Release folder or org/name@revision.")],
    recipe: RecipeOption,
    out: Annotated[Path, typer.Option(help="Folder of the store.")],
    split: Annotated[
        list[SplitName] | None,
        typer.Option(help="Which cases, may be repeated; training needs only train."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    change: SetOption = None,
) -> None:
    """Bring the training cases of a release to a recipe's grid, once for all trainings; what is there is checked."""
    from rsuper_bench.baselines.recipe import load_recipe
    from rsuper_bench.baselines.store import STORE_FILE
    from rsuper_bench.benchmark.files import check_out_folder

    check_out_folder(out, STORE_FILE, (), inputs=[Path(data)])
    store = _prepared(
        data, load_recipe(recipe, change or ()), out, jobs, [item.value for item in split or [SplitName.TRAIN]]
    )
    typer.echo(f"{len(store.info.cases)} cases at {store.info.grid_mm:g} mm: {out}")


def train(
    data: Annotated[str, typer.Argument(metavar="DATA|STORE", help="Release, or a folder that `prepare` wrote.")],
    recipe: RecipeOption,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    change: SetOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out was stopped.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that prepare or check cases.")] = 1,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that make batches for a GPU; 0 for a thread. Default: its cores."),
    ] = None,
    ahead: Annotated[int, typer.Option(min=1, help="Batches that wait, for each of them.")] = 2,
    processes: Annotated[
        int, typer.Option(min=1, help="Train on so many GPUs of this machine, one process each; needs a STORE.")
    ] = 1,
    device: DeviceOption = "auto",
) -> None:
    """Train a baseline; an interrupted run goes on with --resume as if nothing had happened.

    On several machines: torchrun ... -m rsuper_bench train STORE ...
    """
    import torch

    from rsuper_bench.baselines.checkpoint import STATE_FILE, WEIGHTS_FILE
    from rsuper_bench.baselines.distributed import joined, own_device, started_by_torchrun
    from rsuper_bench.baselines.feeding import Feeding
    from rsuper_bench.baselines.launch import launch
    from rsuper_bench.baselines.progress import TrainingProgress
    from rsuper_bench.baselines.pseudo_labels import first_recipe, train_recipe
    from rsuper_bench.baselines.recipe import load_recipe
    from rsuper_bench.baselines.start import check_call
    from rsuper_bench.baselines.store import STORE_FILE, Store
    from rsuper_bench.baselines.train import DATA_FILE, LOSS_LOG, RECIPE_FILE
    from rsuper_bench.benchmark.errors import ConfigError, Problem
    from rsuper_bench.benchmark.files import check_out_folder

    if processes > 1 and not started_by_torchrun():
        raise typer.Exit(launch(processes, sys.argv[1:]))
    where = own_device(_device(device))
    feeding = Feeding.on(where, workers=workers, ahead=ahead)
    with joined(where) as team:
        check_out_folder(out, RECIPE_FILE, (DATA_FILE, LOSS_LOG, STATE_FILE, WEIGHTS_FILE), inputs=[Path(data)])
        chosen = load_recipe(recipe, change or ())
        prepared = Store(Path(data)) if (Path(data) / STORE_FILE).exists() else None
        if team.size > 1 and prepared is None:
            fix = "Run `rsuper-bench prepare` once, then train on its folder."
            raise ConfigError.of([Problem(data, "not prepared", "a store, because several processes share it", fix)])
        check_call(first_recipe(chosen), out, store=prepared, resume=resume, device=torch.device(where), team=team)
        store = prepared or _prepared(data, chosen, out / "store", jobs)
        if prepared is not None:
            prepared.verify(jobs, slice(team.rank, None, team.size))
        if not team.leads:
            train_recipe(store, chosen, out, resume=resume, device=where, team=team, feeding=feeding)
            return
        with TrainingProgress(chosen) as progress:
            try:
                run = train_recipe(
                    store,
                    chosen,
                    out,
                    resume=resume,
                    device=where,
                    team=team,
                    feeding=feeding,
                    on_step=progress.step,
                    on_note=progress.note,
                )
            except KeyboardInterrupt:
                progress.note(f"stopped; the same command with --resume goes on: {out}")
                raise typer.Exit(130) from None
    typer.echo(f"{chosen.name}, {run.step} steps: {out}")


def predict(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder that `train` wrote, or org/name[@revision].")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Release folder or org/name@revision.")],
    split: Annotated[Literal["train", "validation", "test"], typer.Option(help="Which cases.")],
    out: Annotated[Path, typer.Option(help="Folder of the submission.")],
    masks: Annotated[bool, typer.Option("--masks", help="Write probability maps too.")] = False,
    device: DeviceOption = "auto",
) -> None:
    """Write a submission: scores, volumes and, with --masks, probability maps."""
    from rsuper_bench.baselines import predict as prediction
    from rsuper_bench.baselines.hub import open_run
    from rsuper_bench.benchmark.files import check_out_folder
    from rsuper_bench.benchmark.records import Split
    from rsuper_bench.benchmark.release import open_release

    # An interrupted call goes on.
    names = () if (out / prediction.PARTIAL).is_dir() else ("predictions.csv", "masks")
    check_out_folder(out, "submission.yaml", names, inputs=[Path(data)])
    folder, release = open_run(run), open_release(data)
    where = _device(device)
    with _progress() as progress:
        task = progress.add_task(f"predict {split}", total=None, terms="")
        prediction.predict(
            folder,
            release,
            Split(split),
            out,
            masks=masks,
            device=where,
            on_case=lambda done, total: progress.update(task, completed=done, total=total),
        )
    typer.echo(f"submission: {out}")


def _prepared(data: str, recipe: Recipe, out: Path, jobs: int, splits: Sequence[str] = ("train",)) -> Store:
    from rsuper_bench.baselines.prepare import prepare as prepare_release
    from rsuper_bench.benchmark.records import Split
    from rsuper_bench.benchmark.release import open_release

    release = open_release(data)
    with _progress() as progress:
        task = progress.add_task("prepare", total=None, terms="")
        return prepare_release(
            release,
            recipe,
            out,
            splits=[Split(name) for name in dict.fromkeys(splits)],
            jobs=jobs,
            on_case=lambda done, total: progress.update(task, completed=done, total=total),
        )


def _device(name: str) -> str:
    import torch

    from rsuper_bench.benchmark.errors import ConfigError, Problem

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).item()  # a device without values, like meta, is none
    except (RuntimeError, AssertionError):
        raise ConfigError.of(
            [Problem("--device", f"'{name}' cannot be used here", "auto, cpu, cuda, ...", "See `rsuper-bench doctor`.")]
        ) from None
    return name


def _progress() -> Progress:
    """A progress bar on stderr with a column for the loss terms."""
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=10),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[terms]}"),
        console=Console(stderr=True),
    )
