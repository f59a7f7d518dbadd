"""``rsuper-bench dataset agreement``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from rsuper_bench.dataset_builder.extraction.agreement import Agreement


def agreement(
    findings: Annotated[Path, typer.Argument(help="Findings (F.jsonl) to score.")],
    labels: Annotated[Path, typer.Argument(help="Labels: findings of the same form (.jsonl) or a CSV.")],
    out: Annotated[Path, typer.Option(help="JSON file to write; it holds no report text.")],
    show_text: Annotated[
        Path | None,
        typer.Option(metavar="REPORTS.csv", help="Print what each disagreement was read from, out of these reports."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap over reports.")] = 0,
) -> None:
    """Compare findings with labels, or with another reading of the same reports."""
    from rich.console import Console

    from rsuper_bench.benchmark.files import check_out_file, pretty_json, write_text
    from rsuper_bench.dataset_builder.extraction.agreement import agree
    from rsuper_bench.dataset_builder.extraction.findings_file import read_findings
    from rsuper_bench.dataset_builder.extraction.quotes import quoted_disagreements
    from rsuper_bench.dataset_builder.extraction.reference_labels import read_labels
    from rsuper_bench.dataset_builder.extraction.reports_file import read_reports
    from rsuper_bench.dataset_builder.extraction.tally import F1_METHOD, SHARE_METHOD

    check_out_file(out, [findings, labels, *([show_text] if show_text else [])])
    result = agree(read_findings(findings), read_labels(labels))
    quotes = [] if show_text is None else quoted_disagreements(result.disagreements, read_reports(show_text))
    content = result.as_json(seed=seed)
    write_text(out, pretty_json(content))
    console = Console()
    console.print(_presence_table(result, content))
    if result.fields:
        console.print(_field_table(content))
    for quote in quotes:
        console.print(quote, markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"F1: {F1_METHOD}. Shares: {SHARE_METHOD}. {len(result.disagreements)} disagreements, listed in the file.",
        highlight=False,
    )
    if result.unlabelled:
        typer.echo(f"{result.unlabelled} cases of {findings} have no labels and are left out")
    if result.unread:
        typer.echo(f"{result.unread} labelled reports were never read; their lesions count as missed")
    typer.echo(f"wrote {out}")


def _presence_table(result: Agreement, content: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(title="Presence, and the largest size where a label states one", padding=(0, 0, 0, 1))
    table.add_column("tumor type", no_wrap=True)
    for name in ("TP", "FP", "FN", "TN", "u"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("F1 (95 % interval)", no_wrap=True)
    table.add_column("exact", no_wrap=True)
    table.add_column("+-1 mm", no_wrap=True)
    rows = [(str(kind), content["by_type"][str(kind)]) for kind in result.by_type]
    for name, tally in [*rows, ("all types", content["micro"])]:
        if name == "all types":
            table.add_section()
        size = tally["size"]
        counts = (str(tally[count]) for count in ("tp", "fp", "fn", "tn", "skipped"))
        sizes = (f"{size[within]}/{size['n']}" for within in ("exact", "within_1mm"))
        table.add_row(name, *counts, _shown(tally["f1"], "none to find"), *sizes)
    draws = content["micro"]["f1_by_report"], content["macro"]["f1_by_report"]
    table.caption = "drawing whole reports: micro F1 {}, macro F1 {}".format(*(_shown(draw, "-") for draw in draws))
    return table


def _field_table(content: dict[str, Any]) -> Table:
    from rich.table import Table

    micro = content["micro"]
    count = micro["findings"]
    table = Table(
        title=f"Fields of {count['paired']} paired findings ({count['found']} found, {count['expected']} expected)"
    )
    table.add_column("field", no_wrap=True)
    table.add_column("agree", justify="right", no_wrap=True)
    table.add_column("share (95 % interval)", no_wrap=True)
    table.add_column("where stated", justify="right", no_wrap=True)
    presence = micro["presence"]
    table.add_row("presence, four words", f"{presence['agree']}/{presence['n']}", _shown(presence, "-"), "")
    table.add_section()
    for name, tally in micro["fields"].items():
        stated = tally["where_stated"]
        table.add_row(name, f"{tally['agree']}/{tally['n']}", _shown(tally, "-"), f"{stated['agree']}/{stated['n']}")
    return table


def _shown(figure: dict[str, Any], nothing: str) -> str:
    if figure["value"] is None:
        return nothing
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})"
