"""What a study found: every figure with an interval over patients and seeds together."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsuper_bench import __version__
from rsuper_bench.benchmark.files import digest_of, read_text
from rsuper_bench.benchmark.literature import detection_reader
from rsuper_bench.benchmark.records import Record
from rsuper_bench.benchmark.report import MEAN, EvaluationReport, load_report
from rsuper_bench.benchmark.sample import report_patients, report_samples
from rsuper_bench.benchmark.scores import mean_over
from rsuper_bench.benchmark.scoring import Counted, Draws, draw_replicates, measure, measures_of
from rsuper_bench.study.config import Arm, StudyConfig
from rsuper_bench.study.grid import Cell, Run, cells_of, runs_of
from rsuper_bench.study.run import is_done, report_folder

Floats = NDArray[np.float64]
METRICS = (
    "sensitivity_at_specificity_90",
    "specificity_at_sensitivity_90",
    "auroc",
    "sensitivity",
    "specificity",
)
_SEEDS = 0x5EED5  # stream of the draws of seeds, apart from those of patients


class Figure(Record):
    """A figure with its 95 % interval; null with the reason where undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


class CellResult(Record):
    """One point of the grid. ``scores``: tumor type or ``mean`` -> metric -> figure, mean over the seeds."""

    arm: str
    masks: int | None
    reports: int | None
    seeds: tuple[int, ...]
    cases: dict[str, int]  # pool -> training cases, as the runs counted them
    scores: dict[str, dict[str, Figure]]


class DifferenceResult(Record):
    """One point less another, paired by seed and patient; means over tumor types."""

    arm: str
    base: str
    masks: int | None
    reports: int | None
    base_masks: int | None
    base_reports: int | None
    seeds: tuple[int, ...]
    scores: dict[str, Figure]


class StudyResults(Record):
    """All that figures and pages of a study are made from. No time is in it."""

    name: str
    description: str
    synthetic: bool
    n_cases: int
    n_patients: int
    tumor_types: tuple[str, ...]
    done: int
    runs: int
    cells: tuple[CellResult, ...]
    differences: tuple[DifferenceResult, ...]
    crossing_masks: dict[str, float | None]  # metric -> masks at which mask_only reaches report_only
    digests: dict[str, str]
    versions: dict[str, str | None]


@dataclass(frozen=True)
class _Drawn:
    """Values and replicates of one run: type or ``mean`` -> metric -> ``(1 + R,)``, the sample itself first."""

    report: EvaluationReport
    columns: dict[str, dict[str, Floats]]


def collect(config: StudyConfig, out: Path) -> StudyResults | None:
    """Read the evaluations that are there and put figures on them; None before the first."""
    drawn = {run: _draw(run, config, out) for run in runs_of(config) if is_done(out, run)}
    if not drawn:
        return None
    by_cell: dict[Cell, dict[int, tuple[Run, _Drawn]]] = {}
    for run, item in drawn.items():
        by_cell.setdefault(run.cell, {})[run.seed] = (run, item)
    cells = [cell for cell in cells_of(config) if cell in by_cell]
    columns = {cell: {seed: item.columns for seed, (_, item) in by_cell[cell].items()} for cell in cells}
    first = next(iter(drawn.values())).report
    results = tuple(_cell(cell, columns[cell], _cases(out, by_cell[cell])) for cell in cells)
    return StudyResults(
        name=config.name,
        description=config.description,
        synthetic=first.data.synthetic,
        n_cases=first.data.n_cases,
        n_patients=first.data.n_patients,
        tumor_types=tuple(str(kind) for kind in first.task_definition.tumor_types),
        done=len(drawn),
        runs=len(list(runs_of(config))),
        cells=results,
        differences=tuple(
            _difference(cell, base, columns[cell], columns[base]) for cell, base in _pairs(config, cells)
        ),
        crossing_masks={metric: _crossing(config, results, metric) for metric in METRICS},
        digests={"config": digest_of(config), "release": first.data.digest, "fingerprint": first.fingerprint},
        versions={"rsuper-bench": __version__, **_versions()},
    )


def _draw(run: Run, config: StudyConfig, out: Path) -> _Drawn:
    report = load_report(report_folder(out, run))
    patients = report_patients(report)
    samples = report_samples(report, patients)
    task = report.task_definition
    literature = report.readers.literature
    measures = {kind: measures_of(task, detection_reader(literature, kind)) for kind in samples}
    draws = Draws(len(patients), config.bootstrap_replicates, report.fingerprint, report.seed)
    replicates = draw_replicates(samples, measures, draws)
    ones = np.ones((len(patients), 1), dtype=np.int32)
    columns: dict[str, dict[str, Floats]] = {}
    for kind, sample in samples.items():
        itself = measure(Counted.of(sample, len(patients)), measures[kind], ones)
        columns[str(kind)] = {name: np.concatenate([itself[name], replicates[kind][name]]) for name in METRICS}
    columns[MEAN] = {
        name: mean_over([columns[str(kind)][name] for kind in samples if not np.isnan(columns[str(kind)][name][0])])
        for name in METRICS
        if any(not np.isnan(columns[str(kind)][name][0]) for kind in samples)
    }
    return _Drawn(report, columns)


