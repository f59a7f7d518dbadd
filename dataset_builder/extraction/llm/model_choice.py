"""Which model to ask: the named one, if the server has it, or the only one it has."""

from __future__ import annotations

import asyncio
from difflib import get_close_matches

from rsuper_bench.benchmark.errors import ConfigError, Problem
from rsuper_bench.benchmark.files import shown_cell
from rsuper_bench.dataset_builder.extraction.llm.client import LlmClient
from rsuper_bench.dataset_builder.extraction.llm.settings import LlmSettings

_SHOWN = 10


def choose_model(settings: LlmSettings) -> str:
    """Ask the server what it has, before the work starts.

    Args:
        settings: ``model`` may be empty: then the server must have exactly one.

    Raises:
        DataError: If the server cannot be reached.
        ConfigError: If it refuses the key, has no such model, or has several and none was named.
    """
    offered = asyncio.run(_offered(settings))
    where = f"--model {shown_cell(settings.model)}" if settings.model else "--model"
    if not offered:  # not every server tells
        if settings.model:
            return settings.model
        fix = "Name it, or correct --endpoint if that is no server of models."
        raise ConfigError.of([Problem(where, "no name, and the server lists none", "the model's name", fix)])
    names = ", ".join(shown_cell(name) for name in offered[:_SHOWN]) + (", ..." if len(offered) > _SHOWN else "")
    if not settings.model and len(offered) == 1:
        return offered[0]
    if not settings.model:
        raise ConfigError.of([Problem(where, f"{len(offered)} models to choose from", names, "Name one of them.")])
    if settings.model in offered:
        return settings.model
    close = get_close_matches(settings.model, offered, n=1)
    fix = f"Did you mean {shown_cell(close[0])}?" if close else "Name one of them."
    raise ConfigError.of([Problem(where, "the server does not have it", names, fix)])


async def _offered(settings: LlmSettings) -> list[str] | None:
    async with LlmClient(settings) as client:
        return await client.models()
