"""Verb ``compare``: two reports of one task, case by case."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(compare)


def compare(
    report_a: Annotated[Path, typer.Argument(metavar="REPORT_A", help="report.json, or the folder that holds it.")],
    report_b: Annotated[Path, typer.Argument(metavar="REPORT_B", help="Report of the same task and cases.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of bootstrap and permutations.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Threads; results do not depend on it.")] = 1,
) -> None:
    """Compare two evaluations case by case: differences A - B with intervals and tests, per tumor type and overall."""
    from rsuper_bench.benchmark.comparison import compare as compare_reports
    from rsuper_bench.benchmark.comparison_folder import COMPARISON_FILE, WRITTEN, comparing, write_comparison
    from rsuper_bench.benchmark.files import check_out_folder
    from rsuper_bench.benchmark.markdown import printable
    from rsuper_bench.benchmark.report import MEAN, load_report

    check_out_folder(out, COMPARISON_FILE, WRITTEN)
    a, b = load_report(report_a), load_report(report_b)
    with comparing(out):
        found = compare_reports(a, b, seed=seed, jobs=jobs)
        write_comparison(found, out)
    typer.echo(f"A: {printable(found.a.method)}\nB: {printable(found.b.method)}")
    for name, item in found.differences[MEAN].items():
        if item.difference is not None:
            interval = f" [{item.low:+.3f}, {item.high:+.3f}]" if item.low is not None else ""
            p = "" if item.p is None else f"  p {item.p:.4f}"
            typer.echo(f"{'mean ' + name:36} A - B {item.difference:+.3f}{interval}{p}")
    for statement in found.statements:
        typer.echo(printable(statement))
    typer.echo(f"wrote {out / COMPARISON_FILE} and {out / 'compare.md'}")
