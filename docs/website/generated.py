"""Reference pages written from the code: verbs, columns of a release, records, Python functions."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

# Packages whose ``__all__`` is for other people's code, and single names of modules without one.
PACKAGES = {"Benchmark": "benchmark/__init__.py", "Losses": "baselines/losses/__init__.py"}
NAMES = {
    "Baselines": [
        "rsuper_bench.baselines.recipe.load_recipe",
        "rsuper_bench.baselines.train.train",
        "rsuper_bench.baselines.predict.predict",
        "rsuper_bench.baselines.networks.registry.register",
        "rsuper_bench.baselines.networks.registry.with_sides",
    ],
    "Dataset builder": [
        "rsuper_bench.dataset_builder.raw_case.Source",
        "rsuper_bench.dataset_builder.raw_case.RawCase",
        "rsuper_bench.dataset_builder.build.build",
        "rsuper_bench.dataset_builder.build.BuildPlan",
        "rsuper_bench.dataset_builder.extraction.extractor.Extractor",
    ],
    "Leaderboard": [
        "rsuper_bench.leaderboard.entry.Entry",
    ],
}


def command_reference() -> str:
    """Every verb with its arguments and options, as typer documents them."""
    call = [sys.executable, "-m", "typer", "rsuper_bench.cli", "utils", "docs", "--name", "rsuper-bench"]
    text = subprocess.run(call, check=True, capture_output=True, text=True, cwd=ROOT).stdout  # noqa: S603 - our own
    text = text[text.index("\n## ") :]
    text = re.sub(r"^\* `--help`: .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\*\*(Commands|Options)\*\*:\n\n(?=\Z|#|\*\*)", "", text)
    text = re.sub(r"\*\*Commands\*\*:\n\n(\* .*\n)+\n", "", text)  # cut short there, and in the table of contents here
    text = re.sub(r"^\*\*Usage\*\*:\n\n```console\n\$ (.*)\n```", r"```\n\1\n```", text, flags=re.MULTILINE)
    return re.sub(r"^\*\*(\w+)\*\*:$", r"\1:", text, flags=re.MULTILINE)


def release_columns() -> str:
    """The columns of the three configs of a release."""
    from rsuper_bench.dataset_builder.schema import FEATURES

    parts = []
    for config, features in FEATURES.items():
        rows = [
            (f"`{name}`", f"`{_feature(feature)}`") for name, feature in features.items() if "presence_" not in name
        ]
        shown = [name for name in features if name.startswith("presence_")]
        if shown:
            rows.append(("`presence_<type>`", f"`string`, one column for each of {len(shown)} tumor types"))
        parts.append(f"#### `{config}`\n\n" + _table(("column", "type"), rows))
    return "\n\n".join(parts)


def record_reference() -> str:
    """Every record that other programs read or write, and the parts they are made of."""
    from rsuper_bench.schema import RECORDS, json_schema

    records, parts = [], {}
    for name in RECORDS:
        schema = json_schema(name)
        parts |= schema.get("$defs", {})
        records.append(f"### `{name}` {{#record-{name}}}\n\n{_model(schema)}")
    tail = [f"#### {name} {{#part-{name.lower()}}}\n\n{_model(part)}" for name, part in sorted(parts.items())]
    return "\n\n".join([*records, "### Parts of records", *tail])


def python_reference() -> str:
    """Directives for mkdocstrings, which reads signatures and docstrings without importing anything."""
    groups = {title: _exported(ROOT / path) for title, path in PACKAGES.items()}
    blocks = [
        f"## {title}\n\n" + "\n\n".join(f"::: {name}" for name in names) for title, names in (groups | NAMES).items()
    ]
    return "\n\n".join(blocks)


def _exported(path: Path) -> list[str]:
    """Names in ``__all__`` with the module each is defined in, for a module may have the name of what it holds."""
    origins: dict[str, str] = {}
    names: list[str] = []
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            origins |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            names = ast.literal_eval(node.value)
    return [origins[name] for name in sorted(names, key=lambda name: (name[0].isupper(), name.lower()))]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _feature(feature: Any) -> str:
    if isinstance(feature, dict):
        return "{" + ", ".join(f"{name}: {_feature(inner)}" for name, inner in feature.items()) + "}"
    kind = type(feature).__name__
    if kind == "List":
        return f"list of {_feature(feature.feature)}"
    return {"Nifti": "NIfTI volume", "Image": "PNG image"}.get(kind) or str(feature.dtype)


def _model(schema: dict[str, Any]) -> str:
    text = re.sub(r"``(.+?)``", r"`\1`", schema.get("description", "")).split("\n\nAttributes:")[0]
    if "enum" in schema:
        return f"{text}\n\nOne of " + ", ".join(f"`{value}`" for value in schema["enum"]) + "."
    required = set(schema.get("required", []))
    rows = [
        (f"`{name}`", _type(field), "required" if name in required else f"`{_plain(field.get('default'))}`")
        for name, field in schema.get("properties", {}).items()
    ]
    return f"{text}\n\n" + _table(("field", "type", "default"), rows)


def _plain(value: Any) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) < 80 else text[:77] + "..."


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#part-{name.lower()})"
    if "anyOf" in field:
        return " or ".join(_type(choice) for choice in field["anyOf"])
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    kind = field.get("type", "any")
    if kind == "array" and "prefixItems" in field:
        return "[" + ", ".join(_type(item) for item in field["prefixItems"]) + "]"
    if kind == "array":
        return f"list of {_type(field.get('items', {}))}"
    if kind == "object" and isinstance(field.get("additionalProperties"), dict):
        keys = _type(field["propertyNames"]) if "propertyNames" in field else "text"
        return f"map of {keys} to {_type(field['additionalProperties'])}"
    limits = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = " ".join(f"{sign} {field[key]}" for key, sign in limits.items() if key in field)
    return f"{'text' if kind == 'string' else kind} {bounds}".strip()
