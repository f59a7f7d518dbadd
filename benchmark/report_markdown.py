"""The report as Markdown: what a person reads first."""

from __future__ import annotations

from collections import Counter

from rsuper_bench.benchmark.lesion_markdown import lesions_markdown
from rsuper_bench.benchmark.literature import detection_reader
from rsuper_bench.benchmark.markdown import NOT_DEFINED, escape, markdown_table, percent, score_cell
from rsuper_bench.benchmark.reader_markdown import study_markdown
from rsuper_bench.benchmark.report import MEAN, Counts, EvaluationReport, LiteratureReader
from rsuper_bench.benchmark.strata_markdown import strata_markdown


def report_markdown(report: EvaluationReport) -> str:
    """Render a report."""
    parts = [
        f"# {escape(report.submission.method)} ({escape(report.submission.team)}) on {report.task}",
        *[f"> **{statement}**" for statement in report.statements],
        _what(report),
        "## Sensitivity and specificity by tumor type",
        _table(report),
        _notes(report),
        "![ROC curves](figures/roc.png)",
        "![Sensitivity and specificity](figures/sens_spec.png)",
        "## Calls at the frozen thresholds" if report.thresholds else "",
        _calls(report) if report.thresholds else "",
        "## Cases that do not count",
        _exclusions(report),
        "## Radiologists who read the same cases" if report.readers.study else "",
        study_markdown(report.readers) if report.readers.study else "",
        "## Radiologists in the literature",
        report.readers.statement,
        _literature(report),
        "## Lesions" if report.lesions or report.lesions_reason else "",
        lesions_markdown(report.lesions, report.lesion_policies) if report.lesions else "",
        f"No lesion figures: {report.lesions_reason}." if report.lesions_reason else "",
        "## Parts of the cases" if report.strata else "",
        strata_markdown(report.strata) if report.strata else "",
        "## How it was measured",
        _methods(report),
        "## Provenance",
        _provenance(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _what(report: EvaluationReport) -> str:
    data = report.data
    lines = [
        f"- Data: {escape(data.release)}, {data.split} split, {data.n_cases} cases of {data.n_patients} patients",
        f"- Task: {report.task}, fingerprint `{report.fingerprint}`; truth from the {report.task_definition.reference}",
        f"- Coverage: {report.coverage['predicted']} of {report.coverage['evaluated']} case-type pairs predicted",
    ]
    if report.coverage["imputed"]:
        lines.append(f"- **{report.coverage['imputed']} missing predictions were scored the worst way**")
    if report.coverage["ignored"]:
        lines.append(f"- {report.coverage['ignored']} predictions of types outside the task were ignored")
    return "\n".join(lines)


def _point_names(report: EvaluationReport) -> list[str]:
    names = list(report.scores[MEAN])
    return [name for name in names if name.startswith("sensitivity_at_specificity")]


def _table(report: EvaluationReport) -> str:
    frozen = report.thresholds is not None
    matched = _point_names(report)
    header = ["tumor type", "positive", "negative", "AUROC"]
    header += ["sensitivity, %", "specificity, %"] if frozen else []
    header += [f"sensitivity at {name.rsplit('_', 1)[1]} % specificity, %" for name in matched]
    header += ["literature: sensitivity, %", "literature: specificity, %", "sensitivity at that specificity, %"]
    rows = []
    for name, scores in report.scores.items():
        kind = next((item for item in report.counts if item == name), None)
        counts = report.counts[kind] if kind else None
        reader = detection_reader(report.readers.literature, kind) if kind else None
        note = f" [^{kind}]" if kind and reader else ""
        label = f"**{name}**" if kind is None else name.replace("_", " ")
        row = [label + (" †" if _small(counts) else "")]
        row += [str(counts.positive), str(counts.negative)] if counts else ["", ""]
        row.append(score_cell(scores["auroc"], as_percent=False))
        row += [score_cell(scores["sensitivity"]), score_cell(scores["specificity"])] if frozen else []
        row += [score_cell(scores[item]) for item in matched]
        row += [percent(reader.sensitivity) + note if reader else NOT_DEFINED]
        row += [percent(reader.specificity) if reader else NOT_DEFINED]
        row.append(score_cell(scores["sensitivity_at_reader"]))
        rows.append(row)
    return markdown_table(header, rows)


def _small(counts: Counts | None) -> bool:
    return counts is not None and min(counts.positive, counts.negative) < 10


def _notes(report: EvaluationReport) -> str:
    level = f"{100 * report.task_definition.confidence:g} %"
    lines = [f"Brackets are {level} intervals, parentheses are counts. Literature figures are not of these cases."]
    if any(_small(counts) for counts in report.counts.values()):
        lines.append("† Fewer than 10 cases of one class: read the interval, not the figure.")
    mean_notes = sorted(
        {score.reason for score in report.scores[MEAN].values() if score.value is not None and score.reason}
    )
    lines += [f"Mean: {note}." for note in mean_notes]
    footnotes = []
    for kind in report.counts:
        reader = detection_reader(report.readers.literature, kind)
        if reader:
            footnotes.append(f"[^{kind}]: {_cite(reader)}")
    return "\n\n".join([*lines, "\n".join(footnotes)])


def _cite(reader: LiteratureReader) -> str:
    parts = [reader.citation, reader.doi_or_pmid, reader.ct, reader.n_patients and f"n = {reader.n_patients}"]
    text = ". ".join(escape(part) for part in [*parts, reader.n_readers] if part)
    return f"Grade: {reader.grade}. {text}."


def _calls(report: EvaluationReport) -> str:
    rows = []
    for kind, counts in report.counts.items():
        threshold = (report.thresholds or {}).get(kind)
        cells = [counts.tp, counts.fn, counts.tn, counts.fp]
        scores = report.scores[kind]
        rows.append(
            [
                kind.replace("_", " "),
                NOT_DEFINED if threshold is None else f"{threshold:.6g}",
                *[NOT_DEFINED if cell is None else str(cell) for cell in cells],
                score_cell(scores["f1"]),
                score_cell(scores["balanced_accuracy"]),
            ]
        )
    header = ["tumor type", "threshold", "true positive", "missed", "true negative", "false alarm", "F1, %"]
    return markdown_table([*header, "balanced accuracy, %"], rows)


def _exclusions(report: EvaluationReport) -> str:
    if not report.excluded:
        return "None: every case counts for every tumor type."
    reasons = sorted({item.reason for item in report.excluded})
    counted = Counter((item.tumor_type, item.reason) for item in report.excluded)
    rows = [
        [kind.replace("_", " "), *[str(counted[kind, reason]) for reason in reasons], str(counts.excluded)]
        for kind, counts in report.counts.items()
    ]
    return markdown_table(["tumor type", *[reason.replace("_", " ") for reason in reasons], "all"], rows)


def _literature(report: EvaluationReport) -> str:
    parts = []
    for title, task in (
        ("Detection: is there a tumor?", "detection"),
        (
            "Characterisation: is the tumor malignant? Another question, never compared with the above.",
            "characterisation",
        ),
    ):
        readers = [reader for reader in report.readers.literature if reader.task == task]
        if readers:
            header = [
                "tumor type",
                "sensitivity, %",
                "specificity, %",
                "unit",
                "grade",
                "patients",
                "readers",
                "source",
            ]
            parts += [f"**{title}**", markdown_table(header, [_literature_row(reader) for reader in readers])]
    return "\n\n".join(parts) or "The shipped table has no figure for these tumor types."


def _literature_row(reader: LiteratureReader) -> list[str]:
    def figure(value: float | None, interval: str, spread: str) -> str:
        text = percent(value) if value is not None else ""
        text += f" [{_percent_range(interval)}]" if interval else ""
        text += f" range {_percent_range(spread)}" if spread else ""
        return text.strip() or NOT_DEFINED

    primary = "**" if reader.primary else ""
    return [
        f"{primary}{reader.tumor_type.replace('_', ' ')}{primary}",
        figure(reader.sensitivity, reader.sensitivity_interval, reader.sensitivity_range),
        figure(reader.specificity, reader.specificity_interval, reader.specificity_range),
        reader.unit,
        reader.grade,
        escape(reader.n_patients),
        escape(reader.n_readers),
        escape(f"{reader.citation} {reader.doi_or_pmid}".strip()),
    ]


def _percent_range(text: str) -> str:
    words = []
    for word in text.split():
        ends = word.split("-")
        words.append("–".join(percent(float(end)) for end in ends) if word[0].isdigit() else word)
    return " ".join(words)


def _methods(report: EvaluationReport) -> str:
    task = report.task_definition
    matched = (
        "Sensitivity at a matched specificity is read off the test ROC curve (exploratory: no threshold was frozen)."
    )
    intervals = (
        "Intervals: Wilson for proportions at frozen thresholds and logit-DeLong for the AUROC when each patient has "
        "one case; otherwise, and for every other figure, a bootstrap over patients "
        f"({task.bootstrap_replicates} replicates, seed {report.seed}, operating points matched again in each): its "
        "standard error on the logit scale, and its percentiles at matched operating points. report.json names the "
        "method of each figure."
    )
    kinds = ", ".join(kind.replace("_", " ") for kind in task.positive_kinds)
    return f"Positive: {kinds}. {matched} {intervals} A case left out can only lower a figure."


def _provenance(report: EvaluationReport) -> str:
    rows = [
        ["digest", escape(name), f"`{value[:16]}`" if value else NOT_DEFINED] for name, value in report.digests.items()
    ]
    rows += [["version", escape(name), escape(value or NOT_DEFINED)] for name, value in report.provenance.items()]
    return markdown_table(["kind", "of", "value"], rows)