def _over_seeds(rows: Mapping[int, Floats]) -> Floats:
    """Mean over seeds, ``(1 + R,)``: in each replicate patients and seeds are drawn anew.

    The draw of seeds follows from their positions in the config alone, so that two points with the same seeds are
    drawn alike and their difference is paired.
    """
    stacked = np.stack([rows[seed] for seed in sorted(rows)])
    n = len(stacked)
    rng = np.random.default_rng([_SEEDS, n])
    chosen = rng.integers(n, size=(stacked.shape[1] - 1, n))
    drawn = stacked[chosen, np.arange(1, stacked.shape[1])[:, None]].mean(1)
    return np.concatenate([[stacked[:, 0].mean()], drawn])


def _figure(column: Floats, seeds: int) -> Figure:
    value, drawn = float(column[0]), column[1:][~np.isnan(column[1:])]
    if math.isnan(value):
        return Figure(value=None, reason="undefined in a run")
    if len(drawn) < 0.9 * (len(column) - 1):
        return Figure(value=value, reason="no interval: too few replicates are defined")
    low, high = np.quantile(drawn, [0.025, 0.975])
    why = "one seed: the interval is over patients only" if seeds == 1 else None
    return Figure(value=value, low=float(low), high=float(high), reason=why)


def _cell(cell: Cell, runs: Mapping[int, dict[str, dict[str, Floats]]], cases: dict[str, int]) -> CellResult:
    first = next(iter(runs.values()))
    scores = {
        kind: {
            metric: _figure(_over_seeds({seed: found[kind][metric] for seed, found in runs.items()}), len(runs))
            for metric in first[kind]
        }
        for kind in first
    }
    return CellResult(
        arm=cell.arm,
        masks=cell.masks,
        reports=cell.reports,
        seeds=tuple(sorted(runs)),
        cases=cases,
        scores=scores,
    )


def _difference(
    cell: Cell,
    base: Cell,
    one: Mapping[int, dict[str, dict[str, Floats]]],
    two: Mapping[int, dict[str, dict[str, Floats]]],
) -> DifferenceResult:
    seeds = sorted(set(one) & set(two))
    scores = {
        metric: _figure(
            _over_seeds({seed: one[seed][MEAN][metric] - two[seed][MEAN][metric] for seed in seeds}), len(seeds)
        )
        for metric in METRICS
        if seeds and metric in one[seeds[0]][MEAN] and metric in two[seeds[0]][MEAN]
    }
    return DifferenceResult(
        arm=cell.arm,
        base=base.arm,
        masks=cell.masks,
        reports=cell.reports,
        base_masks=base.masks,
        base_reports=base.reports,
        seeds=tuple(seeds),
        scores=scores,
    )


def _pairs(config: StudyConfig, cells: Sequence[Cell]) -> list[tuple[Cell, Cell]]:
    """What is compared with what.

    Combined with mask_only at the same masks, report_only with every mask_only, other arms with their own base at the
    same numbers.
    """
    pairs = []
    masked = [cell for cell in cells if cell.arm == config.mask_only]
    for cell in cells:
        arm = config.arm(cell.arm)
        if cell.arm == config.combined:
            pairs += [(cell, base) for base in masked if base.masks == cell.masks]
        elif cell.arm == config.report_only:
            pairs += [(cell, base) for base in masked]
        elif isinstance(arm, Arm) and arm.of is not None:
            pairs += [
                (cell, base)
                for base in cells
                if base.arm == arm.of and (base.masks, base.reports) == (cell.masks, cell.reports)
            ]
    return pairs


def _crossing(config: StudyConfig, cells: Sequence[CellResult], metric: str) -> float | None:
    """Masks at which the curve of mask_only meets the level of report_only, on a logarithmic axis; None if nowhere."""
    level = next((_mean(cell, metric) for cell in cells if cell.arm == config.report_only), None)
    points = sorted(
        (cell.cases.get("masks", 0), value)
        for cell in cells
        if cell.arm == config.mask_only and (value := _mean(cell, metric)) is not None
    )
    if level is None:
        return None
    for (few, low), (many, high) in pairwise(points):
        if low <= level <= high and high > low and few > 0:
            share = (level - low) / (high - low)
            return round(float(np.exp(np.log(few) + share * (np.log(many) - np.log(few)))), 1)
    return None


def _mean(cell: CellResult, metric: str) -> float | None:
    found = cell.scores.get(MEAN, {}).get(metric)
    return None if found is None else found.value


def _cases(out: Path, runs: Mapping[int, tuple[Run, _Drawn]]) -> dict[str, int]:
    from rsuper_bench.baselines.train import DATA_FILE

    run, _ = next(iter(runs.values()))
    summary = json.loads(read_text(out / "runs" / run.name / "run" / DATA_FILE))
    return {pool: int(summary[pool]["cases"]) for pool in ("masks", "reports") if pool in summary}


def _versions() -> dict[str, str | None]:
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {}
    for name in ("torch", "monai", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
