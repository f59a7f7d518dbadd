"""Figures from papers: data with a source, shown apart from the entries and never ranked."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Annotated

from pydantic import Field, model_validator

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.files import read_model
from rsuper_bench.benchmark.records import Fraction, Record
from rsuper_bench.leaderboard.names import Text, Url

# One value, or the lowest and the highest over tumor types.
Shares = Annotated[tuple[Fraction, ...], Field(max_length=2)]


class Source(Record):
    """Where published figures come from."""

    citation: Text
    url: Url


class PublishedFigure(Record):
    """One row of a published table."""

    test: Text
    tumor_types: Text
    model: Text
    sensitivity: Shares = ()
    specificity: Shares = ()
    f1: Shares = ()
    source: Text
    note: Text | None = None


class Reported(Record):
    """Every published figure the board shows, and what they do not show."""

    statement: Text
    headline: Text
    sources: dict[str, Source]
    figures: tuple[PublishedFigure, ...]

    @model_validator(mode="after")
    def _every_figure_has_a_source(self) -> Reported:
        unknown = {figure.source for figure in self.figures} - set(self.sources)
        if unknown:
            raise ValueError(f"unknown sources: {', '.join(sorted(unknown))}")
        return self


def published_figures() -> Reported:
    """Read the figures that ship with the package."""
    with as_file(files("rsuper_bench.leaderboard") / "reported.yaml") as path:
        return read_model(path, Reported, DataError)
