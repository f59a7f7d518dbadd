"""Prompts: versioned text files. A changed prompt is a new file; its digest stands beside every finding."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rsuper_bench.benchmark.files import digest_of, sha256_bytes
from rsuper_bench.dataset_builder.extraction.llm.answers import Answer, PathologyAnswer, ReportAnswer, schema_digest

FINDINGS = "findings-v1"
PATHOLOGY = "pathology-v1"
ANSWERS: dict[str, type[Answer]] = {FINDINGS: ReportAnswer, PATHOLOGY: PathologyAnswer}


@cache
def prompt_text(name: str) -> str:
    """Text of a shipped prompt."""
    return (Path(__file__).parent / "prompts" / f"{name}.txt").read_text(encoding="utf-8")


@cache
def prompt_digest(name: str) -> str:
    """Digest of one prompt: the sha256 of its file."""
    return sha256_bytes(prompt_text(name).encode())


@cache
def provenance_digest() -> str:
    """Digest of all that a model is told: both prompts and both schemas."""
    return digest_of({name: [prompt_digest(name), schema_digest(model)] for name, model in ANSWERS.items()})
