"""Verbs of ``rsuper-bench dataset``."""

from __future__ import annotations

import typer

from rsuper_bench.commands import extraction

app = typer.Typer(no_args_is_help=True, help="Build, read and check datasets.")
extraction.register(app)
