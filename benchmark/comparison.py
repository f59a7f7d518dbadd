"""Two reports of one task beside each other: paired differences, with intervals and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.comparison_record import Comparison, Difference, Side
from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.literature import detection_reader
from rsuper_bench.benchmark.reference import CHANGED, report_problems
from rsuper_bench.benchmark.report import MEAN, EvaluationReport
from rsuper_bench.benchmark.sample import Sample, report_patients, report_samples
from rsuper_bench.benchmark.scores import FEW, PERCENTILE, mean_df, mean_over
from rsuper_bench.benchmark.scoring import Counted, Drawn, Draws, Measures, draw_replicates, map_chunks, measure
from rsuper_bench.benchmark.scoring import measures_of as points_of
from rsuper_bench.benchmark.statistics.bootstrap import normal_interval, percentile_interval
from rsuper_bench.benchmark.statistics.paired import PairedCounts, delong_difference, holm, mcnemar, newcombe_paired
from rsuper_bench.benchmark.statistics.permutation import exchanges, permutation_p
from rsuper_bench.benchmark.tumor_types import TumorType

Floats = NDArray[np.float64]
_EXCHANGES = 1  # child of the seed: the exchanges must not repeat the bootstrap's random numbers


@dataclass(frozen=True)
class _Pair:
    """The same cases of one tumor type as two methods see them."""

    a: Sample
    b: Sample
    values: tuple[Drawn, Drawn]  # the figures themselves, ``(1,)``
    drawn: tuple[Drawn, Drawn]  # bootstrap replicates, ``(R,)``
    exchanged: Drawn  # differences after exchanges, ``(R,)``


def compare(a: EvaluationReport, b: EvaluationReport, *, seed: int = 0, jobs: int = 1) -> Comparison:
    """Compare two reports of one fingerprint, case by case.

    Args:
        a: First report.
        b: Second report; differences are first minus second.
        seed: Seed of bootstrap and exchanges.
        jobs: Threads; the result does not depend on it.

    Raises:
        DataError: If the reports are not of the same task, cases and truth.
    """
    _refuse_unlike(a, b)
    task = a.task_definition
    patients = report_patients(a)
    draws = Draws(len(patients), task.bootstrap_replicates, a.fingerprint, seed)
    samples = [report_samples(report, patients) for report in (a, b)]
    measures = {kind: points_of(task, detection_reader(a.readers.literature, kind)) for kind in task.tumor_types}
    drawn = [draw_replicates(found, measures, draws, jobs=jobs) for found in samples]
    exchanged = _exchange(samples[0], samples[1], measures, draws, jobs)
    pairs = {
        kind: _Pair(
            samples[0][kind],
            samples[1][kind],
            (_figures(samples[0][kind], measures[kind]), _figures(samples[1][kind], measures[kind])),
            (drawn[0][kind], drawn[1][kind]),
            exchanged[kind],
        )
        for kind in task.tumor_types
    }
    differences = {
        str(kind): {name: _difference(name, pairs[kind], task.confidence) for name in measures[kind].names}
        for kind in task.tumor_types
    }
    differences = _adjusted(differences, 1 - task.confidence)
    differences[MEAN] = _mean(pairs, differences, task.confidence)
    return Comparison(
        task=task.name,
        fingerprint=a.fingerprint,
        confidence=task.confidence,
        seed=seed,
        replicates=task.bootstrap_replicates,
        n_cases=a.data.n_cases,
        n_patients=len(patients),
        a=Side.of(a),
        b=Side.of(b),
        statements=tuple(dict.fromkeys([*a.statements, *b.statements])),
        differences=differences,
    )


def _refuse_unlike(a: EvaluationReport, b: EvaluationReport) -> None:
    fix = "Evaluate both submissions on the same release, split and task."
    problems = [
        Problem("REPORT_B", f"{name} {theirs}", f"{mine}, as REPORT_A", fix)
        for name, mine, theirs in (("task", a.task, b.task), ("fingerprint", a.fingerprint, b.fingerprint))
        if mine != theirs
    ]
    if not problems:
        patients = [{(item.case_id, item.patient) for item in report.outcomes} for report in (a, b)]
        cases = [len({case_id for case_id, _ in found}) for found in patients]
        if patients[0] != patients[1] or cases != [len(found) for found in patients]:
            found = f"{len(patients[0] ^ patients[1])} pairs of case and patient that only one report has"
            problems.append(Problem("REPORT_B", found, "the cases and patients of REPORT_A", CHANGED))
        problems += report_problems(a, "REPORT_A") + report_problems(b, "REPORT_B")
        if not patients[0]:
            problems.append(Problem("REPORT_A", "no outcomes", "per-case evidence", "Evaluate again."))
    if problems:
        raise DataError.of(problems)


def _figures(sample: Sample, points: Measures) -> Drawn:
    patients = int(sample.patient.max()) + 1 if len(sample.patient) else 1
    return measure(Counted.of(sample, patients), points, np.ones((patients, 1), dtype=np.int32))


def _exchange(
    a: Mapping[TumorType, Sample],
    b: Mapping[TumorType, Sample],
    measures: Mapping[TumorType, Measures],
    draws: Draws,
    jobs: int,
) -> dict[TumorType, Drawn]:
    """Differences of every metric when the two results of a patient are exchanged at random."""
    counted = {kind: Counted.of(_side_by_side(a[kind], b[kind], draws.n_patients), 2 * draws.n_patients) for kind in a}
    streams = [(size, stream.spawn(_EXCHANGES)[0]) for size, stream in draws.streams()]

    def draw(chunk: tuple[int, np.random.SeedSequence]) -> dict[TumorType, Drawn]:
        weights = exchanges(draws.n_patients, *chunk)
        found = {}
        for kind in a:
            one, other = (measure(counted[kind], measures[kind], taken) for taken in (weights, 1 - weights))
            found[kind] = {name: one[name] - other[name] for name in one}
        return found

    chunks = map_chunks(draw, streams, jobs)
    return {
        kind: {name: np.concatenate([chunk[kind][name] for chunk in chunks]) for name in measures[kind].names}
        for kind in a
    }


def _side_by_side(a: Sample, b: Sample, n_patients: int) -> Sample:
    """Both methods' results as one sample of twice the patients, ranked within each method."""
    from scipy.stats import rankdata

    called = None if a.called is None or b.called is None else np.concatenate([a.called, b.called])
    return replace(
        a,
        case_ids=a.case_ids + b.case_ids,
        patient=np.concatenate([a.patient, b.patient + n_patients]),
        positive=np.concatenate([a.positive, b.positive]),
        score=np.concatenate([a.score, b.score]),
        volume_mm3=np.concatenate([a.volume_mm3, b.volume_mm3]),
        decision=np.concatenate([rankdata(a.decision), rankdata(b.decision)]),
        imputed=np.concatenate([a.imputed, b.imputed]),
        called=called,
    )


