"""The word lists in this folder."""

from functools import cache
from importlib.resources import files


@cache
def words(name: str) -> frozenset[str]:
    """One of the word lists beside this file."""
    return frozenset((files(__package__) / f"{name}.txt").read_text("utf-8").split())
