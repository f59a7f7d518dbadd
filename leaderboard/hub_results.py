"""Figures of an entry as the Hub reads them: ``.eval_results/*.yaml`` of a model repository."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from rsuper_bench.benchmark.report import MEAN, Score
from rsuper_bench.leaderboard import wording


def results_yaml(
    task: str,
    primary: str,
    scores: Mapping[str, Mapping[str, Score]],
    notes: str,
    benchmark: str,
    source: str,
) -> str:
    """Evaluation results of one entry: the mean, then each tumor type; undefined figures are left out.

    Args:
        task: Name of the task; the task id of the mean, and with ``.<tumor_type>`` of each type.
        primary: The metric.
        scores: Figures by tumor type and metric.
        notes: How far they can be trusted.
        benchmark: Dataset repository of the benchmark.
        source: Address of the board.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    label = wording.metric_label(primary)
    entries = []
    for name in (MEAN, *sorted(set(scores) - {MEAN})):
        score = scores.get(name, {}).get(primary)
        if score is None or score.value is None:
            continue
        interval = wording.interval(score, primary)
        unit = f" {wording.metric_unit(primary)}".rstrip()
        what = f"{label}, mean over the tumor types" if name == MEAN else f"{label}, {name.replace('_', ' ')}"
        entries.append(
            EvalResultEntry(
                dataset_id=benchmark,
                task_id=task if name == MEAN else f"{task}.{name}",
                value=round(score.value, 6),
                source_url=source,
                source_name="rsuper-bench leaderboard",
                notes=f"{what}; interval {interval}{unit}; {notes}" if interval else f"{what}; {notes}",
            )
        )
    return yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True, width=120)