def _difference(name: str, pair: _Pair, confidence: float) -> Difference:
    one, two = (float(values[name][0]) for values in pair.values)
    if np.isnan(one) or np.isnan(two):
        return Difference(reason="undefined in at least one of the reports")
    small = min(int(pair.a.positive.sum()), int((~pair.a.positive).sum())) < FEW
    reason = f"fewer than {FEW} cases of one class" if small else None
    known = Difference(a=one, b=two, difference=one - two, reason=reason)
    independent = pair.a.one_case_a_patient
    if name == "auroc" and independent:
        area = delong_difference(pair.a.decision, pair.b.decision, pair.a.positive)
        if area.error > 0:
            low, high = area.interval(confidence)
            return known.model_copy(
                update={"low": low, "high": high, "method": "delong", "p": area.p, "test": "delong"}
            )
    if name in ("sensitivity", "specificity") and independent:
        counts = _paired_counts(name, pair)
        low, high = newcombe_paired(counts, confidence)
        tested = {"p": mcnemar(counts), "test": "mcnemar-exact"}
        return known.model_copy(update={"low": low, "high": high, "method": "newcombe-10", **tested})
    replicates = pair.drawn[0][name] - pair.drawn[1][name]
    return _resampled(known, name, replicates, pair.exchanged[name], confidence, pair.a.smaller_class - 1)


