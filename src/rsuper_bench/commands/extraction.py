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
    extractor: Annotated[str, typer.Option(help="How to read the reports.")] = "rules",
    endpoint: Annotated[str | None, typer.Option(help="Server of a language model; not in this version.")] = None,
) -> None:
    """Read reports into findings."""
    from rich.console import Console
    from rich.progress import track

    from rsuper_bench.benchmark.errors import ConfigError, Problem
    from rsuper_bench.benchmark.files import check_out_file
    from rsuper_bench.dataset_builder.extraction.extractor import make_extractor
    from rsuper_bench.dataset_builder.extraction.findings_file import write_findings
    from rsuper_bench.dataset_builder.extraction.reports_file import read_reports

    reader = make_extractor(extractor)
    if endpoint is not None:
        raise ConfigError.of(
            [Problem("--endpoint", f"'{extractor}' asks no server", "no --endpoint", "Leave the option out.")]
        )
    check_out_file(out)
    rows = read_reports(reports)
    shown = track(rows, "reading reports", console=Console(stderr=True), transient=True)
    records = [reader.extract(row.case_id, row.report, row.pathology_report) for row in shown]
    write_findings(out, records)
    Console().print(_presence_table(records))
    typer.echo(f"wrote {out}")


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
