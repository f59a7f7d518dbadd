"""What pydantic complains of, in our words and without the values (those may be report text)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from rsuper_bench.benchmark.errors import Problem


def model_problems(cause: ValidationError, model: type[BaseModel], where: str) -> list[Problem]:
    """One problem for each complaint.

    Args:
        cause: What pydantic raised.
        model: What it was validating.
        where: File, or file and line.
    """
    problems = []
    for item in cause.errors(include_url=False, include_input=False):
        key = ".".join(str(part) for part in item["loc"]) or "the whole file"
        said = _expectation(item["type"], item["msg"])
        if item["type"] == "extra_forbidden":
            fix = _known_keys(str(item["loc"][-1]), _model_at(model, item["loc"][:-1]))
            problems.append(Problem(f"{where}: {key}", "unknown key", "a known key", fix))
        elif item["type"] == "missing":
            problems.append(Problem(f"{where}: {key}", "missing", "a value", "Add it."))
        elif item["type"] == "value_error" and not item["loc"]:  # a rule across fields says what it found
            problems.append(Problem(where, said, "values that fit together", "Correct them."))
        else:
            problems.append(Problem(f"{where}: {key}", "not valid", said, "Correct the value."))
    return problems


def _known_keys(key: str, model: type[BaseModel]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(key, list(model.model_fields), n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Remove it; known keys: {', '.join(model.model_fields)}."


def _model_at(model: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel]:
    """The model of an inner part; numbers of a list and keys of a mapping lead no deeper."""
    for part in path:
        if field := model.model_fields.get(str(part)):
            model = next(iter(_models_in(field.annotation)), model)
    return model


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for item in getattr(annotation, "__args__", ()) for model in _models_in(item)]


def _expectation(kind: str, message: str) -> str:
    """What pydantic says it expected, without its turns of phrase."""
    if kind in ("model_type", "dict_type"):
        return "keys and values"
    for start in ("Input should be ", "Value error, "):
        message = message.removeprefix(start)
    return message.replace("String should have", "text with").replace("a valid tuple", "a list")