def _resampled(
    known: Difference, name: str, replicates: Floats, exchanged: Floats, confidence: float, df: int
) -> Difference:
    """Interval from the replicates, p-value from the exchanges."""
    difference = known.difference or 0.0
    if "_at_" in name:
        interval, method = percentile_interval(replicates, confidence), PERCENTILE
    else:
        interval, method = normal_interval(difference, replicates, confidence, df), "patient-bootstrap-normal"
    low, high = interval or (None, None)
    no_interval = None if interval else "no interval: too few replicates are defined"
    return known.model_copy(
        update={
            "low": low,
            "high": high,
            "method": method,
            "p": permutation_p(difference, exchanged),
            "test": "permutation",
            "reason": "; ".join(filter(None, [no_interval, known.reason])) or None,
        }
    )


def _paired_counts(name: str, pair: _Pair) -> PairedCounts:
    wanted = name == "sensitivity"
    chosen = pair.a.positive if wanted else ~pair.a.positive
    a, b = (np.asarray(side.called, dtype=bool)[chosen] == wanted for side in (pair.a, pair.b))
    return PairedCounts.of(a, b)


def _adjusted(differences: dict[str, dict[str, Difference]], level: float) -> dict[str, dict[str, Difference]]:
    """Adjust each metric's p-values for the number of tumor types, and say which method is higher where one is."""
    found = {kind: dict(items) for kind, items in differences.items()}
    for name in next(iter(differences.values())):
        p_values = {kind: items[name].p for kind, items in differences.items()}
        for kind, p in holm({kind: p for kind, p in p_values.items() if p is not None}).items():
            item = found[kind][name].model_copy(update={"p_holm": p})
            found[kind][name] = item.model_copy(update={"higher": _higher(item, p, level)})
    return found


def _higher(item: Difference, p: float, level: float) -> Literal["a", "b"] | None:
    """The method that is better by test and by interval; None where either does not say so."""
    if p > level or item.low is None or item.high is None:
        return None
    return "a" if item.low > 0 else "b" if item.high < 0 else None


def _mean(
    pairs: Mapping[TumorType, _Pair], differences: Mapping[str, Mapping[str, Difference]], confidence: float
) -> dict[str, Difference]:
    """Mean over the tumor types in which a metric is defined in both reports; a patient is exchanged in all of them."""
    found = {}
    for name in next(iter(differences.values())):
        kinds = [kind for kind in pairs if differences[str(kind)][name].difference is not None]
        if not kinds:
            found[name] = Difference(reason="undefined for every tumor type")
            continue
        one, two = (float(np.mean([pairs[kind].values[side][name][0] for kind in kinds])) for side in (0, 1))
        replicates = mean_over(pairs[kind].drawn[0][name] - pairs[kind].drawn[1][name] for kind in kinds)
        exchanged = mean_over(pairs[kind].exchanged[name] for kind in kinds)
        left_out = [str(kind) for kind in pairs if kind not in kinds]
        reason = f"mean over {len(kinds)} of {len(pairs)} tumor types; left out: {', '.join(left_out)}"
        known = Difference(a=one, b=two, difference=one - two, reason=reason if left_out else None)
        df = mean_df(pairs[kind].a for kind in kinds)
        item = _resampled(known, name, replicates, exchanged, confidence, df)
        higher = None if item.p is None else _higher(item, item.p, 1 - confidence)
        found[name] = item.model_copy(update={"higher": higher})
    return found
