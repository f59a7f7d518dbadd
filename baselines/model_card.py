"""The card of a model repository: what the weights are, what they were trained on, how they did, how to use them."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.baselines.trained_on import TrainedOn
from rsuper_bench.benchmark.markdown import NOT_DEFINED, escape, markdown_table, score_cell
from rsuper_bench.benchmark.report import EvaluationReport

COLUMNS = {
    "auroc": "AUROC",
    "sensitivity": "sensitivity, %",
    "specificity": "specificity, %",
    "sensitivity_at_specificity_90": "sensitivity at 90 % specificity, %",
}
TAGS = ["medical", "computed-tomography", "tumor-detection", "radiology-reports", "rsuper-bench"]
USE = """```bash
git clone https://github.com/rsuper-bench/rsuper-bench
pip install -e './rsuper-bench[train]'
rsuper-bench predict {repo} DATA --split test --out submission --masks
```

`DATA` is a release: a folder that `rsuper-bench dataset build` wrote, or `org/name@revision` of a dataset repository.
Pin the weights with `{repo}@REVISION`. They are safetensors; nothing in this repository is executed."""


METHOD = """## Method

One of the baselines of [rsuper-bench](https://github.com/rsuper-bench/rsuper-bench), which reimplements report
supervision (Bassi et al., arXiv 2507.05582 and 2510.14803) from the papers. Licence of the weights: {licence}. The
licences of the training cases stand above: they may limit what the weights may be used for."""


def model_card(
    repo: str,
    recipe: Recipe,
    trained: TrainedOn,
    evaluations: Sequence[EvaluationReport],
    *,
    licence: str,
    weights: str,
) -> str:
    """README.md of a model repository.

    Args:
        repo: ``org/name``.
        recipe: Of the run.
        trained: Its training data, in counts.
        evaluations: Reports of these weights; no case of them is named.
        licence: Of the weights, as the Hub writes it.
        weights: sha256 of the weights.
    """
    parts = [
        _metadata(recipe, licence),
        f"# {escape(recipe.name)}",
        _what(recipe, weights),
        "## Not for patients\n\nA research model. It is no medical device; nobody may be diagnosed or treated by it.",
        "## Use\n\n" + USE.format(repo=repo) + _needs(recipe),
        "## Trained on\n\n" + _trained(trained, recipe),
        "## Evaluation\n\n" + ("\n\n".join(map(_evaluation, evaluations)) or "None yet: what it can do is not known."),
        METHOD.format(licence=licence),
    ]
    return "\n\n".join(parts) + "\n"


def _metadata(recipe: Recipe, licence: str) -> str:
    value = {
        "license": licence,
        "library_name": "rsuper-bench",
        "pipeline_tag": "image-segmentation",
        "tags": [*TAGS, recipe.objective.replace("_", "-")],
    }
    return f"---\n{yaml.safe_dump(value, sort_keys=False)}---"


def _what(recipe: Recipe, weights: str) -> str:
    kinds = ", ".join(kind.replace("_", " ") for kind in recipe.tumor_types)
    crop = " x ".join(map(str, recipe.crop))
    return (
        f"Finds tumors on CT: {kinds}. Network `{escape(recipe.network.name)}` at {recipe.grid_mm:g} mm, windows of "
        f"{crop} voxels; objective `{recipe.objective}`, {recipe.steps} steps of {recipe.batch} crops. "
        f"`recipe.yaml` is the complete recipe.\n\nsha256 of the weights: `{weights}`"
    )


def _needs(recipe: Recipe) -> str:
    if not recipe.organ_input and recipe.organ_gate != "release":
        return "\n\nThe CT alone is needed."
    return "\n\nBeside the CT it needs organ masks, as a segmenter gives them: they are an input at test time."


def _trained(trained: TrainedOn, recipe: Recipe) -> str:
    lines = [f"- release with manifest digest `{trained.release}`, training split"]
    for name, pool in trained.pools.items():
        licences = "; ".join(f"{escape(licence)}: {count}" for licence, count in sorted(pool.licences.items()))
        made = f", {pool.synthetic} of them **synthetic**" if pool.synthetic else ""
        lines.append(
            f"- {pool.cases} cases for their {name}{made}; licences of the cases: {licences or 'not recorded'}"
        )
        if wrong := sum(pool.report_errors.values()):
            lines.append(f"- what the {name} say of {wrong} organs was made **wrong on purpose** (`report_errors`)")
    if recipe.objective == "pseudo_labels" and recipe.report_errors:
        share = f"{100 * recipe.report_errors:g} %"
        lines.append(
            f"- reports that pseudo-masks follow: {share} of their organs **wrong on purpose** (`report_errors`)"
        )
    if any(pool.known for pool in trained.pools.values()):
        states = sorted({state for pool in trained.pools.values() for kind in pool.known.values() for state in kind})
        rows = [
            [f"{escape(kind)} ({name})", *(str(known.get(state, 0)) for state in states)]
            for name, pool in trained.pools.items()
            for kind, known in pool.known.items()
        ]
        lines.append("\n" + markdown_table(["what is known of each type, cases", *states], rows))
    return "\n".join(lines)


def _evaluation(report: EvaluationReport) -> str:
    columns = {name: title for name, title in COLUMNS.items() if any(name in row for row in report.scores.values())}
    rows = []
    for name, scores in report.scores.items():
        counts = next((count for kind, count in report.counts.items() if kind == name), None)
        cells = [score_cell(scores.get(metric), as_percent=metric != "auroc") for metric in columns]
        numbers = [str(counts.positive), str(counts.negative)] if counts else [NOT_DEFINED, NOT_DEFINED]
        rows.append([escape(name.replace("_", " ")), *numbers, *cells])
    data = report.data
    made = " **Synthetic cases: no evidence about patients.**" if data.synthetic else ""
    head = (
        f"Task `{escape(report.task)}`, release {escape(data.release)} (digest `{data.digest[:12]}`), split "
        f"{data.split}: {data.n_cases} cases of {data.n_patients} patients.{made}"
    )
    table = markdown_table(["tumor type", "positive", "negative", *columns.values()], rows)
    level = f"{100 * report.task_definition.confidence:g} %"
    notes = [f"- {escape(line)}" for line in report.statements]
    foot = f"Brackets are {level} intervals, parentheses are counts. Fingerprint `{report.fingerprint[:12]}`."
    return "\n\n".join([head, table, foot, *(["\n".join(notes)] if notes else [])])
