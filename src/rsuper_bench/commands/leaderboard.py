"""Verbs of ``rsuper-bench leaderboard``."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Add entries and build the board.")
