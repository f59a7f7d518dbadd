"""``rsuper-bench dataset extract`` and ``rsuper-bench dataset agreement``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsuper_bench.commands.agreement import agreement

if TYPE_CHECKING:
    from rich.table import Table

    from rsuper_bench.benchmark.records import ReportFindings


def register(app: typer.Typer) -> None:
    """Add the verbs to ``rsuper-bench dataset``."""
    app.command()(extract)
    app.command()(agreement)


def extract(
    reports: Annotated[Path, typer.Argument(help="CSV with case_id or id, report, optional pathology_report.")],
    out: Annotated[Path, typer.Option(help="File to write, one JSON line a report.")],
    extractor: Annotated[str, typer.Option(help="How to read the reports: rules or llm.")] = "rules",
    endpoint: Annotated[str | None, typer.Option(help="llm: URL of an OpenAI-compatible server.")] = None,
    model: Annotated[
        str | None, typer.Option(help="llm: its name there; may be left out if it is the only one.")
    ] = None,
    serve: Annotated[str | None, typer.Option(help="llm: start vLLM with this model for the run (Linux).")] = None,
    serve_python: Annotated[
        Path | None, typer.Option(help="llm: python that has vLLM, in an environment of its own.")
    ] = None,
    serve_args: Annotated[str, typer.Option(help="llm: further arguments of 'vllm serve', in one string.")] = "",
    serve_timeout: Annotated[float, typer.Option(min=1, help="llm: seconds the server may take to start.")] = 1800.0,
    api_key_env: Annotated[
        str, typer.Option(help="llm: environment variable that holds the key.")
    ] = "RSUPER_BENCH_LLM_KEY",
    cache: Annotated[Path | None, typer.Option(help="llm: folder of finished reports; by default OUT.cache.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=4096, help="llm: requests in flight.")] = 32,
    timeout: Annotated[float, typer.Option(min=0.1, help="llm: seconds for one request.")] = 300.0,
    attempts: Annotated[int, typer.Option(min=1, help="llm: requests for one report, at most.")] = 8,
    max_tokens: Annotated[
        int, typer.Option(min=16, help="llm: longest answer; one that is cut gets four times as many.")
    ] = 4096,
    pathology_days: Annotated[
        int | None,
        typer.Option(min=0, help="Most days between report_date and pathology_date; by default the case alone counts."),
    ] = None,
) -> None:
    """Read reports into findings. A stopped run of llm goes on where it was when the same command runs again."""
    from rich.console import Console
    from rich.progress import track

    from rsuper_bench.benchmark.errors import ConfigError, Problem
    from rsuper_bench.benchmark.files import check_out_file
    from rsuper_bench.commands import llm_extraction as llm
    from rsuper_bench.dataset_builder.extraction.extractor import make_extractor
    from rsuper_bench.dataset_builder.extraction.findings_file import FAILED, write_findings
    from rsuper_bench.dataset_builder.extraction.pathology_link import link_pathology, with_flag
    from rsuper_bench.dataset_builder.extraction.reports_file import DAMAGED, read_reports

    options = llm.LlmOptions(
        endpoint=endpoint,
        model=model,
        serve=serve,
        serve_python=serve_python,
        serve_args=serve_args,
        serve_timeout=serve_timeout,
        api_key_env=api_key_env,
        cache=cache,
        concurrency=concurrency,
        timeout=timeout,
        attempts=attempts,
        max_tokens=max_tokens,
    )
    if extractor == "llm":
        llm.check_options(options, out)
    else:
        reader = make_extractor(extractor)
        given = {"--endpoint": endpoint, "--serve": serve, "--model": model, "--cache": cache}
        fix = "Leave the option out, or add --extractor llm."
        problems = [
            Problem(name, f"'{extractor}' asks no server", f"no {name}", fix)
            for name, value in given.items()
            if value is not None
        ]
        if problems:
            raise ConfigError.of(problems)
    check_out_file(out, [reports])
    linked = link_pathology(read_reports(reports), pathology_days)
    if extractor == "llm":
        run = llm.read_with_llm(linked.rows, options, out)
        records = run.records
    else:
        shown = track(linked.rows, "reading reports", console=Console(stderr=True), transient=True)
        records = [reader.extract(row.case_id, row.report, row.pathology_report) for row in shown]
    records = [linked.flagged(record) for record in records]
    unread = {record.case_id for record in records if any(flag.startswith(FAILED) for flag in record.flags)}
    damaged = {row.case_id for row in linked.rows if row.is_damaged} - unread
    records = [with_flag(record, DAMAGED) if record.case_id in damaged else record for record in records]
    if damaged:
        typer.echo(
            f"note: {len(damaged)} reports hold bytes that are no UTF-8 text; each is flagged {DAMAGED}."
            f" If {reports} is in another encoding, save it as UTF-8 and read it again.",
            err=True,
        )
    write_findings(out, records)
    Console().print(_presence_table(records))
    if extractor == "llm":
        llm.show_outcome(run)
    typer.echo(f"wrote {out}")
    if extractor == "llm":
        llm.raise_failures(run, out)
    else:
        _raise_unread(records, out)


def _raise_unread(records: list[ReportFindings], out: Path) -> None:
    """End with an error that lists the reports that could not be read. The file is written all the same."""
    from rsuper_bench.benchmark.errors import DataError, Problem

    problems = [
        Problem(f"{out}: {record.case_id}", f"not read ({flag.removeprefix('failed:')})", "a report in English", fix)
        for record in records
        for flag in record.flags
        if flag.startswith("failed:")
        for fix in ["Correct or remove the report; the others are in the file."]
    ]
    if problems:
        raise DataError.of(problems)


def _presence_table(records: list[ReportFindings]) -> Table:
    from rich.table import Table

    from rsuper_bench.benchmark.records import Presence
    from rsuper_bench.benchmark.tumor_types import TumorType

    table = Table(title=f"What {len(records)} reports say")
    table.add_column("tumor type")
    for presence in Presence:
        table.add_column(presence.replace("_", " "), justify="right")
    table.add_column("findings", justify="right")
    table.add_column("sized", justify="right")
    for kind in TumorType:
        stated = [record.presence.get(kind, Presence.NOT_STATED) for record in records]
        found = [finding for record in records for finding in record.findings if finding.tumor_type is kind]
        if found or any(presence is not Presence.NOT_STATED for presence in stated):
            table.add_row(
                kind,
                *(str(stated.count(presence)) for presence in Presence),
                str(len(found)),
                str(sum(bool(finding.diameters_mm) for finding in found)),
            )
    return table
