"""The command line: ``rsuper-bench``. Results on stdout, problems and progress on stderr."""

from __future__ import annotations

import sys

import typer

from rsuper_bench import __version__
from rsuper_bench.commands import comparison, dataset, environment, evaluation, leaderboard, study, training, weights

TRAINING = {"blosc2", "einops", "monai", "safetensors", "tensorboard", "torch"}  # of the extra [train]

app = typer.Typer(
    name="rsuper-bench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Find tumors on CT by learning from radiology reports instead of hand-drawn masks.",
)
environment.register(app)
app.add_typer(dataset.app, name="dataset")
training.register(app)
weights.register(app)
evaluation.register(app)
comparison.register(app)
study.register(app)
app.add_typer(leaderboard.app, name="leaderboard")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"rsuper-bench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    pass


def main() -> None:
    """Run the command line: exit 0 fine, 1 the data has problems, 2 the call was wrong."""
    try:
        app()
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        # Here, so that --help stays fast
        from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem, RsuperBenchError

        if isinstance(error, OSError):  # a full disk, no right to write, a file that vanished: nothing of ours to show
            place, reason = error.filename or "a file", error.strerror or type(error).__name__
            fix = "Check path, rights and free space."
            error = DataError.of([Problem(str(place), f"cannot be read or written ({reason})", "that it can", fix)])
        if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in TRAINING:
            fix = "pip install -e '.[train]' in the clone."
            error = ConfigError.of([Problem(str(error.name), "is not installed", "what training needs", fix)])
        if type(error).__name__ == "OutOfMemoryError":  # torch's, which may not be there to be imported
            fix = "Use a GPU with more memory, or --device cpu; for training see docs/training-loop.md."
            error = DataError.of([Problem("GPU", "out of memory", "room for network and crop", fix)])
        if isinstance(error, MemoryError):
            fix = "Give it more memory, or look for a file that is far too large."
            error = DataError.of([Problem("this machine", "out of memory", "room for the largest file", fix)])
        if not isinstance(error, RsuperBenchError):
            raise
        message = str(error)
        print(message if message.startswith("error:") else f"error: {message}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
