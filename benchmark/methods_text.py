"""The methods of an evaluation as a paragraph to paste into a paper: every number is that of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rsuper_bench.benchmark.report import MEAN, EvaluationReport, Score
from rsuper_bench.benchmark.scores import FEW
from rsuper_bench.benchmark.task import CallRule, NotStated, ReferenceKind

_INTERVALS = {
    "wilson": "Wilson's score interval",
    "wilson-over-patients": "Wilson's score interval with patients as the units",
    "logit-delong": "DeLong's variance on the logit scale",
    "newcombe-5": "Newcombe's method 5",
    "newcombe-5-over-patients": "Newcombe's method 5 with patients as the units",
    "patient-bootstrap-logit": "the standard error of a patient-level bootstrap on the logit scale",
    "patient-bootstrap-percentile": "percentiles of a patient-level bootstrap",
}
_SOURCES = {
    ReferenceKind.REPORT: "the radiology report stated",
    ReferenceKind.MASK: "the lesion mask showed",
    ReferenceKind.PATHOLOGY: "the report stated and pathology proved malignant",
}


def methods_text(report: EvaluationReport) -> str:
    """One paragraph of plain text. Names in it are those of the submission and the release: escape them."""
    parts = [
        *_data(report),
        *_reference(report),
        _thresholds(report),
        *_intervals(report),
        *_readers(report),
        *_further(report),
        _made_with(report),
    ]
    text = " ".join(" ".join(part.split()) for part in parts if part)
    return "".join(char for char in text if char.isprintable())  # no name turns the rest of the paragraph around


def _made_with(report: EvaluationReport) -> str:
    python, numpy = (report.provenance.get(name) or "unknown" for name in ("python", "numpy"))
    return f"All figures follow from report.json (rsuper-bench {_version(report)}, Python {python}, NumPy {numpy})."


def listed(items: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else list(items))


def _version(report: EvaluationReport) -> str:
    return report.provenance.get("rsuper_bench") or "of an unknown version"


def _data(report: EvaluationReport) -> Iterable[str]:
    data = report.data
    digest = f"release digest {data.digest[:12]}"
    yield (
        f"{report.submission.method} ({report.submission.team}) was evaluated with rsuper-bench {_version(report)} on "
        f"the {data.split} split of {data.release} ({_plural(data.n_cases, 'CT scan')} of "
        f"{_plural(data.n_patients, 'patient')}; {digest}) under task {report.task} (fingerprint {report.fingerprint})."
    )
    if data.synthetic:
        yield "All cases are synthetic; phantoms are not patients, and no clinical performance follows from them."
    if data.smoke:
        yield "One anatomy stands in several splits, so the figures are no evidence of performance."


def _plural(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _reference(report: EvaluationReport) -> Iterable[str]:
    task = report.task_definition
    if report.digests.get("lesion_counts"):
        yield "A case was positive for a tumor type when a table of lesion counts gave at least one lesion."
    else:
        kinds = listed([kind.replace("_", " ") for kind in task.positive_kinds])
        what = "a lesion of that type" if task.reference is ReferenceKind.MASK else f"a tumor of that type ({kinds})"
        yield f"A case was positive for a tumor type when {_SOURCES[task.reference]} {what}."
        if task.reference is not ReferenceKind.MASK:
            silent = "counted as negative" if task.not_stated is NotStated.NEGATIVE else "excluded"
            yield f"Cases whose report is silent on a type were {silent} for that type."
    pairs = sum(counts.positive + counts.negative for counts in report.counts.values())
    if report.excluded:
        reasons = Counter(item.reason.replace("_", " ") for item in report.excluded)
        given = ", ".join(f"{reason} {number}" for reason, number in sorted(reasons.items()))
        yield (
            f"Of {pairs + len(report.excluded)} pairs of case and tumor type, {len(report.excluded)} were excluded "
            f"({given})."
        )
    numbers = [f"{kind.replace('_', ' ')} {item.positive}/{item.negative}" for kind, item in report.counts.items()]
    yield f"Positive/negative cases: {', '.join(numbers)}."
    if report.coverage.get("imputed"):
        yield f"{_plural(report.coverage['imputed'], 'missing prediction')} were scored the worst way."


def _thresholds(report: EvaluationReport) -> str:
    task = report.task_definition
    what = "predicted volume (mm³)" if task.call_rule is CallRule.VOLUME else "score"
    matched = [
        f"{name} at {100 * target:g} % {other}"
        for other, target in task.operating_points.items()
        for name in ("sensitivity" if other == "specificity" else "specificity",)
    ]
    exploratory = (
        f"{listed(matched).capitalize()} were read off the test ROC curve and are exploratory." if matched else ""
    )
    if report.thresholds is None:
        return f"No threshold was frozen before testing, so there are no calls. {exploratory}"
    values = ", ".join(f"{kind.replace('_', ' ')} {value:.6g}" for kind, value in report.thresholds.items())
    digest = (report.digests.get("thresholds") or "")[:12]
    return (
        f"One threshold of the {what} a tumor type was frozen on cases and patients outside this split before testing "
        f"({values}; digest {digest}). {exploratory}"
    )


def _intervals(report: EvaluationReport) -> Iterable[str]:
    task = report.task_definition
    used: dict[str, list[str]] = {}
    for name, scores in report.scores.items():
        for metric, score in scores.items():
            if score.value is not None and score.low is not None and score.method is not None:
                metric_name = f"mean {metric}" if name == MEAN else metric
                used.setdefault(score.method, []).append(metric_name)
    ways = []
    for method, metrics in sorted(used.items()):
        named = [_metric(name) for name in dict.fromkeys(metrics) if not name.startswith("mean ")]
        if any(name.startswith("mean ") for name in metrics):
            named.append("the means over tumor types")
        ways.append(f"{_INTERVALS.get(method, method)} ({listed(named)})")
    if ways:
        yield f"Intervals are {100 * task.confidence:g} % intervals: {'; '.join(ways)}."
    yield (
        f"The bootstrap drew patients with replacement ({task.bootstrap_replicates} replicates, seed {report.seed}) "
        "and matched operating points again in each replicate."
    )
    if len(report.counts) > 1:
        yield f"Means are unweighted over the {len(report.counts)} tumor types, where a figure is defined."


def _metric(name: str) -> str:
    words = {"auroc": "AUROC", "f1": "F1"}
    if name.endswith("_at_reader"):
        other = "specificity" if name.startswith("sensitivity") else "sensitivity"
        return f"{name.partition('_')[0]} at the radiologists' {other}"
    figure, at, point = name.partition("_at_")
    if at:
        what, _, value = point.rpartition("_")
        return f"{figure} at {value} % {what}"
    return words.get(name, name.replace("_", " "))


def _readers(report: EvaluationReport) -> Iterable[str]:
    study = report.readers.study
    if study:
        readers = len({item.reader for item in study})
        reads = sum(item.n_cases for item in study)
        yield (
            f"{_plural(readers, 'reader')} read the same cases ({reads} reads that count); the method was compared "
            "with each at the reader's own operating point, over the same patients."
        )
        tested = [item.test for item in study] + [item.test for item in report.readers.panels]
        tests = [test for test in tested if test is not None]
        if tests:
            yield (
                f"Non-inferiority (margin {100 * tests[0].margin:g} points of sensitivity) and difference were tested "
                "on bootstrap replicates and Holm-corrected over readers and tumor types."
            )
    if report.readers.literature:
        yield (
            "Radiologists' figures from the literature are of other patients; they are shown for context, unpaired and "
            "without a test or a verdict."
        )


def _further(report: EvaluationReport) -> Iterable[str]:
    if report.strata:
        yield (
            f"Strata by {listed([str(axis) for axis in report.strata])} were scored at the thresholds of all cases; "
            f"figures of fewer than {FEW} cases were suppressed."
        )
    if report.lesions:
        lesions = sum(item.n_lesions for item in report.lesions.values())
        yield f"Lesion-level figures are of {_plural(lesions, 'drawn lesion')}."
        yield from report.lesion_policies


def headline(report: EvaluationReport) -> str:
    """The outcome in one line: the primary figure, and what may be said against radiologists."""
    primary = report.task_definition.primary
    score = report.scores[MEAN][primary]
    types = f"{_plural(len(report.counts), 'tumor type')}"
    if score.value is None:
        found = f"{_metric(primary).capitalize()} is undefined: {score.reason}."
    else:
        name = _metric(primary)
        only = next(iter(report.counts)).replace("_", " ")
        what = f" for {only}" if len(report.counts) == 1 else f", mean over {types}"
        found = f"{name[0].upper() + name[1:]} {_shown(score, primary)}{what}."
    return f"{found} {_verdict(report)}"


def _shown(score: Score, metric: str) -> str:
    plain = metric in ("auroc", "average_precision")

    def number(value: float) -> str:
        return f"{value:.3f}" if plain else f"{100 * value:.1f}"

    text = number(score.value or 0.0) + ("" if plain else " %")
    if score.low is not None and score.high is not None:
        text += f" [{number(score.low)}, {number(score.high)}]"
    return text


def _verdict(report: EvaluationReport) -> str:
    if report.data.smoke:
        return "Not evidence: one anatomy stands in several splits."
    if report.data.synthetic:
        return "No verdict: phantoms are not patients."
    tested = [item.test for item in report.readers.study if item.test is not None]
    if tested:
        counted = Counter(test.verdict or "undecided" for test in tested)
        said = [f"{word} {counted[word]}" for word in ("above", "within", "below", "undecided") if counted[word]]
        return f"Of {_plural(len(tested), 'paired comparison')} with readers: {', '.join(said)}."
    return "No verdict beside radiologists: nobody read the same cases."
