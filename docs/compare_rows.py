"""Train the comparison rows at demo size and evaluate them: ``python docs/compare_rows.py --out DIR [--rows ...]``.

Synthetic phantoms (``phantom-demo.yaml``), one seed, the same release, store, loop, prediction and evaluation as
``rsuper-bench demo``; thresholds are frozen on validation. Writes ``rows.json`` beside the reports, and with
``--record`` ``docs/comparison-rows.json`` and from it the table of docs/comparison-rows.md. A run that was stopped goes
on; ``--collect`` trains nothing and takes the evaluations that are there.
"""

from __future__ import annotations

import argparse
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from written import with_part

from rsuper_bench.benchmark.report import MEAN, EvaluationReport, load_report
from rsuper_bench.chain import Chain
from rsuper_bench.demo import print_table, train_and_evaluate

ROWS = ("mask_only", "multi_task", "clip_like", "models_genesis", "pseudo_labels", "combined")
METRICS = ("auroc", "sensitivity_at_specificity_90", "sensitivity", "specificity")
RECORD, PAGE = Path(__file__).parent / "comparison-rows.json", Path(__file__).parent / "comparison-rows.md"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--collect", action="store_true", help="train nothing: take the evaluations in --out")
    parser.add_argument("--record", action="store_true", help="write JSON and table into docs")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of every recipe")
    arguments = parser.parse_args()
    if not arguments.collect:
        run(arguments.out, arguments.rows, arguments.set)
    reports = {row: load_report(arguments.out / "evaluation" / row) for row in arguments.rows}
    facts = facts_of(arguments.out, reports, arguments.set)
    text = json.dumps(facts, indent=1) + "\n"
    (arguments.out / "rows.json").write_text(text, encoding="utf-8")
    if arguments.record:
        RECORD.write_text(text, encoding="utf-8")
        PAGE.write_text(page_with(PAGE.read_text("utf-8"), facts), encoding="utf-8")
    print_table(reports)


def run(out: Path, rows: list[str], change: list[str]) -> None:
    """Train and evaluate what has no report yet."""
    release = out / "release"
    config = Path(str(files("rsuper_bench.dataset_builder"))) / "configs" / "phantom-demo.yaml"
    chain = Chain(n_steps=len(rows) * 3 + 1)
    build = ("dataset", "build", "--source", "phantom", "--config", config, "--seed", "0", "--out", release)
    chain.step("make phantoms", build)
    for row in rows:
        if not (out / "evaluation" / row / "report.json").exists():
            train_and_evaluate(chain, release, out, {row: f"demo_{row}"}, task="demo-phantom-v1", changes={row: change})


def facts_of(out: Path, reports: dict[str, EvaluationReport], change: list[str]) -> dict[str, Any]:
    """The figures and what they were made with, as runs and reports noted it."""
    made: dict[str, set[str]] = {}
    for row in reports:
        started = json.loads((out / "evaluation" / row / "run.json").read_text("utf-8"))["started"]
        made.setdefault("date", set()).add(started[:10])
        notes = out / "runs" / row / "run.json"
        if notes.exists():  # a folder of evaluations alone has no runs
            noted = json.loads(notes.read_text("utf-8"))["sessions"][-1]["provenance"]
            for key in ("device", "rsuper_bench", "python", "torch", "monai"):
                made.setdefault(key, set()).add(noted[key])
    first = next(iter(reports.values()))
    return {
        "release": first.data.digest,
        "fingerprint": first.fingerprint,
        "split": "test",
        "cases": first.data.n_cases,
        "synthetic": first.data.synthetic,
        "seed": 0,
        "changed": change,
        "made": {key: sorted(values) for key, values in made.items()},
        "rows": {
            row: {
                kind: {name: scores[name].model_dump(mode="json", include={"value", "low", "high"}) for name in METRICS}
                for kind, scores in report.scores.items()
            }
            for row, report in reports.items()
        },
    }


def page_with(page: str, facts: dict[str, Any]) -> str:
    """The page with the table between its markers."""
    made = {key: ", ".join(values) for key, values in facts["made"].items()}
    changed = "".join(f" --set '{value}'" for value in facts["changed"])
    lines = [
        "```bash",
        f"python docs/compare_rows.py --out rows --rows {' '.join(facts['rows'])}{changed} --record",
        "```",
        "",
        f"{made['date']}; device {made['device']}; Python {made['python']}, torch {made['torch']},",
        f"MONAI {made['monai']}, rsuper-bench {made['rsuper_bench']}; seed {facts['seed']}. **Synthetic phantoms**",
        f"of the demo (release `{facts['release'][:12]}`), test split of {facts['cases']} cases, mean of liver,",
        "kidney and pancreas; 95 % intervals over patients:",
        "",
        "| row | AUROC | sensitivity, % | specificity, % |",
        "|---|---:|---:|---:|",
    ]
    for row, kinds in facts["rows"].items():
        scores = kinds[MEAN]
        shown = (
            _text(scores["auroc"], 1, 2),
            _text(scores["sensitivity"], 100, 1),
            _text(scores["specificity"], 100, 1),
        )
        lines.append(f"| `demo_{row}` | {' | '.join(shown)} |")
    return with_part(page, "rows", "compare_rows.py", "\n".join(lines))


def _text(figure: dict[str, float | None], scale: float, digits: int) -> str:
    value, low, high = (None if figure[key] is None else figure[key] * scale for key in ("value", "low", "high"))
    if value is None:
        return "undefined"
    return f"{value:.{digits}f}" + ("" if low is None else f" [{low:.{digits}f}, {high:.{digits}f}]")


if __name__ == "__main__":
    main()
