"""Train the comparison rows at demo size and evaluate them: ``python docs/compare_rows.py --out DIR [--rows ...]``.

Synthetic phantoms (``phantom-demo.yaml``), one seed, the same release, store, loop, prediction and evaluation as
``rsuper-bench demo``; thresholds are frozen on validation. Writes ``rows.json`` beside the reports, and with
``--record`` the table of docs/comparison-rows.md. A run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
from importlib.resources import files
from pathlib import Path

from rsuper_bench.benchmark.report import MEAN, load_report
from rsuper_bench.chain import Chain
from rsuper_bench.demo import print_table, train_and_evaluate

ROWS = ("mask_only", "multi_task", "clip_like", "models_genesis", "pseudo_labels", "combined")
METRICS = ("auroc", "sensitivity_at_specificity_90", "sensitivity", "specificity")
RECORD = Path(__file__).parent / "comparison-rows.json"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name} beside this script")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of every recipe")
    arguments = parser.parse_args()
    out, release = arguments.out, arguments.out / "release"
    config = Path(str(files("rsuper_bench.dataset_builder"))) / "configs" / "phantom-demo.yaml"
    chain = Chain(n_steps=len(arguments.rows) * 3 + 1)
    build = ("dataset", "build", "--source", "phantom", "--config", config, "--seed", "0", "--out", release)
    chain.step("make phantoms", build)
    for row in arguments.rows:
        if not (out / "evaluation" / row / "report.json").exists():
            train_and_evaluate(chain, release, out, {row: f"demo_{row}"}, task="demo-phantom-v1", change=arguments.set)
    reports = {row: load_report(out / "evaluation" / row) for row in arguments.rows}
    found = {
        row: {
            kind: {name: scores[name].model_dump(mode="json", include={"value", "low", "high"}) for name in METRICS}
            for kind, scores in report.scores.items()
        }
        for row, report in reports.items()
    }
    facts = {
        "release": next(iter(reports.values())).data.digest,
        "split": "test",
        "synthetic": True,
        "changed": arguments.set,
        "rows": found,
    }
    text = json.dumps(facts, indent=1) + "\n"
    (out / "rows.json").write_text(text, encoding="utf-8")
    if arguments.record:
        RECORD.write_text(text, encoding="utf-8")
    print_table(reports)
    for row, report in reports.items():
        auroc = report.scores[MEAN]["auroc"]
        above = auroc.low is not None and auroc.low > 0.5
        print(f"{row}: mean AUROC {'above' if above else 'not shown to be above'} chance")


if __name__ == "__main__":
    main()
