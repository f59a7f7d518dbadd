"""``rsuper-bench dataset extract --extractor llm``: options checked, server found or started, outcome shown."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import shown_cell

if TYPE_CHECKING:
    from rsuper_bench.dataset_builder.extraction.llm.run import LlmRun
    from rsuper_bench.dataset_builder.extraction.llm.settings import LlmSettings
    from rsuper_bench.dataset_builder.extraction.reports_file import ReportRow

_NEVER_SENT = ("empty", "too_long", "not_text")
_WHY = {"no_quote": "quote not in the report", "misfit": "quote does not state the value", "repeated": "said twice"}


@dataclass(frozen=True)
class LlmOptions:
    """The options of the command, as given."""

    endpoint: str | None
    model: str | None
    serve: str | None
    serve_python: Path | None
    serve_args: str
    serve_timeout: float
    api_key_env: str
    cache: Path | None
    concurrency: int
    timeout: float
    attempts: int
    max_tokens: int


def check_options(options: LlmOptions, out: Path) -> None:
    """Refuse a call that cannot work, before any work.

    Raises:
        ConfigError: All that is wrong, at once.
    """
    from rsuper_bench.dataset_builder.extraction.llm.settings import KEY_VARIABLE

    problems = []
    if find_spec("httpx") is None:
        fix = "pip install -e '.[llm]' in the clone"
        problems.append(Problem("--extractor llm", "httpx is not installed", "the extra [llm]", fix))
    if (options.endpoint is None) == (options.serve is None):
        found = "neither --endpoint nor --serve" if options.endpoint is None else "both --endpoint and --serve"
        fix = "Name a running server with --endpoint URL, or a model to serve here with --serve MODEL."
        problems.append(Problem("--extractor llm", found, "one of the two", fix))
    if options.serve is None:
        fix = "Leave it out: the server at --endpoint runs already."
        given = {"--serve-python": options.serve_python is not None, "--serve-args": bool(options.serve_args)}
        problems += [
            Problem(name, "stands without --serve", f"no {name}", fix) for name, is_given in given.items() if is_given
        ]
    if options.serve is not None and options.model is not None:
        fix = "Leave --model out: --serve names the model."
        problems.append(Problem("--model", "stands beside --serve", "one of the two", fix))
    if options.cache is not None and (options.cache == out or (options.cache.exists() and not options.cache.is_dir())):
        found = "is the file of --out" if options.cache == out else "is a file"
        problems.append(Problem(f"--cache {options.cache}", found, "a folder", "Name a folder."))
    if options.api_key_env != KEY_VARIABLE and not os.environ.get(options.api_key_env, "").strip():
        found = "no such environment variable, or an empty one"
        fix = "Set it, or leave the option out for a server without a key."
        problems.append(Problem(f"--api-key-env {shown_cell(options.api_key_env)}", found, "the key in it", fix))
    if problems:
        raise ConfigError.of(problems)


def read_with_llm(rows: Sequence[ReportRow], options: LlmOptions, out: Path) -> LlmRun:
    """Read the reports through a server and show how it goes on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from rsuper_bench.dataset_builder.extraction.llm.cache import AnswerCache
    from rsuper_bench.dataset_builder.extraction.llm.run import read_reports_with_llm

    cache = AnswerCache(options.cache or out.with_name(f"{out.name}.cache"))
    columns = (TextColumn("reading reports"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        _server(options, out) as settings,
        Progress(*columns, console=Console(stderr=True), transient=True) as bar,
    ):
        task = bar.add_task("reports", total=None)
        return read_reports_with_llm(
            rows, settings, cache, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )


def show_outcome(run: LlmRun) -> None:
    """Say what the run cost and what was left out."""
    traffic = run.traffic
    again = ", ".join(f"{reason} {count}" for reason, count in sorted(traffic.waits.items()))
    typer.echo(
        f"texts: {run.asked} asked for, {run.from_cache} from the cache; requests: {traffic.requests}"
        f", of these asked again: {traffic.retries}{f' ({again})' if again else ''}"
        f"; tokens: {traffic.prompt_tokens} read, {traffic.answer_tokens} written"
    )
    dropped = [
        f"{name.split(':')[1]} {count} ({_WHY[name.split(':')[0]]})" for name, count in sorted(run.dropped.items())
    ]
    typer.echo(f"values left out because the report does not back them: {', '.join(dropped) or 'none'}")


def raise_failures(run: LlmRun, out: Path) -> None:
    """End with an error that lists the reports without an answer.

    Raises:
        DataError: If there are any. The file is written all the same.
    """
    problems = [
        Problem(
            f"{out}: {case_id}",
            f"no answer ({reason})",
            "an answer to each report",
            "Shorten or correct the report: it was never sent."
            if reason.removeprefix("pathology_") in _NEVER_SENT
            else "Run the same command again to ask for it once more; the finished ones are kept.",
        )
        for case_id, reason in run.failures.items()
    ]
    if problems:
        raise DataError.of(problems)


@contextmanager
def _server(options: LlmOptions, out: Path) -> Iterator[LlmSettings]:
    from rsuper_bench.dataset_builder.extraction.llm.local_server import serve
    from rsuper_bench.dataset_builder.extraction.llm.model_choice import choose_model
    from rsuper_bench.dataset_builder.extraction.llm.retry import RetryPolicy
    from rsuper_bench.dataset_builder.extraction.llm.settings import LlmSettings, checked_endpoint, is_loopback

    def settings(endpoint: str, model: str, api_key: str | None) -> LlmSettings:
        return LlmSettings(
            endpoint=endpoint,
            model=model,
            api_key=api_key,
            concurrency=options.concurrency,
            timeout_s=options.timeout,
            max_tokens=options.max_tokens,
            retry=RetryPolicy(attempts=options.attempts),
        )

    if options.serve is not None:
        log = out.with_name(f"{out.name}.server.log")
        started = serve.ServeOptions(
            model=options.serve,
            arguments=serve.split_arguments(options.serve_args),
            python=serve.checked_python(options.serve_python),
            log=log,
            start_timeout_s=options.serve_timeout,
        )
        typer.echo(f"starting vLLM; it writes to {log}", err=True)
        with serve.serving(started) as served:
            yield settings(served.endpoint, served.model, served.api_key)
        return
    endpoint = checked_endpoint(options.endpoint or "")
    if not is_loopback(endpoint):
        how = "" if endpoint.startswith("https:") else ", not encrypted"
        typer.echo(f"note: report texts leave this machine for {endpoint}{how}", err=True)
    asked = settings(endpoint, options.model or "", _api_key(options.api_key_env))
    yield settings(endpoint, choose_model(asked), asked.api_key)


def _api_key(variable: str) -> str | None:
    key = os.environ.get(variable, "").strip()
    if key and not (key.isascii() and key.isprintable()):
        raise ConfigError.of([Problem(variable, "not a key", "printable ASCII characters", "Set it again.")])
    return key or None
