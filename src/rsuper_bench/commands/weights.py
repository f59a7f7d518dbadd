"""``rsuper-bench weights push`` and ``recipe``: what leaves with weights, and what a recipe says in full."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Trained weights on the Hub; `predict` takes org/name for a run.")


def register(main: typer.Typer) -> None:
    """Add the verbs to the command line."""
    main.command()(recipe)
    main.add_typer(app, name="weights")


@app.command()
def push(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    repo: Annotated[str, typer.Option(help="org/name of the model repository; made when there is none.")],
    licence: Annotated[str, typer.Option(help="Licence of the weights, as the Hub writes it: apache-2.0, ...")],
    evaluation: Annotated[
        list[Path] | None, typer.Option(help="report.json whose table the card shows; may be given several times.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print card and files; send nothing.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
) -> None:
    """Push weights, recipe and a model card with the evaluation; no case is named in any of them."""
    from rich.console import Console

    from rsuper_bench.baselines.hub import CARD, plan_weights, push_weights
    from rsuper_bench.benchmark.report import load_report

    reports = [load_report(path) for path in evaluation or []]
    departure = plan_weights(run, repo, reports, licence=licence, private=private)
    if dry_run:
        card = departure.files[CARD]
        typer.echo(card.decode() if isinstance(card, bytes) else card)
    typer.echo(f"to {departure.repo}")
    for name, size in departure.sizes.items():
        typer.echo(f"{size:>15,}  {name}")
    if dry_run:
        typer.echo("dry run: nothing was sent")
        return
    with Console(stderr=True).status("sending"):
        address = push_weights(departure)
    typer.echo(f"pushed {address}")


def recipe(
    name: Annotated[str, typer.Argument(help="A shipped name (combined, small_combined, ...) or a YAML file.")],
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value, e.g. stages.0.steps=10.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; the screen without it.")] = None,
) -> None:
    """Print a complete recipe, or write it to a file, to be changed and used."""
    from rsuper_bench.baselines.recipe import load_recipe
    from rsuper_bench.benchmark.files import check_out_file, write_text

    text = load_recipe(name, change or ()).to_yaml()
    if out is None:
        typer.echo(text, nl=False)
        return
    check_out_file(out)
    write_text(out, text)
    typer.echo(f"wrote {out}")
