"""``rsuper-bench dataset extract`` and ``rsuper-bench dataset agreement``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from rsuper_bench.benchmark.records import ReportFindings
    from rsuper_bench.dataset_builder.extraction.agreement import Agreement


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


def agreement(
    findings: Annotated[Path, typer.Argument(help="Findings (F.jsonl) to score.")],
    labels: Annotated[Path, typer.Argument(help="Labels: findings of the same form (.jsonl) or a CSV.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
) -> None:
    """Score findings against hand-made labels."""
    from rich.console import Console

    from rsuper_bench.benchmark.files import check_out_file, pretty_json, write_text
    from rsuper_bench.dataset_builder.extraction.agreement import F1_METHOD, agree
    from rsuper_bench.dataset_builder.extraction.findings_file import read_findings
    from rsuper_bench.dataset_builder.extraction.reference_labels import read_labels

    check_out_file(out)
    result = agree(read_findings(findings), read_labels(labels))
    write_text(out, pretty_json(result.as_json()))
    console = Console()
    console.print(_agreement_table(result))
    if result.fields:
        console.print(_field_table(result))
    console.print(
        f"F1 interval: {F1_METHOD}. {len(result.disagreements)} disagreements, listed in the file.", highlight=False
    )
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


def _agreement_table(result: Agreement) -> Table:
    from rich.table import Table

    from rsuper_bench.dataset_builder.extraction.agreement import f1_score

    table = Table(title="Presence, and size where a label states one")
    table.add_column("tumor type", no_wrap=True)
    for name in ("TP", "FP", "FN", "TN", "u"):
        table.add_column(name, justify="right")
    table.add_column("F1 (95 % interval)", no_wrap=True)
    table.add_column("exact", no_wrap=True)
    table.add_column("+-1 mm", no_wrap=True)
    rows = [*((str(kind), tally) for kind, tally in result.by_type.items()), ("all types", result.micro)]
    for name, tally in rows:
        f1 = f1_score(tally.tp, tally.fp, tally.fn)
        shown = "none to find" if f1["value"] is None else f"{f1['value']:.3f} ({f1['low']:.3f}-{f1['high']:.3f})"
        counts = (str(count) for count in (tally.tp, tally.fp, tally.fn, tally.tn, tally.skipped))
        sizes = (f"{tally.exact}/{tally.sized}", f"{tally.within_1mm}/{tally.sized}")
        if name == "all types":
            table.add_section()
        table.add_row(name, *counts, shown, *sizes)
    return table


def _field_table(result: Agreement) -> Table:
    from rich.table import Table

    table = Table(title="Fields of paired findings")
    table.add_column("field")
    table.add_column("agree", justify="right")
    for name, (n, agree) in result.fields.items():
        table.add_row(name, f"{agree}/{n}")
    return table
