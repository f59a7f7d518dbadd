"""The report as Markdown: what a person reads first."""

from __future__ import annotations

from collections import Counter

from rsuper_bench.benchmark.figures import figure_names
from rsuper_bench.benchmark.lesion_markdown import lesions_markdown
from rsuper_bench.benchmark.literature import detection_reader
from rsuper_bench.benchmark.markdown import NOT_DEFINED, escape, markdown_table, percent, score_cell
from rsuper_bench.benchmark.methods_text import headline, methods_text
from rsuper_bench.benchmark.reader_markdown import study_markdown
from rsuper_bench.benchmark.report import MEAN, Counts, EvaluationReport, LiteratureReader
from rsuper_bench.benchmark.scores import FEW
from rsuper_bench.benchmark.strata_markdown import strata_markdown


def report_markdown(report: EvaluationReport) -> str:
    """Render a report."""
    drawn = figure_names(report)
    parts = [
        f"# {escape(report.submission.method)} ({escape(report.submission.team)}) on {report.task}",
        f"**{escape(headline(report))}**",
        *[f"> **{statement}**" for statement in report.statements],
        _what(report),
        "## Sensitivity and specificity by tumor type",
        _table(report),
        _notes(report),
        "![ROC curves](figures/roc.png)",
        "![Sensitivity and specificity](figures/sens_spec.png)",
        "![Sensitivity by size](figures/size.png)" if "size" in drawn else "",
        "## Calls at the frozen thresholds" if report.thresholds else "",
        _calls(report) if report.thresholds else "",
        "## Cases that do not count",
        "![Cases](figures/cases.png)",
        _exclusions(report),
        "## Radiologists who read the same cases" if report.readers.study else "",
        study_markdown(report.readers) if report.readers.study else "",
        "## Radiologists in the literature",
        report.readers.statement,
        _literature(report),
        "## Lesions" if report.lesions or report.lesions_reason else "",
        "![FROC curves](figures/froc.png)" if "froc" in drawn else "",
        lesions_markdown(report.lesions, report.lesion_policies) if report.lesions else "",
        f"No lesion figures: {report.lesions_reason}." if report.lesions_reason else "",
        "## Parts of the cases" if report.strata else "",
        strata_markdown(report.strata) if report.strata else "",
        *[
            f"![Forest plot by {name.removeprefix('forest_')}](figures/{name}.png)"
            for name in drawn
            if "forest" in name
        ],
        "## How it was measured",
        escape(methods_text(report)),
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


def summary_metrics(report: EvaluationReport) -> list[tuple[str, str, bool]]:
    """Metrics of the summary: name, heading, and whether it reads as 0.87 instead of 87 %."""
    matched = [name for name in report.scores[MEAN] if name.startswith("sensitivity_at_specificity")]
    found = [("auroc", "AUROC", True)]
    if report.thresholds is not None:
        found += [("sensitivity", "sensitivity, %", False), ("specificity", "specificity, %", False)]
    found += [(name, f"sensitivity at {name.rsplit('_', 1)[1]} % specificity, %", False) for name in matched]
    if any(detection_reader(report.readers.literature, kind) for kind in report.counts):
        found.append(("sensitivity_at_reader", "sensitivity at the literature's specificity, %", False))
    return found


def _table(report: EvaluationReport) -> str:
    metrics = summary_metrics(report)
    header = ["tumor type", "positive", "negative", *(label for _, label, _ in metrics)]
    rows = []
    for name, scores in report.scores.items():
        kind = next((item for item in report.counts if item == name), None)
        counts = report.counts[kind] if kind else None
        reader = detection_reader(report.readers.literature, kind) if kind else None
        note = f" [^{kind}]" if kind and reader else ""
        label = f"**{name}**" if kind is None else name.replace("_", " ")
        row = [label + (" †" if too_small(counts) else "")]
        row += [str(counts.positive), str(counts.negative)] if counts else ["", ""]
        row += [score_cell(scores[metric], as_percent=not plain) for metric, _, plain in metrics]
        row += [percent(reader.sensitivity) + note if reader else NOT_DEFINED]
        row += [percent(reader.specificity) if reader else NOT_DEFINED]
        rows.append(row)
    return markdown_table([*header, "literature: sensitivity, %", "literature: specificity, %"], rows)


def too_small(counts: Counts | None) -> bool:
    """Whether a class is so small that its interval says more than its figure."""
    return counts is not None and min(counts.positive, counts.negative) < FEW


def summary_notes(report: EvaluationReport) -> list[str]:
    """What to say below the summary."""
    notes = []
    if any(too_small(counts) for counts in report.counts.values()):
        notes.append(f"† Fewer than {FEW} cases of one class: read the interval, not the figure.")
    means = report.scores[MEAN].values()
    return notes + [
        f"Mean: {note}."
        for note in sorted({score.reason for score in means if score.value is not None and score.reason})
    ]


def _notes(report: EvaluationReport) -> str:
    level = f"{100 * report.task_definition.confidence:g} %"
    lines = [f"Brackets are {level} intervals, parentheses are counts. Literature figures are not of these cases."]
    lines += summary_notes(report)
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


def literature_tables(report: EvaluationReport) -> list[tuple[str, list[tuple[LiteratureReader, list[str]]]]]:
    """Figures of the literature by question, each with its reader and cells of plain text, which is hostile."""
    titles = {
        "detection": "Detection: is there a tumor?",
        "characterisation": (
            "Characterisation: is the tumor malignant? Another question, never compared with the above."
        ),
    }
    tables = []
    for task, title in titles.items():
        rows = [(reader, _literature_row(reader)) for reader in report.readers.literature if reader.task == task]
        tables += [(title, rows)] if rows else []
    return tables


def _literature(report: EvaluationReport) -> str:
    header = ["tumor type", "sensitivity, %", "specificity, %", "unit", "grade", "patients", "readers", "source"]
    parts = []
    for title, rows in literature_tables(report):
        cells = []
        for reader, row in rows:
            bold = "**" if reader.primary else ""
            cells.append([f"{bold}{row[0]}{bold}", *row[1:3], *map(escape, row[3:])])
        parts += [f"**{title}**", markdown_table(header, cells)]
    return "\n\n".join(parts) or "The shipped table has no figure for these tumor types."


def _literature_row(reader: LiteratureReader) -> list[str]:
    def figure(value: float | None, interval: str, spread: str) -> str:
        text = percent(value) if value is not None else ""
        text += f" [{_percent_range(interval)}]" if interval else ""
        text += f" range {_percent_range(spread)}" if spread else ""
        return text.strip() or NOT_DEFINED

    return [
        reader.tumor_type.replace("_", " "),
        figure(reader.sensitivity, reader.sensitivity_interval, reader.sensitivity_range),
        figure(reader.specificity, reader.specificity_interval, reader.specificity_range),
        reader.unit,
        reader.grade,
        reader.n_patients,
        reader.n_readers,
        f"{reader.citation} {reader.doi_or_pmid}".strip(),
    ]


def _percent_range(text: str) -> str:
    words = []
    for word in text.split():
        ends = word.split("-")
        words.append("–".join(percent(float(end)) for end in ends) if word[0].isdigit() else word)
    return " ".join(words)


def _provenance(report: EvaluationReport) -> str:
    rows = [
        ["digest", escape(name), f"`{value[:16]}`" if value else NOT_DEFINED] for name, value in report.digests.items()
    ]
    rows += [["version", escape(name), escape(value or NOT_DEFINED)] for name, value in report.provenance.items()]
    return markdown_table(["kind", "of", "value"], rows)
